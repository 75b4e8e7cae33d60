/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Path to container, runtime and Kubernetes pod; pure. The kubelet's names
 * (kubernetes, pkg/kubelet/cm/cgroup_manager_linux.go): kubepods[-burstable|-besteffort]-pod<uid>.slice
 * with '_' for each '-' of the uid under the systemd driver, kubepods[/burstable|/besteffort]/pod<uid>
 * under cgroupfs; a guaranteed pod has neither word. The outermost container counts: what lies below
 * was named by it.
 */
#include "user/attribute/attribute.h"

#include <stdio.h>
#include <string.h>

#include "user/attribute/path.h"
#include "user/base/cleanup.h"

/* A uid is a UUID, or 32 hex digits for a static pod (kubelet, config/common.go). */
static bool copy_uid(const char *text, size_t length, char *ret_uid, size_t size)
{
	if ((length != 36 && length != 32) || length >= size)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '_' || c == '-'))
			return false;
	}
	for (size_t i = 0; i < length; i++)
		ret_uid[i] = text[i];
	ret_uid[length] = '\0';
	for (char *c = ret_uid; *c; c++)
		if (*c == '_')
			*c = '-';
	return true;
}

static void set_qos(struct kw_identity *identity, const char *qos)
{
	(void)snprintf(identity->qos, sizeof(identity->qos), "%s", qos);
}

/* "kubepods-burstable-pod<uid>.slice", with what the colon form puts behind it. */
static bool parse_systemd_pod(const struct kw_path_component *component,
			      struct kw_identity *identity)
{
	static const struct {
		const char *prefix;
		const char *qos;
	} forms[] = {
		{ "kubepods-burstable-pod", "burstable" },
		{ "kubepods-besteffort-pod", "besteffort" },
		{ "kubepods-pod", "guaranteed" },
	};

	for (size_t i = 0; i < kw_array_size(forms); i++) {
		size_t skip = strlen(forms[i].prefix);
		const char *end;

		if (!kw_path_starts_with(component, forms[i].prefix))
			continue;
		end = memmem(component->text + skip, component->length - skip, ".slice",
			     strlen(".slice"));
		if (!end ||
		    !copy_uid(component->text + skip, (size_t)(end - component->text) - skip,
			      identity->pod_uid, sizeof(identity->pod_uid)))
			return false;
		set_qos(identity, forms[i].qos);
		return true;
	}
	return false;
}

static bool is_word(const struct kw_path_component *component, const char *word)
{
	return component->length == strlen(word) && kw_path_starts_with(component, word);
}

/* "pod<uid>" below "kubepods", "burstable" or "besteffort". */
static void parse_cgroupfs_pod(const struct kw_path_component *component,
			       const struct kw_path_component *parent, struct kw_identity *identity)
{
	static const struct {
		const char *parent;
		const char *qos;
	} forms[] = {
		{ "burstable", "burstable" },
		{ "besteffort", "besteffort" },
		{ "kubepods", "guaranteed" },
	};

	if (!kw_path_starts_with(component, "pod"))
		return;
	for (size_t i = 0; i < kw_array_size(forms); i++) {
		if (!is_word(parent, forms[i].parent))
			continue;
		if (copy_uid(component->text + strlen("pod"), component->length - strlen("pod"),
			     identity->pod_uid, sizeof(identity->pod_uid)))
			set_qos(identity, forms[i].qos);
		return;
	}
}

void kw_pods_parse(const char *path, struct kw_identity *identity)
{
	struct kw_path_component component;
	struct kw_path_component parent = { "", 0 };
	bool is_kubepods = false;

	identity->container_id[0] = '\0';
	identity->runtime[0] = '\0';
	identity->pod_uid[0] = '\0';
	identity->qos[0] = '\0';
	while (kw_path_next(&path, &component)) {
		struct kw_path_component id;
		const char *runtime;

		if (is_word(&component, "kubepods"))
			is_kubepods = true;
		if (!parse_systemd_pod(&component, identity) && is_kubepods)
			parse_cgroupfs_pod(&component, &parent, identity);
		if (kw_path_is_container(&component, &parent, &id, &runtime)) {
			(void)kw_path_copy(&id, identity->container_id,
					   sizeof(identity->container_id));
			(void)snprintf(identity->runtime, sizeof(identity->runtime), "%s", runtime);
			return;
		}
		parent = component;
	}
}
