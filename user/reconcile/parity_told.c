/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What events say of the counters, entered into the books in the ledger's order. A kill is counted in the
 * memory cgroup of the victim's mm owner and in each of its ancestors but the root (memcg_memory_event(),
 * include/linux/memcontrol.h, 6.12); where the victim's own cgroup has no memory controller, in the nearest
 * ancestor that has.
 */
#include <stdio.h>
#include <string.h>

#include "user/reconcile/parity.h"
#include "user/reconcile/room.h"

/* A kill is counted before its record is made: the counter may have been read in between. */
#define READ_WITHIN_NS (100 * KW_NSEC_PER_MSEC)

/* A part of an account, as a number to add to. */
enum part { PART_EXPLAINED, PART_ARITHMETIC, PART_BY_COUNTER, PART_COUNTER_TO_HOOK };

struct entry {
	struct kw_reconcile *reconcile;
	const struct kw_fact *fact;
	uint64_t now;
	enum part part;
	int64_t count;
};

static void remember_event(struct kw_page *page, const char *id, unsigned int counter)
{
	uint32_t capacity = page->event_capacity ? page->event_capacity : 4;
	void *events;

	if (!id[0])
		return;
	if (page->event_count > 0 && strcmp(page->events[page->event_count - 1].id, id) == 0) {
		page->events[page->event_count - 1].mask |= 1U << counter;
		return;
	}
	if (page->event_count == page->event_capacity) {
		if (page->event_capacity)
			capacity *= 2;
		events = capacity <= 2 * KW_PARITY_EVENTS_MAX
				 ? reallocarray(page->events, capacity, sizeof(*page->events))
				 : NULL;
		if (!events) {
			page->events_omitted[counter]++;
			return;
		}
		page->events = events;
		page->event_capacity = capacity;
	}
	memcpy(page->events[page->event_count].id, id, sizeof(page->events[0].id));
	page->events[page->event_count++].mask = 1U << counter;
}

static void enter(const struct entry *entry, struct kw_page *page, unsigned int counter)
{
	struct kw_parity_account *account = &page->books[counter].account;

	switch (entry->part) {
	case PART_EXPLAINED:
		account->explained += (uint64_t)entry->count;
		break;
	case PART_ARITHMETIC:
		account->arithmetic += entry->count;
		break;
	case PART_BY_COUNTER:
		account->by_counter += (uint64_t)entry->count;
		break;
	case PART_COUNTER_TO_HOOK:
		account->by_counter -= (uint64_t)entry->count;
		account->explained += (uint64_t)entry->count;
		break;
	}
	if (entry->part == PART_BY_COUNTER)
		page->books[counter].missed = true;
	remember_event(page, entry->fact->event_id, counter);
	kw_book_touch(page, counter);
	page->used_boot_ns = entry->now;
	kw_parity_arm(entry->reconcile, page, entry->now);
}

/* In every ancestor of page, and in page itself where with_self. */
static void enter_upwards(const struct entry *entry, struct kw_page *page, unsigned int counter,
			  bool with_self)
{
	if (page && !with_self)
		page = kw_books_climb(entry->reconcile->parity->books, page);
	for (; page; page = kw_books_climb(entry->reconcile->parity->books, page))
		enter(entry, page, counter);
}

static bool has_page(const char *path)
{
	return path[0] && strcmp(path, "/") != 0;
}

/* Where a kill in the cgroup id, path is counted: its page, or the nearest one above that has counters.
 * NULL: nowhere that is known. */
static struct kw_page *counting_page(struct kw_reconcile *reconcile, uint64_t id, const char *path)
{
	struct kw_books *books = reconcile->parity->books;
	struct kw_page *page = kw_books_by_id(books, id);

	if (!page && has_page(path))
		page = kw_books_open_page(books, id, path);
	while (page && page->has_reading &&
	       !(page->known & (1U << KW_COUNTER_OOM_KILL_LOCAL | 1U << KW_COUNTER_OOM_KILL)))
		page = kw_books_parent(books, page);
	return page;
}

static void enter_kills(const struct entry *entry, bool with_local)
{
	struct kw_page *page =
		counting_page(entry->reconcile, entry->fact->cgroup_id, entry->fact->cgroup);

	if (!page) {
		/* In the root the kernel counts as well, and shows it nowhere. */
		entry->reconcile->parity->nowhere += entry->part == PART_EXPLAINED &&
						     entry->fact->cgroup[0] == '\0';
		return;
	}
	if (with_local)
		enter(entry, page, KW_COUNTER_OOM_KILL_LOCAL);
	if (entry->reconcile->options.memory_localevents)
		return;
	enter_upwards(entry, page, KW_COUNTER_OOM_KILL, true);
}

