/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A guest's frame, stamped by the host: who it is comes from the channel, never from the bytes. The
 * gate has checked the five fields; they are checked again here, because a gate that was taken over
 * must not get a byte into a signed line that is not of its field's kind.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/attest/event.h"

/* Type suffix: probe_source with '.' as '_'. -EINVAL when it is none. */
static int make_type(const struct kw_gate_message *frame, struct kw_event *event)
{
	size_t at = strlen(KW_TYPE_GUEST_PREFIX);

	if (!kw_gate_probe_is_valid(frame->probe_source, frame->probe_bytes))
		return -EINVAL;
	memcpy(event->type, KW_TYPE_GUEST_PREFIX, at);
	for (size_t i = 0; i < frame->probe_bytes; i++) {
		char c = frame->probe_source[i];

		event->type[at++] = c == '.' ? '_' : c;
	}
	event->type[at] = '\0';
	return 0;
}
_Static_assert(sizeof(KW_TYPE_GUEST_PREFIX) + KW_PROBE_SOURCE_MAX <= KW_TYPE_MAX, "type fits");

static void member_channel(struct kw_json *json, const struct kw_gate_message *frame)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "cid:%" PRIu32, frame->peer_cid);
	kw_json_member_string(json, "channel", frame->peer_cid ? text : "uds");
}

/* The guest's own map stays an object of its own, whatever its keys are called. */
static int member_claim(struct kw_json *json, const struct kw_gate_message *frame)
{
	if (!(frame->has & KW_CLAIM_HAS_CLAIM))
		return 0;
	if (frame->claim_count > KW_CLAIM_PAIRS_MAX)
		return -EINVAL;
	kw_json_key(json, "claim");
	kw_json_object(json);
	for (size_t i = 0; i < frame->claim_count; i++) {
		const struct kw_claim_pair *pair = &frame->claim[i];
		char key[KW_CLAIM_KEY_MAX + 1] = { 0 };

		if (!kw_gate_key_is_valid(pair->key, pair->key_bytes) ||
		    pair->text_bytes > sizeof(pair->text))
			return -EINVAL;
		memcpy(key, pair->key, pair->key_bytes);
		kw_json_key(json, key);
		if (pair->is_text)
			kw_json_foreign(json, pair->text, pair->text_bytes);
		else
			kw_json_id(json, pair->number);
	}
	kw_json_end_object(json);
	return 0;
}

static void member_number(struct kw_json *json, const struct kw_gate_message *frame,
			  enum kw_claim_has has, const char *key, uint64_t value)
{
	if (!(frame->has & (uint32_t)has))
		return;
	kw_json_key(json, key);
	kw_json_id(json, value);
}

/* How the guest's clock lies to the host's: guestMonotonicNs + offsetNs is a time of ours. */
static void member_clock(struct kw_json *json, const struct kw_guestclock_estimate *clock)
{
	if (!clock)
		return;
	kw_json_key(json, "guestClock");
	kw_json_object(json);
	kw_json_member_u64(json, "delayNs", clock->delay_ns);
	kw_json_member_u64(json, "errorNs", clock->error_ns);
	kw_json_member_i64(json, "offsetNs", clock->offset_ns);
	kw_json_end_object(json);
}

int kw_event_guest(const struct kw_finding *finding, const struct kw_clock *clock,
		   struct kw_event *event)
{
	const struct kw_attributed *whose = finding->attributed;
	const struct kw_cell *cell = kw_event_cell(finding);
	const struct kw_gate_message *frame;
	char monotonic[24];
	struct kw_json json;
	int r;

	if (!whose || !whose->observation || whose->observation->kind != KW_OBSERVATION_GUEST ||
	    !cell)
		return -EINVAL;
	frame = whose->observation->guest;
	if (frame->kind != KW_GATE_FRAME || frame->comm_bytes > KW_GUEST_COMM_MAX ||
	    frame->boot_id_bytes > KW_BOOT_ID_MAX)
		return -EINVAL;
	r = make_type(frame, event);
	if (r < 0)
		return r;
	kw_event_subject(event, cell, NULL);

	(void)snprintf(monotonic, sizeof(monotonic), "%" PRIu64, frame->guest_monotonic_ns);
	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_string(&json, "cellId", cell->cell_id);
	member_channel(&json, frame);
	r = member_claim(&json, frame);
	if (r < 0)
		return r;
	kw_json_member_u64(&json, "contentVersion", frame->content_version);
	member_number(&json, frame, KW_CLAIM_HAS_DROPPED, "dropped", frame->dropped);
	if (frame->boot_id_bytes) {
		kw_json_key(&json, "guestBootId");
		kw_json_foreign(&json, frame->boot_id, frame->boot_id_bytes);
	}
	member_clock(&json, finding->guest_clock);
	if (frame->comm_bytes) {
		kw_json_key(&json, "guestComm");
		kw_json_foreign(&json, frame->comm, frame->comm_bytes);
	}
	kw_json_member_string(&json, "guestMonotonicNs", monotonic);
	kw_json_member_u64(&json, "guestPid", frame->guest_pid);
	kw_event_member_received(&json, finding, clock);
	kw_json_key(&json, "probeSource");
	kw_json_foreign(&json, frame->probe_source, frame->probe_bytes);
	kw_json_member_string(&json, "runId", cell->run_id);
	member_number(&json, frame, KW_CLAIM_HAS_SEQ, "seq", frame->seq);
	kw_json_member_string(&json, "specSignatureHash", cell->spec_signature_hash);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
