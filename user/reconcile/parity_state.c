/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The account in the ledger, which is where the next daemon finds it. Said whole from time to time, and in
 * between what has changed; a page that is gone and settled is said a last time and forgotten. Cgroups
 * whose counters all stand at zero are not worth a row: once every cgroup was read, whoever has none stood
 * at zero.
 */
#include <errno.h>
#include <string.h>

#include "user/reconcile/parity.h"
#include "user/reconcile/room.h"

/* Estimates of JSON: a path's byte may become three, a number has 20 digits at most. */
#define ROW_BYTES 96
#define ACCOUNT_BYTES 176
/* A cgroup that events name and nobody ever reads was gone before it could be. */
#define UNREAD_NS (60 * KW_NSEC_PER_SEC)

static void fill_row(const struct kw_page *page, struct kw_parity_row *row)
{
	static const struct kw_parity_account none;

	row->id = page->id;
	row->path = page->path;
	row->gone = page->gone;
	row->throttled = page->is_throttled;
	row->tolerance_usec = page->tolerance_usec;
	row->mask = 0;
	row->known = 0;
	for (unsigned int i = 0; i < KW_COUNTER_COUNT_; i++) {
		row->accounts[i] = page->books[i].account;
		if (memcmp(&row->accounts[i], &none, sizeof(none)) != 0)
			row->mask |= 1U << i;
		if (page->books[i].known)
			row->known |= 1U << i;
	}
}

size_t kw_parity_row_bytes(const struct kw_parity_row *row)
{
	return ROW_BYTES + 3 * strlen(row->path) +
	       ACCOUNT_BYTES * (size_t)__builtin_popcount(row->mask);
}

static bool is_wanted(const struct kw_page *page, bool full)
{
	return !kw_page_is_blank(page) && (page->dirty || full);
}

static int say_part(struct kw_reconcile *reconcile, struct kw_account_part *part, uint64_t now)
{
	struct kw_parity_state *parity = reconcile->parity;
	struct kw_finding finding = { .kind = KW_FINDING_ACCOUNT, .boot_ns = now, .account = part };
	int r;

	part->part++;
	r = kw_reconcile_say(reconcile, &finding);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < part->row_count; i++)
		parity->row_pages[i]->dirty = false;
	part->row_count = 0;
	return 0;
}

/* Pages that have nothing more to tell. */
static void forget_gone(struct kw_parity_state *parity, uint64_t now)
{
	struct kw_page *page = TAILQ_FIRST(&parity->books->pages);

	while (page) {
		struct kw_page *next = TAILQ_NEXT(page, list);
		bool is_done = page->gone && page->due_boot_ns == 0 &&
			       (!page->dirty || kw_page_is_blank(page));
		bool is_unread = !page->has_reading && now - page->used_boot_ns > UNREAD_NS &&
				 now > page->used_boot_ns;

		if (is_done || is_unread)
			kw_books_drop(parity->books, page);
		page = next;
	}
}

int kw_reconcile_account(struct kw_reconcile *reconcile, uint64_t now_boot_ns, bool full)
{
	struct kw_parity_state *parity = reconcile->parity;
	struct kw_account_part part = {
		.full = full || !parity->was_said,
		.complete = parity->scanned || (parity->resumed && parity->complete),
		.is_reboot = parity->is_reboot,
		.memory_localevents = reconcile->options.memory_localevents,
		.boot_ns = now_boot_ns,
		.rows = parity->rows,
	};
	struct kw_page *page;
	uint32_t said = 0;
	size_t bytes = 0;
	int r = 0;

	kw_reconcile_totals(reconcile, &part.totals);
	TAILQ_FOREACH (page, &parity->books->pages, list) {
		struct kw_parity_row *row = &parity->rows[part.row_count];

		if (r < 0 || !is_wanted(page, part.full))
			continue;
		if (said++ >= KW_ACCOUNT_CGROUPS_MAX) {
			part.omitted++;
			continue;
		}
		fill_row(page, row);
		parity->row_pages[part.row_count] = page;
		bytes += kw_parity_row_bytes(row);
		if (++part.row_count < KW_ACCOUNT_ROWS_MAX && bytes < KW_ACCOUNT_BYTES_MAX)
			continue;
		r = say_part(reconcile, &part, now_boot_ns);
		bytes = 0;
	}
	if (r < 0 || (said == 0 && parity->was_said && !part.full))
		return r;
	part.last = true;
	r = say_part(reconcile, &part, now_boot_ns);
	if (r < 0)
		return r;
	parity->was_said = true;
	parity->is_reboot = false;
	forget_gone(parity, now_boot_ns);
	return 0;
}

