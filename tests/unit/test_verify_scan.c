/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/verify/scan.h"

/* On the heap and without a NUL, so that one byte too far is seen. */
static int check(const char *text, size_t length, bool canonical)
{
	char *copy = malloc(length ? length : 1);
	const char *reason = NULL;
	int r;

	assert_non_null(copy);
	memcpy(copy, text, length);
	r = kw_scan_check(copy, length, canonical, &reason);
	free(copy);
	if (r < 0)
		assert_non_null(reason);
	return r;
}

static int json(const char *text)
{
	return check(text, strlen(text), false);
}

static int canonical(const char *text)
{
	return check(text, strlen(text), true);
}

static const char *const json_good[] = {
	"0",
	"-1",
	"1.5e-3",
	" [ ] ",
	"{}",
	"\"\"",
	"true",
	"false",
	"null",
	"{\"a\":[1,{\"b\":null}]}",
	"\"\\u00e4\\ud83d\\ude00\\/\"",
	"[1 , 2]\n",
};
static const char *const json_bad[] = {
	"",
	" ",
	"01",
	"1.",
	".5",
	"1e",
	"+1",
	"-",
	"--1",
	"NaN",
	"Infinity",
	"tru",
	"nul",
	"truex",
	"[1,]",
	"[,1]",
	"[1 2]",
	"[",
	"]",
	"{",
	"}",
	"{\"a\"}",
	"{\"a\":}",
	"{\"a\":1,}",
	"{a:1}",
	"{1:1}",
	"{\"a\" 1}",
	"{\"a\":1 \"b\":2}",
	"\"",
	"\"\\\"",
	"\"\\x\"",
	"\"\\u12\"",
	"\"\\u12g4\"",
	"\"\n\"",
	"\"\x01\"",
	"'a'",
	"1 2",
	"\xef\xbb\xbf"
	"1",
	"\"\xff\"",
	"\"\xc0\x80\"",
	"\"\xed\xa0\x80\"",
	"\"\\ud800\"",
	"\"\\ud800x\"",
	"\"\\udc00\"",
	"\"\\ud800\\ud800\"",
	"\"\\ud83d\\u0041\"",
	"1e999",
	"/**/1",
	"\v1",
};

static void json_is_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < kw_array_size(json_good); i++)
		assert_int_equal(json(json_good[i]), 0);
	for (size_t i = 0; i < kw_array_size(json_bad); i++) {
		if (json(json_bad[i]) == 0)
			fail_msg("taken for JSON: %s", json_bad[i]);
	}
	assert_int_equal(check("1\0", 2, false), -EBADMSG);
	assert_int_equal(check("\"a\0b\"", 5, false), -EBADMSG);
}

static void canonical_is_one_form_only(void **state)
{
	static const char *const good[] = {
		"{}",
		"{\"a\":1,\"b\":[true,null]}",
		"\"\\b\\t\\n\\f\\r\\\"\\\\\\u0000\\u001f/\x7f\"",
		"18446744073709551615",
		"{\"\xf0\x9f\x98\x80\":1,\"\xef\xac\xb3\":2}",
		"{\"\":1,\"a\":2}",
	};
	static const char *const bad[] = {
		" {}",
		"{} ",
		"{ }",
		"[1, 2]",
		"{\"a\": 1}",
		"{\"b\":1,\"a\":2}",
		"{\"a\":1,\"a\":2}",
		"\"\\u001F\"",
		"\"\\u0041\"",
		"\"\\u000a\"",
		"\"\\u0022\"",
		"\"\\/\"",
		"\"\\u00e4\"",
		"\"\\ud83d\\ude00\"",
		"\"\\u007f\"",
		"1.0",
		"1e3",
		"-0",
		"1E5",
		"0.10",
		"1e+2",
		"{\"\xef\xac\xb3\":1,\"\xf0\x9f\x98\x80\":2}",
		"\n",
		"[1]\n",
		/* the same name in two spellings */
		"{\"\\n\":1,\"\\u000a\":2}",
	};

	(void)state;
	for (size_t i = 0; i < kw_array_size(good); i++)
		assert_int_equal(canonical(good[i]), 0);
	for (size_t i = 0; i < kw_array_size(bad); i++) {
		if (canonical(bad[i]) == 0)
			fail_msg("taken for canonical: %s", bad[i]);
	}
}

static void depth_is_bounded(void **state)
{
	char text[2 * (KW_SCAN_DEPTH_MAX + 1)];

	(void)state;
	memset(text, '[', KW_SCAN_DEPTH_MAX + 1);
	memset(text + KW_SCAN_DEPTH_MAX + 1, ']', KW_SCAN_DEPTH_MAX + 1);
	assert_int_equal(check(text, sizeof(text), false), -EBADMSG);
	assert_int_equal(check(text + 1, sizeof(text) - 2, false), 0);
}

/* Every prefix of a good text is bad, and none is read beyond its end. */
static void prefixes_are_refused(void **state)
{
	static const char text[] =
		"{\"a\":[1.5e-3,\"\\ud83d\\ude00\xc3\xa4\\n\",true,false,null,{\"b\":{}}]}";

	(void)state;
	for (size_t length = 0; length < sizeof(text) - 1; length++)
		assert_int_equal(check(text, length, false), -EBADMSG);
	assert_int_equal(check(text, sizeof(text) - 1, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_json),
		cmocka_unit_test(canonical_is_one_form_only),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(prefixes_are_refused),
	};

	return cmocka_run_group_tests_name("verify_scan", tests, NULL, NULL);
}
