/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How cgroup v2 is mounted. The options of the superblock are the last field of a mountinfo line, after
 * " - cgroup2 SOURCE " (proc(5)); they belong to the hierarchy, so any of its mounts tells them. Mounted with
 * memory_localevents or pids_localevents, the plain events files mean what the .local ones do (cgroup-v2.rst).
 */
#include "user/capture/capture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A cgroup2 line is short; longer ones (an overlay with all its layers) come in pieces, of which none fits. */
#define LINE_BYTES 4096

static bool has_option(const char *options, const char *name)
{
	size_t length = strlen(name);

	while (*options) {
		size_t word = strcspn(options, ",\n");

		if (word == length && memcmp(options, name, length) == 0)
			return true;
		options += word + (options[word] != '\0');
	}
	return false;
}

static void take_line(const char *line, struct kw_cgroup_mount *mount)
{
	const char *cgroup2 = strstr(line, " - cgroup2 "), *options;

	if (!cgroup2)
		return;
	options = strchr(cgroup2 + strlen(" - cgroup2 "), ' ');
	if (!options)
		return;
	mount->found = true;
	mount->memory_localevents |= has_option(options + 1, "memory_localevents");
	mount->pids_localevents |= has_option(options + 1, "pids_localevents");
}

int kw_cgroup_mount_read(const char *path, struct kw_cgroup_mount *ret_mount)
{
	struct kw_cgroup_mount mount = { .found = false };
	FILE *mounts = fopen(path, "re");
	char line[LINE_BYTES];
	int r;

	if (!mounts)
		return -errno;
	while (fgets(line, sizeof(line), mounts))
		take_line(line, &mount);
	r = ferror(mounts) ? -EIO : 0;
	(void)fclose(mounts);
	if (r == 0)
		*ret_mount = mount;
	return r;
}
