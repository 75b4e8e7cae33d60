/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * The account books of parity, one page a cgroup, one book a counter; private to reconcile.
 *
 * A book is settled when kernel == base + explained + arithmetic + by_counter + unexplained. How far the
 * kernel is ahead of that is followed from change to change: the least of a window is what no event that
 * is merely under way can explain.
 *
 * A cgroup is found by its id (kernfs: never the same twice in a boot) or, among those that live, by its
 * path. One that an event names before it was read has a page all the same, without a reading.
 */
#include <sys/queue.h>

/* Lookups that run out of memory find nothing: the account then knows less, and says so by its sums. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "user/reconcile/reconcile.h"

enum kw_books_rule {
	KW_RULE_NONE,	  /* not followed */
	KW_RULE_EXACT,	  /* each move has an event, each event a move */
	KW_RULE_AT_LEAST, /* each event has a move; the kernel makes more */
	KW_RULE_FREE,	  /* no event; it may only not fall */
};
enum kw_books_rule kw_books_rule(unsigned int counter);

struct kw_book {
	struct kw_parity_account account;
	bool known;	 /* the kernel's value was read */
	uint64_t polled; /* by the poller; account.kernel may be newer, from a hook */
	uint64_t said;	 /* the kernel's value when it was last spoken of */
	int64_t low;	 /* the least and the most by which the kernel was ahead in this window */
	int64_t high;
	uint32_t windows; /* behind its events for so many */
	/* found in this window, not said yet */
	bool missed;
	bool extra;
	bool late;
	bool regressed;
};

/* An event that moved one or more of a page's counters and was not named in a verdict yet. */
struct kw_book_event {
	char id[40];
	uint32_t mask; /* of counters */
};

/* An event that told kills by a counter alone; open: how many of them no hook has told since. */
struct kw_book_counter_kill {
	char id[40];
	uint64_t open;
	uint64_t to_boot_ns;
	bool below;
};

struct kw_page {
	uint64_t id;	    /* 0: not known yet */
	uint64_t parent_id; /* 0: not known yet */
	uint64_t child_id;  /* the lowest of those below, while id is not known */
	char *path;	    /* owned; empty: not known */
	bool gone;
	bool has_reading;
	bool is_resumed;   /* an account before this daemon's has told of it */
	bool dirty;	   /* changed since the account was last said */
	bool is_throttled; /* an episode is under way */
	bool is_anchored;  /* the books of cpu.stat begin at a value that fits the hooks' */
	uint32_t known;	   /* counters of the last reading */
	uint32_t waited;   /* windows, for cgroups below, which know better where a kill was */
	uint32_t tolerance_usec;
	uint32_t counter_kill_count;
	uint32_t event_count;
	uint32_t event_capacity;
	uint32_t shortcuts; /* victims that were marked and maybe not counted */
	uint64_t events_omitted[KW_COUNTER_COUNT_];
	uint64_t due_boot_ns;  /* 0: nothing is open */
	uint64_t read_boot_ns; /* of the last reading */
	uint64_t from_boot_ns; /* when it was last in order */
	uint64_t used_boot_ns;
	uint64_t throttled_ns; /* told by the hooks, of episodes that are over */
	struct kw_book books[KW_COUNTER_COUNT_];
	struct kw_book_event *events; /* owned */
	struct kw_book_counter_kill counter_kills[KW_PARITY_COUNTER_KILLS_MAX];
	TAILQ_ENTRY(kw_page) list;
	UT_hash_handle by_id;
	UT_hash_handle by_path;
};

struct kw_books {
	struct kw_page *by_id;
	struct kw_page *by_path; /* of those that live */
	TAILQ_HEAD(kw_pages, kw_page) pages;
	size_t count;
};

int kw_books_new(struct kw_books **ret_books);
void kw_books_free(struct kw_books *books);

/* NULL: none. */
struct kw_page *kw_books_by_id(struct kw_books *books, uint64_t id);
struct kw_page *kw_books_by_path(struct kw_books *books, const char *path);
/* The page of a cgroup that was read, or that an event names; made when there is none. id 0: by path
 * alone. A page that had the path under another id is closed. NULL: no room. */
struct kw_page *kw_books_open_page(struct kw_books *books, uint64_t id, const char *path);
/* The nearest ancestor's page; NULL: none, or path is not known. The root has no counters. */
struct kw_page *kw_books_parent(struct kw_books *books, struct kw_page *page);
/* The page one level up, made when there is none. NULL: at the top. */
struct kw_page *kw_books_climb(struct kw_books *books, struct kw_page *page);
/* The path of the parent of path, in place; false when that is the root or path is empty. */
bool kw_books_cut(char *path);
/* It is gone: found by its id only. */
void kw_books_close_page(struct kw_books *books, struct kw_page *page);
void kw_books_drop(struct kw_books *books, struct kw_page *page);

/* How far the kernel is ahead of the books; 0 where its value is not known. */
int64_t kw_book_ahead(const struct kw_page *page, unsigned int counter);
/* To be called after each change of a book: the window's least and most. */
void kw_book_touch(struct kw_page *page, unsigned int counter);
/* Begins a window. */
void kw_book_begin_window(struct kw_page *page);
/* Whether anything of the page differs from zero. */
bool kw_page_is_blank(const struct kw_page *page);
