/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * gap: what was, or may have been, missed. `lost` is a number only where it is exact; null says that
 * nobody can know.
 */
#include <errno.h>
#include <stdio.h>

#include "user/attest/event.h"

static void member_hash(struct kw_json *json, const char *key, const unsigned char *hash)
{
	char text[sodium_base64_ENCODED_LEN(KW_TREE_HASH_BYTES, sodium_base64_VARIANT_ORIGINAL)];

	sodium_bin2base64(text, sizeof(text), hash, KW_TREE_HASH_BYTES,
			  sodium_base64_VARIANT_ORIGINAL);
	if (key)
		kw_json_key(json, key);
	kw_json_string(json, text);
}

/* Everything that a verifier of the rest needs to go on from: the tree's row of perfect subtrees, the largest
 * first, the hash that the first line that is left is chained to, and the one that names the ledger. */
static void member_removed(struct kw_json *json, const struct kw_gap_removed *removed)
{
	unsigned char root[KW_TREE_HASH_BYTES];

	kw_tree_root(removed->tree, root);
	kw_json_key(json, "removed");
	kw_json_object(json);
	kw_json_member_u64(json, "count", removed->last - removed->first + 1);
	member_hash(json, "firstHash", removed->first_hash);
	kw_json_member_u64(json, "firstSequence", removed->first);
	member_hash(json, "lastHash", removed->last_hash);
	kw_json_member_u64(json, "lastSequence", removed->last);
	kw_json_key(json, "peaks");
	kw_json_array(json);
	for (unsigned int i = KW_TREE_LEVELS; i-- > 0;) {
		if (removed->tree->size >> i & 1)
			member_hash(json, NULL, removed->tree->peaks[i]);
	}
	kw_json_end_array(json);
	kw_json_member_string(json, "reader", removed->unread ? removed->reader : NULL);
	member_hash(json, "root", root);
	kw_json_member_nonzero(json, "unread", removed->unread);
	kw_json_end_object(json);
}

static void member_time(struct kw_json *json, const char *key, uint64_t real_ns)
{
	char text[KW_RFC3339_BYTES];

	kw_clock_format(real_ns, text);
	kw_json_member_string(json, key, text);
}

void kw_event_members_sync(struct kw_json *json, const struct kw_clock_sync *sync)
{
	if (sync->state != KW_CLOCK_UNKNOWN)
		kw_json_member_u64(json, "maxErrorUsec", sync->max_error_usec);
	kw_json_member_string(json, "state", kw_clock_state_name(sync->state));
}

static void member_clock(struct kw_json *json, const struct kw_gap_clock *clock)
{
	kw_json_key(json, "clock");
	kw_json_object(json);
	if (clock->step_ns) {
		member_time(json, "after", clock->after_real_ns);
		member_time(json, "before", clock->before_real_ns);
	}
	kw_json_member_nonzero(json, "errorNs", clock->error_ns);
	kw_event_members_sync(json, &clock->sync);
	if (clock->step_ns)
		kw_json_member_i64(json, "stepNs", clock->step_ns);
	kw_json_member_nonzero(json, "suspendedNs", clock->suspended_ns);
	kw_json_end_object(json);
}

int kw_event_gap(const struct kw_finding *finding, const struct kw_clock *clock,
		 struct kw_event *event)
{
	const struct kw_gap *gap = finding->gap;
	const struct kw_cell *cell = kw_event_cell(finding);
	struct kw_json json;

	if (!gap)
		return -EINVAL;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_GAP);
	kw_event_subject(event, cell, NULL);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_string(&json, "bootId", gap->boot_id);
	kw_json_member_u64(&json, "bootNs", finding->boot_ns);
	kw_json_member_string(&json, "cellId", cell ? cell->cell_id : NULL);
	if (gap->kind == KW_GAP_LOST && finding->attributed)
		kw_event_member_cgroup(&json, "cgroup", &finding->attributed->victim);
	if (gap->clock)
		member_clock(&json, gap->clock);
	kw_json_member_nonzero(&json, "from", gap->from_boot_ns);
	kw_event_member_received(&json, finding, clock);
	kw_json_member_string(&json, "kind", kw_gap_kind_name(gap->kind));
	kw_json_key(&json, "lost");
	if (gap->lost_known)
		kw_json_u64(&json, gap->lost);
	else
		kw_json_null(&json);
	kw_json_member_string(&json, "probeSource", "host.kwitness");
	kw_json_member_string(&json, "reason", gap->reason);
	if (gap->removed)
		member_removed(&json, gap->removed);
	kw_json_member_string(&json, "runId", cell ? cell->run_id : NULL);
	kw_json_member_string(&json, "specSignatureHash", cell ? cell->spec_signature_hash : NULL);
	kw_json_member_string(&json, "stage", gap->stage);
	kw_json_member_nonzero(&json, "to", gap->to_boot_ns);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
