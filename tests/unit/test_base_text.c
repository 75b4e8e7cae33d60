/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "user/base/text.h"

static int parse(const char *text, uint64_t *ret_value)
{
	return kw_text_parse_u64(text, strlen(text), ret_value);
}

static void numbers_are_strict(void **state)
{
	uint64_t value = 77;

	(void)state;
	assert_int_equal(parse("0", &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(parse("18446744073709551615", &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(parse("18446744073709551616", &value), -ERANGE);
	assert_int_equal(parse("99999999999999999999999", &value), -ERANGE);
	assert_int_equal(parse("", &value), -EINVAL);
	assert_int_equal(parse("-1", &value), -EINVAL);
	assert_int_equal(parse("+1", &value), -EINVAL);
	assert_int_equal(parse(" 1", &value), -EINVAL);
	assert_int_equal(parse("1 ", &value), -EINVAL);
	assert_int_equal(parse("0x10", &value), -EINVAL);
	assert_true(value == UINT64_MAX); /* untouched on failure */
}

static void utf8_is_strict(void **state)
{
	static const char *const good[] = { "",
					    "abc",
					    "\xc3\xa4",
					    "\xe2\x82\xac",
					    "\xf0\x9f\x92\xa9",
					    "\xed\x9f\xbf",
					    "\xee\x80\x80",
					    "\xf4\x8f\xbf\xbf" };
	static const char *const bad[] = { "\x80",
					   "\xc0\xaf",
					   "\xc1\xbf",
					   "\xc3",
					   "\xe0\x9f\xbf",
					   "\xed\xa0\x80",
					   "\xf0\x8f\xbf\xbf",
					   "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80",
					   "\xe2\x82",
					   "\xff",
					   "a\xfe" };

	(void)state;
	for (size_t i = 0; i < kw_array_size(good); i++)
		assert_true(kw_text_is_utf8(good[i], strlen(good[i])));
	for (size_t i = 0; i < kw_array_size(bad); i++)
		assert_false(kw_text_is_utf8(bad[i], strlen(bad[i])));
}

static void check_escape(const char *text, size_t length, const char *escaped,
			 const char *printable)
{
	cleanup_bytes struct kw_bytes bytes;

	kw_bytes_init(&bytes, 1024);
	kw_text_append_escaped(&bytes, text, length);
	assert_int_equal(kw_bytes_error(&bytes), 0);
	assert_string_equal(bytes.data, escaped);
	kw_bytes_clear(&bytes);
	kw_text_append_printable(&bytes, text, length);
	assert_string_equal(bytes.data, printable);
}

static void foreign_bytes_are_escaped_reversibly(void **state)
{
	(void)state;
	check_escape("a\xff"
		     "b",
		     3, "a%FFb", "a%FFb");
	check_escape("100%", 4, "100%25", "100%25");
	check_escape("\x1b[2J\n", 5, "\x1b[2J\n", "%1B[2J%0A");
	check_escape("\xc2\x9b"
		     "2J",
		     4,
		     "\xc2\x9b"
		     "2J",
		     "%C2%9B2J"); /* U+009B is a CSI */
	check_escape("dev-disk-by\\x2duuid.swap", 24, "dev-disk-by\\x2duuid.swap",
		     "dev-disk-by\\x2duuid.swap");
	check_escape("\xe2\x82", 2, "%E2%82", "%E2%82");
}

static void identifiers(void **state)
{
	(void)state;
	assert_true(kw_text_is_identifier("cell-1.a", 8, 128, "._:-"));
	assert_false(kw_text_is_identifier("", 0, 128, "."));
	assert_false(kw_text_is_identifier("a/b", 3, 128, "._:-"));
	assert_false(kw_text_is_identifier("a\0b", 3, 128, "._:-"));
	assert_false(kw_text_is_identifier("abcd", 4, 3, ""));
}

static void globs(void **state)
{
	(void)state;
	assert_true(kw_text_matches_glob("*oom*", "host.v1.oom_kill"));
	assert_true(kw_text_matches_glob("a?c", "abc"));
	assert_true(kw_text_matches_glob("*", ""));
	assert_true(kw_text_matches_glob("*ab*ab", "abxabyab"));
	assert_false(kw_text_matches_glob("a*b", "abc"));
	assert_false(kw_text_matches_glob("?", ""));
	/* Would take for ever with naive backtracking. */
	assert_false(kw_text_matches_glob(
		"*a*a*a*a*a*a*a*a*a*a*a*a*b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(numbers_are_strict),
		support_test(utf8_is_strict),
		support_test(foreign_bytes_are_escaped_reversibly),
		support_test(identifiers),
		support_test(globs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
