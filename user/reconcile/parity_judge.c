/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A page whose window is over: which counters are ahead of their events, which behind, and what is said of
 * it. Only what a whole window long was too much is missed: a counter that is read between a kill and its
 * record is ahead too, but not for so long. A kill that only a counter has seen gets an event of its own
 * here; the verdict that names it follows.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/reconcile/parity.h"
#include "user/reconcile/room.h"

/* A counter that no file can be asked for again gets so many windows to catch up with its events. */
#define WINDOWS_BEHIND 3
/* A counter of a whole tree waits so many windows at most for the cgroups below it to speak first: one that
 * is killed in again and again is never settled. */
#define WINDOWS_FOR_BELOW 8

struct judgement {
	struct kw_reconcile *reconcile;
	struct kw_page *page;
	uint64_t now;
};

static const struct {
	enum kw_flat_file file;
	const char *key;
} sources[KW_COUNTER_COUNT_] = {
	[KW_COUNTER_OOM] = { KW_FLAT_MEMORY_EVENTS, "oom" },
	[KW_COUNTER_OOM_KILL] = { KW_FLAT_MEMORY_EVENTS, "oom_kill" },
	[KW_COUNTER_OOM_GROUP_KILL] = { KW_FLAT_MEMORY_EVENTS, "oom_group_kill" },
	[KW_COUNTER_CPU_THROTTLED] = { KW_FLAT_CPU_STAT, "nr_throttled" },
	[KW_COUNTER_CPU_THROTTLED_USEC] = { KW_FLAT_CPU_STAT, "throttled_usec" },
	[KW_COUNTER_PIDS_MAX] = { KW_FLAT_PIDS_EVENTS, "max" },
};

/* How far the counter is ahead of the books now, as its file has it; false: there is none to ask. */
static bool ahead_now(const struct judgement *judgement, const struct kw_page *page,
		      unsigned int counter, int64_t *ret_ahead)
{
	struct kw_reconcile *reconcile = judgement->reconcile;
	const struct kw_book *book = &page->books[counter];
	uint64_t value;

	if (page->gone || !page->has_reading || !book->known || !sources[counter].key)
		return false;
	memset(&reconcile->reading, 0, sizeof(reconcile->reading));
	if (reconcile->options.reader(reconcile->options.context, page->path, &reconcile->reading) <
		    0 ||
	    !kw_counters_get(&reconcile->reading.files[sources[counter].file], sources[counter].key,
			     &value))
		return false;
	/* Lower: the path is another cgroup's by now. */
	if (value < book->polled)
		return false;
	*ret_ahead = kw_book_ahead(page, counter);
	if (value > book->account.kernel)
		*ret_ahead += (int64_t)(value - book->account.kernel);
	return true;
}

/* Of count kills that page's counter is ahead by, how many are not in the hierarchical counters of it and
 * of its ancestors already: whatever is missing anywhere below is missing there too. */
static int64_t missing_above(const struct judgement *judgement, int64_t count)
{
	struct kw_page *page = judgement->page;
	int64_t ahead;

	for (; page && count > 0;
	     page = kw_books_parent(judgement->reconcile->parity->books, page)) {
		if (ahead_now(judgement, page, KW_COUNTER_OOM_KILL, &ahead) && ahead < count)
			count = ahead;
	}
	return count > 0 ? count : 0;
}

/* Group kills that no event has told: each may have counted one of its victims twice. */
static uint64_t group_kills_ahead(const struct judgement *judgement)
{
	struct kw_books *books = judgement->reconcile->parity->books;
	uint64_t most = 0;

	for (struct kw_page *page = judgement->page; page; page = kw_books_parent(books, page)) {
		int64_t ahead = kw_book_ahead(page, KW_COUNTER_OOM_GROUP_KILL);
		uint64_t possible = page->books[KW_COUNTER_OOM_GROUP_KILL].account.possible +
				    page->books[KW_COUNTER_OOM_GROUP_KILL_LOCAL].account.possible;

		if (ahead < kw_book_ahead(page, KW_COUNTER_OOM_GROUP_KILL_LOCAL))
			ahead = kw_book_ahead(page, KW_COUNTER_OOM_GROUP_KILL_LOCAL);
		if (ahead > 0 && (uint64_t)ahead > most)
			most = (uint64_t)ahead;
		if (possible > most)
			most = possible;
	}
	return most;
}

