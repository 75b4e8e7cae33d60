/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gaps that a ledger declares, and what they lost. Two tables of fixed size: gaps, of which the longest stay,
 * and losses by kind and reason, the numbers in a reason put aside, so that "7 frames refused" and "9 frames
 * refused" are one. What a start lost nobody counts: there the time since the line before is what is told.
 */
#include <errno.h>
#include <string.h>

#include "user/base/text.h"
#include "user/cli/summary_text.h"
#include "user/cli/show.h"

#define ELLIPSIS "…"

/* Copies as many whole characters as fit. */
static void cut(const struct kw_bytes *text, char *ret_text, size_t size)
{
	const char *data = text->data ? text->data : "";
	size_t length = text->length;

	if (length >= size) {
		length = size - sizeof(ELLIPSIS);
		while (length > 0 && ((unsigned char)data[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(ret_text, data, length);
	ret_text[length] = '\0';
	if (length < text->length)
		memcpy(ret_text + length, ELLIPSIS, sizeof(ELLIPSIS));
}

int kw_summary_text(struct kw_summary *summary, struct kw_span string, char *ret_text, size_t size)
{
	struct kw_bytes *decoded = &summary->scratch[0], *shown = &summary->scratch[1];
	size_t at = 0;

	kw_bytes_clear(decoded);
	kw_bytes_clear(shown);
	ret_text[0] = '\0';
	if (!kw_read_is_string(string) || kw_read_decode(string, decoded) < 0)
		return kw_bytes_error(decoded) == -ENOMEM ? -ENOMEM : 0;
	while (at < decoded->length) {
		kw_show_append(shown, decoded->data + at);
		at += strlen(decoded->data + at);
		if (at < decoded->length) { /* a NUL that it holds */
			kw_bytes_append_string(shown, "%00");
			at++;
		}
	}
	if (kw_bytes_error(shown) < 0)
		return kw_bytes_error(shown);
	cut(shown, ret_text, size);
	return 0;
}

/* Whether the event's kind means the begin or the end of a daemon. */
static bool is_start(const char *kind)
{
	return strcmp(kind, "restart") == 0 || strcmp(kind, "reboot") == 0;
}

/* Kinds that say what is seen, not what was lost. */
static bool is_state(const char *kind)
{
	return is_start(kind) || strcmp(kind, "start") == 0 || strcmp(kind, "stop") == 0 ||
	       strcmp(kind, "tier") == 0;
}

/* Words that are numbers become "n". */
static void without_numbers(const char *reason, char ret_reason[static KW_VERDICT_TEXT_BYTES])
{
	size_t length = 0;

	for (const char *at = reason; *at;) {
		size_t word = strcspn(at, " "), digits = strspn(at, "0123456789");

		if (word > 0 && digits == word) {
			ret_reason[length++] = 'n';
		} else {
			memcpy(ret_reason + length, at, word);
			length += word;
		}
		at += word;
		if (*at)
			ret_reason[length++] = *at++;
	}
	ret_reason[length] = '\0';
}

static void add_up(uint64_t *sum, uint64_t more)
{
	if (__builtin_add_overflow(*sum, more, sum))
		*sum = UINT64_MAX;
}

static void count_loss(struct kw_summary *summary, const struct kw_summary_gap *gap)
{
	struct kw_summary_loss *loss = NULL;
	char reason[KW_VERDICT_TEXT_BYTES];

	if (gap->has_lost ? gap->lost == 0 : is_state(gap->kind))
		return;
	without_numbers(gap->reason, reason);
	for (size_t i = 0; i < summary->loss_count && !loss; i++) {
		if (strcmp(summary->losses[i].kind, gap->kind) == 0 &&
		    strcmp(summary->losses[i].reason, reason) == 0)
			loss = &summary->losses[i];
	}
	if (!loss && summary->loss_count == KW_VERDICT_LOSSES_MAX)
		loss = &summary->other_losses;
	if (!loss) {
		loss = &summary->losses[summary->loss_count++];
		memcpy(loss->kind, gap->kind, sizeof(loss->kind));
		memcpy(loss->reason, reason, sizeof(loss->reason));
	}
	loss->events++;
	loss->unknown += !gap->has_lost;
	summary->unknown += !gap->has_lost;
	add_up(&loss->records, gap->lost);
	add_up(&summary->records, gap->lost);
}

/* The longest stay; of equal ones those that came first. */
static void list(struct kw_summary *summary, const struct kw_summary_gap *gap)
{
	struct kw_summary_gap *gaps = summary->gaps;
	size_t least = 0;

	if (summary->gap_count < KW_VERDICT_GAPS_MAX) {
		gaps[summary->gap_count++] = *gap;
		return;
	}
	summary->gaps_omitted++;
	for (size_t i = 1; i < KW_VERDICT_GAPS_MAX; i++) {
		if (gaps[i].length_ns <= gaps[least].length_ns)
			least = i;
	}
	if (gap->length_ns <= gaps[least].length_ns) {
		add_up(&summary->omitted_ns, gap->length_ns);
		return;
	}
	add_up(&summary->omitted_ns, gaps[least].length_ns);
	memmove(&gaps[least], &gaps[least + 1],
		(KW_VERDICT_GAPS_MAX - 1 - least) * sizeof(gaps[0]));
	gaps[KW_VERDICT_GAPS_MAX - 1] = *gap;
}

/* How long it was: of a start since the line before, by the wall clock, as the boot clock may be another one; else
 * by its own boot times. */
static void measure(struct kw_summary *summary, struct kw_summary_gap *gap,
		    const struct kw_signed_line *line, const struct kw_members *data,
		    uint64_t previous_real_ns)
{
	struct kw_span from = kw_read_find(data, "from"), to = kw_read_find(data, "to");
	uint64_t from_ns, to_ns;

	if (is_start(gap->kind)) {
		gap->has_length = previous_real_ns && line->recorded_real_ns >= previous_real_ns;
		if (gap->has_length)
			gap->length_ns = line->recorded_real_ns - previous_real_ns;
		summary->unwatched++;
		summary->unmeasured += !gap->has_length;
		add_up(&summary->unwatched_ns, gap->length_ns);
		return;
	}
	gap->has_length = from.data && to.data &&
			  kw_text_parse_u64(from.data, from.length, &from_ns) == 0 &&
			  kw_text_parse_u64(to.data, to.length, &to_ns) == 0 && from_ns <= to_ns;
	if (gap->has_length)
		gap->length_ns = to_ns - from_ns;
}

int kw_summary_take_gap(struct kw_summary *summary, const struct kw_signed_line *line,
			const struct kw_members *data, uint64_t previous_real_ns, bool stopped)
{
	struct kw_summary_gap gap = { .sequence = line->sequence,
				      .recorded_real_ns = line->recorded_real_ns };
	struct kw_span lost = kw_read_find(data, "lost");
	int r = kw_summary_text(summary, kw_read_find(data, "kind"), gap.kind, sizeof(gap.kind));

	if (r == 0)
		r = kw_summary_text(summary, kw_read_find(data, "reason"), gap.reason,
				    sizeof(gap.reason));
	if (r < 0)
		return r;
	gap.has_lost = lost.data && kw_text_parse_u64(lost.data, lost.length, &gap.lost) == 0;
	/* Told with the start behind it, or as the ledger's end. */
	summary->stopped = strcmp(gap.kind, "stop") == 0;
	if (summary->stopped) {
		summary->stop_sequence = line->sequence;
		return 0;
	}
	measure(summary, &gap, line, data, previous_real_ns);
	if (is_start(gap.kind))
		gap.end = stopped ? KW_SUMMARY_IN_ORDER : KW_SUMMARY_NOT_IN_ORDER;
	count_loss(summary, &gap);
	list(summary, &gap);
	return 0;
}
