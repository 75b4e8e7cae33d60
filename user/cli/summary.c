/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the signed lines of a ledger say of it, while `kwitness verify` reads them: of which kind they are, what
 * the last good checkpoint says of the counters, which kills only a counter has seen. Gaps: summary_gaps.c.
 * Members: docs/events.md. One that is missing, or is of another kind, says nothing.
 */
#include "user/cli/summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/names.h>

#include "user/base/text.h"
#include "user/cli/summary_text.h"

int kw_summary_new(struct kw_summary **ret_account)
{
	struct kw_summary *summary = calloc(1, sizeof(*summary));

	if (!summary)
		return -ENOMEM;
	for (size_t i = 0; i < kw_array_size(summary->scratch); i++)
		kw_bytes_init(&summary->scratch[i], 4 * KW_LINE_MAX);
	*ret_account = summary;
	return 0;
}

void kw_summary_free(struct kw_summary *summary)
{
	if (!summary)
		return;
	for (size_t i = 0; i < kw_array_size(summary->scratch); i++)
		kw_bytes_done(&summary->scratch[i]);
	free(summary);
}

static bool is_type(const struct kw_signed_line *line, const char *type)
{
	return line->type_length == strlen(type) &&
	       memcmp(line->type, type, line->type_length) == 0;
}

static void count_type(struct kw_summary *summary, const struct kw_signed_line *line)
{
	struct kw_summary_type *type;

	for (size_t i = 0; i < summary->type_count; i++) {
		type = &summary->types[i];
		if (is_type(line, type->name)) {
			type->events++;
			return;
		}
	}
	if (summary->type_count == KW_VERDICT_TYPES_MAX ||
	    line->type_length >= KW_VERDICT_TYPE_BYTES ||
	    memchr(line->type, '\0', line->type_length)) {
		summary->other_types++;
		return;
	}
	type = &summary->types[summary->type_count++];
	memcpy(type->name, line->type, line->type_length);
	type->events = 1;
}

/* A number below the object at a name; false when there is none. */
static bool number_at(const struct kw_members *members, const char *name, uint64_t *ret_number)
{
	struct kw_span value = kw_read_find(members, name);

	return value.data && kw_text_parse_u64(value.data, value.length, ret_number) == 0;
}

/* That many below or above nothing. */
static bool signed_at(const struct kw_members *members, const char *name, int64_t *ret_number)
{
	struct kw_span value = kw_read_find(members, name);
	bool is_negative = value.length > 0 && value.data[0] == '-';
	uint64_t number;

	if (!value.data ||
	    kw_text_parse_u64(value.data + is_negative, value.length - is_negative, &number) < 0 ||
	    number > INT64_MAX)
		return false;
	*ret_number = is_negative ? -(int64_t)number : (int64_t)number;
	return true;
}

static bool object_at(const struct kw_members *members, const char *name,
		      struct kw_members *ret_object)
{
	struct kw_span value = kw_read_find(members, name);

	return value.data && kw_read_members(value, ret_object) == 0;
}

static void take_checkpoint(struct kw_summary *summary, const struct kw_signed_line *line,
			    const struct kw_members *data)
{
	struct kw_summary_checkpoint checkpoint = { .sequence = line->sequence,
						    .recorded_real_ns = line->recorded_real_ns };
	struct kw_members parity, kills;

	if (line->has_fault)
		return;
	if (object_at(data, "parity", &parity)) {
		checkpoint.has_parity = number_at(&parity, "faults", &checkpoint.faults) &&
					object_at(&parity, "oomKill", &kills) &&
					signed_at(&kills, "unexplained", &checkpoint.unexplained);
		(void)number_at(&parity, "notFollowed", &checkpoint.not_followed);
	}
	summary->checkpoint = checkpoint;
}

static void take_key(struct kw_summary *summary, const struct kw_signed_line *line,
		     const struct kw_members *data)
{
	if (line->has_fault)
		return;
	summary->key_changes++;
	summary->epochs += kw_read_equals(kw_read_find(data, "reason"), "epoch");
}

static int take_first(struct kw_summary *summary, const struct kw_signed_line *line,
		      const struct kw_members *event)
{
	summary->first_sequence = line->sequence;
	summary->first_real_ns = line->recorded_real_ns;
	return kw_summary_text(summary, kw_read_find(event, "source"), summary->source,
			       sizeof(summary->source));
}

/* What needs more than its type. */
static int take_members(struct kw_summary *summary, const struct kw_signed_line *line)
{
	struct kw_members event, data;
	bool stopped = summary->stopped;
	uint64_t previous_real_ns = summary->last_real_ns;
	bool is_checkpoint = is_type(line, KW_TYPE_CHECKPOINT);
	int r = 0;

	/* The checkpoint of an orderly stop stands behind it. */
	if (!is_checkpoint)
		summary->stopped = false;
	if (summary->events > 1 && !is_checkpoint && !is_type(line, KW_TYPE_GAP) &&
	    !is_type(line, KW_TYPE_OOM_KILL) && !is_type(line, KW_TYPE_KEY))
		return 0;
	if (kw_read_members((struct kw_span){ line->text, line->length }, &event) < 0)
		return 0;
	if (summary->events == 1)
		r = take_first(summary, line, &event);
	if (r < 0 || !object_at(&event, "data", &data))
		return r;
	if (is_checkpoint)
		take_checkpoint(summary, line, &data);
	else if (is_type(line, KW_TYPE_GAP))
		r = kw_summary_take_gap(summary, line, &data, previous_real_ns, stopped);
	else if (is_type(line, KW_TYPE_KEY))
		take_key(summary, line, &data);
	else if (is_type(line, KW_TYPE_OOM_KILL))
		summary->counter_kills +=
			kw_read_equals(kw_read_find(&data, "provenance"), "counter");
	return r;
}

int kw_summary_take(struct kw_summary *summary, const struct kw_signed_line *line)
{
	int r;

	summary->events++;
	count_type(summary, line);
	r = take_members(summary, line);
	summary->last_sequence = line->sequence;
	summary->last_real_ns = line->recorded_real_ns;
	return r;
}

static int by_frequency(const void *left, const void *right)
{
	const struct kw_summary_type *a = left, *b = right;

	if (a->events != b->events)
		return a->events < b->events ? 1 : -1;
	return strcmp(a->name, b->name);
}

static int by_records(const void *left, const void *right)
{
	const struct kw_summary_loss *a = left, *b = right;

	if (a->records != b->records)
		return a->records < b->records ? 1 : -1;
	if (a->events != b->events)
		return a->events < b->events ? 1 : -1;
	return strcmp(a->reason, b->reason);
}

void kw_summary_settle(struct kw_summary *summary)
{
	qsort(summary->types, summary->type_count, sizeof(summary->types[0]), by_frequency);
	qsort(summary->losses, summary->loss_count, sizeof(summary->losses[0]), by_records);
}
