/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* SHA-256 (FIPS 180-4), with the processor's own instructions where it has them. Private to the room. */
#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kw_sha256 {
	bool is_fast;
	union {
		crypto_hash_sha256_state portable;
		struct {
			uint32_t state[8];
			uint64_t length; /* bytes so far */
			unsigned char block[64];
		} fast;
	};
};

void kw_sha256_init(struct kw_sha256 *hash);
void kw_sha256_update(struct kw_sha256 *hash, const void *data, size_t length);
void kw_sha256_final(struct kw_sha256 *hash, unsigned char ret_digest[static 32]);
/* All at once. */
void kw_sha256(const void *data, size_t length, unsigned char ret_digest[static 32]);
/* Whether this processor's instructions are used: for tests and figures. */
bool kw_sha256_is_fast(void);
