/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Single events: the digest vectors, and signatures made here with libsodium, not with attest. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/file.h"
#include "user/verify/signed.h"

#define TYPE "https://cloudevents.io/verifiability/dsse/v0.1"

static unsigned char secret[64], other_secret[64];
static struct kw_keyring *keyring;

static int setup(void **state)
{
	unsigned char public[32], seed[32] = { 1 };
	char text[128], base64[64];
	const char *reason;

	(void)state;
	if (sodium_init() < 0)
		return -1;
	(void)crypto_sign_seed_keypair(public, other_secret, (unsigned char[32]){ 2 });
	(void)crypto_sign_seed_keypair(public, secret, seed);
	sodium_bin2base64(base64, sizeof(base64), public, 32, sodium_base64_VARIANT_URLSAFE);
	(void)snprintf(text, sizeof(text), "{\"k\":\"%s\"}", base64);
	return kw_keyring_parse(text, strlen(text), &keyring, &reason);
}

static int teardown(void **state)
{
	(void)state;
	kw_keyring_free(keyring);
	return 0;
}

/* tests/vectors/dsse/vectors.json: every digest, computed here as verify computes it. */
static void digests_are_the_vectors_(void **state)
{
	struct kw_bytes text, canonical, scratch, want;
	const char *reason = NULL;
	struct kw_span vector;
	size_t position = 0;
	int count = 0;

	(void)state;
	kw_bytes_init(&text, 1 << 20);
	kw_bytes_init(&canonical, 1 << 20);
	kw_bytes_init(&scratch, 1 << 20);
	kw_bytes_init(&want, 1 << 20);
	assert_int_equal(kw_file_read(AT_FDCWD, "tests/vectors/dsse/vectors.json", &text), 0);
	assert_int_equal(kw_jcs_append(&canonical, text.data, text.length, &reason), 0);
	while (kw_read_element((struct kw_span){ canonical.data, canonical.length }, &position,
			       &vector)) {
		struct kw_members members, event;
		unsigned char material[32];
		char got[64];

		assert_int_equal(kw_read_members(vector, &members), 0);
		assert_int_equal(kw_read_members(kw_read_find(&members, "event"), &event), 0);
		assert_int_equal(kw_material_compute(&event, &scratch, material, &reason), 0);
		sodium_bin2base64(got, sizeof(got), material, 32, sodium_base64_VARIANT_ORIGINAL);
		kw_bytes_clear(&want);
		assert_int_equal(kw_read_decode(kw_read_find(&members, "digest"), &want), 0);
		assert_string_equal(got, want.data);
		count++;
	}
	assert_int_equal(count, 13);
	kw_bytes_done(&text);
	kw_bytes_done(&canonical);
	kw_bytes_done(&scratch);
	kw_bytes_done(&want);
}

static void sign(const unsigned char *key, const unsigned char *material, char *ret_base64)
{
	unsigned char message[128], signature[64];
	int head = snprintf((char *)message, sizeof(message), "DSSEv1 46 %s 32 ", TYPE);

	memcpy(message + head, material, 32);
	(void)crypto_sign_detached(signature, NULL, message, (size_t)head + 32, key);
	sodium_bin2base64(ret_base64, 128, signature, 64, sodium_base64_VARIANT_ORIGINAL);
}

#define EVENT                                                                                      \
	"\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"data\":{\"b\": 1,\"a\": 2}"

/* Material of {EVENT + more}. */
static void material_of(const char *more, unsigned char *ret_material)
{
	struct kw_bytes canonical, scratch;
	struct kw_members members;
	const char *reason;
	char text[1024];

	(void)snprintf(text, sizeof(text), "{" EVENT "%s}", more);
	kw_bytes_init(&canonical, 65536);
	kw_bytes_init(&scratch, 65536);
	assert_int_equal(kw_jcs_append(&canonical, text, strlen(text), &reason), 0);
	assert_int_equal(
		kw_read_members((struct kw_span){ canonical.data, canonical.length }, &members), 0);
	assert_int_equal(kw_material_compute(&members, &scratch, ret_material, &reason), 0);
	kw_bytes_done(&canonical);
	kw_bytes_done(&scratch);
}

/* Result of verifying {EVENT + more, dssematerial: base64(envelope)}; envelope is a format with the
 * payload and two signatures, by the keyring's key and by another. */