/* The counter as the hook saw it is newer than any file, and all there is of a cgroup that was removed. */
static void note_seen(struct kw_reconcile *reconcile, const struct kw_fact *fact)
{
	struct kw_page *page = counting_page(reconcile, fact->cgroup_id, fact->cgroup);
	struct kw_book *book;

	if (!page || !page->has_reading || fact->seen_oom_kill_local == 0)
		return;
	book = &page->books[KW_COUNTER_OOM_KILL_LOCAL];
	if (book->known && fact->seen_oom_kill_local > book->account.kernel) {
		book->account.kernel = fact->seen_oom_kill_local;
		if (fact->boot_ns > page->read_boot_ns)
			page->read_boot_ns = fact->boot_ns;
		kw_book_touch(page, KW_COUNTER_OOM_KILL_LOCAL);
	}
}

/* ---- kills that a counter had told before their hook did ---- */

static struct kw_book_counter_kill *find_counter_kill(struct kw_page *page, const char *id,
						      uint64_t boot_ns, bool below)
{
	for (uint32_t i = 0; i < page->counter_kill_count; i++) {
		struct kw_book_counter_kill *kill = &page->counter_kills[i];

		if (id ? strcmp(kill->id, id) == 0
		       : kill->open > 0 && kill->to_boot_ns + READ_WITHIN_NS >= boot_ns &&
				    (!below || kill->below))
			return kill;
	}
	return NULL;
}

static struct kw_book_counter_kill *counter_kill_of(struct kw_reconcile *reconcile, uint64_t id,
						    const char *path, const char *event_id,
						    uint64_t boot_ns)
{
	struct kw_page *page = counting_page(reconcile, id, path);
	struct kw_book_counter_kill *kill = NULL;
	bool below = false;

	for (; page && !kill; page = kw_books_parent(reconcile->parity->books, page)) {
		kill = find_counter_kill(page, event_id, boot_ns, below);
		below = true;
	}
	return kill;
}

void kw_parity_before_kill(struct kw_reconcile *reconcile, struct kw_finding *finding)
{
	const struct kw_identity *victim = &finding->attributed->victim;
	const struct kw_book_counter_kill *kill;

	if (!victim->known || victim->v1)
		return;
	kill = counter_kill_of(reconcile, victim->id, victim->truncated ? "" : victim->path, NULL,
			       finding->boot_ns);
	if (kill)
		memcpy(finding->of_event_id, kill->id, sizeof(finding->of_event_id));
}

static void remember_counter_kill(struct kw_reconcile *reconcile, const struct kw_fact *fact)
{
	struct kw_page *page = counting_page(reconcile, fact->cgroup_id, fact->cgroup);
	struct kw_book_counter_kill *kill;

	if (!page)
		return;
	if (page->counter_kill_count == KW_PARITY_COUNTER_KILLS_MAX) {
		memmove(&page->counter_kills[0], &page->counter_kills[1],
			(KW_PARITY_COUNTER_KILLS_MAX - 1) * sizeof(page->counter_kills[0]));
		page->counter_kill_count--;
	}
	kill = &page->counter_kills[page->counter_kill_count++];
	*kill = (struct kw_book_counter_kill){ .open = fact->count,
					       .to_boot_ns = fact->boot_ns,
					       .below = fact->is_below };
	memcpy(kill->id, fact->event_id, sizeof(kill->id));
}

/* Whose counter has told the kill: the page that remembers it, or, where that was before the account that
 * this daemon began with, the nearest one with kills of that sort. */
static struct kw_page *holder_of(struct entry *entry, struct kw_page *page, bool is_remembered)
{
	for (; page; page = kw_books_parent(entry->reconcile->parity->books, page)) {
		if (is_remembered
			    ? find_counter_kill(page, entry->fact->of_event_id, 0, false) != NULL
			    : page->books[KW_COUNTER_OOM_KILL].account.by_counter > 0)
			break;
	}
	return page;
}

static enum part part_late(const struct kw_page *page, unsigned int counter, bool has_it)
{
	return has_it || page->books[counter].account.by_counter > 0 ? PART_COUNTER_TO_HOOK
								     : PART_EXPLAINED;
}

/* It is counted already; from now on by its own event. Where the counter's event did not know in which
 * cgroup below it was, those between have no count of it yet. */
