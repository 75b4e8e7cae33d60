/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Path to systemd unit and slice; pure. systemd names a unit's cgroup after the unit
 * (systemd.slice(5), systemd.service(5)), so the innermost unit name is the unit, and the innermost
 * slice above it its slice. The walk ends at a container's cgroup: what lies below was named by the
 * container, which could otherwise call itself sshd.service. Names stay escaped as systemd escapes
 * them (systemd-escape(1)): that is how every systemd tool takes them.
 */
#include "user/attribute/attribute.h"

#include "user/attribute/path.h"
#include "user/base/cleanup.h"

/* Unit types that have a cgroup (systemd.exec(5)), and slices apart. */
static const char *const unit_suffixes[] = { ".service", ".scope", ".socket", ".mount", ".swap" };

static bool is_unit(const struct kw_path_component *component)
{
	for (size_t i = 0; i < kw_array_size(unit_suffixes); i++)
		if (kw_path_ends_with(component, unit_suffixes[i]))
			return true;
	return false;
}

void kw_units_parse(const char *path, struct kw_identity *identity)
{
	struct kw_path_component component;
	struct kw_path_component parent = { "", 0 };
	struct kw_path_component id;
	const char *runtime;
	bool is_container = false;

	identity->unit[0] = '\0';
	identity->slice[0] = '\0';
	while (!is_container && kw_path_next(&path, &component)) {
		is_container = kw_path_is_container(&component, &parent, &id, &runtime);
		/* A name that does not fit is none of systemd's (255 bytes): it stays unknown. */
		if (kw_path_ends_with(&component, ".slice")) {
			if (!kw_path_copy(&component, identity->slice, sizeof(identity->slice)))
				identity->slice[0] = '\0';
			/* A slice below a unit: another manager's. Its units come further down. */
		} else if (is_unit(&component)) {
			if (!kw_path_copy(&component, identity->unit, sizeof(identity->unit)))
				identity->unit[0] = '\0';
		}
		parent = component;
	}
}
