/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A keyring file: refused with a reason, or a keyring whose keys are believed within their limits only, and
 * that a verifier starts with. */
#include <kwitness/verify.h>

#include "user/verify/keys.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kw_keyring *keyring = NULL;
	const char *reason = NULL;
	int r = kw_keyring_parse((const char *)data, size, &keyring, &reason);

	fuzz_assert((r == 0) == (keyring != NULL));
	fuzz_assert(r == 0 || reason);
	for (size_t i = 0; r == 0 && i < keyring->count; i++) {
		const struct kw_trusted_key *key = &keyring->keys[i];

		fuzz_assert(kw_keyring_key(keyring, key->id) == key);
		fuzz_assert(key->first_sequence <= key->last_sequence);
		fuzz_assert(!kw_trust_covers(key, key->last_sequence, key->not_after_ns));
		fuzz_assert(!key->first_sequence ||
			    kw_trust_covers(key, key->first_sequence - 1, key->not_before_ns));
		fuzz_assert(!key->not_before_ns ||
			    kw_trust_covers(key, key->last_sequence, key->not_before_ns - 1));
	}
	if (r == 0) {
		struct kw_keyring *trust = NULL;

		fuzz_assert(kw_trust_copy(keyring, &trust) == 0 && trust->count == keyring->given);
		kw_keyring_free(trust);
	}
	kw_keyring_free(keyring);
	return 0;
}