/* Says that count kills were seen by the counter alone. By way of the finding they get into the books. */
static int say_counter_kill(const struct judgement *judgement, unsigned int counter, int64_t count)
{
	struct kw_reconcile *reconcile = judgement->reconcile;
	const struct kw_page *page = judgement->page;
	const struct kw_book *book = &page->books[counter];
	uint64_t groups = group_kills_ahead(judgement);
	struct kw_counter_kill kill = {
		.below = counter == KW_COUNTER_OOM_KILL &&
			 page->books[KW_COUNTER_OOM_KILL_LOCAL].known,
		.kills = (uint64_t)count,
		.duplicates_at_most = groups < (uint64_t)count ? groups : (uint64_t)count,
		.value = book->account.kernel,
		.from_boot_ns = page->from_boot_ns,
		.to_boot_ns = page->read_boot_ns,
	};
	struct kw_finding finding = { .kind = KW_FINDING_COUNTER_KILL,
				      .boot_ns = page->read_boot_ns,
				      .counter_kill = &kill };
	char domain[64];

	kw_parity_identify(page, &kill.cgroup);
	(void)snprintf(domain, sizeof(domain), "counter-%" PRIu64 "-%u-%" PRIu64, page->id, counter,
		       page->books[counter].account.by_counter);
	kw_ids_derive(reconcile->options.boot_id, domain, book->account.kernel, finding.event_id);
	return kw_reconcile_say(reconcile, &finding);
}

/* What was called extra came after all: no move is explained twice. Returns what is left of count. */
static int64_t take_back(struct kw_book *book, int64_t count)
{
	int64_t back = -book->account.unexplained;

	if (back <= 0)
		return count;
	if (back > count)
		back = count;
	book->account.unexplained += back;
	book->late = true;
	return count - back;
}

/* Whether a counter further up has told kills of which it did not know in which cgroup they were. */
static bool is_told_above(const struct judgement *judgement)
{
	struct kw_books *books = judgement->reconcile->parity->books;
	struct kw_page *page = judgement->page;

	while ((page = kw_books_parent(books, page))) {
		for (uint32_t i = 0; i < page->counter_kill_count; i++) {
			if (page->counter_kills[i].below && page->counter_kills[i].open > 0)
				return true;
		}
	}
	return false;
}

/* Kills whose cgroup no record could name are found where the counters moved. */
static void explain_nowhere(const struct judgement *judgement, unsigned int counter, int64_t count)
{
	struct kw_parity_state *parity = judgement->reconcile->parity;
	struct kw_page *page = judgement->page;

	if (count <= 0)
		return;
	parity->nowhere -= (uint64_t)count;
	if (counter == KW_COUNTER_OOM_KILL_LOCAL)
		page->books[counter].account.explained += (uint64_t)count;
	for (; page; page = kw_books_parent(parity->books, page)) {
		page->books[KW_COUNTER_OOM_KILL].account.explained += (uint64_t)count;
		kw_book_touch(page, KW_COUNTER_OOM_KILL);
		kw_parity_arm(judgement->reconcile, page, judgement->now);
	}
}

/* Whether a cgroup below has counts that are not settled: it knows better than this page where they were. */
static bool is_open_below(const struct judgement *judgement)
{
	const struct kw_page *page;
	size_t length = strlen(judgement->page->path);

	TAILQ_FOREACH (page, &judgement->reconcile->parity->books->pages, list) {
		if (page->due_boot_ns != 0 &&
		    strncmp(page->path, judgement->page->path, length) == 0 &&
		    page->path[length] == '/' && kw_book_ahead(page, KW_COUNTER_OOM_KILL_LOCAL) > 0)
			return true;
	}
	return false;
}

