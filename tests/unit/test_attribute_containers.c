/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Trees as the kubelet, Docker and Podman make them, and as nobody should. */
#include "support.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/attribute/containers.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static void make_directories(const char *root, const char *path)
{
	char text[1024];
	size_t length = strlen(root);

	(void)snprintf(text, sizeof(text), "%s%s/", root, path);
	for (char *at = text + length + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		(void)mkdir(text, 0755);
		*at = '/';
	}
}

static void put(const char *root, const char *directory, const char *name, const char *text)
{
	char path[1024];

	make_directories(root, directory);
	(void)snprintf(path, sizeof(path), "%s%s", root, directory);
	support_write(path, name, text);
}

static void put_link(const char *root, const char *name)
{
	char path[1024];

	make_directories(root, "/var/log/containers");
	(void)snprintf(path, sizeof(path), "%s/var/log/containers/%s", root, name);
	assert_int_equal(symlink("/var/log/pods/nowhere/0.log", path), 0);
}

static struct kw_identity name_of(struct kw_containers *containers, const char *id)
{
	struct kw_identity identity = { .known = true };

	(void)snprintf(identity.container_id, sizeof(identity.container_id), "%s", id);
	kw_containers_name(containers, &identity);
	return identity;
}

static void the_kubelets_links(void **state)
{
	cleanup(kw_containers_freep) struct kw_containers *containers = NULL;
	char *root = support_directory();
	struct kw_identity identity;

	(void)state;
	put_link(root, "other-1_default_sidecar-" OTHER ".log");
	put_link(root, "cart-7-x2f_shop_web-server-" ID ".log");
	assert_int_equal(kw_containers_new(root, &containers), 0);
	identity = name_of(containers, ID);
	assert_string_equal(identity.pod_name, "cart-7-x2f");
	assert_string_equal(identity.pod_namespace, "shop");
	assert_string_equal(identity.container, "web-server");
	/* remembered: the link may be gone when its container is */
	support_remove(root);
	assert_string_equal(name_of(containers, ID).container, "web-server");
}

static void docker_and_podman(void **state)
{
	cleanup(kw_containers_freep) struct kw_containers *containers = NULL;
	char *root = support_directory();
	struct kw_identity identity;

	(void)state;
	put(root, "/var/lib/docker/containers/" ID, "config.v2.json",
	    "{\"ID\":\"" ID "\",\"Name\":\"/happy_hopper\",\"State\":{\"Running\":true}}");
	put(root, "/var/lib/containers/storage/overlay-containers", "containers.json",
	    "[{\"id\":\"0\"},{\"id\":\"" OTHER "\",\"names\":[\"db\"],\"image\":\"x\"}]");
	assert_int_equal(kw_containers_new(root, &containers), 0);
	identity = name_of(containers, ID);
	assert_string_equal(identity.container, "happy_hopper");
	assert_string_equal(identity.pod_name, "");
	assert_string_equal(name_of(containers, OTHER).container, "db");
	support_remove(root);
}

static void what_is_not_known_stays_absent(void **state)
{
	cleanup(kw_containers_freep) struct kw_containers *containers = NULL;
	char *root = support_directory();

	(void)state;
	assert_int_equal(kw_containers_new(root, &containers), 0);
	assert_string_equal(name_of(containers, ID).container, "");
	/* written a moment later: found then */
	put_link(root, "p_n_c-" ID ".log");
	assert_string_equal(name_of(containers, ID).container, "c");
	support_remove(root);
}

static void hostile_trees(void **state)
{
	static const char *const links[] = {
		"p_n_-" ID ".log",     "_n_c-" ID ".log",   "p__c-" ID ".log",
		"pnc-" ID ".log",      "p_nc-" ID ".log",   ID ".log",
		"p_n_c-" ID,	       "p_n_c" ID ".log",   "p_n_\x1b[31m-" ID ".log",
		".._.._..-" ID ".log", "-p_n_c-" ID ".log", "p_n_c-" OTHER ".log",
	};
	cleanup(kw_containers_freep) struct kw_containers *containers = NULL;
	char *root = support_directory();
	struct kw_identity identity;

	(void)state;
	for (size_t i = 0; i < kw_array_size(links); i++)
		put_link(root, links[i]);
	put(root, "/var/lib/docker/containers/" ID, "config.v2.json", "{\"Name\":\"/a\\nb\"}");
	put(root, "/var/lib/containers/storage/overlay-containers", "containers.json",
	    "[[],{\"id\":7},{\"id\":\"" ID "\",\"names\":[7]}]");
	assert_int_equal(kw_containers_new(root, &containers), 0);
	identity = name_of(containers, ID);
	assert_string_equal(identity.container, "");
	assert_string_equal(identity.pod_name, "");
	assert_string_equal(identity.pod_namespace, "");
	/* no id, no path */
	assert_string_equal(name_of(containers, "../../../etc").container, "");
	assert_string_equal(name_of(containers, "").container, "");
	support_remove(root);
}

static void memory_is_bounded(void **state)
{
	cleanup(kw_containers_freep) struct kw_containers *containers = NULL;
	char *root = support_directory();
	char id[65], link[128], name[16];

	(void)state;
	assert_int_equal(kw_containers_new(root, &containers), 0);
	for (unsigned int i = 0; i < KW_CONTAINERS_REMEMBERED_MAX + 3; i++) {
		(void)snprintf(id, sizeof(id), "%064x", i);
		(void)snprintf(link, sizeof(link), "p_n_c%u-%s.log", i, id);
		put_link(root, link);
		(void)snprintf(name, sizeof(name), "c%u", i);
		assert_string_equal(name_of(containers, id).container, name);
	}
	/* forgotten, and found again */
	(void)snprintf(id, sizeof(id), "%064x", 0);
	assert_string_equal(name_of(containers, id).container, "c0");
	support_remove(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(the_kubelets_links),
		support_test(docker_and_podman),
		support_test(what_is_not_known_stays_absent),
		support_test(hostile_trees),
		support_test(memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
