/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "user/attest/canonical.h"

static struct kw_json json;
static struct kw_bytes out;

static void begin(void)
{
	kw_bytes_done(&out);
	kw_bytes_init(&out, 4096);
	kw_json_begin(&json, &out);
}

static void expect(const char *text)
{
	assert_int_equal(kw_json_end(&json), 0);
	assert_string_equal(out.data, text);
}

static int done(void **state)
{
	(void)state;
	kw_bytes_done(&out);
	return 0;
}

/* RFC 8785 3.2.2.2: what is escaped, and how. */
static void strings_are_escaped_as_the_rfc_says(void **state)
{
	(void)state;
	begin();
	kw_json_string(&json, "\b\t\n\f\r\"\\/\x01\x1f\x7f\xc2\x80\xe2\x82\xac$");
	expect("\"\\b\\t\\n\\f\\r\\\"\\\\/\\u0001\\u001f\x7f\xc2\x80\xe2\x82\xac$\"");
	/* The RFC's own sample of section 3.2.2. */
	begin();
	kw_json_string(&json, "\xe2\x82\xac$\x0f\nA'B\"\\\\\"/");
	expect("\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"");
}

static void bytes_that_are_no_utf8_become_hex(void **state)
{
	(void)state;
	begin();
	kw_json_foreign(&json, "50%\xff\"", 5);
	expect("\"50%25%FF\\\"\"");
	begin();
	kw_json_foreign(&json, "50%", 3);
	expect("\"50%25\"");
	begin();
	kw_json_foreign(&json, "a\0b", 3); /* a NUL that a length counted is not lost */
	expect("\"a\\u0000b\"");
	begin();
	kw_json_string(&json, "50% \xe2\x82"); /* cut inside a sequence */
	expect("\"50% %E2%82\"");
	begin();
	kw_json_string(&json, "\xff\n\xc3\xa4");
	expect("\"%FF\\n\xc3\xa4\"");
}

static void integers_are_exact(void **state)
{
	(void)state;
	begin();
	kw_json_array(&json);
	kw_json_u64(&json, 0);
	kw_json_u64(&json, UINT64_MAX);
	kw_json_u64(&json, (1ULL << 53) + 1);
	kw_json_i64(&json, INT64_MIN);
	kw_json_i64(&json, -1);
	kw_json_id(&json, (1ULL << 53) - 1);
	kw_json_id(&json, 1ULL << 53);
	kw_json_end_array(&json);
	expect("[0,18446744073709551615,9007199254740993,-9223372036854775808,-1,9007199254740991,\"9007199254740992\"]");
}

/* RFC 8785 3.2.3: the sample with its seven names, in its expected order. */
static void names_sort_by_utf16_units(void **state)
{
	static const char *const names[] = { "\r",	     "1",
					     "\xc2\x80",     "\xc3\xb6",
					     "\xe2\x82\xac", "\xf0\x9f\x98\x80",
					     "\xef\xac\xb3" };

	(void)state;
	begin();
	kw_json_object(&json);
	for (size_t i = 0; i < kw_array_size(names); i++)
		kw_json_member_u64(&json, names[i], i);
	kw_json_end_object(&json);
	expect("{\"\\r\":0,\"1\":1,\"\xc2\x80\":2,\"\xc3\xb6\":3,\"\xe2\x82\xac\":4,\"\xf0\x9f\x98\x80\":5,\"\xef\xac\xb3\":6}");
	for (size_t i = 0; i < kw_array_size(names); i++) {
		for (size_t j = 0; j < kw_array_size(names); j++) {
			int order = kw_json_compare(names[i], strlen(names[i]), names[j],
						    strlen(names[j]));

			assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
		}
	}
	assert_true(kw_json_compare("ab", 2, "a", 1) > 0);
}

static void a_wrong_order_is_an_error(void **state)
{
	(void)state;
	begin();
	kw_json_object(&json);
	kw_json_member_u64(&json, "b", 1);
	kw_json_member_u64(&json, "a", 1);
	kw_json_end_object(&json);
	assert_int_equal(kw_json_end(&json), -EINVAL);
	begin();
	kw_json_object(&json);
	kw_json_member_u64(&json, "a", 1);
	kw_json_member_u64(&json, "a", 1); /* twice */
	kw_json_end_object(&json);
	assert_int_equal(kw_json_end(&json), -EINVAL);
	begin(); /* byte order, but not UTF-16 order */
	kw_json_object(&json);
	kw_json_member_u64(&json, "\xef\xac\xb3", 1);
	kw_json_member_u64(&json, "\xf0\x9f\x98\x80", 1);
	kw_json_end_object(&json);
	assert_int_equal(kw_json_end(&json), -EINVAL);
}

static void wrong_nesting_is_an_error(void **state)
{
	(void)state;
	begin();
	assert_int_equal(kw_json_end(&json), -EINVAL); /* nothing */
	begin();
	kw_json_object(&json);
	assert_int_equal(kw_json_end(&json), -EINVAL); /* open */
	begin();
	kw_json_object(&json);
	kw_json_u64(&json, 1); /* a value without name */
	kw_json_end_object(&json);
	assert_int_equal(kw_json_end(&json), -EINVAL);
	begin();
	kw_json_object(&json);
	kw_json_key(&json, "a"); /* a name without value */
	kw_json_end_object(&json);
	assert_int_equal(kw_json_end(&json), -EINVAL);
	begin();
	kw_json_array(&json);
	kw_json_end_object(&json);
	assert_int_equal(kw_json_end(&json), -EINVAL);
	begin();
	kw_json_end_array(&json);
	assert_int_equal(kw_json_end(&json), -EINVAL);
	begin();
	kw_json_null(&json);
	kw_json_null(&json); /* two values */
	assert_int_equal(kw_json_end(&json), -EINVAL);
	begin();
	kw_json_key(&json, "a");
	assert_int_equal(kw_json_end(&json), -EINVAL);
	begin();
	for (int i = 0; i <= KW_JSON_DEPTH_MAX; i++)
		kw_json_array(&json);
	assert_int_equal(kw_bytes_error(&out), -EINVAL);
}

static void what_is_not_known_is_left_out(void **state)
{
	(void)state;
	begin();
	kw_json_object(&json);
	kw_json_member_string(&json, "a", NULL);
	kw_json_member_string(&json, "b", "");
	kw_json_member_foreign(&json, "c", "\0x", 2);
	kw_json_member_nonzero(&json, "d", 0);
	kw_json_member_bool(&json, "e", false);
	kw_json_member_i64(&json, "f", 0);
	kw_json_end_object(&json);
	expect("{\"e\":false,\"f\":0}");
}

static void a_full_buffer_is_an_error(void **state)
{
	(void)state;
	kw_bytes_done(&out);
	kw_bytes_init(&out, 4);
	kw_json_begin(&json, &out);
	kw_json_string(&json, "12345");
	assert_int_equal(kw_json_end(&json), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_escaped_as_the_rfc_says),
		cmocka_unit_test(bytes_that_are_no_utf8_become_hex),
		cmocka_unit_test(integers_are_exact),
		cmocka_unit_test(names_sort_by_utf16_units),
		cmocka_unit_test(a_wrong_order_is_an_error),
		cmocka_unit_test(wrong_nesting_is_an_error),
		cmocka_unit_test(what_is_not_known_is_left_out),
		cmocka_unit_test(a_full_buffer_is_an_error),
	};

	return cmocka_run_group_tests_name("attest_canonical", tests, NULL, done);
}