static void told_late(struct entry *entry)
{
	const struct kw_fact *fact = entry->fact;
	struct kw_parity_totals *totals = &entry->reconcile->parity->totals;
	struct kw_page *page = counting_page(entry->reconcile, fact->cgroup_id, fact->cgroup);
	struct kw_book_counter_kill *kill = counter_kill_of(entry->reconcile, fact->cgroup_id,
							    fact->cgroup, fact->of_event_id, 0);
	struct kw_page *holder = holder_of(entry, page, kill != NULL);
	bool below;

	totals->by_hook++;
	entry->part = PART_EXPLAINED;
	if (!holder) {
		enter_kills(entry, true);
		return;
	}
	totals->by_counter--;
	if (kill && kill->open > 0)
		kill->open--;
	below = kill ? kill->below
		     : page != holder ||
				page->books[KW_COUNTER_OOM_KILL_LOCAL].account.by_counter == 0;
	if (!below || page != holder) {
		entry->part = part_late(page, KW_COUNTER_OOM_KILL_LOCAL, !below);
		enter(entry, page, KW_COUNTER_OOM_KILL_LOCAL);
	}
	below = true;
	for (; page; page = kw_books_parent(entry->reconcile->parity->books, page)) {
		below = below && page != holder;
		entry->part = part_late(page, KW_COUNTER_OOM_KILL, !below);
		enter(entry, page, KW_COUNTER_OOM_KILL);
	}
}

static void told_kill(struct entry *entry)
{
	const struct kw_fact *fact = entry->fact;
	struct kw_page *page;

	if (fact->of_event_id[0]) {
		told_late(entry);
		return;
	}
	entry->reconcile->parity->totals.by_hook++;
	enter_kills(entry, true);
	note_seen(entry->reconcile, fact);
	page = counting_page(entry->reconcile, fact->cgroup_id, fact->cgroup);
	if (page && fact->is_unnumbered)
		page->shortcuts++;
}

static void told_counter_kill(struct entry *entry)
{
	entry->part = PART_BY_COUNTER;
	entry->count = (int64_t)entry->fact->count;
	entry->reconcile->parity->totals.by_counter += entry->fact->count;
	enter_kills(entry, !entry->fact->is_below);
	remember_counter_kill(entry->reconcile, entry->fact);
}

/* ---- OOMs ---- */

static struct kw_page *owner_page(const struct entry *entry)
{
	const struct kw_fact *fact = entry->fact;
	struct kw_books *books = entry->reconcile->parity->books;
	struct kw_page *page = kw_books_by_id(books, fact->owner_id);

	if (!page && has_page(fact->owner))
		page = kw_books_open_page(books, fact->owner_id, fact->owner);
	return page;
}

/* The kernel counts a group kill in one cgroup between victim and limit owner, the highest whose
 * memory.oom.group is set (mem_cgroup_get_oom_group(), mm/memcontrol.c); which one, no event says. So the
 * owner and what lies above have a count each for certain, and those below it may have one. */
static void told_group_kill(struct entry *entry)
{
	const struct kw_fact *fact = entry->fact;
	struct kw_page *page = counting_page(entry->reconcile, fact->cgroup_id, fact->cgroup);
	bool is_exact = fact->groups_known && fact->owner_known && fact->owner[0];
	uint64_t groups = fact->groups_known ? fact->groups : fact->is_group;

	if (groups == 0)
		return;
	entry->count = (int64_t)groups;
	for (; page; page = kw_books_parent(entry->reconcile->parity->books, page)) {
		if (is_exact && strlen(page->path) < strlen(fact->owner))
			break;
		page->books[KW_COUNTER_OOM_GROUP_KILL_LOCAL].account.possible += groups;
		remember_event(page, fact->event_id, KW_COUNTER_OOM_GROUP_KILL_LOCAL);
		if (is_exact && strcmp(page->path, fact->owner) == 0)
			break;
		page->books[KW_COUNTER_OOM_GROUP_KILL].account.possible += groups;
		remember_event(page, fact->event_id, KW_COUNTER_OOM_GROUP_KILL);
	}
	if (is_exact && !entry->reconcile->options.memory_localevents)
		enter_upwards(entry, owner_page(entry), KW_COUNTER_OOM_GROUP_KILL, true);
}

static void told_incident(struct entry *entry)
{
	const struct kw_fact *fact = entry->fact;
	int64_t arithmetic = (int64_t)fact->duplicates - (int64_t)fact->uncounted;
	struct kw_page *owner;

	entry->part = PART_ARITHMETIC;
	entry->count = arithmetic;
	if (arithmetic != 0) {
		entry->reconcile->parity->totals.duplicates += arithmetic;
		enter_kills(entry, true);
	}
	entry->part = PART_EXPLAINED;
	told_group_kill(entry);
	owner = fact->owner_known ? owner_page(entry) : NULL;
	if (!owner)
		return;
	entry->count = 1;
	enter(entry, owner, KW_COUNTER_OOM_LOCAL);
	if (!entry->reconcile->options.memory_localevents)
		enter_upwards(entry, owner, KW_COUNTER_OOM, true);
}

