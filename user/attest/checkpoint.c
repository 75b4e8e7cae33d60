/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * checkpoint: one signed statement about all lines so far, as a C2SP signed note (c2sp.org/signed-note,
 * c2sp.org/tlog-checkpoint) inside an event. The note stands alone: whoever keeps one elsewhere can
 * prove later that lines were cut off or replaced, and tools for transparency logs read it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/attest/attest.h"
#include "user/attest/digest.h"
#include "user/attest/event.h"

#define SIGNATURE_TYPE_ED25519 0x01
#define KEY_ID_BYTES 4
#define ROOT_TEXT_BYTES                                                                            \
	sodium_base64_ENCODED_LEN(KW_TREE_HASH_BYTES, sodium_base64_VARIANT_ORIGINAL)
#define SIGNATURE_TEXT_BYTES                                                                       \
	sodium_base64_ENCODED_LEN(KEY_ID_BYTES + crypto_sign_BYTES, sodium_base64_VARIANT_ORIGINAL)

const char *kw_checkpoint_reason_name(enum kw_checkpoint_reason reason)
{
	static const char *const names[KW_CHECKPOINT_REASON_COUNT_] = {
		[KW_CHECKPOINT_INTERVAL] = "interval",
		[KW_CHECKPOINT_HEARTBEAT] = "heartbeat",
		[KW_CHECKPOINT_STOP] = "stop",
		[KW_CHECKPOINT_EVENTS] = "events",
	};

	return (unsigned int)reason < KW_CHECKPOINT_REASON_COUNT_ ? names[reason] : NULL;
}

int kw_checkpoint_origin(const char *source, const struct kw_attest_tree *tree,
			 char ret_origin[static KW_ORIGIN_MAX])
{
	char hex[17];
	int length;

	if (tree->tree.size == 0)
		return -ENODATA;
	/* It is the key's name as well, which has no blank and no '+'. */
	for (const char *at = source; *at; at++) {
		if (*at <= ' ' || *at > '~' || *at == '+')
			return -EINVAL;
	}
	sodium_bin2hex(hex, sizeof(hex), tree->first, 8);
	length = snprintf(ret_origin, KW_ORIGIN_MAX, "%s/%s", source + (source[0] == '/'), hex);
	return length < 0 || length >= KW_ORIGIN_MAX ? -EMSGSIZE : 0;
}

/* c2sp.org/signed-note: SHA-256(name || 0x0A || type || public key)[:4]. */
static void make_key_id(const char *name, const unsigned char *public_key,
			unsigned char ret_id[static KEY_ID_BYTES])
{
	static const unsigned char infix[] = { '\n', SIGNATURE_TYPE_ED25519 };
	const struct kw_tree_piece pieces[] = {
		{ name, strlen(name) },
		{ infix, sizeof(infix) },
		{ public_key, crypto_sign_PUBLICKEYBYTES },
	};
	unsigned char digest[KW_DIGEST_BYTES];

	kw_digest_pieces(pieces, 3, digest);
	memcpy(ret_id, digest, KEY_ID_BYTES);
}

int kw_checkpoint_note(const struct kw_key *key, const char *origin, const struct kw_tree *tree,
		       struct kw_bytes *out)
{
	unsigned char root[KW_TREE_HASH_BYTES], signature[KEY_ID_BYTES + crypto_sign_BYTES];
	char root_text[ROOT_TEXT_BYTES], signature_text[SIGNATURE_TEXT_BYTES];
	size_t begin = out->length;
	int r;

