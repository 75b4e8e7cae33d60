/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory managers in user space are known by the cgroups they run in, because a process can call itself
 * anything, but where it runs is for systemd to say. A unit gets a new cgroup each time it is started: so its
 * directory is looked up again and again, which costs a stat(2) a second and needs no notification. The inode
 * number of a directory of cgroupfs is its kernfs id (fs/kernfs/inode.c), which the programs compare.
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/log.h"

/* The next name of a list that is separated by blanks; NULL: there is none. */
static const char *next_name(const char **list, size_t *ret_length)
{
	const char *name = *list + strspn(*list, " \t");

	*ret_length = strcspn(name, " \t");
	*list = name + *ret_length;
	return *ret_length ? name : NULL;
}

/* "oomd.service": in system.slice; with a '/': a path below the root. 0: it is not there. */
static uint64_t cgroup_id(const char *root, const char *name, size_t length)
{
	const char *slice = memchr(name, '/', length) ? "" : "system.slice/";
	struct stat status;
	char path[KW_PATH_MAX];
	int r = snprintf(path, sizeof(path), "%s/%s%.*s", root, slice, (int)length, name);

	if (r < 0 || (size_t)r >= sizeof(path) || lstat(path, &status) < 0 ||
	    !S_ISDIR(status.st_mode))
		return 0;
	return status.st_ino;
}

void kw_killers_turn(struct kw_daemon *daemon)
{
	const char *list = daemon->settings->killers, *name;
	uint64_t ids[KW_KILLERS_MAX] = { 0 };
	size_t count = 0, length;
	int r;

	if (!kw_hooks_see(daemon->hooks, KW_RECORD_USERSPACE_KILL))
		return;
	while (count < KW_KILLERS_MAX && (name = next_name(&list, &length))) {
		ids[count] = cgroup_id(daemon->settings->cgroup_root, name, length);
		count += ids[count] != 0;
	}
	if (daemon->killers_known && memcmp(ids, daemon->killers, sizeof(ids)) == 0)
		return;
	r = kw_hooks_set_killers(daemon->hooks, ids, count);
	if (r < 0) {
		(void)kw_log_error(r, "cannot say to the hooks who the memory managers are");
		return;
	}
	memcpy(daemon->killers, ids, sizeof(ids));
	daemon->killers_known = true;
}
