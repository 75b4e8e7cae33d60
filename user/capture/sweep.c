/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The poller of every cgroup: two queues and what is news. What inotify names is urgent and read at once;
 * everything else is due once a round, those first that were met last. Both are worked off in slices, so
 * that ten thousand cgroups never hold up an OOM's record. In a round only those files are read that
 * inotify does not tell about; every twelfth round reads them all and looks at every directory.
 */
#include "user/capture/swept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

static int set_globs(struct kw_sweep *sweep, const char *text)
{
	char *rest, *word;

	sweep->globs_text = strdup(text);
	if (!sweep->globs_text)
		return -ENOMEM;
	for (word = strtok_r(sweep->globs_text, " \t", &rest); word;
	     word = strtok_r(NULL, " \t", &rest)) {
		if (sweep->globs_count == KW_SWEEP_GLOBS_MAX)
			return -EINVAL;
		sweep->globs[sweep->globs_count++] = word;
	}
	return 0;
}

int kw_sweep_open(const struct kw_sweep_options *options, struct kw_sweep **ret_sweep)
{
	cleanup(kw_sweep_freep) struct kw_sweep *sweep = calloc(1, sizeof(*sweep));
	int r;

	if (!sweep)
		return -ENOMEM;
	TAILQ_INIT(&sweep->urgent);
	TAILQ_INIT(&sweep->due);
	sweep->options = *options;
	sweep->root_fd = sweep->inotify_fd = sweep->listing_fd = -1;
	sweep->descriptors_max = options->descriptors;
	sweep->round = 1;
	r = snprintf(sweep->root_path, sizeof(sweep->root_path), "%s", options->root_path);
	if (r < 0 || (size_t)r >= sizeof(sweep->root_path))
		return -ENAMETOOLONG;
	r = set_globs(sweep, options->globs);
	if (r < 0)
		return r;
	sweep->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (sweep->inotify_fd < 0)
		return -errno;
	*ret_sweep = take_ptr(sweep);
	return 0;
}

void kw_sweep_free(struct kw_sweep *sweep)
{
	if (!sweep)
		return;
	kw_walk_list_end(sweep);
	for (uint32_t i = 0; i < sweep->table.slots_used; i++) {
		if (sweep->table.slots[i]) {
			kw_sampling_drop(sweep, sweep->table.slots[i]);
			kw_history_drop(sweep, sweep->table.slots[i]);
		}
	}
	kw_swept_table_done(&sweep->table);
	if (sweep->inotify_fd >= 0)
		(void)close(sweep->inotify_fd);
	if (sweep->root_fd >= 0)
		(void)close(sweep->root_fd);
	free(sweep->globs_text);
	free(sweep);
}

int kw_sweep_fd(const struct kw_sweep *sweep)
{
	return sweep->inotify_fd;
}

void kw_sweep_hurry(struct kw_sweep *sweep, struct swept *swept, uint32_t files, bool is_suspect)
{
	if (swept->is_ghost)
		return;
	swept->due_files = (uint8_t)(swept->due_files | files);
	swept->is_suspect = swept->is_suspect || is_suspect;
	if (swept->is_urgent)
		return;
	TAILQ_REMOVE(&sweep->due, swept, link);
	TAILQ_INSERT_TAIL(&sweep->urgent, swept, link);
	swept->is_urgent = true;
}

void kw_sweep_all_anew(struct kw_sweep *sweep)
{
	sweep->walk++;
	sweep->rounds_to_walk = KW_SWEEP_WALK_ROUNDS;
	sweep->round++;
	sweep->in_round = true;
}

