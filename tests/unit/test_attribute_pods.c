/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* pods.c and path.c: the names of Docker, containerd, CRI-O, podman and the kubelet, and forgeries. */
#include "tests/unit/support.h"

#include <string.h>

#include "user/attribute/attribute.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "1f2e3d4c-5b6a-7988-90a1-b2c3d4e5f607"
#define UID_ "1f2e3d4c_5b6a_7988_90a1_b2c3d4e5f607"

static const struct {
	const char *path;
	const char *id;
	const char *runtime;
	const char *uid;
	const char *qos;
} cases[] = {
	{ "/system.slice/docker-" ID ".scope", ID, "docker", "", "" },
	{ "/docker/" ID, ID, "docker", "", "" },
	{ "/docker/" ID "/child", ID, "docker", "", "" },
	{ "/machine.slice/libpod-" ID ".scope/container", ID, "podman", "", "" },
	{ "/machine.slice/libpod-payload-" ID ".scope", ID, "podman", "", "" },
	{ "/libpod_parent/libpod-" ID, ID, "podman", "", "" },
	{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
	  ".slice/cri-containerd-" ID ".scope",
	  ID, "containerd", UID, "burstable" },
	{ "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" UID_ ".slice/crio-" ID
	  ".scope",
	  ID, "cri-o", UID, "besteffort" },
	{ "/kubepods.slice/kubepods-pod" UID_ ".slice/docker-" ID ".scope", ID, "docker", UID,
	  "guaranteed" },
	{ "/kubepods.slice/kubepods-pod" UID_ ".slice", "", "", UID, "guaranteed" },
	/* cgroupfs: whose container it is the name does not tell. */
	{ "/kubepods/besteffort/pod" UID "/" ID, ID, "", UID, "besteffort" },
	{ "/kubepods/burstable/pod" UID "/" ID, ID, "", UID, "burstable" },
	{ "/kubepods/pod" UID "/" ID, ID, "", UID, "guaranteed" },
	/* A static pod's uid is a hash. */
	{ "/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" ID, ID, "",
	  "0123456789abcdef0123456789abcdef", "burstable" },
	{ "/system.slice/containerd.service/kubepods-burstable-pod" UID_
	  ".slice:cri-containerd:" ID,
	  ID, "containerd", UID, "burstable" },
	/* kind: a node in a container. The outer one is the host's. */
	{ "/docker/" ID "/kubelet/kubepods/burstable/pod" UID "/" ID2, ID, "docker", "", "" },
	{ "/system.slice/docker-" ID ".scope/docker-" ID2 ".scope", ID, "docker", "", "" },

	/* No containers: the monitors, and what only looks like one. */
	{ "/machine.slice/libpod-conmon-" ID ".scope", "", "", "", "" },
	{ "/machine.slice/crio-conmon-" ID ".scope", "", "", "", "" },
	{ "/" ID, "", "", "", "" },
	{ "/dockerx/" ID, "", "", "", "" },
	{ "/system.slice/docker.service", "", "", "", "" },
	{ "/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", "", "", "",
	  "" },
	{ "/system.slice/docker-" ID "0.scope", "", "", "", "" },
	{ "/system.slice/docker-.scope", "", "", "", "" },
	{ "/besteffort/pod" UID, "", "", "", "" },
	{ "/kubepods/burstable/pod" UID "x/" ID, ID, "", "", "" },
	{ "/kubepods.slice/kubepods-pod1f2e3d4c.slice", "", "", "", "" },
	{ "/kubepods.slice/kubepods-pod\xff\xff\xff\xff_5b6a_7988_90a1_b2c3d4e5f607.slice", "", "",
	  "", "" },
	{ "kubepods-pod.slice:cri-containerd:" ID, ID, "containerd", "", "" },
	{ "/", "", "", "", "" },
	{ "", "", "", "", "" },
};

static void names_are_found(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kw_identity identity = {
			.container_id = "old", .runtime = "old", .pod_uid = "old", .qos = "old"
		};

		kw_pods_parse(cases[i].path, &identity);
		if (strcmp(identity.container_id, cases[i].id) != 0 ||
		    strcmp(identity.runtime, cases[i].runtime) != 0 ||
		    strcmp(identity.pod_uid, cases[i].uid) != 0 ||
		    strcmp(identity.qos, cases[i].qos) != 0)
			fail_msg("%s: id '%s' runtime '%s' uid '%s' qos '%s'", cases[i].path,
				 identity.container_id, identity.runtime, identity.pod_uid,
				 identity.qos);
	}
}

/* Every prefix of every path, in a buffer of its own: no read past the end. */
static void cut_paths_are_harmless(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t length = 0; length <= strlen(cases[i].path); length++) {
			char *path = strndup(cases[i].path, length);
			struct kw_identity identity = { 0 };

			kw_pods_parse(path, &identity);
			kw_units_parse(path, &identity);
			assert_true(identity.container_id[0] == '\0' ||
				    strlen(identity.container_id) == 64);
			free(path);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(names_are_found),
		support_test(cut_paths_are_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