/* oom_kill of the cgroup itself, or of it and all below. 1: wait for those below. */
static int judge_kills(const struct judgement *judgement, unsigned int counter)
{
	struct kw_parity_state *parity = judgement->reconcile->parity;
	struct kw_page *page = judgement->page;
	struct kw_book *book = &page->books[counter];
	int64_t ahead = kw_book_ahead(page, counter), count, missing;

	count = take_back(book, book->low < ahead ? book->low : ahead);
	if (count <= 0)
		return 0;
	if (counter == KW_COUNTER_OOM_KILL &&
	    (page->waited == 0 || (page->waited < WINDOWS_FOR_BELOW && is_open_below(judgement)))) {
		page->waited++;
		return 1;
	}
	missing = missing_above(judgement, count);
	/* What the books of the cgroups above have already was told of a cgroup below that does not count
	 * itself, or by a counter above this one. */
	if (counter == KW_COUNTER_OOM_KILL_LOCAL && !is_told_above(judgement)) {
		book->account.explained += (uint64_t)(count - missing);
	} else {
		book->account.by_counter += (uint64_t)(count - missing);
		book->missed = book->missed || missing < count;
	}
	count = missing;
	missing = count < (int64_t)parity->nowhere ? 0 : count - (int64_t)parity->nowhere;
	explain_nowhere(judgement, counter, count - missing);
	return missing > 0 ? say_counter_kill(judgement, counter, missing) : 0;
}

static void judge_ahead(const struct judgement *judgement, unsigned int counter)
{
	struct kw_page *page = judgement->page;
	struct kw_book *book = &page->books[counter];
	int64_t ahead = kw_book_ahead(page, counter);
	int64_t count = take_back(book, book->low < ahead ? book->low : ahead);

	if (count <= 0)
		return;
	if (book->account.possible > 0) {
		int64_t allowed = (int64_t)book->account.possible < count
					  ? (int64_t)book->account.possible
					  : count;

		book->account.possible -= (uint64_t)allowed;
		book->account.explained += (uint64_t)allowed;
		count -= allowed;
	}
	if (count == 0)
		return;
	book->account.unexplained += count;
	book->missed = true;
	judgement->reconcile->parity->totals.faults += (uint64_t)count;
}

/* A counter without a file of its own to ask (memory.events.local) is only read by the poller; while the
 * cgroup's hierarchical one is not behind, nothing is wrong but the reading's age. */
static bool is_only_old(const struct judgement *judgement, unsigned int counter)
{
	int64_t ahead;

	return counter == KW_COUNTER_OOM_KILL_LOCAL &&
	       ahead_now(judgement, judgement->page, KW_COUNTER_OOM_KILL, &ahead) && ahead >= 0;
}

/* The counter is behind its events, and was all the time. */
static void judge_behind(const struct judgement *judgement, unsigned int counter)
{
	struct kw_parity_totals *totals = &judgement->reconcile->parity->totals;
	struct kw_page *page = judgement->page;
	struct kw_book *book = &page->books[counter];
	bool is_kills = counter == KW_COUNTER_OOM_KILL || counter == KW_COUNTER_OOM_KILL_LOCAL;
	int64_t behind = -kw_book_ahead(page, counter), ahead = 0;
	int64_t shortcuts;

	if (behind <= 0 || book->high >= 0)
		return;
	if (page->gone) { /* never read again: its ancestors' counters are held against its events */
		book->account.kernel += (uint64_t)behind;
		return;
	}
	if (ahead_now(judgement, page, counter, &ahead)) {
		if (ahead >= 0)
			book->account.kernel += (uint64_t)behind;
		behind = ahead < 0 ? -ahead : 0;
	} else if (is_only_old(judgement, counter) || ++book->windows < WINDOWS_BEHIND) {
		return;
	}
	book->windows = 0;
	if (behind == 0)
		return;
	book->extra = true;
	shortcuts = is_kills && (int64_t)page->shortcuts < behind ? page->shortcuts : behind;
	if (is_kills)
		book->account.arithmetic -= shortcuts;
	else
		shortcuts = 0;
	book->account.unexplained -= behind - shortcuts;
	totals->faults += (uint64_t)(behind - shortcuts);
	if (counter != KW_COUNTER_OOM_KILL_LOCAL)
		return;
	totals->duplicates -= shortcuts;
	totals->unexplained -= behind - shortcuts;
	page->shortcuts = 0;
}

