/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pages and their arithmetic, and the table of rules; what follows from them is parity.c's. The rules come
 * from what the kernel counts where: mm/memcontrol.c, mm/oom_kill.c, kernel/cgroup/pids.c and
 * kernel/sched/fair.c; docs/parity.md has the reasons, counter by counter.
 */
#include "user/reconcile/books.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"

struct rule {
	const char *name;
	enum kw_books_rule rule;
};

static const struct rule rules[KW_COUNTER_COUNT_] = {
	[KW_COUNTER_MEMORY_HIGH] = { "memoryHigh", KW_RULE_FREE },
	[KW_COUNTER_MEMORY_MAX] = { "memoryMax", KW_RULE_FREE },
	[KW_COUNTER_OOM] = { "oom", KW_RULE_AT_LEAST },
	[KW_COUNTER_OOM_KILL] = { "oomKill", KW_RULE_EXACT },
	[KW_COUNTER_OOM_GROUP_KILL] = { "oomGroupKill", KW_RULE_EXACT },
	[KW_COUNTER_MEMORY_HIGH_LOCAL] = { "memoryHighLocal", KW_RULE_FREE },
	[KW_COUNTER_MEMORY_MAX_LOCAL] = { "memoryMaxLocal", KW_RULE_FREE },
	[KW_COUNTER_OOM_LOCAL] = { "oomLocal", KW_RULE_AT_LEAST },
	[KW_COUNTER_OOM_KILL_LOCAL] = { "oomKillLocal", KW_RULE_EXACT },
	[KW_COUNTER_OOM_GROUP_KILL_LOCAL] = { "oomGroupKillLocal", KW_RULE_EXACT },
	[KW_COUNTER_CPU_THROTTLED] = { "cpuThrottled", KW_RULE_EXACT },
	[KW_COUNTER_CPU_THROTTLED_USEC] = { "cpuThrottledUsec", KW_RULE_EXACT },
	[KW_COUNTER_PIDS_MAX] = { "pidsMax", KW_RULE_EXACT },
	[KW_COUNTER_PIDS_MAX_LOCAL] = { "pidsMaxLocal", KW_RULE_EXACT },
};

enum kw_books_rule kw_books_rule(unsigned int counter)
{
	return counter < KW_COUNTER_COUNT_ ? rules[counter].rule : KW_RULE_NONE;
}

const char *kw_parity_counter_name(unsigned int counter)
{
	return counter < KW_COUNTER_COUNT_ ? rules[counter].name : NULL;
}

const char *kw_parity_verdict_name(enum kw_parity_verdict verdict)
{
	static const char *const names[KW_PARITY_VERDICT_COUNT_] = {
		[KW_PARITY_AGREE] = "agree",	     [KW_PARITY_LATE] = "late",
		[KW_PARITY_MISSED] = "missed",	     [KW_PARITY_EXTRA] = "extra",
		[KW_PARITY_REGRESSED] = "regressed",
	};

	return (unsigned int)verdict < KW_PARITY_VERDICT_COUNT_ ? names[verdict] : NULL;
}

int kw_books_new(struct kw_books **ret_books)
{
	struct kw_books *books = calloc(1, sizeof(*books));

	if (!books)
		return -ENOMEM;
	TAILQ_INIT(&books->pages);
	*ret_books = books;
	return 0;
}

static void free_page(struct kw_page *page)
{
	if (!page)
		return;
	free(page->events);
	free(page->path);
	free(page);
}
KW_DEFINE_CLEANUP(struct kw_page *, free_page)

void kw_books_drop(struct kw_books *books, struct kw_page *page)
{
	kw_books_close_page(books, page);
	if (page->id)
		HASH_DELETE(by_id, books->by_id, page);
	TAILQ_REMOVE(&books->pages, page, list);
	books->count--;
	free_page(page);
}

void kw_books_free(struct kw_books *books)
{
	if (!books)
		return;
	while (!TAILQ_EMPTY(&books->pages))
		kw_books_drop(books, TAILQ_FIRST(&books->pages));
	free(books);
}

struct kw_page *kw_books_by_id(struct kw_books *books, uint64_t id)
{
	struct kw_page *page = NULL;

	if (id)
		HASH_FIND(by_id, books->by_id, &id, sizeof(id), page);
	return page;
}

struct kw_page *kw_books_by_path(struct kw_books *books, const char *path)
{
	struct kw_page *page = NULL;

	if (path[0])
		HASH_FIND(by_path, books->by_path, path, strlen(path), page);
	return page;
}

bool kw_books_cut(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return false;
	*slash = '\0';
	return true;
}

/* A cgroup has the path of page's parent, but was made after page: the parent is gone, and this is another
 * (ids ascend, below; nothing in cgroup v2 can be moved below another directory). */
static bool is_younger(const struct kw_page *parent, const struct kw_page *page)
{
	return page->id != 0 && parent->id > page->id;
}

/* A page that is known by its path alone is as old as the oldest that is below it. */
static void note_child(struct kw_page *parent, const struct kw_page *page)
{
	if (parent->id == 0 && page->id != 0 &&
	    (parent->child_id == 0 || page->id < parent->child_id))
		parent->child_id = page->id;
}

/* The page one level up. Once known it is known by its id: its path may be another cgroup's by the time
 * the last event of this one is told. Where that is so already, the next level that is page's own. */
static struct kw_page *one_up(struct kw_books *books, struct kw_page *page, bool make)
{
	cleanup_free char *path = NULL;
	struct kw_page *parent = kw_books_by_id(books, page->parent_id);

