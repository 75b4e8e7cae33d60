/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Readings of counters into the books, and the time at which a page is looked at. An event and its count
 * come by different ways, either of them first; so nothing is said before both had their time to arrive.
 */
#include <errno.h>
#include <string.h>

#include "user/reconcile/parity.h"
#include "user/reconcile/room.h"

/* Pages that are judged in one turn; each reads a few files. */
#define PAGES_PER_TURN 64
#define NEXT_TURN_NS (10 * KW_NSEC_PER_MSEC)

#define BIT(counter) (1U << (counter))

int kw_parity_new(struct kw_parity_state **ret_parity)
{
	struct kw_parity_state *parity = calloc(1, sizeof(*parity));
	int r;

	if (!parity)
		return -ENOMEM;
	r = kw_books_new(&parity->books);
	if (r < 0) {
		free(parity);
		return r;
	}
	parity->next_due_boot_ns = UINT64_MAX;
	*ret_parity = parity;
	return 0;
}

void kw_parity_free(struct kw_parity_state *parity)
{
	if (!parity)
		return;
	kw_books_free(parity->books);
	free(parity);
}

void kw_parity_arm(const struct kw_reconcile *reconcile, struct kw_page *page, uint64_t now)
{
	struct kw_parity_state *parity = reconcile->parity;

	/* Events alone are held against nothing. */
	if (!page->has_reading || page->due_boot_ns != 0)
		return;
	kw_book_begin_window(page);
	page->due_boot_ns = now + reconcile->options.parity_settle_ns;
	if (page->due_boot_ns < parity->next_due_boot_ns)
		parity->next_due_boot_ns = page->due_boot_ns;
}

/* What the files mean depends on how cgroup2 is mounted. */
static uint32_t meaning(struct kw_reconcile *reconcile, const struct kw_counts *counts)
{
	struct kw_parity_state *parity = reconcile->parity;
	uint32_t known = counts->known;

	if (reconcile->options.memory_localevents)
		known &= ~(uint32_t)KW_PARITY_HIERARCHICAL;
	if (known & BIT(KW_COUNTER_PIDS_MAX))
		parity->pids_mode = known & BIT(KW_COUNTER_PIDS_MAX_LOCAL) &&
						    !reconcile->options.pids_localevents
					    ? KW_PIDS_AT_LIMIT
					    : KW_PIDS_AT_FORK;
	return known;
}

/* The kernel's value fell: the controller was switched off and on, and counts anew from zero. What was
 * open then can no longer be found out. */
static void begin_anew(struct kw_reconcile *reconcile, struct kw_page *page, unsigned int counter)
{
	struct kw_book *book = &page->books[counter];
	int64_t open = kw_book_ahead(page, counter);

	book->regressed = true;
	if (kw_books_rule(counter) == KW_RULE_EXACT && open != 0)
		reconcile->parity->totals.faults += (uint64_t)(open < 0 ? -open : open);
	/* The parts stay, so that sums over them do; the base goes below zero to make up for them. */
	book->account.base -= book->account.kernel - (uint64_t)open;
	book->account.kernel = 0;
	book->said = 0;
	page->is_anchored = page->is_anchored && counter != KW_COUNTER_CPU_THROTTLED_USEC &&
			    counter != KW_COUNTER_CPU_THROTTLED;
}

static void take_value(struct kw_reconcile *reconcile, struct kw_page *page, unsigned int counter,
		       uint64_t value, bool from_zero)
{
	struct kw_book *book = &page->books[counter];
	bool is_first = !book->known;

	/* Mounted otherwise before: what it had counted by then cannot be told from what came since. */
	if (reconcile->parity->was_local && KW_PARITY_HIERARCHICAL & BIT(counter))
		from_zero = false;
	if (!is_first && value < book->polled)
		begin_anew(reconcile, page, counter);
	book->polled = value;
	if (is_first || value > book->account.kernel)
		book->account.kernel = value;
	book->known = true;
	if (is_first && !from_zero)
		book->account.base += (uint64_t)kw_book_ahead(page, counter);
	if (is_first && book->said == 0)
		book->said = book->account.base;
	kw_book_touch(page, counter);
}

