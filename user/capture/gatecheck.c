/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The table of messages that the gate may send; pure. Whoever takes over the gate can say anything on
 * the link, so each field is checked again here, by the daemon: kind, handle, counts, alphabets, times,
 * and that whatever a kind does not use is zero (include/kwitness/gate.h).
 */
#include "user/capture/gatecheck.h"

#include <stddef.h>
#include <string.h>

#include "user/base/clock.h"

/* What a message of each kind may carry; what it may not is zero. */
static const struct {
	bool is_allowed;
	bool has_handle;
	bool needs_connection; /* REFUSED has none where no connection came about */
	bool may_connection;
	bool may_reason;
	bool needs_reason;
	bool has_count;
	bool has_claim;
	bool has_time;
	bool may_cid;
} allowed[KW_GATE_KIND_COUNT_] = {
	[KW_GATE_READY] = { .is_allowed = true },
	[KW_GATE_FRAME] = { .is_allowed = true,
			    .has_handle = true,
			    .needs_connection = true,
			    .may_connection = true,
			    .has_claim = true,
			    .has_time = true,
			    .may_cid = true },
	[KW_GATE_REFUSED] = { .is_allowed = true,
			      .has_handle = true,
			      .may_connection = true,
			      .may_reason = true,
			      .needs_reason = true,
			      .has_count = true,
			      .has_time = true,
			      .may_cid = true },
	[KW_GATE_OPENED] = { .is_allowed = true,
			     .has_handle = true,
			     .needs_connection = true,
			     .may_connection = true,
			     .has_time = true,
			     .may_cid = true },
	[KW_GATE_CLOSED] = { .is_allowed = true,
			     .has_handle = true,
			     .needs_connection = true,
			     .may_connection = true,
			     .may_reason = true,
			     .has_time = true,
			     .may_cid = true },
};

static bool is_zero(const void *data, size_t length)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < length; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

static bool is_pair_valid(const struct kw_claim_pair *pair)
{
	if (pair->is_text > 1 || !is_zero(pair->pad, sizeof(pair->pad)) ||
	    !kw_gate_key_is_valid(pair->key, pair->key_bytes) ||
	    !is_zero(pair->key + pair->key_bytes, sizeof(pair->key) - pair->key_bytes))
		return false;
	if (!pair->is_text)
		return pair->text_bytes == 0 && is_zero(pair->text, sizeof(pair->text));
	return pair->number == 0 && kw_gate_claim_text_is_valid(pair->text, pair->text_bytes) &&
	       is_zero(pair->text + pair->text_bytes, sizeof(pair->text) - pair->text_bytes);
}

/* Unused bytes are zero and no key has a NUL in it, so keys compare as arrays. */
static bool is_pair_after(const struct kw_claim_pair *pair, const struct kw_claim_pair *previous)
{
	return memcmp(previous->key, pair->key, sizeof(pair->key)) < 0;
}

/* What minor version 0x0101 adds; nothing of it in a frame of 0x0100. */
static bool is_minor_valid(const struct kw_gate_message *message)
{
	uint32_t has = message->has;
	size_t used = message->claim_count;

	if ((has & ~(uint32_t)KW_CLAIM_HAS_ALL_) ||
	    (has != 0 && message->content_version < KW_CONTENT_VERSION_CLAIMS) ||
	    !is_zero(message->pad_minor, sizeof(message->pad_minor)))
		return false;
	if ((message->seq != 0 && !(has & KW_CLAIM_HAS_SEQ)) ||
	    (message->dropped != 0 && !(has & KW_CLAIM_HAS_DROPPED)) ||
	    (message->boot_id_bytes != 0 && !(has & KW_CLAIM_HAS_BOOT_ID)) ||
	    (used != 0 && !(has & KW_CLAIM_HAS_CLAIM)))
		return false;
	if (!kw_gate_boot_id_is_valid(message->boot_id, message->boot_id_bytes) ||
	    !is_zero(message->boot_id + message->boot_id_bytes,
		     sizeof(message->boot_id) - message->boot_id_bytes))
		return false;
	if (used > KW_CLAIM_PAIRS_MAX)
		return false;
	for (size_t i = 0; i < used; i++)
		if (!is_pair_valid(&message->claim[i]) ||
		    (i > 0 && !is_pair_after(&message->claim[i], &message->claim[i - 1])))
			return false;
	return is_zero(&message->claim[used],
		       (KW_CLAIM_PAIRS_MAX - used) * sizeof(message->claim[0]));
}

