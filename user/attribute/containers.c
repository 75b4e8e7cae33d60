/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sources, in this order; the first that knows the id wins:
 *   /var/log/containers/<pod>_<namespace>_<container>-<id>.log   the kubelet's links (kubernetes,
 *       pkg/kubelet/kuberuntime/legacy.go); their names are enough, they are not followed
 *   /var/lib/docker/containers/<id>/config.v2.json               "Name": "/web" (moby, container/container.go)
 *   /var/lib/containers/storage/overlay-containers/containers.json   [{"id", "names": [..]}] (containers/storage)
 * All of it belongs to root, and is treated as hostile nevertheless: bounded reads, an id that is 64 hex digits
 * before it becomes part of a path, names of the engines' own alphabet or none.
 */
#include "user/attribute/containers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/file.h"

#define ID_DIGITS 64U
/* Links looked at in one search. A node runs 110 pods by default, 500 at most. */
#define LINKS_MAX 8192U
#define DOCKER_FILE_MAX (1024U * 1024U)
#define PODMAN_FILE_MAX (4U * 1024U * 1024U)

struct known {
	char id[ID_DIGITS + 1];
	char container[sizeof(((struct kw_identity *)NULL)->container)];
	char pod_name[sizeof(((struct kw_identity *)NULL)->pod_name)];
	char pod_namespace[sizeof(((struct kw_identity *)NULL)->pod_namespace)];
};

struct kw_containers {
	char *root;
	unsigned int next; /* the one that is overwritten next */
	struct known known[KW_CONTAINERS_REMEMBERED_MAX];
};

int kw_containers_new(const char *root, struct kw_containers **ret_containers)
{
	cleanup(kw_containers_freep) struct kw_containers *containers =
		calloc(1, sizeof(*containers));

	if (!containers)
		return -ENOMEM;
	containers->root = strdup(strcmp(root, "/") == 0 ? "" : root);
	if (!containers->root)
		return -ENOMEM;
	*ret_containers = take_ptr(containers);
	return 0;
}

void kw_containers_free(struct kw_containers *containers)
{
	if (!containers)
		return;
	free(containers->root);
	free(containers);
}

static bool is_id(const char *text, size_t length)
{
	return length == ID_DIGITS && strspn(text, "0123456789abcdef") >= ID_DIGITS;
}

/* Engines' names: [A-Za-z0-9][A-Za-z0-9_.-]*; Kubernetes' are a part of that. */
static bool copy_name(const char *text, size_t length, char *ret_name, size_t size)
{
	if (length == 0 || length >= size)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (i > 0 && (c == '_' || c == '.' || c == '-'))))
			return false;
	}
	memcpy(ret_name, text, length);
	ret_name[length] = '\0';
	return true;
}

/* "<pod>_<namespace>_<container>-<id>.log": none of the three has a '_' (RFC 1123 names). */
static bool parse_link(const char *name, struct known *known)
{
	size_t length = strlen(name);
	const char *pod_end, *namespace_end, *container_end;

	if (length < ID_DIGITS + 5 || strcmp(name + length - 4, ".log") != 0)
		return false;
	container_end = name + length - 4 - ID_DIGITS - 1;
	if (*container_end != '-' || strncmp(container_end + 1, known->id, ID_DIGITS) != 0)
		return false;
	pod_end = strchr(name, '_');
	namespace_end = pod_end ? strchr(pod_end + 1, '_') : NULL;
	if (!namespace_end || namespace_end > container_end)
		return false;
	return copy_name(name, (size_t)(pod_end - name), known->pod_name,
			 sizeof(known->pod_name)) &&
	       copy_name(pod_end + 1, (size_t)(namespace_end - pod_end - 1), known->pod_namespace,
			 sizeof(known->pod_namespace)) &&
	       copy_name(namespace_end + 1, (size_t)(container_end - namespace_end - 1),
			 known->container, sizeof(known->container));
}

