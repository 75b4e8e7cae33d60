/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A proof file, or a checkpoint to extend: refused with a reason, or good. The seeds are signed by the key
 * below, whose private half is gone, so that inputs get past the signatures. */
#include <errno.h>
#include <kwitness/verify.h>

#include "tests/fuzz/fuzz.h"

static const char ring[] =
	"{\"kwitness-b168a2b1\":\"sWiisWs1VVqhsQdgOWPFW0HbVNEjXNQBhONEagk5v_M\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kw_proof_result result = { .sequence = 0 };
	struct kw_verifier *verifier = NULL;
	struct kw_keyring *keyring = NULL;
	const char *reason = NULL;
	int r;

	fuzz_assert(kw_keyring_parse(ring, sizeof(ring) - 1, &keyring, &reason) == 0);
	reason = NULL;
	r = kw_proof_verify(keyring, (const char *)data, size, &result, &reason);
	fuzz_assert(r == 0 || (r == 1 && reason) || r == -ENOMEM);
	fuzz_assert((r == 0) == (result.sequence > 0));
	fuzz_assert(r != 0 || result.sequence <= result.size);
	fuzz_assert(kw_verifier_new(keyring, false, NULL, NULL, &verifier) == 0);
	reason = NULL;
	r = kw_verifier_set_since(verifier, "since", (const char *)data, size, &reason);
	fuzz_assert(r == 0 || (r == -EBADMSG && reason));
	fuzz_assert(kw_verifier_finish(verifier) == 0);
	kw_verifier_free(verifier);
	kw_keyring_free(keyring);
	return 0;
}
