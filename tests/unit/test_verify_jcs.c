/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "user/base/file.h"
#include "user/verify/scan.h"

static void expect(const char *text, const char *canonical)
{
	struct kw_bytes out;
	const char *reason = NULL;

	kw_bytes_init(&out, 4096);
	assert_int_equal(kw_jcs_append(&out, text, strlen(text), &reason), 0);
	assert_string_equal(out.data, canonical);
	/* Canonical is what stays as it is, and what the checker takes for canonical. */
	assert_int_equal(kw_scan_check(out.data, out.length, true, &reason), 0);
	kw_bytes_done(&out);
}

static void expect_refused(const char *text)
{
	struct kw_bytes out;
	const char *reason = NULL;

	kw_bytes_init(&out, 4096);
	assert_int_equal(kw_jcs_append(&out, text, strlen(text), &reason), -EBADMSG);
	assert_non_null(reason);
	kw_bytes_done(&out);
}

static void expect_vector(const char *name)
{
	struct kw_bytes in, out;
	char path[256];

	kw_bytes_init(&in, 65536);
	kw_bytes_init(&out, 65536);
	(void)snprintf(path, sizeof(path), "tests/vectors/rfc8785/%s.in.json", name);
	assert_int_equal(kw_file_read(AT_FDCWD, path, &in), 0);
	(void)snprintf(path, sizeof(path), "tests/vectors/rfc8785/%s.out.json", name);
	assert_int_equal(kw_file_read(AT_FDCWD, path, &out), 0);
	expect(in.data, out.data);
	kw_bytes_done(&in);
	kw_bytes_done(&out);
}

static void the_rfc_s_samples(void **state)
{
	(void)state;
	expect_vector("values");
	expect_vector("names");
}

static void white_space_order_and_escapes_go(void **state)
{
	(void)state;
	expect(" { \"b\" : [ 1 , 2 ] ,\t\"a\" : { } }\r\n", "{\"a\":{},\"b\":[1,2]}");
	expect("\"\\u0041\\u00E4\\/\\u001F\\ud83d\\ude00\"",
	       "\"A\xc3\xa4/\\u001f\xf0\x9f\x98\x80\"");
	expect("{\"a\":{\"d\":1,\"c\":{\"f\":[],\"e\":\"]}\"}}}",
	       "{\"a\":{\"c\":{\"e\":\"]}\",\"f\":[]},\"d\":1}}");
	expect("[1.0,-0,18446744073709551615]", "[1,0,18446744073709551615]");
	expect("\"\\u0000\"", "\"\\u0000\"");
	expect("[]", "[]");
	expect("true", "true");
}

static void what_readers_understand_differently_is_refused(void **state)
{
	(void)state;
	expect_refused("{\"a\":1,\"a\":1}");
	expect_refused("{\"a\":1,\"\\u0061\":2}"); /* the same name in two spellings */
	expect_refused("{\"x\":{\"\":1,\"\":1}}");
	expect_refused("\"\\ud800\"");
	expect_refused("1e400");
	expect_refused("{\"a\":1} x");
}

static void members_are_bounded(void **state)
{
	struct kw_bytes text, out;
	const char *reason = NULL;

	(void)state;
	kw_bytes_init(&text, 1 << 20);
	kw_bytes_init(&out, 1 << 20);
	kw_bytes_append_char(&text, '{');
	for (int i = 0; i < 4097; i++)
		kw_bytes_append_format(&text, "%s\"%d\":0", i ? "," : "", i);
	kw_bytes_append_char(&text, '}');
	assert_int_equal(kw_jcs_append(&out, text.data, text.length, &reason), -EBADMSG);
	kw_bytes_done(&text);
	kw_bytes_done(&out);
}

/* What a scalar means. */
static void strings_decode(void **state)
{
	static const char text[] = "\"a\\n\\u0000\\\\\xc3\xa4\\u20ac\\ud83d\\ude00\"";
	struct kw_span string = { text, sizeof(text) - 1 };
	struct kw_bytes out;

	(void)state;
	kw_bytes_init(&out, 64);
	assert_int_equal(kw_read_decode(string, &out), 0);
	assert_int_equal(out.length, 13);
	assert_memory_equal(out.data, "a\n\0\\\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 13);
	kw_bytes_done(&out);
	assert_true(kw_read_equals((struct kw_span){ "\"\\u0061\\\\b\"", 11 }, "a\\b"));
	assert_false(kw_read_equals((struct kw_span){ "\"ab\"", 4 }, "a"));
	assert_false(kw_read_equals((struct kw_span){ "\"a\"", 3 }, "ab"));
	assert_false(kw_read_equals((struct kw_span){ "1", 1 }, "1"));
	assert_false(kw_read_equals((struct kw_span){ NULL, 0 }, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(the_rfc_s_samples),
		cmocka_unit_test(white_space_order_and_escapes_go),
		cmocka_unit_test(what_readers_understand_differently_is_refused),
		cmocka_unit_test(members_are_bounded),
		cmocka_unit_test(strings_decode),
	};

	return cmocka_run_group_tests_name("verify_jcs", tests, NULL, NULL);
}