static void closedir_p(void *pointer)
{
	DIR *directory = *(DIR **)pointer;

	if (directory)
		(void)closedir(directory);
}

static bool ask_kubelet(const char *root, struct known *known)
{
	cleanup(closedir_p) DIR *directory = NULL;
	const struct dirent *entry;
	char path[KW_PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/var/log/containers", root);

	if (length < 0 || (size_t)length >= sizeof(path))
		return false;
	directory = opendir(path);
	for (unsigned int i = 0; directory && i < LINKS_MAX; i++) {
		struct known found = *known;

		entry = readdir(directory);
		if (!entry)
			return false;
		if (parse_link(entry->d_name, &found)) {
			*known = found;
			return true;
		}
	}
	return false;
}

/* A JSON file of at most maximum bytes; NULL: there is none, or none that can be used. */
static json_t *load(const char *path, size_t maximum)
{
	cleanup_bytes struct kw_bytes text;

	kw_bytes_init(&text, maximum);
	if (kw_file_read(AT_FDCWD, path, &text) < 0 || !text.data)
		return NULL;
	return json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, NULL);
}

static bool ask_docker(const char *root, struct known *known)
{
	char path[KW_PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/var/lib/docker/containers/%s/config.v2.json",
			      root, known->id);
	const char *name;
	json_t *config;
	bool found;

	if (length < 0 || (size_t)length >= sizeof(path))
		return false;
	config = load(path, DOCKER_FILE_MAX);
	name = json_string_value(json_object_get(config, "Name"));
	/* Docker writes its names with a '/' before them. */
	if (name && name[0] == '/')
		name++;
	found = name && copy_name(name, strlen(name), known->container, sizeof(known->container));
	json_decref(config);
	return found;
}

static bool ask_podman(const char *root, struct known *known)
{
	char path[KW_PATH_MAX];
	int length = snprintf(path, sizeof(path),
			      "%s/var/lib/containers/storage/overlay-containers/containers.json",
			      root);
	const json_t *container;
	json_t *list;
	size_t i;
	bool found = false;

	if (length < 0 || (size_t)length >= sizeof(path))
		return false;
	list = load(path, PODMAN_FILE_MAX);
	json_array_foreach(list, i, container)
	{
		const char *id = json_string_value(json_object_get(container, "id"));
		const char *name =
			json_string_value(json_array_get(json_object_get(container, "names"), 0));

		if (!id || strcmp(id, known->id) != 0)
			continue;
		found = name &&
			copy_name(name, strlen(name), known->container, sizeof(known->container));
		break;
	}
	json_decref(list);
	return found;
}

static const struct known *find(const struct kw_containers *containers, const char *id)
{
	for (size_t i = 0; i < kw_array_size(containers->known); i++) {
		if (strcmp(containers->known[i].id, id) == 0)
			return &containers->known[i];
	}
	return NULL;
}

void kw_containers_name(struct kw_containers *containers, struct kw_identity *identity)
{
	const struct known *known;

	if (!is_id(identity->container_id, strlen(identity->container_id)))
		return;
	known = find(containers, identity->container_id);
	if (!known) {
		struct known asked = { .id = "" };

		memcpy(asked.id, identity->container_id, ID_DIGITS);
		/* Not found is not remembered: the engine may write its file a moment later. */
		if (!ask_kubelet(containers->root, &asked) &&
		    !ask_docker(containers->root, &asked) && !ask_podman(containers->root, &asked))
			return;
		containers->known[containers->next] = asked;
		known = &containers->known[containers->next];
		containers->next = (containers->next + 1) % kw_array_size(containers->known);
	}
	memcpy(identity->container, known->container, sizeof(identity->container));
	memcpy(identity->pod_name, known->pod_name, sizeof(identity->pod_name));
	memcpy(identity->pod_namespace, known->pod_namespace, sizeof(identity->pod_namespace));
}
