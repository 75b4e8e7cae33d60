/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * What the files of the poller of all cgroups share; private to the room. sweep.c has the queues and says
 * what is news, walk.c finds cgroups and loses them, sampling.c reads them, watch.c hears inotify, table.c
 * knows them by name and by watch.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <limits.h>
#include <sys/types.h>

#include "user/capture/capture.h"

enum swept_watch {
	SWEPT_WATCH_DIRECTORY,
	SWEPT_WATCH_MEMORY, /* memory.events */
	SWEPT_WATCH_PIDS,   /* pids.events */
	SWEPT_WATCH_COUNT_
};

#define SWEPT_ALL_FILES ((1U << KW_COUNTS_FILE_COUNT_) - 1)

struct swept_history {
	uint64_t last_boot_ns;
	uint32_t count;			    /* samples ever taken */
	uint32_t pages[KW_HISTORY_SAMPLES]; /* of 4 KiB; a ring */
};

/* One cgroup: there are thousands, so the order of the members is that of their sizes. */
struct swept {
	TAILQ_ENTRY(swept) link; /* in urgent or in round, or in neither: a ghost */
	struct swept *parent;	 /* NULL: the root */
	struct swept_history *history;
	uint64_t id; /* inode; 0: not met yet */
	uint64_t value[KW_COUNTER_COUNT_];
	uint32_t known;
	uint32_t slot;
	uint32_t children;		  /* that point here; named ones and ghosts */
	uint32_t named;			  /* children that are named: what st_nlink counts */
	uint32_t round;			  /* in which it was read last */
	uint16_t walk;			  /* in which it was looked at last */
	int files[KW_COUNTS_FILE_COUNT_]; /* -1: not open */
	int watches[SWEPT_WATCH_COUNT_];  /* -1: none */
	uint8_t due_files;		  /* urgent: bit n, enum kw_counts_file */
	bool is_wanted : 1;		  /* a glob matches it */
	bool is_urgent : 1;		  /* in the urgent queue */
	bool is_suspect : 1;		  /* look whether it is still the one we know */
	bool is_met : 1;		  /* was opened once: id is known */
	bool is_listed : 1;		  /* its children are known */
	bool is_kept : 1;		  /* its files are read over kept descriptors */
	bool is_told : 1;		  /* was told once */
	bool is_untold : 1;		  /* there is something to tell */
	bool is_gone : 1;		  /* has no name any more */
	bool is_ghost : 1;		  /* gone, told, in no queue: children point here */
	bool has_moved : 1;		  /* since the clock's hand came by */
	char name[];
};

/* By name below a parent, by inotify watch, by slot. */
struct swept_table {
	struct swept **slots; /* NULL: free */
	uint32_t slots_used;  /* highest one, plus one */
	uint32_t slots_size;
	uint32_t count;
	uint32_t *names; /* slots, in the order of (parent, name) */
	uint32_t names_count;
	uint32_t names_size;
	struct swept_mark {
		int watch;
		uint32_t slot; /* times SWEPT_WATCH_COUNT_, plus which */
	} * marks;	       /* in the order of watch */
	uint32_t marks_count;
	uint32_t marks_size;
};

TAILQ_HEAD(swept_queue, swept);

struct kw_sweep {
	struct kw_sweep_options options;
	char root_path[KW_PATH_MAX];
	char *globs_text;
	const char *globs[KW_SWEEP_GLOBS_MAX];
	size_t globs_count;
	int root_fd;
	int inotify_fd;
	uint32_t round;
	uint16_t walk;
	uint32_t rounds_to_walk;
	bool in_round; /* a round has begun and not come to its end */
	uint32_t descriptors;
	uint32_t descriptors_max;
	uint32_t hand; /* slot at which a descriptor is looked for next */
	uint32_t histories;
	struct swept_table table;
	struct swept_queue urgent;
	struct swept_queue due; /* those of the round first, then those that are done */
	struct swept *listing;	/* its children are being read; NULL: nobody's */
	int listing_fd;
	struct kw_sweep_totals totals;
	/* Text of one file, names of one directory block, or what inotify has. */
	char buffer[KW_FLAT_FILE_MAX] __attribute__((aligned(8)));
	char path[KW_PATH_MAX]; /* scratch */
};

/* ---- table.c ---- */

