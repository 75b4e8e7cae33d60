/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Keys that follow each other, more of them than a verifier remembers; and signatures that fit but must not. */
#include "test_attest_findings.h"

#include <kwitness/limits.h>
#include <kwitness/verify.h>

#define ROTATIONS 300 /* more than KW_KEYS_ANNOUNCED_MAX, in more than one batch */
#define KEYRING "{\"" SAMPLE_KID "\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\"}"

static struct kw_keyring *keyring;
static struct kw_bytes ledger; /* each second line changes the key */
static struct kw_key *keys[ROTATIONS + 1];

static int setup(void **state)
{
	struct kw_attest_options options = { .source = SAMPLE_SOURCE };
	struct kw_attest *attest = NULL;
	struct kw_bytes line;
	struct sample sample;
	const char *reason;

	(void)state;
	sample_init(&sample);
	kw_bytes_init(&ledger, 16 << 20);
	kw_bytes_init(&line, KW_EVENT_MAX);
	assert_int_equal(kw_key_from_seed(sample_seed(), SAMPLE_KID, &keys[0]), 0);
	options.key = keys[0];
	options.clock = &sample.clock;
	assert_int_equal(kw_attest_open(&options, &attest), 0);
	for (unsigned int i = 0; i < ROTATIONS; i++) {
		struct kw_finding finding = sample_finding(&sample, i % SAMPLE_LINES);
		unsigned char seed[32] = { 1, (unsigned char)i, (unsigned char)(i >> 8) };
		char id[16];

		assert_int_equal(kw_attest_finding(attest, &finding, &line), 0);
		kw_attest_commit(attest);
		kw_bytes_append(&ledger, line.data, line.length);
		(void)snprintf(id, sizeof(id), "k%u", i);
		assert_int_equal(kw_key_from_seed(seed, id, &keys[i + 1]), 0);
		assert_int_equal(kw_attest_rotate(attest, keys[i], KW_ROTATION_WANTED, &line),
				 -EINVAL);
		assert_int_equal(kw_attest_rotate(attest, keys[i + 1], KW_ROTATION_WANTED, &line),
				 0);
		assert_ptr_equal(kw_attest_key(attest), keys[i]); /* not before it is kept */
		kw_attest_commit(attest);
		assert_ptr_equal(kw_attest_key(attest), keys[i + 1]);
		kw_bytes_append(&ledger, line.data, line.length);
	}
	kw_bytes_done(&line);
	kw_attest_free(attest);
	return kw_keyring_parse(KEYRING, strlen(KEYRING), &keyring, &reason);
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < kw_array_size(keys); i++)
		kw_key_free(keys[i]);
	kw_bytes_done(&ledger);
	kw_keyring_free(keyring);
	return 0;
}

static struct kw_verify_result verify(const struct kw_keyring *ring, const char *text,
				      size_t length, unsigned int threads, size_t step)
{
	struct kw_verifier *verifier = NULL;
	struct kw_verify_result result;
	struct kw_key_use use;
	size_t count = 0;

	assert_int_equal(kw_verifier_new(ring, false, NULL, NULL, &verifier), 0);
	assert_int_equal(kw_verifier_set_threads(verifier, threads), 0);
	for (size_t at = 0; at < length; at += step) {
		size_t piece = step < length - at ? step : length - at;

		assert_int_equal(kw_verifier_feed(verifier, "file", text + at, piece), 0);
	}
	assert_int_equal(kw_verifier_end_of_file(verifier), 0);
	kw_verifier_result(verifier, &result);
	while (kw_verifier_key(verifier, count, &use)) {
		assert_true(use.is_given == (count == 0));
		assert_true(!use.retired || use.retired == use.last_used);
		count++;
	}
	assert_true(count <= 1 + KW_KEYS_ANNOUNCED_MAX);
	kw_verifier_free(verifier);
	return result;
}