	kw_tree_root(tree, root);
	sodium_bin2base64(root_text, sizeof(root_text), root, sizeof(root),
			  sodium_base64_VARIANT_ORIGINAL);
	kw_bytes_append_format(out, "%s\n%" PRIu64 "\n%s\n", origin, tree->size, root_text);
	if (kw_bytes_error(out) < 0)
		return kw_bytes_error(out);
	make_key_id(origin, kw_key_public(key), signature);
	r = kw_key_sign(key, out->data + begin, out->length - begin, signature + KEY_ID_BYTES);
	if (r < 0)
		return r;
	sodium_bin2base64(signature_text, sizeof(signature_text), signature, sizeof(signature),
			  sodium_base64_VARIANT_ORIGINAL);
	kw_bytes_append_format(out, "\n\u2014 %s %s\n", origin, signature_text);
	return kw_bytes_error(out);
}

static void member_totals(struct kw_json *json, const struct kw_totals *totals)
{
	kw_json_key(json, "totals");
	kw_json_object(json);
	kw_json_member_u64(json, "explained", totals->explained);
	kw_json_member_u64(json, "gaps", totals->gaps);
	kw_json_member_u64(json, "guest", totals->guest);
	kw_json_member_u64(json, "incidents", totals->incidents);
	kw_json_member_u64(json, "kills", totals->kills);
	kw_json_member_u64(json, "lost", totals->lost);
	kw_json_member_u64(json, "unexplained", totals->unexplained);
	kw_json_member_u64(json, "unverified", totals->unverified);
	kw_json_end_object(json);
}

static void write_data(const struct kw_checkpoint *checkpoint, const char *origin, const char *note,
		       const struct kw_clock *clock, struct kw_json *json)
{
	unsigned char root[KW_TREE_HASH_BYTES];
	char root_text[ROOT_TEXT_BYTES], now[KW_RFC3339_BYTES];

	kw_tree_root(&checkpoint->tree->tree, root);
	sodium_bin2base64(root_text, sizeof(root_text), root, sizeof(root),
			  sodium_base64_VARIANT_ORIGINAL);
	kw_clock_format(kw_clock_real_ns(clock), now);
	kw_json_object(json);
	kw_json_member_u64(json, "bootNs", kw_clock_boot_ns(clock));
	if (checkpoint->clock) {
		kw_json_key(json, "clock");
		kw_json_object(json);
		kw_event_members_sync(json, checkpoint->clock);
		kw_json_end_object(json);
	}
	kw_json_member_string(json, "hostReceivedAt", now);
	kw_json_member_string(json, "note", note);
	kw_json_key(json, "openLosses");
	if (checkpoint->open_losses_known)
		kw_json_u64(json, checkpoint->open_losses);
	else
		kw_json_null(json);
	kw_json_member_string(json, "origin", origin);
	if (checkpoint->parity)
		kw_event_member_parity(json, "parity", checkpoint->parity);
	kw_json_member_string(json, "probeSource", "host.kwitness");
	kw_json_member_string(json, "reason", kw_checkpoint_reason_name(checkpoint->reason));
	kw_json_member_string(json, "root", root_text);
	kw_json_member_u64(json, "size", checkpoint->tree->tree.size);
	kw_json_member_string(json, "tier", checkpoint->tier);
	member_totals(json, &checkpoint->totals);
	kw_json_end_object(json);
}

int kw_event_checkpoint(const struct kw_checkpoint *checkpoint, const struct kw_key *key,
			const char *source, const struct kw_clock *clock, struct kw_event *event)
{
	cleanup_bytes struct kw_bytes note;
	char origin[KW_ORIGIN_MAX];
	struct kw_json json;
	int r;

	kw_bytes_init(&note, KW_NOTE_MAX);
	r = kw_checkpoint_origin(source, checkpoint->tree, origin);
	if (r == 0)
		r = kw_checkpoint_note(key, origin, &checkpoint->tree->tree, &note);
	if (r < 0)
		return r;
	kw_bytes_clear(&event->subject);
	kw_bytes_clear(&event->data);
	event->time_real_ns = kw_clock_real_ns(clock);
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_CHECKPOINT);
	kw_json_begin(&json, &event->data);
	write_data(checkpoint, origin, note.data, clock, &json);
	return kw_json_end(&json);
}
