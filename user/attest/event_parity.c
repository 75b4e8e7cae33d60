/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters against events: verdicts, the account that the next daemon goes on from, and kills that a
 * counter alone has seen. Whatever the account says of a cgroup is in the ledger twice over time, compact
 * in account events and with names and event ids in verdicts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/attest/event.h"

#define PROBE_SOURCE "host.cgroup"

/* Counters in the order of their names, as canonical JSON wants members. */
static const unsigned int by_name[] = {
	KW_COUNTER_CPU_THROTTLED,
	KW_COUNTER_CPU_THROTTLED_USEC,
	KW_COUNTER_MEMORY_HIGH,
	KW_COUNTER_MEMORY_HIGH_LOCAL,
	KW_COUNTER_MEMORY_MAX,
	KW_COUNTER_MEMORY_MAX_LOCAL,
	KW_COUNTER_OOM,
	KW_COUNTER_OOM_GROUP_KILL,
	KW_COUNTER_OOM_GROUP_KILL_LOCAL,
	KW_COUNTER_OOM_KILL,
	KW_COUNTER_OOM_KILL_LOCAL,
	KW_COUNTER_OOM_LOCAL,
	KW_COUNTER_PIDS_MAX,
	KW_COUNTER_PIDS_MAX_LOCAL,
};

int kw_event_counter_kill(const struct kw_finding *finding, const struct kw_clock *clock,
			  struct kw_event *event)
{
	const struct kw_counter_kill *kill = finding->counter_kill;
	struct kw_json json;

	if (!kill)
		return -EINVAL;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_OOM_KILL);
	kw_event_subject(event, NULL, &kill->cgroup);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	if (kill->below)
		kw_json_member_bool(&json, "below", true);
	kw_json_member_u64(&json, "bootNs", finding->boot_ns);
	kw_json_member_u64(&json, "counterValue", kill->value);
	kw_json_member_u64(&json, "duplicatesAtMost", kill->duplicates_at_most);
	kw_json_member_nonzero(&json, "from", kill->from_boot_ns);
	kw_event_member_received(&json, finding, clock);
	kw_json_member_u64(&json, "kills", kill->kills);
	kw_json_member_string(&json, "probeSource", PROBE_SOURCE);
	kw_json_member_string(&json, "provenance", "counter");
	kw_json_member_u64(&json, "to", kill->to_boot_ns);
	kw_json_key(&json, "victim");
	kw_json_object(&json);
	kw_event_member_cgroup(&json, "cgroup", &kill->cgroup);
	kw_json_end_object(&json);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}

static void write_item(struct kw_json *json, const struct kw_parity_item *item)
{
	const struct kw_parity_account *account = &item->account;

	kw_json_object(json);
	kw_json_member_u64(json, "after", account->kernel);
	kw_json_member_i64(json, "arithmetic", account->arithmetic);
	/* Below zero where the kernel began to count anew. */
	kw_json_member_i64(json, "base", (int64_t)account->base);
	kw_json_member_u64(json, "before", item->before);
	kw_json_member_u64(json, "byCounter", account->by_counter);
	kw_json_member_string(json, "counter", kw_parity_counter_name(item->counter));
	kw_json_key(json, "eventIds");
	kw_json_array(json);
	for (uint32_t i = 0; i < item->event_count; i++)
		kw_json_string(json, item->event_ids[i]);
	kw_json_end_array(json);
	kw_json_member_nonzero(json, "eventsOmitted", item->events_omitted);
	kw_json_member_u64(json, "explained", account->explained);
	kw_json_member_nonzero(json, "possible", account->possible);
	kw_json_member_i64(json, "unexplained", account->unexplained);
	kw_json_member_string(json, "verdict", kw_parity_verdict_name(item->verdict));
	kw_json_end_object(json);
}

int kw_event_parity(const struct kw_finding *finding, const struct kw_clock *clock,
		    struct kw_event *event)
{
	const struct kw_parity *parity = finding->parity;
	struct kw_json json;

	if (!parity)
		return -EINVAL;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_PARITY);
	kw_event_subject(event, NULL, &parity->cgroup);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_u64(&json, "bootNs", finding->boot_ns);
	kw_event_member_cgroup(&json, "cgroup", &parity->cgroup);
	kw_json_key(&json, "counters");
	kw_json_array(&json);
	for (uint32_t i = 0; i < parity->item_count; i++)
		write_item(&json, &parity->items[i]);
	kw_json_end_array(&json);
	kw_json_member_nonzero(&json, "from", parity->from_boot_ns);
	if (parity->gone)
		kw_json_member_bool(&json, "gone", true);
	kw_event_member_received(&json, finding, clock);
	kw_json_member_string(&json, "probeSource", PROBE_SOURCE);
	kw_json_member_u64(&json, "to", parity->to_boot_ns);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}

