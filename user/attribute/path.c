/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Components of cgroup paths, and the names that container runtimes give to a container's cgroup.
 * Pure. Names as the runtimes make them: runc and crun with the systemd driver write
 * <prefix>-<id>.scope (opencontainers/runc, libcontainer/cgroups/systemd), with the cgroupfs driver a
 * directory named by the id alone; an id is 64 lower-case hex digits.
 */
#include "user/attribute/path.h"

#include <string.h>

#include "user/base/cleanup.h"

#define ID_LENGTH 64

static const struct {
	const char *prefix;
	const char *runtime;
} prefixes[] = {
	{ "docker-", "docker" }, { "cri-containerd-", "containerd" },
	{ "crio-", "cri-o" },	 { "libpod-payload-", "podman" },
	{ "libpod-", "podman" },
};

bool kw_path_next(const char **at, struct kw_path_component *ret_component)
{
	const char *text = *at + strspn(*at, "/");
	size_t length = strcspn(text, "/");

	*at = text + length;
	if (length == 0)
		return false;
	*ret_component = (struct kw_path_component){ text, length };
	return true;
}

bool kw_path_starts_with(const struct kw_path_component *component, const char *prefix)
{
	size_t length = strlen(prefix);

	return component->length >= length && memcmp(component->text, prefix, length) == 0;
}

bool kw_path_ends_with(const struct kw_path_component *component, const char *suffix)
{
	size_t length = strlen(suffix);

	return component->length >= length &&
	       memcmp(component->text + component->length - length, suffix, length) == 0;
}

bool kw_path_copy(const struct kw_path_component *component, char *ret_text, size_t size)
{
	if (component->length >= size)
		return false;
	memcpy(ret_text, component->text, component->length);
	ret_text[component->length] = '\0';
	return true;
}

static bool is_id(const char *text, size_t length)
{
	if (length != ID_LENGTH)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return true;
}

/* "<64 hex>": whose it is, only the directory above can tell. */
static const char *runtime_of_parent(const struct kw_path_component *parent)
{
	if (!parent)
		return NULL;
	if (parent->length == strlen("docker") && kw_path_starts_with(parent, "docker"))
		return "docker";
	if (kw_path_starts_with(parent, "pod"))
		return "";
	return NULL;
}

/* "kubepods-burstable-pod<uid>.slice:cri-containerd:<id>": containerd told to use the cgroupfs driver
 * while the kubelet uses systemd's. */
static bool is_colon_form(const struct kw_path_component *component,
			  struct kw_path_component *ret_id, const char **ret_runtime)
{
	static const char middle[] = ".slice:cri-containerd:";
	size_t tail = sizeof(middle) - 1 + ID_LENGTH;
	const char *at;

	if (!kw_path_starts_with(component, "kubepods") || component->length <= tail)
		return false;
	at = component->text + component->length - tail;
	if (memcmp(at, middle, sizeof(middle) - 1) != 0 ||
	    !is_id(at + sizeof(middle) - 1, ID_LENGTH))
		return false;
	*ret_id = (struct kw_path_component){ at + sizeof(middle) - 1, ID_LENGTH };
	*ret_runtime = "containerd";
	return true;
}

bool kw_path_is_container(const struct kw_path_component *component,
			  const struct kw_path_component *parent, struct kw_path_component *ret_id,
			  const char **ret_runtime)
{
	const char *runtime;

	if (is_id(component->text, component->length)) {
		runtime = runtime_of_parent(parent);
		if (!runtime)
			return false;
		*ret_id = *component;
		*ret_runtime = runtime;
		return true;
	}
	for (size_t i = 0; i < kw_array_size(prefixes); i++) {
		size_t skip = strlen(prefixes[i].prefix);
		size_t rest;

		if (!kw_path_starts_with(component, prefixes[i].prefix))
			continue;
		rest = component->length - skip;
		/* With the cgroupfs driver podman leaves out ".scope". */
		if (kw_path_ends_with(component, ".scope") && rest >= strlen(".scope"))
			rest -= strlen(".scope");
		if (!is_id(component->text + skip, rest))
			continue;
		*ret_id = (struct kw_path_component){ component->text + skip, rest };
		*ret_runtime = prefixes[i].runtime;
		return true;
	}
	return is_colon_form(component, ret_id, ret_runtime);
}