static bool is_claim_valid(const struct kw_gate_message *message)
{
	return message->content_version >> 8 == 1 &&
	       kw_gate_probe_is_valid(message->probe_source, message->probe_bytes) &&
	       is_zero(message->probe_source + message->probe_bytes,
		       sizeof(message->probe_source) - message->probe_bytes) &&
	       kw_gate_comm_is_valid(message->comm, message->comm_bytes) &&
	       is_zero(message->comm + message->comm_bytes,
		       sizeof(message->comm) - message->comm_bytes) &&
	       is_minor_valid(message);
}

static bool is_claim_empty(const struct kw_gate_message *message)
{
	return message->guest_monotonic_ns == 0 && message->guest_pid == 0 &&
	       message->content_version == 0 && message->comm_bytes == 0 &&
	       message->probe_bytes == 0 &&
	       is_zero(message->probe_source, sizeof(message->probe_source)) &&
	       is_zero(message->comm, sizeof(message->comm)) && message->has == 0 &&
	       is_minor_valid(message);
}

/* A gate stamps after the link was last empty, less what it may have held back, and before now. */
static bool is_time_valid(const struct kw_gatecheck *check, uint64_t boot_ns, uint64_t now_boot_ns)
{
	return boot_ns <= now_boot_ns &&
	       boot_ns + KW_GATE_MESSAGE_AGE_MS * KW_NSEC_PER_MSEC >= check->drained_boot_ns;
}

/* The AF_VSOCK listener has a handle of its own, once there is one, and only refuses; whose guest a
 * connection is said to be is checked against the registered CIDs by whoever has them. */
static bool is_handle_known(const struct kw_gatecheck *check, const struct kw_gate_message *message)
{
	if (message->handle == KW_GATE_HANDLE_VSOCK)
		return check->has_vsock && message->kind == KW_GATE_REFUSED &&
		       message->connection == 0 &&
		       (message->reason != KW_GATE_UNKNOWN_CID || message->peer_cid != 0);
	return message->handle <= check->highest_handle && message->reason != KW_GATE_UNKNOWN_CID;
}

bool kw_gatecheck_is_valid(const struct kw_gatecheck *check, const struct kw_gate_message *message,
			   uint64_t now_boot_ns)
{
	uint32_t kind = message->kind;

	if (message->version != KW_GATE_VERSION || message->size != sizeof(*message) ||
	    kind >= KW_GATE_KIND_COUNT_ || !allowed[kind].is_allowed ||
	    !is_zero(message->pad, sizeof(message->pad)))
		return false;
	/* READY is the first, and the only one. */
	if ((kind == KW_GATE_READY) == check->is_ready)
		return false;
	if ((message->handle != 0) != allowed[kind].has_handle ||
	    !is_handle_known(check, message) || (message->peer_cid != 0 && !allowed[kind].may_cid))
		return false;
	/* A refusal is the cell's, whichever way it came; only what no cell has is named by CID. */
	if (kind == KW_GATE_REFUSED && message->peer_cid != 0 &&
	    message->reason != KW_GATE_UNKNOWN_CID)
		return false;
	if (message->connection == 0 ? allowed[kind].needs_connection
				     : !allowed[kind].may_connection)
		return false;
	if (message->reason >= KW_GATE_REASON_COUNT_ ||
	    (message->reason == 0 ? allowed[kind].needs_reason : !allowed[kind].may_reason))
		return false;
	if ((message->count != 0) != allowed[kind].has_count)
		return false;
	if (allowed[kind].has_time ? !is_time_valid(check, message->received_boot_ns, now_boot_ns)
				   : message->received_boot_ns != 0)
		return false;
	return allowed[kind].has_claim ? is_claim_valid(message) : is_claim_empty(message);
}