static int verify(const char *more, const char *envelope)
{
	char payload[64], good[128], other[128], filled[2048], base64[4096], text[8192];
	unsigned char material[32];
	const char *reason = NULL;
	int r;

	material_of(more, material);
	sodium_bin2base64(payload, sizeof(payload), material, 32, sodium_base64_VARIANT_ORIGINAL);
	sign(secret, material, good);
	sign(other_secret, material, other);
	(void)snprintf(filled, sizeof(filled), "%s", envelope);
	/* %P, %G, %O by hand: order differs from envelope to envelope */
	for (char *at = filled; (at = strchr(at, '%'));) {
		const char *with = at[1] == 'P' ? payload : at[1] == 'G' ? good : other;
		char rest[2048];

		(void)snprintf(rest, sizeof(rest), "%s", at + 2);
		(void)snprintf(at, sizeof(filled) - (size_t)(at - filled), "%s%s", with, rest);
	}
	sodium_bin2base64(base64, sizeof(base64), (unsigned char *)filled, strlen(filled),
			  sodium_base64_VARIANT_ORIGINAL);
	(void)snprintf(text, sizeof(text), "{" EVENT "%s,\"dssematerial\":\"%s\"}", more, base64);
	r = kw_verify_event(keyring, text, strlen(text), &reason);
	if (r)
		assert_non_null(reason);
	return r;
}

#define PAYLOAD "\"payload\":\"%P\""
#define PAYLOAD_TYPE "\"payloadType\":\"" TYPE "\""
#define SIGNATURE "{\"keyid\":\"k\",\"sig\":\"%G\"}"

static void good_envelopes_verify(void **state)
{
	(void)state;
	assert_int_equal(
		verify("", "{" PAYLOAD "," PAYLOAD_TYPE ",\"signatures\":[" SIGNATURE "]}"), 0);
	/* Another order, white space, more members: DSSE does not mind. */
	assert_int_equal(verify("", "{ " PAYLOAD_TYPE ", \"x\":1, " PAYLOAD
				    ",\n\"signatures\": [ " SIGNATURE " ] }"),
			 0);
	/* One signature of several by a key that we know. */
	assert_int_equal(verify("", "{" PAYLOAD "," PAYLOAD_TYPE
				    ",\"signatures\":[{\"keyid\":\"x\",\"sig\":\"%O\"}," SIGNATURE
				    "]}"),
			 0);
	assert_int_equal(verify(",\"exta\":\"v\",\"signedextattrs\":\"exta\"",
				"{" PAYLOAD "," PAYLOAD_TYPE ",\"signatures\":[" SIGNATURE "]}"),
			 0);
}

static void bad_envelopes_are_told_apart(void **state)
{
	(void)state;
	assert_int_equal(verify("", "{" PAYLOAD "," PAYLOAD_TYPE
				    ",\"signatures\":[{\"keyid\":\"x\",\"sig\":\"%G\"}]}"),
			 1 + KW_FAULT_UNKNOWN_KEY);
	assert_int_equal(verify("", "{" PAYLOAD "," PAYLOAD_TYPE
				    ",\"signatures\":[{\"keyid\":\"k\",\"sig\":\"%O\"}]}"),
			 1 + KW_FAULT_SIGNATURE);
	assert_int_equal(verify("", "{" PAYLOAD "," PAYLOAD_TYPE ",\"signatures\":[]}"),
			 1 + KW_FAULT_MALFORMED);
	assert_int_equal(
		verify("", "{" PAYLOAD ",\"payloadType\":\"x\",\"signatures\":[" SIGNATURE "]}"),
		1 + KW_FAULT_MALFORMED);
	assert_int_equal(verify("", "{" PAYLOAD "," PAYLOAD_TYPE ",\"signatures\":[1]}"),
			 1 + KW_FAULT_MALFORMED);
	assert_int_equal(verify("", "{\"payload\":\"AA==\"," PAYLOAD_TYPE
				    ",\"signatures\":[" SIGNATURE "]}"),
			 1 + KW_FAULT_MALFORMED);
	/* base64url instead of base64, no padding, a short signature */
	assert_int_equal(verify("", "{" PAYLOAD "," PAYLOAD_TYPE
				    ",\"signatures\":[{\"keyid\":\"k\",\"sig\":\"AAAA\"}]}"),
			 1 + KW_FAULT_MALFORMED);
	assert_int_equal(verify("", "nothing"), 1 + KW_FAULT_MALFORMED);
	/* signed over another event: the payload is not this event's */
	assert_int_equal(
		verify("",
		       "{\"payload\":\"JdKJ23tInJraYkEtWrqkfEKfshmH+Jl0aRefLhu/vmA=\"," PAYLOAD_TYPE
		       ",\"signatures\":[" SIGNATURE "]}"),
		1 + KW_FAULT_SIGNATURE);
}

