/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The order: a host event stands at its bootNs, one without it at its time, taken to boot time by the
 * distance of the two clocks in the last line that had both; a guest's frame where it came less its delay.
 * A line waits until lines are recorded that are KW_MERGE_WINDOW_NS younger, so whatever is recorded
 * within that is put where it belongs; what comes later stands where it is found. A boot ends the window:
 * boot times before and behind it do not compare.
 */
#include "user/cli/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/base/clock.h"
#include "user/cli/show.h"

struct held {
	uint64_t key_ns; /* boot time; UINT64_MAX at most */
	struct kw_merged merged;
};

struct kw_merge {
	struct held *held; /* by key, the earliest first; equal ones as they came */
	size_t count;
	size_t bytes;
	size_t due;	      /* of them: whatever the time */
	int64_t distance_ns;  /* wall clock less boot time, in the last line that had both */
	uint64_t recorded_ns; /* boot time at which the last line was recorded */
};

int kw_merge_new(struct kw_merge **ret_merge)
{
	cleanup_free struct kw_merge *merge = calloc(1, sizeof(*merge));

	if (!merge)
		return -ENOMEM;
	merge->held = calloc(KW_MERGE_LINES_MAX, sizeof(*merge->held));
	if (!merge->held)
		return -ENOMEM;
	*ret_merge = take_ptr(merge);
	return 0;
}

void kw_merge_free(struct kw_merge *merge)
{
	if (!merge)
		return;
	for (size_t i = 0; i < merge->count; i++)
		free(merge->held[i].merged.line);
	free(merge->held);
	free(merge);
}

static bool number_at(const json_t *value, uint64_t *ret_number)
{
	double number = json_real_value(value);

	/* Above 2^53 ns (104 days) a few are rounded off, which no order depends on. */
	if (!json_is_real(value) || number < 0 || number >= 9.2e18)
		return false;
	*ret_number = (uint64_t)number;
	return true;
}

static bool time_at(const json_t *event, const char *name, uint64_t *ret_real_ns)
{
	const char *text = kw_show_text(json_object_get(event, name));

	return text && kw_clock_parse(text, strlen(text), ret_real_ns) == 0;
}

/* Boot time of a wall-clock time, as far as it is known here. */
static uint64_t boot_of(const struct kw_merge *merge, uint64_t real_ns)
{
	__int128 boot = (__int128)real_ns - merge->distance_ns;

	return boot < 0 ? 0 : (uint64_t)boot;
}

static bool begins_a_boot(const json_t *event)
{
	const char *kind = kw_show_text(kw_show_at(event, "data", "kind", NULL));

	return strcmp(kw_show_type(event), "host.v1.gap") == 0 && kind &&
	       (strcmp(kind, "start") == 0 || strcmp(kind, "reboot") == 0);
}

void kw_merge_note(struct kw_merge *merge, const json_t *event)
{
	uint64_t real_ns, boot_ns, recorded_ns;

	if (begins_a_boot(event)) {
		merge->due = merge->count;
		merge->recorded_ns = 0;
	}
	if (time_at(event, "time", &real_ns) &&
	    number_at(kw_show_at(event, "data", "bootNs", NULL), &boot_ns))
		merge->distance_ns = (int64_t)real_ns - (int64_t)boot_ns;
	if (time_at(event, "recordedtime", &recorded_ns))
		merge->recorded_ns = boot_of(merge, recorded_ns);
}

void kw_merge_pass(struct kw_merge *merge, uint64_t real_ns)
{
	uint64_t boot_ns = boot_of(merge, real_ns);

	if (boot_ns > merge->recorded_ns)
		merge->recorded_ns = boot_ns;
}

bool kw_merge_is_empty(const struct kw_merge *merge)
{
	return merge->count == 0;
}

/* When it happened, as far as the event says. */
static void place(const struct kw_merge *merge, const json_t *event, struct held *ret_held)
{
	uint64_t real_ns = 0, delay_ns;
	const json_t *clock = kw_show_at(event, "data", "guestClock", NULL);
	struct kw_merged *merged = &ret_held->merged;

	(void)time_at(event, "time", &real_ns);
	if (clock && number_at(json_object_get(clock, "delayNs"), &delay_ns) &&
	    number_at(json_object_get(clock, "errorNs"), &merged->error_ns))
		real_ns = delay_ns < real_ns ? real_ns - delay_ns : 0;
	else
		merged->is_bound = kw_show_at(event, "data", "guestMonotonicNs", NULL) != NULL;
	merged->real_ns = real_ns;
	ret_held->key_ns = boot_of(merge, real_ns);
}

int kw_merge_add(struct kw_merge *merge, const json_t *event, const char *line, size_t length)
{
	struct held held = { .merged.length = length };
	size_t at = merge->count;

	if (merge->count == KW_MERGE_LINES_MAX)
		return -ENOMEM; /* the caller takes the next one first */
	held.merged.line = malloc(length + 1);
	if (!held.merged.line)
		return -ENOMEM;
	memcpy(held.merged.line, line, length);
	held.merged.line[length] = '\0';
	place(merge, event, &held);
	while (at > merge->due && merge->held[at - 1].key_ns > held.key_ns)
		at--;
	memmove(&merge->held[at + 1], &merge->held[at],
		(merge->count - at) * sizeof(merge->held[0]));
	merge->held[at] = held;
	merge->count++;
	merge->bytes += length;
	return 0;
}

bool kw_merge_next(struct kw_merge *merge, bool all, struct kw_merged *ret_merged)
{
	const struct held *first = merge->held;

	if (merge->count == 0)
		return false;
	if (!all && merge->due == 0 && merge->count < KW_MERGE_LINES_MAX &&
	    merge->bytes < KW_MERGE_BYTES_MAX &&
	    (merge->recorded_ns < KW_MERGE_WINDOW_NS ||
	     first->key_ns > merge->recorded_ns - KW_MERGE_WINDOW_NS))
		return false;
	*ret_merged = first->merged;
	merge->bytes -= first->merged.length;
	merge->count--;
	if (merge->due > 0)
		merge->due--;
	memmove(merge->held, merge->held + 1, merge->count * sizeof(merge->held[0]));
	return true;
}
