/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Walking a cgroup path component by component; private to attribute. A path is hostile: any container
 * with a delegated subtree names its own cgroups, with any bytes but '/' and NUL.
 */
#include <stdbool.h>
#include <stddef.h>

struct kw_path_component {
	const char *text; /* not terminated; borrowed from the path */
	size_t length;
};

/* The next component at *at, which is moved on; false at the end. Empty components are stepped over. */
bool kw_path_next(const char **at, struct kw_path_component *ret_component);
bool kw_path_starts_with(const struct kw_path_component *component, const char *prefix);
bool kw_path_ends_with(const struct kw_path_component *component, const char *suffix);
/* Copies the component, terminated; false (and ret_text untouched) when it does not fit. */
bool kw_path_copy(const struct kw_path_component *component, char *ret_text, size_t size);

/* Whether component is the cgroup of a container, under parent (may be NULL). On true the id (64 hex
 * digits) is borrowed, and the runtime is static text, "" when the name does not tell. Whatever lies
 * below such a cgroup was named by the container. */
bool kw_path_is_container(const struct kw_path_component *component,
			  const struct kw_path_component *parent, struct kw_path_component *ret_id,
			  const char **ret_runtime);