static void many_keys_follow_each_other(void **state)
{
	struct kw_verify_result result;

	(void)state;
	result = verify(keyring, ledger.data, ledger.length, 1, ledger.length);
	assert_int_equal(result.bad_lines, 0);
	assert_int_equal(result.lines, 2 * ROTATIONS);
	result = verify(keyring, ledger.data, ledger.length, 3, ledger.length);
	assert_int_equal(result.bad_lines, 0);
	result = verify(keyring, ledger.data, ledger.length, 2, 777);
	assert_int_equal(result.bad_lines, 0);
}

/* The envelope of a line: where its attribute's value begins, and how long it is. */
static char *material_of(char *line, size_t *ret_length)
{
	static const char name[] = "\"dssematerial\":\"";
	char *value = strstr(line, name);

	assert_non_null(value);
	value += strlen(name);
	*ret_length = (size_t)(strchr(value, '"') - value);
	return value;
}

/* The first line's signature: what it covers, and the signature; when given, another in its place. */
static void signature_of(char *line, unsigned char *message, unsigned char *signature,
			 const unsigned char *other)
{
	static const char type[] = "DSSEv1 46 https://cloudevents.io/verifiability/dsse/v0.1 32 ";
	char envelope[1024], *sig, *payload;
	size_t length, decoded;
	char *value = material_of(line, &length);

	assert_int_equal(sodium_base642bin((unsigned char *)envelope, sizeof(envelope) - 1, value,
					   length, NULL, &decoded, NULL,
					   sodium_base64_VARIANT_ORIGINAL),
			 0);
	envelope[decoded] = '\0';
	payload = strstr(envelope, "\"payload\":\"") + 11;
	sig = strstr(envelope, "\"sig\":\"") + 7;
	memcpy(message, type, 60);
	assert_int_equal(sodium_base642bin(message + 60, 32, payload, 44, NULL, NULL, NULL,
					   sodium_base64_VARIANT_ORIGINAL),
			 0);
	assert_int_equal(sodium_base642bin(signature, 64, sig, 88, NULL, NULL, NULL,
					   sodium_base64_VARIANT_ORIGINAL),
			 0);
	if (other) {
		char text[89], encoded[2048];

		sodium_bin2base64(text, sizeof(text), other, 64, sodium_base64_VARIANT_ORIGINAL);
		memcpy(sig, text, 88);
		sodium_bin2base64(encoded, sizeof(encoded), (unsigned char *)envelope, decoded,
				  sodium_base64_VARIANT_ORIGINAL);
		assert_int_equal(strlen(encoded), length);
		memcpy(value, encoded, length);
	}
}

/* Group order, little endian (RFC 8032 5.1). */
static const unsigned char order[32] = {
	0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
	0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,	  0,	0,    0,    0,
	0,    0,    0,	  0,	0,    0,    0,	  0,	0,    0x10,
};

/* The line that was signed so: exactly the fault "signature", in libkwitness as a line and as an event. */
static void refuse_signature(const unsigned char *other)
{
	struct kw_verify_result result;
	unsigned char message[92], signature[64];
	const char *reason;
	size_t length = (size_t)(strchr(ledger.data, '\n') - ledger.data) + 1;
	char *line = strndup(ledger.data, length);

	signature_of(line, message, signature, other);
	result = verify(keyring, line, length, 1, length);
	assert_int_equal(result.faults[KW_FAULT_SIGNATURE], 1);
	assert_int_equal(result.bad_lines, 1);
	assert_int_equal(kw_verify_event(keyring, line, length - 1, &reason),
			 1 + KW_FAULT_SIGNATURE);
	free(line);
}

static void a_signature_has_one_form(void **state)
{
	unsigned char message[92], signature[64], other[64];
	unsigned int carry = 0;

	(void)state;
	signature_of(ledger.data, message, signature, NULL);
	/* S + L: the same point, and RFC 8032 5.1.7 wants S below L. */
	memcpy(other, signature, 64);
	for (int i = 0; i < 32; i++) {
		carry += (unsigned int)signature[32 + i] + order[i];
		other[32 + i] = (unsigned char)carry;
		carry >>= 8;
	}
	assert_int_equal(carry, 0);
	refuse_signature(other);
}

