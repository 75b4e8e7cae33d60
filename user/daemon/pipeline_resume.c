/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The account of counters across a restart. The ledger is the only store: the last whole account event is
 * looked for from the end, then every line behind it is a fact again, as it was when it was written
 * (user/reconcile/parity_fact.c makes the same of a finding). The lines are this daemon's own; one that does
 * not read as one of them is stepped over, and what it would have explained is then declared missed.
 */
#include "user/daemon/pipeline.h"

#include <errno.h>
#include <jansson.h>
#include <kwitness/names.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"

/* How far back a whole account is looked for first; then four times as far, to the ledger's beginning. */
#define LINES_FIRST 4096U
#define LINES_MAX (UINT64_C(1) << 40)

static uint64_t number_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	uint64_t number = 0;

	if (text && kw_text_parse_u64(text, strlen(text), &number) < 0)
		return 0;
	if (json_is_integer(value))
		number = (uint64_t)json_integer_value(value);
	return number;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A path as the kernel had it: %XX was written for bytes that are no text (kw_text_append_escaped()). */
static void take_path(const json_t *cgroup, char ret_path[static KW_PATH_MAX])
{
	const char *text = json_string_value(json_object_get(cgroup, "path"));
	size_t length = 0;

	ret_path[0] = '\0';
	if (!text || json_is_true(json_object_get(cgroup, "pathTruncated")))
		return;
	for (; *text; text++) {
		if (length + 1 >= KW_PATH_MAX) {
			ret_path[0] = '\0';
			return;
		}
		if (*text == '%' && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0) {
			ret_path[length++] = (char)(hex_digit(text[1]) << 4 | hex_digit(text[2]));
			text += 2;
		} else {
			ret_path[length++] = *text;
		}
	}
	ret_path[length] = '\0';
}

static void take_cgroup(const json_t *cgroup, uint64_t *ret_id, char ret_path[static KW_PATH_MAX])
{
	*ret_id = number_at(cgroup, "id");
	take_path(cgroup, ret_path);
}

static void take_id(const json_t *value, char ret_id[static 40])
{
	const char *text = json_string_value(value);

	(void)snprintf(ret_id, 40, "%.39s", text ? text : "");
}

static void take_owner(const json_t *data, struct kw_fact *fact)
{
	const json_t *owner = json_object_get(json_object_get(data, "limitOwner"), "cgroup");

	fact->owner_known = json_is_object(owner);
	take_cgroup(owner, &fact->owner_id, fact->owner);
	fact->is_group = json_is_true(json_object_get(data, "groupKill"));
}

static bool is_v1(const json_t *cgroup)
{
	return number_at(cgroup, "cgroupVersion") == 1;
}

static bool fact_of_kill(const json_t *data, struct kw_fact *fact)
{
	const json_t *cgroup = json_object_get(json_object_get(data, "victim"), "cgroup");

	const char *constraint = json_string_value(json_object_get(data, "constraint"));

	/* no counter of the kernel's moves for a kill by user space */
	if (is_v1(cgroup) || (constraint && strcmp(constraint, KW_CONSTRAINT_USERSPACE) == 0))
		return false;
	take_cgroup(cgroup, &fact->cgroup_id, fact->cgroup);
	if (json_object_get(data, "provenance")) {
		fact->kind = KW_FACT_COUNTER_KILL;
		fact->is_below = json_is_true(json_object_get(data, "below"));
		fact->count = number_at(data, "kills");
		fact->boot_ns = number_at(data, "to");
		return true;
	}
	fact->kind = KW_FACT_KILL;
	fact->count = 1;
	take_owner(data, fact);
	fact->is_unnumbered = json_object_get(data, "limitOwner") == NULL;
	take_id(json_object_get(data, "ofCounterEvent"), fact->of_event_id);
	return true;
}

static bool fact_of_incident(const json_t *data, struct kw_fact *fact)
{
	const json_t *kernel = json_object_get(data, "kernel");
	const json_t *counters = json_object_get(data, "counters");
	const json_t *before = json_object_get(counters, "before");
	const json_t *first = json_array_get(json_object_get(data, "victims"), 0);
	uint64_t counted = number_at(kernel, "counted"), marked = number_at(kernel, "marked");

	take_owner(data, fact);
	if (is_v1(json_object_get(json_object_get(data, "limitOwner"), "cgroup")))
		return false;
	fact->kind = KW_FACT_INCIDENT;
	take_cgroup(json_object_get(first, "cgroup"), &fact->cgroup_id, fact->cgroup);
	fact->duplicates = (uint32_t)number_at(json_object_get(data, "verdict"), "duplicates");
	if (json_object_get(kernel, "counted") && counted < marked)
		fact->uncounted = (uint32_t)(marked - counted);
	fact->groups_known = json_is_object(before);
	fact->groups = number_at(json_object_get(counters, "after"), "oomGroupKill") -
		       number_at(before, "oomGroupKill");
	return true;
}

