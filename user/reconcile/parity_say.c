/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verdict on a page that was judged, in one finding: of which counters there is something new to say, and
 * which events explain them.
 */
#include <stdio.h>
#include <string.h>

#include "user/reconcile/parity.h"
#include "user/reconcile/room.h"

#define BIT(counter) (1U << (counter))

void kw_parity_identify(const struct kw_page *page, struct kw_identity *ret_identity)
{
	memset(ret_identity, 0, sizeof(*ret_identity));
	ret_identity->known = true;
	ret_identity->id = page->id;
	(void)snprintf(ret_identity->path, sizeof(ret_identity->path), "%s", page->path);
	kw_units_parse(ret_identity->path, ret_identity);
	kw_pods_parse(ret_identity->path, ret_identity);
}

static enum kw_parity_verdict verdict_of(const struct kw_book *book)
{
	if (book->regressed)
		return KW_PARITY_REGRESSED;
	if (book->missed)
		return KW_PARITY_MISSED;
	if (book->extra)
		return KW_PARITY_EXTRA;
	return book->late || book->high > 0 ? KW_PARITY_LATE : KW_PARITY_AGREE;
}

static void fill_item(const struct kw_page *page, unsigned int counter, struct kw_parity_item *item)
{
	const struct kw_book *book = &page->books[counter];

	item->counter = counter;
	item->verdict = verdict_of(book);
	item->before = book->said;
	item->account = book->account;
	item->event_count = 0;
	item->events_omitted = (uint32_t)page->events_omitted[counter];
	for (uint32_t i = 0; i < page->event_count; i++) {
		if (!(page->events[i].mask & BIT(counter)))
			continue;
		if (item->event_count < KW_PARITY_EVENTS_MAX)
			memcpy(item->event_ids[item->event_count++], page->events[i].id,
			       sizeof(page->events[i].id));
		else
			item->events_omitted++;
	}
}

/* Whether there is something to say of the counter; *ret_matters: enough for an event. */
static bool is_news(const struct kw_page *page, unsigned int counter, bool *ret_matters)
{
	const struct kw_book *book = &page->books[counter];
	bool is_fault = book->missed || book->extra || book->regressed;

	if (!book->known || kw_books_rule(counter) == KW_RULE_NONE)
		return false;
	if (!is_fault && (book->account.kernel == book->said || kw_book_ahead(page, counter) != 0))
		return false;
	*ret_matters = *ret_matters || is_fault || kw_books_rule(counter) == KW_RULE_EXACT;
	return true;
}

static void forget_said(struct kw_page *page, uint32_t said)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < page->event_count; i++) {
		page->events[i].mask &= ~said;
		if (page->events[i].mask)
			page->events[kept++] = page->events[i];
	}
	page->event_count = kept;
}

static void close_items(struct kw_parity_state *parity, struct kw_page *page)
{
	uint32_t said = 0;

	for (uint32_t i = 0; i < parity->parity.item_count; i++) {
		const struct kw_parity_item *item = &parity->parity.items[i];
		struct kw_book *book = &page->books[item->counter];

		parity->totals.verdicts[item->verdict]++;
		book->said = book->account.kernel;
		book->missed = book->extra = book->late = book->regressed = false;
		page->events_omitted[item->counter] = 0;
		said |= BIT(item->counter);
	}
	forget_said(page, said);
}

int kw_parity_say(struct kw_reconcile *reconcile, struct kw_page *page)
{
	struct kw_parity *parity = &reconcile->parity->parity;
	struct kw_finding finding = { .kind = KW_FINDING_PARITY,
				      .boot_ns = page->read_boot_ns,
				      .parity = parity };
	bool matters = false;
	int r;

	parity->item_count = 0;
	for (unsigned int i = 0; i < KW_COUNTER_COUNT_; i++) {
		if (is_news(page, i, &matters))
			fill_item(page, i, &parity->items[parity->item_count++]);
	}
	if (!matters)
		return 0;
	kw_parity_identify(page, &parity->cgroup);
	parity->gone = page->gone;
	parity->from_boot_ns = page->from_boot_ns;
	parity->to_boot_ns = page->read_boot_ns;
	r = kw_reconcile_say(reconcile, &finding);
	if (r < 0)
		return r;
	close_items(reconcile->parity, page);
	page->dirty = true;
	return 0;
}