/* R a point of small order, S = h a: the equation holds, and a verifier that only computes it believes that. */
static void small_order_r_is_refused(void **state)
{
	static const unsigned char points[][32] = {
		{ 1 }, /* the identity */
		{ 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f }, /* p + 1: it again */
	};
	unsigned char message[92], signature[64], wide[64], scalar[32], h[32], other[64];

	(void)state;
	signature_of(ledger.data, message, signature, NULL);
	(void)crypto_hash_sha512(wide, sample_seed(), 32);
	wide[0] &= 248;
	wide[31] = (unsigned char)((wide[31] & 127) | 64);
	memset(wide + 32, 0, 32);
	crypto_core_ed25519_scalar_reduce(scalar, wide);
	for (size_t i = 0; i < kw_array_size(points); i++) {
		unsigned char input[32 + 32 + 92], check[32], hA[32];

		memcpy(input, points[i], 32);
		memcpy(input + 32, kw_key_public(keys[0]), 32);
		memcpy(input + 64, message, 92);
		(void)crypto_hash_sha512(wide, input, sizeof(input));
		crypto_core_ed25519_scalar_reduce(h, wide);
		memcpy(other, points[i], 32);
		crypto_core_ed25519_scalar_mul(other + 32, h, scalar);
		/* S B = h A: with R the identity the equation does hold. */
		assert_int_equal(crypto_scalarmult_ed25519_base_noclamp(check, other + 32), 0);
		assert_int_equal(crypto_scalarmult_ed25519_noclamp(hA, h, kw_key_public(keys[0])),
				 0);
		assert_memory_equal(check, hA, 32);
		refuse_signature(other);
	}
}

/* A sound key with a point of order 8 added: half of the verifiers there are would take its signatures. */
static void a_key_of_mixed_order_is_refused(void **state)
{
	static const unsigned char order_8[32] = {
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
		0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
		0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	};
	unsigned char mixed[32];
	char text[48], json[128];
	struct kw_keyring *ring = NULL;
	const char *reason;

	(void)state;
	assert_int_equal(crypto_core_ed25519_add(mixed, kw_key_public(keys[0]), order_8), 0);
	sodium_bin2base64(text, sizeof(text), mixed, 32, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	(void)snprintf(json, sizeof(json), "{\"a\":\"%s\"}", text);
	assert_int_equal(kw_keyring_parse(json, strlen(json), &ring, &reason), -EBADMSG);
	assert_null(ring);
}

static void a_lone_event_meets_the_limits_too(void **state)
{
	static const struct {
		const char *limit;
		int expected;
	} cases[] = {
		{ "\"notAfter\":\"2026-11-23T03:31:32Z\"",
		  0 }, /* its time is signed to the second */
		{ "\"notAfter\":\"2026-11-23T03:31:31Z\"", 1 + KW_FAULT_VALIDITY },
		{ "\"notBefore\":\"2026-11-23T03:31:32Z\"", 0 },
		{ "\"notBefore\":\"2026-11-23T03:31:33Z\"", 1 + KW_FAULT_VALIDITY },
		{ "\"firstSequence\":1", 1 + KW_FAULT_VALIDITY },
	};
	const char *reason;

	(void)state;
	for (size_t i = 0; i < kw_array_size(cases); i++) {
		struct kw_keyring *ring = NULL;
		char json[256];

		(void)snprintf(json, sizeof(json),
			       "{\"" SAMPLE_KID
			       "\":{\"key\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\",%s}}",
			       cases[i].limit);
		assert_int_equal(kw_keyring_parse(json, strlen(json), &ring, &reason), 0);
		assert_int_equal(kw_verify_event(ring, ledger.data,
						 (size_t)(strchr(ledger.data, '\n') - ledger.data),
						 &reason),
				 cases[i].expected);
		kw_keyring_free(ring);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(many_keys_follow_each_other),
		support_test(a_signature_has_one_form),
		support_test(small_order_r_is_refused),
		support_test(a_key_of_mixed_order_is_refused),
		support_test(a_lone_event_meets_the_limits_too),
	};

	return cmocka_run_group_tests_name("verify_rotation", tests, setup, teardown);
}
