/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Names that anyone can derive again: the same kernel record read twice, by this daemon or by the next
 * one, must give the same event. So an id is no random number but the first 128 bits of SHA-256 over
 * boot id, NUL, domain, NUL, number in decimal digits, with version 8 and the variant put in as RFC 9562
 * section 5.8 wants them. By hand: printf 'BOOT\0record\0%s' NUMBER | sha256sum
 */
#include "user/reconcile/reconcile.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static void hash_string(crypto_hash_sha256_state *state, const char *text)
{
	/* With its NUL: ("ab", "c") and ("a", "bc") must not meet. */
	(void)crypto_hash_sha256_update(state, (const unsigned char *)text, strlen(text) + 1);
}

void kw_ids_derive(const char *boot_id, const char *domain, uint64_t number, char ret_id[static 40])
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state state;
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);

	(void)crypto_hash_sha256_init(&state);
	hash_string(&state, boot_id);
	hash_string(&state, domain);
	(void)crypto_hash_sha256_update(&state, (const unsigned char *)digits,
					(unsigned int)length);
	(void)crypto_hash_sha256_final(&state, hash);
	hash[6] = (unsigned char)((hash[6] & 0x0f) | 0x80); /* version 8 */
	hash[8] = (unsigned char)((hash[8] & 0x3f) | 0x80); /* variant 10 */
	(void)snprintf(
		ret_id, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7], hash[8],
		hash[9], hash[10], hash[11], hash[12], hash[13], hash[14], hash[15]);
}
