/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Trust along a ledger: it begins with the keyring, and goes on from key to key by lines that the key in
 * force has signed and that the next key has signed as well (docs/ledger.md, "Keys"). A key that another
 * took the place of signs nothing any more, whoever holds it; a key that was announced cannot have signed
 * before that. So who gets hold of a later key cannot write the lines of an earlier one.
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/verify/keys.h"

#define STATEMENT_TITLE "kwitness-key-v1\n"

_Static_assert(KW_KEYS_ANNOUNCED_MAX >= 128, "as many as lines in a batch (batch.h)");

int kw_trust_copy(const struct kw_keyring *keyring, struct kw_keyring **ret_trust)
{
	struct kw_keyring *trust = malloc(sizeof(*trust));

	if (!trust)
		return -ENOMEM;
	*trust = *keyring;
	*ret_trust = trust;
	return 0;
}

const char *kw_trust_covers(const struct kw_trusted_key *key, uint64_t sequence, uint64_t real_ns)
{
	if (sequence < key->first_sequence)
		return "the key's validity begins with a later line (firstSequence)";
	if (sequence > key->last_sequence)
		return "the key's validity ends with an earlier line (lastSequence)";
	if (real_ns < key->not_before_ns)
		return "the key was not valid yet when it was recorded (notBefore)";
	if (real_ns > key->not_after_ns)
		return "the key was not valid any more when it was recorded (notAfter)";
	return NULL;
}

const char *kw_trust_covers_note(const struct kw_trusted_key *key, uint64_t size)
{
	/* Its own line stands behind the lines it covers, and not far (KW_CHECKPOINT_LAG_MAX). */
	if (size >= key->last_sequence)
		return "the checkpoint covers more than the key's validity (lastSequence)";
	if (size < UINT64_MAX - KW_CHECKPOINT_LAG_MAX &&
	    size + KW_CHECKPOINT_LAG_MAX + 1 < key->first_sequence)
		return "the checkpoint is from before the key's validity (firstSequence)";
	return NULL;
}

static struct kw_trusted_key *by_serial(struct kw_keyring *trust, uint64_t serial)
{
	for (size_t i = 0; i < trust->count; i++) {
		if (trust->keys[i].serial == serial)
			return &trust->keys[i];
	}
	return NULL;
}

/* Why the key of this serial may not sign this line, by what the ledger has shown; NULL: it may. */
static const char *use(struct kw_keyring *trust, uint64_t serial, const struct kw_line *line)
{
	uint64_t sequence = line->sequence;
	struct kw_trusted_key *key = by_serial(trust, serial);

	/* Its place in the ring is another's by now: it is long retired. */
	if (!key || (key->retired && sequence > key->retired))
		return "signed by a key that another had taken the place of";
	if (key->announced && sequence <= key->announced)
		return "signed by a key before it was announced";
	if (!key->first_used || sequence < key->first_used) {
		key->first_used = sequence;
		key->first_real_ns = line->recorded_real_ns;
	}
	if (sequence > key->last_used) {
		key->last_used = sequence;
		key->last_real_ns = line->recorded_real_ns;
	}
	return NULL;
}

int kw_trust_judge(struct kw_keyring *trust, const struct kw_checked *checked,
		   struct kw_bytes *scratch, uint64_t *ret_signer, enum kw_fault *ret_fault,
		   const char **ret_reason)
{
	int r = checked->verified;

	*ret_signer = checked->signer;
	*ret_fault = checked->fault;
	*ret_reason = checked->reason;
	/* Perhaps it was announced by a line that was checked together with this one. */
	if (r == 1 && *ret_fault == KW_FAULT_UNKNOWN_KEY && trust->last_rotation)
		r = kw_line_verify(&checked->line, trust, true, scratch, ret_signer, ret_fault,
				   ret_reason);
	if (r != 0)
		return r;
	*ret_reason = use(trust, *ret_signer, &checked->line);
	*ret_fault = KW_FAULT_RETIRED_KEY;
	return *ret_reason != NULL;
}

bool kw_trust_key_use(const struct kw_keyring *trust, size_t index, struct kw_key_use *ret_use)
{
	const struct kw_trusted_key *key = &trust->keys[index];

	if (index >= trust->count)
		return false;
	*ret_use = (struct kw_key_use){
		.id = key->id,
		.key = key->bytes,
		.is_given = index < trust->given,
		.first_used = key->first_used,
		.last_used = key->last_used,
		.announced = key->announced,
		.retired = key->retired,
		.first_real_ns = key->first_real_ns,
		.last_real_ns = key->last_real_ns,
		.first_sequence = key->announced ? key->announced + 1 : key->first_sequence,
		.last_sequence = key->retired ? key->retired : key->last_sequence,
		.not_before_ns = key->not_before_ns,
		.not_after_ns = key->not_after_ns,
	};
	/* The keyring's own limits are not widened. */
	if (ret_use->first_sequence < key->first_sequence)
		ret_use->first_sequence = key->first_sequence;
	if (ret_use->last_sequence > key->last_sequence)
		ret_use->last_sequence = key->last_sequence;
	return true;
}

/* ---- a line that changes the key ---- */