static void write_row(struct kw_json *json, const struct kw_parity_row *row)
{
	kw_json_object(json);
	kw_json_key(json, "counters");
	kw_json_object(json);
	for (size_t i = 0; i < kw_array_size(by_name); i++) {
		const struct kw_parity_account *account = &row->accounts[by_name[i]];

		if (!(row->mask & (1U << by_name[i])))
			continue;
		kw_json_key(json, kw_parity_counter_name(by_name[i]));
		kw_json_array(json);
		if (row->known & (1U << by_name[i]))
			kw_json_u64(json, account->kernel);
		else
			kw_json_null(json); /* events name the cgroup, nobody has read it */
		kw_json_i64(json, (int64_t)account->base);
		kw_json_u64(json, account->explained);
		kw_json_i64(json, account->arithmetic);
		kw_json_u64(json, account->by_counter);
		kw_json_i64(json, account->unexplained);
		kw_json_u64(json, account->possible);
		kw_json_end_array(json);
	}
	kw_json_end_object(json);
	if (row->gone)
		kw_json_member_bool(json, "gone", true);
	kw_json_key(json, "id");
	kw_json_id(json, row->id);
	kw_json_member_foreign(json, "path", row->path, strlen(row->path));
	if (row->throttled)
		kw_json_member_bool(json, "throttled", true);
	kw_json_member_nonzero(json, "toleranceUsec", row->tolerance_usec);
	kw_json_end_object(json);
}

void kw_event_member_parity(struct kw_json *json, const char *key,
			    const struct kw_parity_totals *totals)
{
	static const enum kw_parity_verdict verdicts[] = {
		KW_PARITY_AGREE,  KW_PARITY_EXTRA,     KW_PARITY_LATE,
		KW_PARITY_MISSED, KW_PARITY_REGRESSED,
	};

	kw_json_key(json, key);
	kw_json_object(json);
	kw_json_member_u64(json, "cgroups", totals->cgroups);
	kw_json_member_u64(json, "faults", totals->faults);
	kw_json_member_nonzero(json, "notFollowed", totals->not_followed);
	kw_json_key(json, "oomKill");
	kw_json_object(json);
	kw_json_member_u64(json, "byCounter", totals->by_counter);
	kw_json_member_u64(json, "byHook", totals->by_hook);
	kw_json_member_i64(json, "duplicates", totals->duplicates);
	kw_json_member_u64(json, "kernel", totals->kernel);
	kw_json_member_i64(json, "pending", totals->pending);
	kw_json_member_i64(json, "unexplained", totals->unexplained);
	kw_json_end_object(json);
	kw_json_key(json, "verdicts");
	kw_json_object(json);
	for (size_t i = 0; i < kw_array_size(verdicts); i++)
		kw_json_member_u64(json, kw_parity_verdict_name(verdicts[i]),
				   totals->verdicts[verdicts[i]]);
	kw_json_end_object(json);
	kw_json_end_object(json);
}

int kw_event_account(const struct kw_finding *finding, const struct kw_clock *clock,
		     struct kw_event *event)
{
	const struct kw_account_part *part = finding->account;
	struct kw_json json;

	if (!part)
		return -EINVAL;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_ACCOUNT);
	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_u64(&json, "bootNs", finding->boot_ns);
	kw_json_key(&json, "cgroups");
	kw_json_array(&json);
	for (uint32_t i = 0; i < part->row_count; i++)
		write_row(&json, &part->rows[i]);
	kw_json_end_array(&json);
	kw_json_member_bool(&json, "complete", part->complete);
	kw_json_member_bool(&json, "full", part->full);
	kw_event_member_received(&json, finding, clock);
	kw_json_member_bool(&json, "last", part->last);
	if (part->memory_localevents)
		kw_json_member_bool(&json, "memoryLocalevents", true);
	kw_json_member_nonzero(&json, "omitted", part->omitted);
	kw_event_member_parity(&json, "parity", &part->totals);
	kw_json_member_u64(&json, "part", part->part);
	kw_json_member_string(&json, "probeSource", "host.kwitness");
	if (part->is_reboot)
		kw_json_member_bool(&json, "reboot", true);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
