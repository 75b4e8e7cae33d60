/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * inotify on cgroups: memory.events and pids.events are modified when a counter moves, at most once in
 * 10 ms and never lost (cgroup_file_notify(), kernel/cgroup/cgroup.c, 6.12); a directory tells of mkdir and
 * rmdir below it. A move of memory.events.local always moves memory.events too (memcg_memory_event(),
 * include/linux/memcontrol.h), so it has no watch of its own. A removed cgroup's watches
 * stay until they are removed here: kernfs does not lower the link count of what it removes (6.12).
 */
#include "user/capture/swept.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#define MEMORY_FILES (1U << KW_COUNTS_MEMORY_EVENTS | 1U << KW_COUNTS_MEMORY_EVENTS_LOCAL)
#define PIDS_FILES (1U << KW_COUNTS_PIDS_EVENTS | 1U << KW_COUNTS_PIDS_EVENTS_LOCAL)

static const struct {
	const char *name;
	uint32_t mask;
	uint32_t files; /* that have to be read when it fires */
} kinds[SWEPT_WATCH_COUNT_] = {
	[SWEPT_WATCH_DIRECTORY] = { "", IN_CREATE | IN_DELETE | IN_ONLYDIR, 0 },
	[SWEPT_WATCH_MEMORY] = { "/memory.events", IN_MODIFY | IN_DONT_FOLLOW, MEMORY_FILES },
	[SWEPT_WATCH_PIDS] = { "/pids.events", IN_MODIFY | IN_DONT_FOLLOW, PIDS_FILES },
};

void kw_watch_add(struct kw_sweep *sweep, struct swept *swept, int directory)
{
	for (int which = 0; which < SWEPT_WATCH_COUNT_; which++) {
		char path[64];
		int watch;

		if (swept->watches[which] >= 0 ||
		    (which != SWEPT_WATCH_DIRECTORY && !swept->is_wanted))
			continue;
		/* Through the descriptor, so that it is the directory whose inode we know. */
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d%s", directory,
			       kinds[which].name);
		/* ENOSPC (max_user_watches) or ENOENT: it is polled instead. */
		watch = inotify_add_watch(sweep->inotify_fd, path, kinds[which].mask);
		if (watch >= 0 &&
		    kw_swept_mark(&sweep->table, swept, (enum swept_watch)which, watch) == -ENOMEM)
			(void)inotify_rm_watch(sweep->inotify_fd, watch);
	}
}

void kw_watch_remove(struct kw_sweep *sweep, struct swept *swept)
{
	for (int which = 0; which < SWEPT_WATCH_COUNT_; which++) {
		if (swept->watches[which] < 0)
			continue;
		(void)inotify_rm_watch(sweep->inotify_fd, swept->watches[which]);
		kw_swept_unmark(&sweep->table, swept, (enum swept_watch)which);
	}
}

bool kw_watch_has(const struct swept *swept, enum kw_counts_file file)
{
	return (kinds[SWEPT_WATCH_MEMORY].files & 1U << file &&
		swept->watches[SWEPT_WATCH_MEMORY] >= 0) ||
	       (kinds[SWEPT_WATCH_PIDS].files & 1U << file &&
		swept->watches[SWEPT_WATCH_PIDS] >= 0);
}

static void take_event(struct kw_sweep *sweep, const struct inotify_event *event)
{
	enum swept_watch which = SWEPT_WATCH_DIRECTORY;
	struct swept *swept;

	if (event->mask & IN_Q_OVERFLOW) {
		sweep->totals.overflows++;
		kw_sweep_all_anew(sweep);
		return;
	}
	/* Of a watch that was removed meanwhile there may be some left. */
	swept = kw_swept_by_watch(&sweep->table, event->wd, &which);
	if (!swept || swept->is_gone)
		return;
	if (event->mask & IN_IGNORED) {
		/* The inode is no more. */
		kw_swept_unmark(&sweep->table, swept, which);
		kw_sweep_hurry(sweep, swept, 0, true);
	} else if (which != SWEPT_WATCH_DIRECTORY) {
		kw_sweep_hurry(sweep, swept, kinds[which].files, false);
	} else if (event->mask & IN_ISDIR && event->len > 0) {
		if (event->mask & IN_CREATE)
			(void)kw_walk_child(sweep, swept, event->name, true);
		else
			swept = kw_swept_find(&sweep->table, swept, event->name);
		if (event->mask & IN_DELETE && swept)
			kw_sweep_hurry(sweep, swept, 0, true);
	}
}

bool kw_watch_read(struct kw_sweep *sweep)
{
	ssize_t got = read(sweep->inotify_fd, sweep->buffer, sizeof(sweep->buffer));
	const char *at = sweep->buffer;

	while (got >= (ssize_t)sizeof(struct inotify_event)) {
		const struct inotify_event *event = (const void *)at;
		size_t size = sizeof(*event) + event->len;

		take_event(sweep, event);
		at += size;
		got -= (ssize_t)size;
		if (got <= 0)
			return true;
	}
	return false;
}