static void a_changed_event_has_another_digest(void **state)
{
	unsigned char material[32];
	char good[128], payload[64], envelope[1024], base64[2048], text[4096];
	static const char *const events[] = {
		"{" EVENT ",\"dssematerial\":\"%s\"}",
		"{\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"s\",\"type\":\"t\",\"data\":{\"a\":2,\"b\":1},\"dssematerial\":\"%s\"}",
		"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"data\":{\"a\":2,\"b\":2},\"dssematerial\":\"%s\"}",
		"{" EVENT ",\"subject\":\"x\",\"dssematerial\":\"%s\"}",
		"{" EVENT ",\"time\":\"2020-06-18T17:24:53Z\",\"dssematerial\":\"%s\"}",
		"{" EVENT ",\"exta\":\"x\",\"signedextattrs\":\"exta\",\"dssematerial\":\"%s\"}",
	};
	const char *reason = NULL;

	(void)state;
	material_of("", material);
	sign(secret, material, good);
	sodium_bin2base64(payload, sizeof(payload), material, 32, sodium_base64_VARIANT_ORIGINAL);
	(void)snprintf(envelope, sizeof(envelope),
		       "{\"payload\":\"%s\"," PAYLOAD_TYPE
		       ",\"signatures\":[{\"keyid\":\"k\",\"sig\":\"%s\"}]}",
		       payload, good);
	sodium_bin2base64(base64, sizeof(base64), (unsigned char *)envelope, strlen(envelope),
			  sodium_base64_VARIANT_ORIGINAL);
	for (size_t i = 0; i < kw_array_size(events); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(text, sizeof(text), events[i], base64);
#pragma GCC diagnostic pop
		assert_int_equal(kw_verify_event(keyring, text, strlen(text), &reason),
				 i == 0 ? 0 : 1 + KW_FAULT_DIGEST);
	}
}

static void what_is_no_signed_event_is_said(void **state)
{
	static const struct {
		const char *text;
		enum kw_fault fault;
	} events[] = {
		{ "", KW_FAULT_MALFORMED },
		{ "[]", KW_FAULT_MALFORMED },
		{ "{\"a\":1,\"a\":2}", KW_FAULT_MALFORMED },
		{ "{" EVENT "}", KW_FAULT_UNSIGNED },
		{ "{" EVENT ",\"dssematerial\":\"\"}", KW_FAULT_UNSIGNED },
		{ "{" EVENT ",\"dssematerial\":7}", KW_FAULT_UNSIGNED },
		{ "{" EVENT ",\"dssematerial\":\"????\"}", KW_FAULT_MALFORMED },
	};
	const char *reason = NULL;

	(void)state;
	for (size_t i = 0; i < kw_array_size(events); i++)
		assert_int_equal(
			kw_verify_event(keyring, events[i].text, strlen(events[i].text), &reason),
			1 + (int)events[i].fault);
}

/* Rules for signedextattrs: no repetition, nothing that is signed anyway, nothing absent. */
static void lists_of_signed_attributes_are_strict(void **state)
{
	static const char *const bad[] = {
		",\"exta\":\"v\",\"signedextattrs\":\"exta,exta\"",
		",\"exta\":\"v\",\"signedextattrs\":\"exta,id\"",
		",\"exta\":\"v\",\"signedextattrs\":\"dssematerial\"",
		",\"exta\":\"v\",\"signedextattrs\":\"signedextattrs\"",
		",\"exta\":\"v\",\"signedextattrs\":\"exta,extb\"",
		",\"exta\":\"v\",\"extb\":\"v\",\"signedextattrs\":\"exta, extb\"",
		",\"exta\":\"v\",\"signedextattrs\":\"exta,\"",
		",\"exta\":\"v\",\"signedextattrs\":\",exta\"",
		",\"exta\":{},\"signedextattrs\":\"exta\"",
		",\"exta\":null,\"signedextattrs\":\"exta\"",
		",\"exta\":\"v\",\"signedextattrs\":7",
		",\"data_base64\":\"AA==\"",
	};
	struct kw_bytes canonical, scratch;
	unsigned char material[32];
	struct kw_members members;
	const char *reason;
	char text[1024];

	(void)state;
	kw_bytes_init(&canonical, 65536);
	kw_bytes_init(&scratch, 65536);
	for (size_t i = 0; i < kw_array_size(bad); i++) {
		(void)snprintf(text, sizeof(text), "{" EVENT "%s}", bad[i]);
		kw_bytes_clear(&canonical);
		assert_int_equal(kw_jcs_append(&canonical, text, strlen(text), &reason), 0);
		assert_int_equal(
			kw_read_members((struct kw_span){ canonical.data, canonical.length },
					&members),
			0);
		reason = NULL;
		if (kw_material_compute(&members, &scratch, material, &reason) != -EBADMSG)
			fail_msg("accepted: %s", text);
		assert_non_null(reason);
	}
	kw_bytes_done(&canonical);
	kw_bytes_done(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(digests_are_the_vectors_),
		cmocka_unit_test(good_envelopes_verify),
		cmocka_unit_test(bad_envelopes_are_told_apart),
		cmocka_unit_test(a_changed_event_has_another_digest),
		cmocka_unit_test(what_is_no_signed_event_is_said),
		cmocka_unit_test(lists_of_signed_attributes_are_strict),
	};

	return cmocka_run_group_tests_name("verify_event", tests, setup, teardown);
}