static bool differs(const struct kw_page *page, const struct kw_counts *counts, uint32_t known)
{
	for (unsigned int i = 0; i < KW_COUNTER_COUNT_; i++) {
		if (known & BIT(i) && kw_books_rule(i) != KW_RULE_NONE &&
		    (!page->books[i].known || page->books[i].polled != counts->value[i]))
			return true;
	}
	return false;
}

/* Whether a page that is read first began at zero, for all we know. */
static bool begins_at_zero(const struct kw_parity_state *parity)
{
	return parity->scanned || (parity->resumed && parity->complete);
}

int kw_parity_counts(struct kw_reconcile *reconcile, const struct kw_attributed *attributed)
{
	const struct kw_counts *counts = attributed->observation->counts;
	struct kw_parity_state *parity = reconcile->parity;
	uint32_t known = meaning(reconcile, counts);
	struct kw_page *page;
	bool is_first, from_zero, moved;

	if (strcmp(counts->path, "/") == 0)
		return 0; /* no events are counted there */
	page = kw_books_open_page(parity->books, counts->cgroup_id, counts->path);
	if (!page) {
		parity->totals.not_followed++;
		return 0;
	}
	is_first = !page->has_reading;
	from_zero = page->is_resumed || begins_at_zero(parity);
	moved = differs(page, counts, known);
	page->has_reading = true;
	page->known = known;
	page->used_boot_ns = counts->boot_ns;
	if (is_first && page->from_boot_ns == 0)
		page->from_boot_ns = parity->from_boot_ns;
	if (is_first && from_zero && !page->is_resumed)
		page->is_anchored = true;
	for (unsigned int i = 0; i < KW_COUNTER_COUNT_ && moved; i++) {
		if (known & BIT(i) && kw_books_rule(i) != KW_RULE_NONE)
			take_value(reconcile, page, i, counts->value[i], from_zero);
	}
	page->read_boot_ns = counts->boot_ns;
	if (is_first)
		kw_book_begin_window(page);
	if (counts->is_gone) {
		kw_books_close_page(parity->books, page);
		page->dirty = page->dirty || !kw_page_is_blank(page);
	}
	if (is_first && kw_page_is_blank(page))
		page->dirty = false;
	else if (moved || is_first || counts->is_gone)
		kw_parity_arm(reconcile, page, counts->boot_ns);
	return 0;
}

uint64_t kw_parity_deadline(const struct kw_reconcile *reconcile)
{
	return reconcile->parity->next_due_boot_ns;
}

static int compare_depth(const void *left, const void *right)
{
	const struct kw_page *const *one = left, *const *other = right;
	size_t a = strlen((*one)->path), b = strlen((*other)->path);

	return a < b ? 1 : a > b ? -1 : 0;
}

/* Those below first (a path is longer than its parent's): what is found there is not looked for above. */
static int judge_due(struct kw_reconcile *reconcile, uint64_t now)
{
	struct kw_page *page, *due[PAGES_PER_TURN] = { NULL };
	size_t count = 0;
	int r = 0;

	TAILQ_FOREACH (page, &reconcile->parity->books->pages, list) {
		if (page->due_boot_ns == 0 || page->due_boot_ns > now)
			continue;
		if (count < PAGES_PER_TURN)
			due[count++] = page;
		else
			page->due_boot_ns = now + NEXT_TURN_NS;
	}
	qsort(due, count, sizeof(struct kw_page *), compare_depth);
	for (size_t i = 0; i < count && r >= 0; i++)
		r = kw_parity_judge(reconcile, due[i], now);
	return r;
}

int kw_parity_due(struct kw_reconcile *reconcile, uint64_t now)
{
	struct kw_parity_state *parity = reconcile->parity;
	struct kw_page *page;
	int r;

	if (parity->next_due_boot_ns > now)
		return 0;
	r = judge_due(reconcile, now);
	parity->next_due_boot_ns = UINT64_MAX;
	TAILQ_FOREACH (page, &parity->books->pages, list) {
		if (page->due_boot_ns != 0 && page->due_boot_ns < parity->next_due_boot_ns)
			parity->next_due_boot_ns = page->due_boot_ns;
	}
	return r;
}