struct announcement {
	char id[KW_KID_MAX + 1];
	unsigned char bytes[crypto_sign_PUBLICKEYBYTES];
	unsigned char signature[crypto_sign_BYTES];
};

static bool decode(struct kw_span string, unsigned char *ret, size_t size)
{
	size_t decoded;

	return kw_read_is_string(string) &&
	       sodium_base642bin(ret, size, string.data + 1, string.length - 2, NULL, &decoded,
				 NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
	       decoded == size;
}

static const char *parse(const struct kw_line *line, const struct kw_trusted_key *signer,
			 struct announcement *ret)
{
	struct kw_span value, id;
	struct kw_members data, next, previous;

	if (kw_read_members(line->data, &data) < 0)
		return "it names no key";
	value = kw_read_find(&data, "previous");
	if (!value.data || kw_read_members(value, &previous) < 0 ||
	    !kw_read_equals(kw_read_find(&previous, "keyId"), signer->id))
		return "the key it takes the place of is not the one that signed it";
	value = kw_read_find(&data, "next");
	if (!value.data || kw_read_members(value, &next) < 0)
		return "it names no key";
	id = kw_read_find(&next, "keyId");
	if (!kw_read_is_string(id) || !kw_keyring_is_id(id.data + 1, id.length - 2))
		return "the next key's id is none";
	memcpy(ret->id, id.data + 1, id.length - 2);
	ret->id[id.length - 2] = '\0';
	if (!decode(kw_read_find(&next, "publicKey"), ret->bytes, sizeof(ret->bytes)) ||
	    !crypto_core_ed25519_is_valid_point(ret->bytes))
		return "the next key is no point to sign with (small order, or off the curve)";
	if (!decode(kw_read_find(&next, "signature"), ret->signature, sizeof(ret->signature)))
		return "the next key has not signed";
	return NULL;
}

/* Whether the next key has signed that it follows the previous one at this place of this ledger. */
static bool has_signed(const struct announcement *next, const struct kw_line *line,
		       const struct kw_trusted_key *signer, struct kw_bytes *scratch)
{
	char hash[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
	char key[sizeof(hash)];

	sodium_bin2base64(hash, sizeof(hash), line->prevhash, sizeof(line->prevhash),
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_bin2base64(key, sizeof(key), next->bytes, sizeof(next->bytes),
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	kw_bytes_clear(scratch);
	kw_bytes_append_string(scratch, STATEMENT_TITLE);
	if (kw_read_decode(line->source, scratch) < 0)
		return false;
	kw_bytes_append_format(scratch, "\n%020" PRIu64 "\n%s\n%s\n%s\n%s\n", line->sequence, hash,
			       signer->id, next->id, key);
	return kw_bytes_error(scratch) == 0 &&
	       crypto_sign_verify_detached(next->signature, (unsigned char *)scratch->data,
					   scratch->length, next->bytes) == 0;
}

/* The entry for the announced key: the one it has already, or one in the ring. NULL, and why: it cannot
 * be trusted. */
static struct kw_trusted_key *place(struct kw_keyring *trust, const struct announcement *next,
				    const char **ret_reason)
{
	struct kw_trusted_key *known = NULL;

	for (size_t i = 0; i < trust->count; i++) {
		struct kw_trusted_key *key = &trust->keys[i];
		bool same_id = strcmp(key->id, next->id) == 0;
		bool same_key = memcmp(key->bytes, next->bytes, sizeof(key->bytes)) == 0;

		/* A second name for a key would outlive the first one's end. */
		*ret_reason = "the next key's id is that of another key, or the key has another id";
		if (same_id != same_key)
			return NULL;
		*ret_reason = "the next key had its time before: a key does not come back";
		if (same_id && (key->retired || key->announced || key->first_used))
			return NULL;
		if (same_id)
			known = key;
	}
	if (known)
		return known;
	if (trust->count < trust->given + KW_KEYS_ANNOUNCED_MAX) {
		known = &trust->keys[trust->count++];
	} else {
		known = &trust->keys[trust->given];
		for (size_t i = trust->given; i < trust->count; i++) {
			if (trust->keys[i].serial < known->serial)
				known = &trust->keys[i];
		}
	}
	*known = (struct kw_trusted_key){
		.serial = trust->next_serial++,
		.not_after_ns = UINT64_MAX,
		.last_sequence = UINT64_MAX,
	};
	memcpy(known->id, next->id, sizeof(known->id));
	memcpy(known->bytes, next->bytes, sizeof(known->bytes));
	return known;
}

const char *kw_trust_rotate(struct kw_keyring *trust, const struct kw_line *line,
			    uint64_t signer_serial, struct kw_bytes *scratch)
{
	struct kw_trusted_key *signer = by_serial(trust, signer_serial), *key;
	struct announcement next = { .id = "" };
	const char *reason;

	if (!signer || line->sequence <= trust->last_rotation)
		return NULL; /* a copy, told as such */
	reason = parse(line, signer, &next);
	if (!reason && !has_signed(&next, line, signer, scratch))
		reason = "the next key's signature does not fit: nobody showed that he holds it";
	if (reason)
		return reason;
	key = place(trust, &next, &reason);
	if (!key)
		return reason;
	key->announced = line->sequence;
	signer->retired = line->sequence;
	trust->last_rotation = line->sequence;
	return NULL;
}