/* 0 and the new one, with its name and a slot; -ENOSPC at KW_SWEEP_CGROUPS_MAX, -ENOMEM. */
int kw_swept_new(struct swept_table *table, struct swept *parent, const char *name,
		 struct swept **ret_swept) kw_must_check;
/* Takes it out of the names: another one may have the name from now on. */
void kw_swept_unname(struct swept_table *table, struct swept *swept);
/* Frees it; it is unnamed, has no children, and is in no queue. */
void kw_swept_free(struct swept_table *table, struct swept *swept);
struct swept *kw_swept_find(const struct swept_table *table, const struct swept *parent,
			    const char *name);
/* By a path below the root; NULL: not known. */
struct swept *kw_swept_by_path(const struct swept_table *table, const char *path);
/* "/a/b" ("/": the root). -ENAMETOOLONG. */
int kw_swept_path(const struct swept *swept, char *ret_path, size_t size) kw_must_check;
int kw_swept_mark(struct swept_table *table, struct swept *swept, enum swept_watch which, int watch)
	kw_must_check;
void kw_swept_unmark(struct swept_table *table, struct swept *swept, enum swept_watch which);
struct swept *kw_swept_by_watch(const struct swept_table *table, int watch,
				enum swept_watch *ret_which);
void kw_swept_table_done(struct swept_table *table);

/* ---- watch.c ---- */

/* Watches the directory and its events files; directory: open descriptor of it. */
void kw_watch_add(struct kw_sweep *sweep, struct swept *swept, int directory);
void kw_watch_remove(struct kw_sweep *sweep, struct swept *swept);
/* Reads one buffer of notifications. Returns whether there were any. */
bool kw_watch_read(struct kw_sweep *sweep);
/* Whether inotify tells that this file was modified. */
bool kw_watch_has(const struct swept *swept, enum kw_counts_file file);

/* ---- walk.c ---- */

/* A cgroup of this name below parent; makes it known when it is new: NULL: refused. is_news: somebody told
 * of it just now, so it is urgent, and one of this name that is known is suspect. */
struct swept *kw_walk_child(struct kw_sweep *sweep, struct swept *parent, const char *name,
			    bool is_news);
/* Opens it for the first time. 0; -ENOENT: gone; other -errno: could not, this time. */
int kw_walk_meet(struct kw_sweep *sweep, struct swept *swept) kw_must_check;
/* Looks at it again after a while: what could not be opened or watched is tried anew. */
void kw_walk_renew(struct kw_sweep *sweep, struct swept *swept);
/* Whether it is the one we know. 0; -ENOENT: gone; -ESTALE: gone, and its name is another's. */
int kw_walk_check(struct kw_sweep *sweep, struct swept *swept) kw_must_check;
/* Begins to read the names of its children; kw_walk_list_more() goes on. */
void kw_walk_list(struct kw_sweep *sweep, struct swept *swept);
void kw_walk_list_more(struct kw_sweep *sweep);
void kw_walk_list_end(struct kw_sweep *sweep);

/* ---- sampling.c ---- */

/* Reads these files (bits) and sets is_untold when there is news. 0; -ENOENT: the cgroup may be gone, ask
 * kw_walk_check(); other -errno: could not, this time. */
int kw_sampling_read(struct kw_sweep *sweep, struct swept *swept, uint32_t files) kw_must_check;
/* Opens its files to be kept, as far as the budget goes; directory: open descriptor of it. */
void kw_sampling_keep(struct kw_sweep *sweep, struct swept *swept, int directory);
void kw_sampling_drop(struct kw_sweep *sweep, struct swept *swept);
/* Takes the descriptors of one whose counters did not move lately. Whether there was one. */
bool kw_sampling_take_over(struct kw_sweep *sweep);

/* ---- history.c ---- */

/* Decides whether the cgroup's memory.current is kept; directory: open descriptor of it. */
void kw_history_decide(struct kw_sweep *sweep, struct swept *swept, int directory);
/* Takes a sample when it is time. */
void kw_history_sample(struct kw_sweep *sweep, struct swept *swept, uint64_t now_boot_ns);
void kw_history_drop(struct kw_sweep *sweep, struct swept *swept);

/* ---- sweep.c ---- */

/* Puts it into the urgent queue, with these files to read. */
void kw_sweep_hurry(struct kw_sweep *sweep, struct swept *swept, uint32_t files, bool is_suspect);
/* Everything is due, and every directory is looked at again. */
void kw_sweep_all_anew(struct kw_sweep *sweep);
