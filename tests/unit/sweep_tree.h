/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * A tree of ordinary files that looks like cgroups, and everything the poller says of it. inotify works on
 * it as on the real one; a removed file can still be read over a kept descriptor, which kernfs refuses: what
 * that means is tested on real kernels.
 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/capture/capture.h"

#define SAID_MAX 4096

struct tree {
	char *root;
	struct support_time time;
	struct kw_clock clock;
	struct kw_sweep *sweep;
	int refuse; /* error that the callback gives; 0: none */
	unsigned int turns;
	unsigned int count;
	struct said {
		char path[128];
		struct kw_counts counts;
	} said[SAID_MAX];
};

static inline int tree_say(void *context, const struct kw_observation *observation)
{
	struct tree *tree = context;
	struct said *said;

	assert_int_equal(observation->kind, KW_OBSERVATION_COUNTS);
	if (tree->refuse)
		return tree->refuse;
	assert_true(tree->count < SAID_MAX);
	said = &tree->said[tree->count++];
	said->counts = *observation->counts;
	(void)snprintf(said->path, sizeof(said->path), "%s", observation->counts->path);
	return 0;
}

static inline void tree_file(struct tree *tree, const char *cgroup, const char *file,
			     const char *text)
{
	char directory[512];

	(void)snprintf(directory, sizeof(directory), "%s%s", tree->root, cgroup);
	support_write(directory, file, text);
}

/* The files of a cgroup with the memory, cpu and pids controllers. */
static inline void tree_make(struct tree *tree, const char *cgroup)
{
	char directory[512];

	(void)snprintf(directory, sizeof(directory), "%s%s", tree->root, cgroup);
	assert_int_equal(mkdir(directory, 0755), 0);
	tree_file(tree, cgroup, "memory.events",
		  "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n");
	tree_file(tree, cgroup, "memory.events.local",
		  "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n");
	tree_file(tree, cgroup, "cpu.stat",
		  "usage_usec 1\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n");
	tree_file(tree, cgroup, "pids.events", "max 0\n");
}

static inline void tree_remove(struct tree *tree, const char *cgroup)
{
	char directory[512];

	(void)snprintf(directory, sizeof(directory), "%s%s", tree->root, cgroup);
	support_remove(strdup(directory));
}

static inline void tree_open(struct tree *tree, const char *globs, uint32_t descriptors)
{
	struct kw_sweep_options options = { .globs = globs, .descriptors = descriptors };

	memset(tree, 0, sizeof(*tree));
	tree->root = support_directory();
	tree->time = (struct support_time){ .boot_ns = 1000 * KW_NSEC_PER_SEC,
					    .real_ns = 5000 * KW_NSEC_PER_SEC };
	tree->clock = support_clock(&tree->time);
	options.root_path = tree->root;
	options.clock = &tree->clock;
	assert_int_equal(kw_sweep_open(&options, &tree->sweep), 0);
}

static inline void tree_close(struct tree *tree)
{
	kw_sweep_free(tree->sweep);
	support_remove(tree->root);
}

/* All that there is to do. */
static inline void tree_settle(struct tree *tree)
{
	int more = 1;

	while (more > 0) {
		int notified = kw_sweep_notified(tree->sweep, tree_say, tree);
		int turned = notified < 0 ? 0 : kw_sweep_turn(tree->sweep, tree_say, tree);

		assert_true(notified >= 0 && turned >= 0);
		more = notified + turned;
		tree->turns++;
		assert_true(tree->turns < 100000);
	}
}

static inline void tree_round(struct tree *tree)
{
	tree->time.boot_ns += 5 * KW_NSEC_PER_SEC;
	kw_sweep_begin_round(tree->sweep);
	tree_settle(tree);
}

/* What inotify has, and nothing else. */
static inline void tree_notified(struct tree *tree)
{
	int r;

	do {
		r = kw_sweep_notified(tree->sweep, tree_say, tree);
		assert_true(r >= 0);
	} while (r > 0);
}

/* Observations of path since `from`; the last one in *ret_last. */
static inline unsigned int tree_said(const struct tree *tree, unsigned int from, const char *path,
				     const struct kw_counts **ret_last)
{
	unsigned int times = 0;

	for (unsigned int i = from; i < tree->count; i++) {
		if (strcmp(tree->said[i].path, path) != 0)
			continue;
		times++;
		if (ret_last)
			*ret_last = &tree->said[i].counts;
	}
	return times;
}
