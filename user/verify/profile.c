/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lines in CellOS envelopes (docs/cellos.md). Within is the ledger's own line, and it is verified as any
 * other; what is asked here is whether the envelope's signature is one over just that line, by just the key
 * that signed the line. So there is one rule of trust for both, limits, rotations and all.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "user/verify/verifier.h"

static bool is_sealed(const struct kw_cellos_envelope *envelope, const struct kw_trusted_key *key)
{
	/* Refuses S >= L and R of small order, as for every signature of a ledger (envelope.c). */
	return crypto_sign_verify_detached(envelope->signature,
					   (const unsigned char *)envelope->event,
					   envelope->event_length, key->bytes) == 0;
}

static bool has_id(const struct kw_trusted_key *key, const struct kw_cellos_envelope *envelope)
{
	return strlen(key->id) == envelope->key_id_length &&
	       memcmp(key->id, envelope->key_id, envelope->key_id_length) == 0;
}

static const struct kw_trusted_key *by_serial(const struct kw_keyring *keyring, uint64_t serial)
{
	for (size_t i = 0; i < keyring->count; i++) {
		if (keyring->keys[i].serial == serial)
			return &keyring->keys[i];
	}
	return NULL;
}

void kw_profile_open(struct kw_checked *line)
{
	line->enveloped = kw_cellos_open(line->text, line->length, &line->envelope);
	line->sealed = false;
	/* Of a damaged one the event is verified as well, if it can be found: the chain goes on from it. */
	if (line->enveloped != 0)
		kw_cellos_strip(&line->text, &line->length);
}

void kw_profile_check(struct kw_checked *line, const struct kw_keyring *keyring)
{
	const struct kw_trusted_key *key;

	if (line->enveloped == -ENOMEM)
		line->parsed = -ENOMEM;
	if (line->enveloped == -EBADMSG && line->parsed == -EBADMSG)
		line->reason = "a damaged CellOS envelope";
	if (line->enveloped != 1 || line->parsed != 0 || line->verified != 0)
		return;
	key = by_serial(keyring, line->signer);
	line->sealed = key && has_id(key, &line->envelope) && is_sealed(&line->envelope, key);
}

/* Why the envelope is not a good one; NULL: it is. */
static const char *judge_seal(const struct kw_keyring *trust, const struct kw_checked *line,
			      uint64_t signer, enum kw_fault *ret_fault)
{
	const struct kw_trusted_key *key = by_serial(trust, signer);
	char id[KW_KID_MAX + 1];

	*ret_fault = KW_FAULT_SIGNATURE;
	if (key && has_id(key, &line->envelope))
		return is_sealed(&line->envelope, key)
			       ? NULL
			       : "the CellOS envelope's signature does not fit the event in it";
	memcpy(id, line->envelope.key_id, line->envelope.key_id_length);
	id[line->envelope.key_id_length] = '\0';
	if (kw_keyring_key(trust, id))
		return "the CellOS envelope is signed by another key than the event in it";
	*ret_fault = KW_FAULT_UNKNOWN_KEY;
	return "the CellOS envelope is signed by a key that is not in the keyring";
}

bool kw_profile_judge(struct kw_verifier *verifier, const struct kw_checked *line, uint64_t signer,
		      enum kw_fault *ret_fault, const char **ret_reason)
{
	bool enveloped = line->enveloped != 0;

	if (!verifier->file_begun)
		verifier->file_enveloped = enveloped;
	verifier->file_begun = true;
	verifier->result.enveloped += enveloped;
	verifier->result.plain += !enveloped;
	*ret_fault = KW_FAULT_PROFILE;
	*ret_reason = enveloped ? "a CellOS envelope among lines without"
				: "a line without a CellOS envelope among lines that have one";
	if (enveloped != verifier->file_enveloped)
		return true;
	*ret_fault = KW_FAULT_MALFORMED;
	*ret_reason =
		"the CellOS envelope is not in the one form that the event, the key and the signature in it have";
	if (line->enveloped < 0)
		return true;
	/* Not sealed yet: it may be that its key was announced together with it. */
	*ret_reason = !enveloped || line->sealed
			      ? NULL
			      : judge_seal(verifier->keyring, line, signer, ret_fault);
	return *ret_reason != NULL;
}
