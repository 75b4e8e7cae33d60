/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The daemon's state as one JSON object, for `kwitness status` and whoever asks the socket. */
#include "user/daemon/status.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void json_decref_p(void *pointer)
{
	json_decref(*(json_t **)pointer);
}
#define cleanup_json cleanup(json_decref_p)

const char *kw_status_trouble(const struct kw_daemon *daemon)
{
	if (daemon->pipeline.blocked < 0)
		return "the ledger takes no lines; evidence waits in the kernel's ring";
	return NULL;
}

static json_t *number(uint64_t value)
{
	/* All of ours stay below 2^53; jansson's integers end at 2^63 - 1. */
	return json_integer((json_int_t)(value & INT64_MAX));
}

static json_t *time_text(uint64_t real_ns)
{
	char text[KW_RFC3339_BYTES];

	if (real_ns == 0)
		return json_null();
	kw_clock_format(real_ns, text);
	return json_string(text);
}

static json_t *hooks(const struct kw_daemon *daemon)
{
	json_t *list = json_array();
	size_t count;
	const struct kw_hook_attempt *attempts = kw_hooks_attempts(daemon->hooks, &count);

	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:b, s:s}", "hook", attempts[i].hook, "tier",
					kw_tier_name(attempts[i].tier), "attached",
					attempts[i].error == 0, "detail", attempts[i].detail));
	return list;
}

void kw_status_read_costs(const struct kw_daemon *daemon, struct kw_status_costs *ret_costs)
{
	ret_costs->counting = daemon->stats_fd >= 0 ? 1 : kw_hooks_stats_enabled();
	ret_costs->count = kw_hooks_costs(daemon->hooks, ret_costs->programs,
					  kw_array_size(ret_costs->programs));
}

json_t *kw_status_costs_json(const struct kw_status_costs *costs)
{
	const char *statistics = "unknown";
	json_t *programs = costs->count < 0 ? json_null() : json_array();

	if (costs->counting >= 0)
		statistics = costs->counting ? "on" : "off";
	for (int i = 0; i < costs->count; i++) {
		const struct kw_hook_cost *cost = &costs->programs[i];

		(void)json_array_append_new(programs,
					    json_pack("{s:s, s:o, s:o}", "program", cost->program,
						      "runs", number(cost->run_count), "runTimeNs",
						      number(cost->run_time_ns)));
	}
	return json_pack("{s:s, s:o}", "statistics", statistics, "programs", programs);
}

static json_t *costs(const struct kw_daemon *daemon)
{
	struct kw_status_costs costs;

	kw_status_read_costs(daemon, &costs);
	return kw_status_costs_json(&costs);
}

static json_t *events(const struct kw_daemon *daemon)
{
	json_t *object = json_object();

	for (int i = 0; i < KW_FINDING_KIND_COUNT_; i++) {
		uint64_t last, count = kw_tally_count(daemon->pipeline.tally,
						      (enum kw_finding_kind)i, &last);

		(void)json_object_set_new(
			object, kw_tally_kind_name((enum kw_finding_kind)i),
			json_pack("{s:o, s:o}", "count", number(count), "last", time_text(last)));
	}
	return object;
}

json_t *kw_status_clock_json(const struct kw_clockwatch *watch, const struct kw_clock_sync *sync)
{
	enum kw_clock_state state = sync ? sync->state : KW_CLOCK_UNKNOWN;

	return json_pack("{s:s, s:o, s:o, s:o}", "state", kw_clock_state_name(state),
			 "maxErrorUsec",
			 state == KW_CLOCK_UNKNOWN ? json_null() : number(sync->max_error_usec),
			 "steps", number(watch->steps.count), "suspends", number(watch->suspends));
}

static json_t *make(const struct kw_daemon *daemon)
{
	const struct kw_pipeline *pipeline = &daemon->pipeline;
	const struct kw_totals *totals = &pipeline->totals;
	const char *trouble = kw_status_trouble(daemon);
	struct kw_clock_sync sync;

	return json_pack(
		"{s:s, s:o, s:b, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:{s:s, s:o, s:o, s:o}, s:{s:o, s:o, s:o, s:o, s:o}}",
		"version", KW_VERSION, "started", time_text(daemon->start_real_ns), "working",
		trouble == NULL, "trouble", trouble ? json_string(trouble) : json_null(), "tier",
		kw_tier_name(kw_hooks_tier(daemon->hooks)), "clock",
		kw_status_clock_json(&pipeline->clockwatch,
				     kw_pipeline_clock_sync(pipeline, &sync)),
		"hooks", hooks(daemon), "cost", costs(daemon), "events", events(daemon), "cells",
		number(kw_cells_count(pipeline->cells)), "ledger", "path", pipeline->ledger_path,
		"sequence", number(kw_attest_head(pipeline->attest).sequence), "durableSequence",
		number(kw_ledger_durable(pipeline->ledger)), "firstOfThisRun",
		number(pipeline->first_sequence), "account", "kills", number(totals->kills),
		"explained", number(totals->explained), "unexplained", number(totals->unexplained),
		"unverified", number(totals->unverified), "lost", number(totals->lost));
}

int kw_status_write(const struct kw_daemon *daemon, struct kw_bytes *out)
{
	cleanup_json json_t *object = make(daemon);
	cleanup_free char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;

	if (!text)
		return -ENOMEM;
	kw_bytes_append_string(out, text);
	kw_bytes_append_char(out, '\n');
	return kw_bytes_error(out);
}
