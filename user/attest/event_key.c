/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * key: another key signs from the next line on. The line is signed by the key that goes, as every line; the
 * key that comes signs a statement inside it, bound to this ledger and this place, so that nobody can put
 * forward a key he does not hold, nor use the statement elsewhere. Format: docs/ledger.md, "Keys".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/attest/event.h"

#define STATEMENT_TITLE "kwitness-key-v1\n"
#define KEY_TEXT_BYTES sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_URLSAFE_NO_PADDING)
#define SIGNATURE_TEXT_BYTES                                                                       \
	sodium_base64_ENCODED_LEN(crypto_sign_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)

const char *kw_rotation_reason_name(enum kw_rotation_reason reason)
{
	static const char *const names[KW_ROTATION_REASON_COUNT_] = {
		[KW_ROTATION_WANTED] = "wanted",
		[KW_ROTATION_EPOCH] = "epoch",
	};

	return (unsigned int)reason < KW_ROTATION_REASON_COUNT_ ? names[reason] : NULL;
}

static void encode(const unsigned char *bytes, size_t length, char *ret_text, size_t size)
{
	sodium_bin2base64(ret_text, size, bytes, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static int sign_statement(const struct kw_rotation *rotation, const char *key,
			  unsigned char ret_signature[static crypto_sign_BYTES])
{
	cleanup_bytes struct kw_bytes text;
	char hash[KEY_TEXT_BYTES];

	kw_bytes_init(&text, 4096);
	encode(rotation->head->hash, sizeof(rotation->head->hash), hash, sizeof(hash));
	kw_bytes_append_format(&text, STATEMENT_TITLE "%s\n%020" PRIu64 "\n%s\n%s\n%s\n%s\n",
			       rotation->source, rotation->head->sequence + 1, hash,
			       kw_key_id(rotation->previous), kw_key_id(rotation->next), key);
	if (kw_bytes_error(&text) < 0)
		return kw_bytes_error(&text);
	return kw_key_sign(rotation->next, text.data, text.length, ret_signature);
}

int kw_event_key(const struct kw_rotation *rotation, const struct kw_clock *clock,
		 struct kw_event *event)
{
	unsigned char signature[crypto_sign_BYTES];
	char key[KEY_TEXT_BYTES], signature_text[SIGNATURE_TEXT_BYTES], now[KW_RFC3339_BYTES];
	struct kw_json json;
	int r;

	encode(kw_key_public(rotation->next), crypto_sign_PUBLICKEYBYTES, key, sizeof(key));
	r = sign_statement(rotation, key, signature);
	if (r < 0)
		return r;
	encode(signature, sizeof(signature), signature_text, sizeof(signature_text));
	kw_bytes_clear(&event->subject);
	kw_bytes_clear(&event->data);
	event->time_real_ns = kw_clock_real_ns(clock);
	kw_clock_format(event->time_real_ns, now);
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_KEY);

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_u64(&json, "bootNs", kw_clock_boot_ns(clock));
	kw_json_member_string(&json, "hostReceivedAt", now);
	kw_json_key(&json, "next");
	kw_json_object(&json);
	kw_json_member_string(&json, "keyId", kw_key_id(rotation->next));
	kw_json_member_string(&json, "publicKey", key);
	kw_json_member_string(&json, "signature", signature_text);
	kw_json_end_object(&json);
	kw_json_key(&json, "previous");
	kw_json_object(&json);
	kw_json_member_string(&json, "keyId", kw_key_id(rotation->previous));
	kw_json_end_object(&json);
	kw_json_member_string(&json, "probeSource", "host.kwitness");
	kw_json_member_string(&json, "reason", kw_rotation_reason_name(rotation->reason));
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