void kw_reconcile_totals(const struct kw_reconcile *reconcile, struct kw_parity_totals *ret_totals)
{
	const struct kw_parity_state *parity = reconcile->parity;
	struct kw_parity_totals totals = parity->totals;
	const struct kw_page *page;

	totals.cgroups = 0;
	totals.pending = 0;
	TAILQ_FOREACH (page, &parity->books->pages, list) {
		totals.cgroups += page->has_reading && !page->gone;
		if (page->has_reading)
			totals.pending += kw_book_ahead(page, KW_COUNTER_OOM_KILL_LOCAL);
	}
	totals.kernel = totals.by_hook + totals.by_counter + (uint64_t)totals.duplicates +
			(uint64_t)totals.unexplained + (uint64_t)totals.pending;
	*ret_totals = totals;
}

void kw_reconcile_scanned(struct kw_reconcile *reconcile)
{
	reconcile->parity->scanned = true;
}

void kw_reconcile_resume_reboot(struct kw_reconcile *reconcile)
{
	reconcile->parity->is_reboot = true;
}

static void begin_part(struct kw_reconcile *reconcile, const struct kw_account_part *part)
{
	struct kw_parity_state *parity = reconcile->parity;
	uint64_t verdicts[KW_PARITY_VERDICT_COUNT_];

	memcpy(verdicts, parity->totals.verdicts, sizeof(verdicts));
	parity->resumed = true;
	parity->complete = part->complete && part->omitted == 0;
	parity->was_local = part->memory_localevents && !reconcile->options.memory_localevents;
	parity->from_boot_ns = part->boot_ns;
	parity->totals = part->totals;
	memcpy(parity->totals.verdicts, verdicts, sizeof(verdicts));
}

int kw_reconcile_resume_row(struct kw_reconcile *reconcile, const struct kw_account_part *part,
			    const struct kw_parity_row *row)
{
	struct kw_parity_state *parity = reconcile->parity;
	struct kw_page *page;

	begin_part(reconcile, part);
	if (!row)
		return 0;
	page = kw_books_open_page(parity->books, row->id, row->path);
	if (!page)
		return -ENOMEM;
	if (row->gone) /* kept: a verdict on it may follow */
		kw_books_close_page(parity->books, page);
	page->is_resumed = true;
	page->is_anchored = true;
	page->is_throttled = row->throttled;
	page->tolerance_usec = row->tolerance_usec;
	page->from_boot_ns = part->boot_ns;
	page->used_boot_ns = part->boot_ns;
	for (unsigned int i = 0; i < KW_COUNTER_COUNT_; i++) {
		struct kw_book *book = &page->books[i];

		*book = (struct kw_book){ .account = row->accounts[i],
					  .known = row->known & (1U << i) &&
						   !(parity->was_local &&
						     KW_PARITY_HIERARCHICAL & (1U << i)),
					  .polled = row->accounts[i].kernel,
					  .said = row->accounts[i].kernel };
	}
	page->throttled_ns =
		row->accounts[KW_COUNTER_CPU_THROTTLED_USEC].explained * KW_NSEC_PER_USEC;
	page->tolerance_usec += page->throttled_ns > 0;
	return 0;
}

void kw_reconcile_resume_verdict(struct kw_reconcile *reconcile, const struct kw_parity_row *row)
{
	struct kw_parity_totals *totals = &reconcile->parity->totals;
	struct kw_page *page = kw_books_open_page(reconcile->parity->books, row->id, row->path);

	if (!page)
		return;
	page->is_resumed = true;
	for (unsigned int i = 0; i < KW_COUNTER_COUNT_; i++) {
		struct kw_book *book = &page->books[i];
		int64_t unexplained = row->accounts[i].unexplained - book->account.unexplained;

		if (!(row->mask & (1U << i)))
			continue;
		totals->faults += (uint64_t)(unexplained < 0 ? -unexplained : unexplained);
		if (i == KW_COUNTER_OOM_KILL_LOCAL) {
			totals->unexplained += unexplained;
			totals->duplicates +=
				row->accounts[i].arithmetic - book->account.arithmetic;
		}
		*book = (struct kw_book){ .account = row->accounts[i],
					  .known = true,
					  .polled = row->accounts[i].kernel,
					  .said = row->accounts[i].kernel };
		book->account.possible = row->accounts[i].possible;
	}
	if (row->gone)
		kw_books_close_page(reconcile->parity->books, page);
	page->dirty = true;
}

void kw_reconcile_resume_fact(struct kw_reconcile *reconcile, const struct kw_fact *fact)
{
	kw_parity_fact(reconcile, fact, fact->boot_ns);
}