static bool fact_of_pids(const json_t *data, struct kw_fact *fact)
{
	fact->kind = KW_FACT_PIDS;
	take_cgroup(json_object_get(data, "cgroup"), &fact->cgroup_id, fact->cgroup);
	take_owner(data, fact);
	fact->count = number_at(data, "refusals");
	return true;
}

static bool fact_of_throttle(const json_t *data, struct kw_fact *fact)
{
	const char *phase = json_string_value(json_object_get(data, "phase"));

	fact->kind = KW_FACT_THROTTLE;
	take_cgroup(json_object_get(data, "cgroup"), &fact->cgroup_id, fact->cgroup);
	fact->phase = KW_THROTTLE_START;
	for (uint32_t i = KW_THROTTLE_START; phase && i <= KW_THROTTLE_END; i++) {
		if (strcmp(phase, kw_throttle_phase_name(i)) == 0)
			fact->phase = i;
	}
	fact->stalled_ns = number_at(data, "stalledUsec") * KW_NSEC_PER_USEC;
	fact->is_rounded = true;
	fact->count = number_at(data, "throttledPeriods");
	return true;
}

/* ---- rows ---- */

static void take_account(const json_t *values, struct kw_parity_row *row, unsigned int counter)
{
	struct kw_parity_account *account = &row->accounts[counter];

	if (!json_is_array(values) || json_array_size(values) < 7)
		return;
	account->kernel = (uint64_t)json_integer_value(json_array_get(values, 0));
	account->base = (uint64_t)json_integer_value(json_array_get(values, 1));
	account->explained = (uint64_t)json_integer_value(json_array_get(values, 2));
	account->arithmetic = json_integer_value(json_array_get(values, 3));
	account->by_counter = (uint64_t)json_integer_value(json_array_get(values, 4));
	account->unexplained = json_integer_value(json_array_get(values, 5));
	account->possible = (uint64_t)json_integer_value(json_array_get(values, 6));
	row->mask |= 1U << counter;
	if (json_is_integer(json_array_get(values, 0)))
		row->known |= 1U << counter;
}

static void take_totals(const json_t *parity, struct kw_parity_totals *totals)
{
	const json_t *kills = json_object_get(parity, "oomKill");

	*totals = (struct kw_parity_totals){
		.by_hook = number_at(kills, "byHook"),
		.by_counter = number_at(kills, "byCounter"),
		.duplicates = json_integer_value(json_object_get(kills, "duplicates")),
		.unexplained = json_integer_value(json_object_get(kills, "unexplained")),
		.faults = number_at(parity, "faults"),
	};
}

static int resume_part(struct kw_pipeline *pipeline, const json_t *data)
{
	struct kw_account_part part = {
		.full = json_is_true(json_object_get(data, "full")),
		.complete = json_is_true(json_object_get(data, "complete")),
		.boot_ns = number_at(data, "bootNs"),
		.omitted = number_at(data, "omitted"),
		.memory_localevents = json_is_true(json_object_get(data, "memoryLocalevents")),
	};
	const json_t *rows = json_object_get(data, "cgroups"), *one;
	char path[KW_PATH_MAX];
	size_t i;
	int r = 0;

	take_totals(json_object_get(data, "parity"), &part.totals);
	if (json_array_size(rows) == 0)
		return kw_reconcile_resume_row(pipeline->reconcile, &part, NULL);
	json_array_foreach(rows, i, one)
	{
		struct kw_parity_row row = { .path = path };
		const json_t *counters = json_object_get(one, "counters");

		take_cgroup(one, &row.id, path);
		row.gone = json_is_true(json_object_get(one, "gone"));
		row.throttled = json_is_true(json_object_get(one, "throttled"));
		row.tolerance_usec = (uint32_t)number_at(one, "toleranceUsec");
		for (unsigned int n = 0; n < KW_COUNTER_COUNT_; n++) {
			if (kw_parity_counter_name(n))
				take_account(json_object_get(counters, kw_parity_counter_name(n)),
					     &row, n);
		}
		r = kw_reconcile_resume_row(pipeline->reconcile, &part, &row);
		if (r < 0)
			return r;
	}
	return 0;
}

