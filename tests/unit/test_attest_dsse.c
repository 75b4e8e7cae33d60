/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "user/attest/attest.h"

static void set(struct kw_dsse_event *event, enum kw_dsse_attribute attribute, const char *text)
{
	event->core[attribute] = (struct kw_dsse_field){ .data = text, .length = strlen(text) };
}

static struct kw_dsse_event sample(void)
{
	struct kw_dsse_event event = { .extension_count = 0 };

	set(&event, KW_DSSE_ID, "1");
	set(&event, KW_DSSE_SOURCE, "example/uri");
	set(&event, KW_DSSE_SPECVERSION, "1.0");
	set(&event, KW_DSSE_TYPE, "example.type");
	set(&event, KW_DSSE_DATACONTENTTYPE, "application/json");
	set(&event, KW_DSSE_DATA, "{\"hello\":\"world\"}");
	return event;
}

static void expect_material(const struct kw_dsse_event *event, const char *base64)
{
	unsigned char material[32];
	char text[64];

	assert_int_equal(kw_dsse_material(event, material), 0);
	sodium_bin2base64(text, sizeof(text), material, sizeof(material),
			  sodium_base64_VARIANT_ORIGINAL);
	assert_string_equal(text, base64);
}

/* Values of tests/vectors/dsse/vectors.json, which check.mjs computes with other code; the binary
 * one is the specification's own. */
static void material_is_the_specification_s(void **state)
{
	struct kw_dsse_event event = sample();

	(void)state;
	expect_material(&event, "JdKJ23tInJraYkEtWrqkfEKfshmH+Jl0aRefLhu/vmA=");
	set(&event, KW_DSSE_SUBJECT, ""); /* empty and absent are the same */
	expect_material(&event, "JdKJ23tInJraYkEtWrqkfEKfshmH+Jl0aRefLhu/vmA=");
	set(&event, KW_DSSE_TIME, "2020-06-18T17:24:53Z");
	expect_material(&event, "GTZeIZqboGwMx/miF/V20jXJKKmFAnQ5uD8P6kaBGkE=");
	event = sample();
	set(&event, KW_DSSE_TYPE, "example.type.binary");
	set(&event, KW_DSSE_DATACONTENTTYPE, "application/octet-stream");
	set(&event, KW_DSSE_DATA, "\xf0\x9f\xa4\xa1");
	expect_material(&event, "qCSeiZkS+hH9WiClfq6plfqYNVy2kvxWRfoBrLEzoDk=");
}

static void extensions_are_hashed_by_name_and_value(void **state)
{
	struct kw_dsse_event event = sample();
	static const char *const texts[] = { "exta", "value1", "extb", "value2" };

	(void)state;
	for (size_t i = 0; i < kw_array_size(texts); i++)
		event.extensions[i] = (struct kw_dsse_field){ texts[i], strlen(texts[i]), NULL };
	event.extension_count = 1;
	expect_material(&event, "+8rlCJGUIMH/O9Iced1KpuDcg80O4EgNWAkShRE9rt0=");
	event.extension_count = 2;
	expect_material(&event, "wQbNegA4BKz6D/iS2sDbh0PRm46cd8O3CBz1EWR/wIk=");
	event.extension_count = KW_DSSE_EXTENSIONS_MAX + 1;
	assert_int_equal(kw_dsse_material(&event, (unsigned char[32]){ 0 }), -E2BIG);
}

static void a_known_digest_is_used(void **state)
{
	struct kw_dsse_event event = sample();
	unsigned char digest[32];

	(void)state;
	(void)crypto_hash_sha256(digest, (const unsigned char *)"example/uri", 11);
	event.core[KW_DSSE_SOURCE] = (struct kw_dsse_field){ .digest = digest };
	expect_material(&event, "JdKJ23tInJraYkEtWrqkfEKfshmH+Jl0aRefLhu/vmA=");
}

/* The envelope, taken apart again by hand. */
static void the_attribute_is_an_envelope_that_verifies(void **state)
{
	static const char head[] =
		"{\"payload\":\"AQIDBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"payloadType\":\"https://cloudevents.io/verifiability/dsse/v0.1\",\"signatures\":[{\"keyid\":\"kid.1\",\"sig\":\"";
	static const char pae[] = "DSSEv1 46 https://cloudevents.io/verifiability/dsse/v0.1 32 ";
	unsigned char material[32] = { 1, 2, 3, 4 }, message[sizeof(pae) - 1 + 32];
	unsigned char envelope[1024], signature[64], seed[32] = { 9 };
	struct kw_key *key = NULL;
	struct kw_bytes out;
	size_t length;

	(void)state;
	assert_int_equal(kw_key_from_seed(seed, "kid.1", &key), 0);
	kw_bytes_init(&out, 4096);
	assert_int_equal(kw_dsse_append_attribute(key, material, &out), 0);
	assert_int_equal(sodium_base642bin(envelope, sizeof(envelope), out.data, out.length, NULL,
					   &length, NULL, sodium_base64_VARIANT_ORIGINAL),
			 0);
	assert_int_equal(length, sizeof(head) - 1 + 88 + 4);
	assert_memory_equal(envelope, head, sizeof(head) - 1);
	assert_memory_equal(envelope + length - 4, "\"}]}", 4);
	assert_int_equal(sodium_base642bin(signature, sizeof(signature),
					   (char *)envelope + sizeof(head) - 1, 88, NULL, NULL,
					   NULL, sodium_base64_VARIANT_ORIGINAL),
			 0);
	memcpy(message, pae, sizeof(pae) - 1);
	memcpy(message + sizeof(pae) - 1, material, sizeof(material));
	assert_int_equal(crypto_sign_verify_detached(signature, message, sizeof(message),
						     kw_key_public(key)),
			 0);
	kw_bytes_done(&out);
	kw_key_free(key);
}

/* The longest id that a key can have still fits. */
static void a_long_key_id_fits(void **state)
{
	unsigned char material[32] = { 0 }, seed[32] = { 9 };
	char id[KW_KID_MAX + 2];
	struct kw_key *key = NULL;
	struct kw_bytes out;

	(void)state;
	memset(id, 'k', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	assert_int_equal(kw_key_from_seed(seed, id, &key), -EINVAL);
	id[KW_KID_MAX] = '\0';
	assert_int_equal(kw_key_from_seed(seed, id, &key), 0);
	kw_bytes_init(&out, 4096);
	assert_int_equal(kw_dsse_append_attribute(key, material, &out), 0);
	kw_bytes_done(&out);
	kw_key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(material_is_the_specification_s),
		cmocka_unit_test(extensions_are_hashed_by_name_and_value),
		cmocka_unit_test(a_known_digest_is_used),
		cmocka_unit_test(the_attribute_is_an_envelope_that_verifies),
		cmocka_unit_test(a_long_key_id_fits),
	};

	return cmocka_run_group_tests_name("attest_dsse", tests, NULL, NULL);
}
