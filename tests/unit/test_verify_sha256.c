/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* SHA-256 and base64 of the verifier's own: what FIPS 180-4 and RFC 4648 say, and what libsodium says. */
#include "support.h"

#include <sodium.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/verify/base64.h"
#include "user/verify/sha256.h"

#define LENGTHS 300U

static void expect_digest(const char *text, size_t length, const char *hex)
{
	unsigned char digest[32], expected[32];

	kw_sha256(text, length, digest);
	assert_int_equal(sodium_hex2bin(expected, 32, hex, strlen(hex), NULL, NULL, NULL), 0);
	assert_memory_equal(digest, expected, 32);
}

static void digests_are_those_of_the_standard(void **state)
{
	static char many[1000000];

	(void)state;
	expect_digest("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect_digest("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect_digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
		      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(many, 'a', sizeof(many));
	expect_digest(many, sizeof(many),
		      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Every length around several blocks, from addresses of every alignment, in two pieces cut anywhere. */
static void digests_are_libsodiums(void **state)
{
	unsigned char message[LENGTHS + 16], ours[32], theirs[32];
	struct kw_sha256 hash;

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (unsigned char)(i * 7 + i / 3);
	for (size_t length = 0; length <= LENGTHS; length++) {
		const unsigned char *data = message + length % 16;

		(void)crypto_hash_sha256(theirs, data, length);
		for (size_t cut = 0; cut <= length; cut++) {
			kw_sha256_init(&hash);
			kw_sha256_update(&hash, data, cut);
			kw_sha256_update(&hash, data + cut, length - cut);
			kw_sha256_final(&hash, ours);
			assert_memory_equal(ours, theirs, 32);
		}
	}
}

static bool by_libsodium(const char *text, size_t length, unsigned char *ret, size_t *ret_length)
{
	return sodium_base642bin(ret, 64, text, length, NULL, ret_length, NULL,
				 sodium_base64_VARIANT_ORIGINAL) == 0;
}

static void expect_same(const char *text, size_t length)
{
	unsigned char ours[64], theirs[64];
	size_t our_length = 0, their_length = 0;
	bool is_good = kw_base64_decode(text, length, ours, sizeof(ours), &our_length);

	/* libsodium 1.0.18 takes bytes from 0x80 on for characters. */
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)text[i] >= 0x80) {
			assert_false(is_good);
			return;
		}
	}
	if (is_good != by_libsodium(text, length, theirs, &their_length))
		fail_msg("libsodium does not agree about: %.*s", (int)length, text);
	if (!is_good)
		return;
	assert_int_equal(our_length, their_length);
	assert_memory_equal(ours, theirs, our_length);
}

/* Texts of every length, and each with every character put in every place. */
static void base64_is_taken_as_libsodium_takes_it(void **state)
{
	unsigned char bytes[40];
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 89 + 251);
	for (size_t length = 0; length <= sizeof(bytes); length++) {
		size_t text_length;

		sodium_bin2base64(text, sizeof(text), bytes, length,
				  sodium_base64_VARIANT_ORIGINAL);
		text_length = strlen(text);
		for (size_t cut = 0; cut <= text_length; cut++)
			expect_same(text, cut);
		for (size_t at = 0; at < text_length; at++) {
			char kept = text[at];

			for (int c = 0; c < 256; c++) {
				text[at] = (char)c;
				expect_same(text, text_length);
			}
			text[at] = kept;
		}
	}
	/* What does not fit is refused, not cut. */
	assert_false(kw_base64_decode("AAAA", 4, bytes, 2, &(size_t){ 0 }));
	assert_true(kw_base64_decode("AAA=", 4, bytes, 2, &(size_t){ 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(digests_are_those_of_the_standard),
		support_test(digests_are_libsodiums),
		support_test(base64_is_taken_as_libsodium_takes_it),
	};

	if (sodium_init() < 0)
		return 1;
	print_message("SHA-256 with this processor's instructions: %s\n",
		      kw_sha256_is_fast() ? "yes" : "no");
	return cmocka_run_group_tests_name("verify_sha256", tests, NULL, NULL);
}
