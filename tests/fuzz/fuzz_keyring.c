/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A keyring file: refused with a reason, or a keyring. */
#include <kwitness/verify.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kw_keyring *keyring = NULL;
	const char *reason = NULL;
	int r = kw_keyring_parse((const char *)data, size, &keyring, &reason);

	fuzz_assert((r == 0) == (keyring != NULL));
	fuzz_assert(r == 0 || reason);
	kw_keyring_free(keyring);
	return 0;
}