static int judge_counter(const struct judgement *judgement, unsigned int counter)
{
	struct kw_page *page = judgement->page;
	struct kw_book *book = &page->books[counter];
	bool is_cpu = counter == KW_COUNTER_CPU_THROTTLED ||
		      counter == KW_COUNTER_CPU_THROTTLED_USEC;
	int64_t ahead = kw_book_ahead(page, counter);

	if (!book->known || ahead == 0 || (is_cpu && page->is_throttled))
		return 0;
	switch (kw_books_rule(counter)) {
	case KW_RULE_EXACT:
		break;
	case KW_RULE_AT_LEAST:
	case KW_RULE_FREE:
		/* The surplus, anew each time: an event may come to what was surplus before. */
		ahead += book->account.arithmetic;
		book->account.arithmetic = ahead > 0 ? ahead : 0;
		if (ahead < 0)
			judge_behind(judgement, counter);
		return 0;
	case KW_RULE_NONE:
		return 0;
	}
	if (ahead < 0)
		judge_behind(judgement, counter);
	else if (counter == KW_COUNTER_OOM_KILL || counter == KW_COUNTER_OOM_KILL_LOCAL)
		return judge_kills(judgement, counter);
	else
		judge_ahead(judgement, counter);
	return 0;
}

static bool is_open(const struct kw_page *page)
{
	for (unsigned int i = 0; i < KW_COUNTER_COUNT_; i++) {
		bool is_cpu = i == KW_COUNTER_CPU_THROTTLED || i == KW_COUNTER_CPU_THROTTLED_USEC;

		if (kw_book_ahead(page, i) != 0 && !(is_cpu && page->is_throttled))
			return true;
	}
	return false;
}

/* A cgroup that is gone has no file any more; what its counter was when the programs last saw it move is in
 * their map, even where the record was lost. */
static void ask_programs(struct kw_reconcile *reconcile, struct kw_page *page)
{
	struct kw_book *book = &page->books[KW_COUNTER_OOM_KILL_LOCAL];
	struct kw_cgroup_counts counts;

	if (!page->gone || !book->known || !reconcile->options.cgroup_counts ||
	    reconcile->options.cgroup_counts(reconcile->options.context, page->id, &counts) < 0 ||
	    counts.oom_kill_local <= book->account.kernel)
		return;
	book->account.kernel = counts.oom_kill_local;
	if (counts.last_boot_ns > page->read_boot_ns)
		page->read_boot_ns = counts.last_boot_ns;
	kw_book_touch(page, KW_COUNTER_OOM_KILL_LOCAL);
}

int kw_parity_judge(struct kw_reconcile *reconcile, struct kw_page *page, uint64_t now)
{
	/* What belongs to a cgroup itself first, then what may belong to one below. */
	static const unsigned int first[] = { KW_COUNTER_OOM_KILL_LOCAL, KW_COUNTER_OOM_KILL };
	const struct judgement judgement = { reconcile, page, now };
	bool waits = false;
	int r = 0;

	ask_programs(reconcile, page);
	for (size_t i = 0; i < kw_array_size(first) && r >= 0; i++) {
		r = judge_counter(&judgement, first[i]);
		waits = waits || r == 1;
	}
	for (unsigned int i = 0; i < KW_COUNTER_COUNT_ && r >= 0; i++) {
		if (i != KW_COUNTER_OOM_KILL && i != KW_COUNTER_OOM_KILL_LOCAL)
			r = judge_counter(&judgement, i);
	}
	if (r >= 0)
		r = kw_parity_say(reconcile, page);
	if (r < 0)
		return r; /* its time stays over: again when the ledger takes lines */
	if (!waits)
		page->waited = 0;
	page->due_boot_ns = 0;
	if (is_open(page)) {
		kw_parity_arm(reconcile, page, now);
	} else {
		page->from_boot_ns = page->read_boot_ns;
	}
	kw_book_begin_window(page);
	return 0;
}