static void resume_verdict(struct kw_pipeline *pipeline, const json_t *data)
{
	const json_t *counters = json_object_get(data, "counters"), *one;
	char path[KW_PATH_MAX];
	struct kw_parity_row row = { .path = path };
	size_t i;

	take_cgroup(json_object_get(data, "cgroup"), &row.id, path);
	row.gone = json_is_true(json_object_get(data, "gone"));
	json_array_foreach(counters, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "counter"));
		unsigned int n = 0;

		while (n < KW_COUNTER_COUNT_ && (!name || !kw_parity_counter_name(n) ||
						 strcmp(name, kw_parity_counter_name(n)) != 0))
			n++;
		if (n == KW_COUNTER_COUNT_)
			continue;
		row.mask |= 1U << n;
		row.accounts[n] = (struct kw_parity_account){
			.kernel = number_at(one, "after"),
			.base = (uint64_t)json_integer_value(json_object_get(one, "base")),
			.explained = number_at(one, "explained"),
			.arithmetic = json_integer_value(json_object_get(one, "arithmetic")),
			.by_counter = number_at(one, "byCounter"),
			.unexplained = json_integer_value(json_object_get(one, "unexplained")),
			.possible = number_at(one, "possible"),
		};
	}
	kw_reconcile_resume_verdict(pipeline->reconcile, &row);
}

/* ---- lines ---- */

static bool make_fact(const char *type, const json_t *data, struct kw_fact *fact)
{
	fact->boot_ns = number_at(data, "bootNs");
	if (strcmp(type, KW_TYPE_OOM_KILL) == 0)
		return fact_of_kill(data, fact);
	if (strcmp(type, KW_TYPE_OOM_INCIDENT) == 0)
		return fact_of_incident(data, fact);
	if (strcmp(type, KW_TYPE_PIDS_MAX) == 0)
		return fact_of_pids(data, fact);
	if (strcmp(type, KW_TYPE_CPU_THROTTLED) == 0)
		return fact_of_throttle(data, fact);
	return false;
}

static int take_line(struct kw_pipeline *pipeline, const char *line, size_t length)
{
	json_t *event = json_loadb(line, length, 0, NULL);
	const json_t *data = json_object_get(event, "data");
	const char *type = json_string_value(json_object_get(event, "type"));
	struct kw_fact fact = { .kind = KW_FACT_KILL };
	int r = 0;

	if (type && strcmp(type, KW_TYPE_ACCOUNT) == 0) {
		r = resume_part(pipeline, data);
	} else if (type && strcmp(type, KW_TYPE_PARITY) == 0) {
		resume_verdict(pipeline, data);
	} else if (type && make_fact(type, data, &fact)) {
		take_id(json_object_get(event, "id"), fact.event_id);
		kw_reconcile_resume_fact(pipeline->reconcile, &fact);
	}
	json_decref(event);
	return r;
}

/* Whether the line is the first part of a whole account. */
static bool begins_account(const char *line, size_t length)
{
	static const char type[] = "\"" KW_TYPE_ACCOUNT "\"";

	return memmem(line, length, type, sizeof(type) - 1) &&
	       memmem(line, length, "\"full\":true,", 12) && memmem(line, length, "\"part\":1,", 9);
}

/* The line at which the last whole account of the last so many lines begins; 0: there is none in them. */
static int find_account(const char *path, uint64_t lines, uint64_t *ret_line, uint64_t *ret_seen)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	const char *line;
	size_t length;
	uint64_t at = 0, seen = 0;
	int r = kw_cursor_open_tail(path, lines, &cursor);

	while (r >= 0 && (r = kw_cursor_next(cursor, &line, &length)) != 0) {
		if (r < 0 && r != -EMSGSIZE)
			return r;
		seen++;
		if (r > 0 && begins_account(line, length))
			at = seen;
		r = 1;
	}
	*ret_line = at;
	*ret_seen = seen;
	return r;
}

static int read_behind(struct kw_pipeline *pipeline, uint64_t lines)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	const char *line;
	size_t length;
	int r = kw_cursor_open_tail(pipeline->ledger_path, lines, &cursor);

	while (r >= 0 && (r = kw_cursor_next(cursor, &line, &length)) != 0) {
		if (r > 0)
			r = take_line(pipeline, line, length);
		if (r == -EMSGSIZE)
			r = 0;
		if (r < 0)
			return r;
	}
	return r;
}

int kw_pipeline_resume(struct kw_pipeline *pipeline, bool is_same_boot)
{
	uint64_t lines = LINES_FIRST, at = 0, seen = lines;
	int r = 0;

	if (!is_same_boot) {
		kw_reconcile_resume_reboot(pipeline->reconcile);
		return 0;
	}
	for (; r >= 0 && at == 0 && seen >= lines && lines < LINES_MAX; lines *= 4) {
		seen = 0;
		r = find_account(pipeline->ledger_path, lines, &at, &seen);
		if (seen < lines)
			break;
	}
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return at == 0 ? 0 : read_behind(pipeline, seen - at + 1);
}