	/* A cgroup with others below it cannot be removed: the parent of one that lives does. */
	if (parent && (!parent->gone || page->gone))
		return parent;
	path = strdup(page->path);
	do {
		if (!path || !kw_books_cut(path))
			return NULL;
		parent = kw_books_by_path(books, path);
	} while (parent && is_younger(parent, page));
	if (!parent && make)
		parent = kw_books_open_page(books, 0, path);
	if (parent)
		note_child(parent, page);
	if (parent && !page->gone)
		page->parent_id = parent->id;
	return parent;
}

struct kw_page *kw_books_climb(struct kw_books *books, struct kw_page *page)
{
	return one_up(books, page, true);
}

struct kw_page *kw_books_parent(struct kw_books *books, struct kw_page *page)
{
	struct kw_page *parent = one_up(books, page, false);
	cleanup_free char *path = parent ? NULL : strdup(page->path);

	while (path && !parent && kw_books_cut(path)) {
		parent = kw_books_by_path(books, path);
		if (parent && is_younger(parent, page))
			parent = NULL;
	}
	return parent;
}

void kw_books_close_page(struct kw_books *books, struct kw_page *page)
{
	if (page->gone)
		return;
	if (page->path[0])
		HASH_DELETE(by_path, books->by_path, page);
	page->gone = true;
}

/* Room for one more: what is gone and settled goes first, then what no reading was ever had of. */
static bool make_room(struct kw_books *books)
{
	struct kw_page *page;

	if (books->count < KW_PARITY_CGROUPS_MAX)
		return true;
	TAILQ_FOREACH (page, &books->pages, list) {
		if (page->gone && page->due_boot_ns == 0) {
			kw_books_drop(books, page);
			return true;
		}
	}
	return false;
}

static struct kw_page *add_page(struct kw_books *books, uint64_t id, const char *path)
{
	cleanup(free_pagep) struct kw_page *page = NULL;

	if (!make_room(books))
		return NULL;
	page = calloc(1, sizeof(*page));
	if (!page)
		return NULL;
	page->path = strdup(path);
	if (!page->path)
		return NULL;
	page->id = id;
	if (id) {
		HASH_ADD(by_id, books->by_id, id, sizeof(page->id), page);
		if (!page->by_id.tbl)
			return NULL;
	}
	if (path[0]) {
		HASH_ADD_KEYPTR(by_path, books->by_path, page->path, strlen(page->path), page);
		if (!page->by_path.tbl) {
			if (id)
				HASH_DELETE(by_id, books->by_id, page);
			return NULL;
		}
	}
	page->gone = path[0] == '\0'; /* not to be found by its path */
	TAILQ_INSERT_TAIL(&books->pages, page, list);
	books->count++;
	return take_ptr(page);
}

/* kernfs hands out ids in ascending order (__kernfs_new_node(), fs/kernfs/dir.c, since 5.5): of two
 * cgroups with one path, the one with the lower id was there before. */
struct kw_page *kw_books_open_page(struct kw_books *books, uint64_t id, const char *path)
{
	struct kw_page *page = kw_books_by_id(books, id), *there = kw_books_by_path(books, path);

	if (page)
		return page;
	if (!there)
		return add_page(books, id, path);
	if (id == 0 || there->id == id)
		return there;
	if (there->id == 0 && (there->child_id == 0 || id < there->child_id)) {
		/* an event has named it, now its id is known */
		there->id = id;
		HASH_ADD(by_id, books->by_id, id, sizeof(there->id), there);
		if (!there->by_id.tbl)
			there->id = 0;
		return there;
	}
	if (there->id > id) { /* gone already: its path is another's now */
		page = add_page(books, id, "");
		if (page) {
			char *known = strdup(path);

			if (known) {
				free(page->path);
				page->path = known;
			}
		}
		return page;
	}
	kw_books_close_page(books, there);
	return add_page(books, id, path);
}

static uint64_t accounted(const struct kw_parity_account *account)
{
	/* Modulo 2^64, as the parts may be below zero. */
	return account->base + account->explained + (uint64_t)account->arithmetic +
	       account->by_counter + (uint64_t)account->unexplained;
}

int64_t kw_book_ahead(const struct kw_page *page, unsigned int counter)
{
	const struct kw_book *book = &page->books[counter];
	int64_t ahead;

	if (!book->known)
		return 0;
	ahead = (int64_t)(book->account.kernel - accounted(&book->account));
	/* cpu.stat is in whole microseconds, and so may be what it began with. */
	if (counter == KW_COUNTER_CPU_THROTTLED_USEC &&
	    ahead <= 1 + (int64_t)page->tolerance_usec &&
	    ahead >= -1 - (int64_t)page->tolerance_usec)
		return 0;
	return ahead;
}

void kw_book_touch(struct kw_page *page, unsigned int counter)
{
	struct kw_book *book = &page->books[counter];
	int64_t ahead = kw_book_ahead(page, counter);

	if (ahead < book->low)
		book->low = ahead;
	if (ahead > book->high)
		book->high = ahead;
	page->dirty = true;
}

void kw_book_begin_window(struct kw_page *page)
{
	for (unsigned int i = 0; i < KW_COUNTER_COUNT_; i++)
		page->books[i].low = page->books[i].high = kw_book_ahead(page, i);
}

bool kw_page_is_blank(const struct kw_page *page)
{
	static const struct kw_parity_account none;

	for (unsigned int i = 0; i < KW_COUNTER_COUNT_; i++) {
		if (memcmp(&page->books[i].account, &none, sizeof(none)) != 0)
			return false;
	}
	return true;
}
