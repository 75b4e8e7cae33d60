/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SHA-256 by libsodium, which signs as well: one library to trust. Its SHA-256 is portable C; what
 * that costs against a processor's own instructions stands in docs/dependencies.md.
 */
#include "user/attest/digest.h"

#include <sodium.h>

void kw_digest_sha256(const void *data, size_t length,
		      unsigned char ret_digest[static KW_DIGEST_BYTES])
{
	/* Always 0: libsodium's hash functions cannot fail. */
	(void)crypto_hash_sha256(ret_digest, data, length);
}