/* ---- refused forks ---- */

static void told_pids(struct entry *entry)
{
	const struct kw_fact *fact = entry->fact;
	struct kw_books *books = entry->reconcile->parity->books;
	struct kw_page *page;

	entry->count = (int64_t)fact->count;
	if (entry->reconcile->parity->pids_mode != KW_PIDS_AT_LIMIT) {
		page = fact->cgroup[0] ? kw_books_open_page(books, fact->cgroup_id, fact->cgroup)
				       : kw_books_by_id(books, fact->cgroup_id);
		if (page)
			enter(entry, page, KW_COUNTER_PIDS_MAX);
		/* With pids_localevents both files show the same. */
		if (page && entry->reconcile->options.pids_localevents)
			enter(entry, page, KW_COUNTER_PIDS_MAX_LOCAL);
		return;
	}
	page = owner_page(entry);
	if (!page)
		return;
	enter(entry, page, KW_COUNTER_PIDS_MAX_LOCAL);
	enter_upwards(entry, page, KW_COUNTER_PIDS_MAX, true);
}

/* ---- CPU throttling ---- */

/* An account that was begun at some reading begins anew where an episode does: there the hooks' sums and
 * the kernel's are both known. */
static void anchor(struct kw_page *page, const struct kw_fact *fact)
{
	struct kw_parity_account *usec = &page->books[KW_COUNTER_CPU_THROTTLED_USEC].account;
	struct kw_parity_account *periods = &page->books[KW_COUNTER_CPU_THROTTLED].account;

	if (page->is_anchored || !fact->before_known)
		return;
	page->is_anchored = true;
	page->throttled_ns = 0;
	*usec = (struct kw_parity_account){ .kernel = usec->kernel,
					    .base = fact->kernel_before_usec };
	*periods = (struct kw_parity_account){ .kernel = periods->kernel,
					       .base = fact->periods_before };
}

static void told_throttle(struct entry *entry)
{
	const struct kw_fact *fact = entry->fact;
	struct kw_page *page =
		fact->cgroup[0] ? kw_books_open_page(entry->reconcile->parity->books,
						     fact->cgroup_id, fact->cgroup)
				: kw_books_by_id(entry->reconcile->parity->books, fact->cgroup_id);
	if (!page)
		return;
	anchor(page, fact);
	page->is_throttled = fact->phase != KW_THROTTLE_END;
	/* Sums are entered once, when the episode is over: until then the kernel is ahead and that is right. */
	if (page->is_throttled)
		return;
	page->throttled_ns += fact->stalled_ns;
	page->tolerance_usec += fact->is_rounded;
	page->books[KW_COUNTER_CPU_THROTTLED_USEC].account.explained =
		page->throttled_ns / KW_NSEC_PER_USEC;
	entry->count = 0;
	enter(entry, page, KW_COUNTER_CPU_THROTTLED_USEC);
	entry->count = (int64_t)fact->count;
	enter(entry, page, KW_COUNTER_CPU_THROTTLED);
}

void kw_parity_fact(struct kw_reconcile *reconcile, const struct kw_fact *fact, uint64_t now)
{
	struct entry entry = { reconcile, fact, now, PART_EXPLAINED, 1 };

	switch (fact->kind) {
	case KW_FACT_KILL:
		told_kill(&entry);
		return;
	case KW_FACT_COUNTER_KILL:
		told_counter_kill(&entry);
		return;
	case KW_FACT_INCIDENT:
		told_incident(&entry);
		return;
	case KW_FACT_PIDS:
		told_pids(&entry);
		return;
	case KW_FACT_THROTTLE:
		told_throttle(&entry);
		return;
	}
}

void kw_parity_told(struct kw_reconcile *reconcile, const struct kw_finding *finding)
{
	const struct kw_observation *seen = finding->attributed ? finding->attributed->observation
								: NULL;
	uint64_t now = finding->boot_ns;

	if (!kw_fact_of_finding(finding, &reconcile->parity->fact))
		return;
	if (seen && seen->received_boot_ns > now)
		now = seen->received_boot_ns;
	kw_parity_fact(reconcile, &reconcile->parity->fact, now);
}