void kw_sweep_begin_round(struct kw_sweep *sweep)
{
	if (sweep->root_fd < 0)
		sweep->root_fd = open(sweep->root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Not at all when nothing is to be read: the names of a tree that nobody wants are not kept. */
	if (sweep->root_fd < 0 || sweep->globs_count == 0)
		return;
	if (sweep->rounds_to_walk == 0) {
		kw_sweep_all_anew(sweep);
	} else {
		sweep->round++;
		sweep->in_round = true;
	}
	sweep->rounds_to_walk--;
	(void)kw_walk_child(sweep, NULL, "", false);
}

/* It has no name any more; what is said of it last stays to be said. */
static void lose(struct kw_sweep *sweep, struct swept *swept, int why)
{
	if (sweep->listing == swept)
		kw_walk_list_end(sweep);
	kw_swept_unname(&sweep->table, swept);
	kw_watch_remove(sweep, swept);
	kw_sampling_drop(sweep, swept);
	kw_history_drop(sweep, swept);
	swept->is_gone = true;
	swept->is_untold = swept->is_told || swept->known != 0;
	if (why == -ESTALE && (!swept->parent || !swept->parent->is_gone))
		(void)kw_walk_child(sweep, swept->parent, swept->name, true);
}

/* Frees it, and ancestors that waited for it, as soon as nothing points there. */
static void release(struct kw_sweep *sweep, struct swept *swept)
{
	if (swept->is_urgent)
		TAILQ_REMOVE(&sweep->urgent, swept, link);
	else
		TAILQ_REMOVE(&sweep->due, swept, link);
	swept->is_ghost = true;
	while (swept && swept->is_ghost && swept->children == 0) {
		struct swept *parent = swept->parent;

		kw_swept_free(&sweep->table, swept);
		swept = parent;
	}
}

static bool is_loss(int r)
{
	return r == -ENOENT || r == -ESTALE;
}

static void read_it(struct kw_sweep *sweep, struct swept *swept, uint32_t files)
{
	int r = kw_sampling_read(sweep, swept, files);

	if (r != -ENOENT)
		return;
	r = kw_walk_check(sweep, swept);
	if (is_loss(r)) {
		lose(sweep, swept, r);
	} else if (r == 0) {
		/* It lives, but its files do not: a controller was switched off, or off and on. */
		kw_sampling_drop(sweep, swept);
		r = kw_sampling_read(sweep, swept, SWEPT_ALL_FILES);
		if (r < 0)
			kw_sweep_hurry(sweep, swept, SWEPT_ALL_FILES, true);
	}
}

/* Where the host counts memory, a cgroup without it may be about to be given that controller. */
static bool lacks_memory(const struct kw_sweep *sweep, const struct swept *swept)
{
	uint32_t mask = kw_counts_mask(KW_COUNTS_MEMORY_EVENTS);

	return swept->is_wanted && swept->parent && sweep->totals.known & mask &&
	       !(swept->known & mask);
}

/* Sees what has become of it and reads files of it (bits); is_walk: opens and watches what it has not. */
static void look(struct kw_sweep *sweep, struct swept *swept, uint32_t files, bool is_walk)
{
	/* Nobody tells of an rmdir where there is no watch. */
	bool is_unwatched = swept->watches[SWEPT_WATCH_DIRECTORY] < 0;
	int r = 0;

	if (swept->parent && swept->parent->is_gone) {
		r = -ENOENT; /* whatever has its path now is another's child */
	} else if (!swept->is_met) {
		r = kw_walk_meet(sweep, swept);
		files = SWEPT_ALL_FILES;
	} else if (swept->is_suspect || is_unwatched || is_walk) {
		r = kw_walk_check(sweep, swept);
		if (r == 0 && is_walk)
			kw_walk_renew(sweep, swept);
	}
	if (is_loss(r))
		lose(sweep, swept, r);
	else if (r == 0 && swept->is_wanted && files)
		read_it(sweep, swept, files);
}

static int tell(struct kw_sweep *sweep, struct swept *swept, uint64_t boot_ns,
		kw_observation_fn callback, void *context)
{
	struct kw_counts counts = {
		.cgroup_id = swept->id,
		.boot_ns = boot_ns,
		.known = swept->known,
		.is_first = !swept->is_told,
		.is_gone = swept->is_gone,
		.path = sweep->path,
	};
	struct kw_observation observation = {
		.kind = KW_OBSERVATION_COUNTS,
		.boot_ns = boot_ns,
		.received_boot_ns = boot_ns,
		.received_real_ns = kw_clock_real_of_boot(sweep->options.clock, boot_ns),
		.counts = &counts,
	};
	int r = kw_swept_path(swept, sweep->path, sizeof(sweep->path));

	if (r == 0) {
		memcpy(counts.value, swept->value, sizeof(counts.value));
		r = callback(context, &observation);
	}
	if (r < 0)
		return r;
	swept->is_told = true;
	swept->is_untold = false;
	return 0;
}

/* One cgroup; it may be freed afterwards: then *swept is NULL. 0 or the callback's error. */
static int visit(struct kw_sweep *sweep, struct swept **swept, uint32_t files, bool is_walk,
		 kw_observation_fn callback, void *context)
{
	struct swept *one = *swept;
	uint64_t now = kw_clock_boot_ns(sweep->options.clock);
	int r = 0;

	if (!one->is_gone)
		look(sweep, one, files, is_walk);
	if (one->is_untold && one->is_wanted)
		r = tell(sweep, one, now, callback, context);
	if (r < 0) {
		/* Not finished: read and given again. */
		kw_sweep_hurry(sweep, one, SWEPT_ALL_FILES, false);
		return r;
	}
	if (one->is_gone) {
		release(sweep, one);
		*swept = NULL;
	} else {
		kw_history_sample(sweep, one, now);
	}
	return 0;
}

static void list_if_new(struct kw_sweep *sweep, struct swept *swept)
{
	if (swept && swept->is_met && !swept->is_listed && !sweep->listing)
		kw_walk_list(sweep, swept);
}

static int visit_urgent(struct kw_sweep *sweep, struct swept *swept, kw_observation_fn callback,
			void *context)
{
	uint32_t files = swept->due_files;
	int r;

	TAILQ_REMOVE(&sweep->urgent, swept, link);
	swept->is_urgent = false;
	swept->due_files = 0;
	if (swept->round == sweep->round)
		TAILQ_INSERT_TAIL(&sweep->due, swept, link);
	else
		TAILQ_INSERT_HEAD(&sweep->due, swept, link);
	r = visit(sweep, &swept, files, false, callback, context);
	if (r == 0)
		list_if_new(sweep, swept);
	return r;
}

static int visit_due(struct kw_sweep *sweep, struct swept *swept, kw_observation_fn callback,
		     void *context)
{
	bool is_walk = swept->walk != sweep->walk || lacks_memory(sweep, swept);
	uint32_t files = 0;
	int r;

	for (int file = 0; file < KW_COUNTS_FILE_COUNT_; file++) {
		if (swept->walk != sweep->walk || !kw_watch_has(swept, (enum kw_counts_file)file))
			files |= 1U << file;
	}
	TAILQ_REMOVE(&sweep->due, swept, link);
	TAILQ_INSERT_TAIL(&sweep->due, swept, link);
	swept->round = sweep->round;
	r = visit(sweep, &swept, files, is_walk, callback, context);
	if (r == 0)
		list_if_new(sweep, swept);
	return r;
}

static bool is_over(const struct kw_sweep *sweep, unsigned int steps, uint64_t end_boot_ns)
{
	return steps >= KW_SWEEP_TURN_STEPS ||
	       (steps > 0 && kw_clock_boot_ns(sweep->options.clock) >= end_boot_ns);
}

int kw_sweep_notified(struct kw_sweep *sweep, kw_observation_fn callback, void *context)
{
	uint64_t end = kw_clock_boot_ns(sweep->options.clock) + KW_SWEEP_TURN_NS;

	for (unsigned int steps = 0; !is_over(sweep, steps, end); steps++) {
		struct swept *urgent = TAILQ_FIRST(&sweep->urgent);
		int r;

		if (urgent) {
			r = visit_urgent(sweep, urgent, callback, context);
			if (r < 0)
				return r;
		} else if (sweep->listing) {
			kw_walk_list_more(sweep);
		} else if (!kw_watch_read(sweep)) {
			return 0;
		}
	}
	return 1;
}

int kw_sweep_turn(struct kw_sweep *sweep, kw_observation_fn callback, void *context)
{
	uint64_t end = kw_clock_boot_ns(sweep->options.clock) + KW_SWEEP_TURN_NS;

	for (unsigned int steps = 0; !is_over(sweep, steps, end); steps++) {
		struct swept *due = TAILQ_FIRST(&sweep->due);
		int r;

		if (sweep->listing) {
			kw_walk_list_more(sweep);
		} else if (due && due->round != sweep->round) {
			r = visit_due(sweep, due, callback, context);
			if (r < 0)
				return r;
		} else {
			sweep->totals.rounds += sweep->in_round;
			sweep->in_round = false;
			return 0;
		}
	}
	return 1;
}

void kw_sweep_appeared(struct kw_sweep *sweep, const char *path)
{
	struct swept *swept = kw_swept_find(&sweep->table, NULL, "");
	char name[NAME_MAX + 1];

	while (swept) {
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length == 0 || length >= sizeof(name))
			return;
		memcpy(name, path, length);
		name[length] = '\0';
		path += length;
		swept = kw_walk_child(sweep, swept, name, path[strspn(path, "/")] == '\0');
	}
}

void kw_sweep_went(struct kw_sweep *sweep, const char *path)
{
	struct swept *swept = kw_swept_by_path(&sweep->table, path);

	if (swept)
		kw_sweep_hurry(sweep, swept, 0, true);
}

bool kw_sweep_waits(const struct kw_sweep *sweep)
{
	return !TAILQ_EMPTY(&sweep->urgent);
}

void kw_sweep_totals(const struct kw_sweep *sweep, struct kw_sweep_totals *ret_totals)
{
	*ret_totals = sweep->totals;
	ret_totals->descriptors = sweep->descriptors;
	for (uint32_t i = 0; i < sweep->table.slots_used; i++) {
		const struct swept *swept = sweep->table.slots[i];

		if (!swept || swept->is_gone || !swept->is_wanted)
			continue;
		ret_totals->cgroups++;
		ret_totals->read_kept += swept->is_kept;
		ret_totals->not_notified += swept->is_met &&
					    swept->watches[SWEPT_WATCH_DIRECTORY] < 0;
	}
}
