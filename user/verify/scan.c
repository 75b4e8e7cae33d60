/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A JSON reader that says whether a text is well-formed (RFC 8259, within RFC 7493) and whether it is
 * canonical (RFC 8785). Own code, because verification hangs on bytes: a parser that builds a tree
 * forgets escapes, order, white space and integers above 2^63-1. Recursion is bounded, nothing is
 * allocated.
 */
#include "user/verify/scan.h"

#include <errno.h>
#include <string.h>

#include "user/base/text.h"

struct scan {
	const char *at;
	const char *end;
	bool canonical;
	unsigned int depth;
	const char *reason;
};

static int refuse(struct scan *scan, const char *reason)
{
	scan->reason = reason;
	return -EBADMSG;
}

static void skip_space(struct scan *scan)
{
	while (!scan->canonical && scan->at < scan->end && kw_scan_is_space(*scan->at))
		scan->at++;
}

static bool take(struct scan *scan, char c)
{
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Four hex digits at text; -1 when they are not. */
static int32_t hex_unit(const char *text, const char *end)
{
	int32_t unit = 0;

	if (end - text < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int value = hex_value(text[i]);

		if (value < 0)
			return -1;
		unit = unit * 16 + value;
	}
	return unit;
}

/* After "\u". RFC 8785 3.2.2.2: only control characters without a short form, in lower case. */
static int scan_unicode_escape(struct scan *scan)
{
	int32_t unit = hex_unit(scan->at, scan->end), low;

	if (unit < 0)
		return refuse(scan, "\\u without four hex digits");
	if (scan->canonical) {
		if (unit >= 0x20 || unit == '\b' || unit == '\t' || unit == '\n' || unit == '\f' ||
		    unit == '\r' || (scan->at[3] >= 'A' && scan->at[3] <= 'F'))
			return refuse(scan, "not canonical: an escape that another form replaces");
	}
	scan->at += 4;
	if (unit < 0xd800 || unit > 0xdfff)
		return 0;
	if (unit > 0xdbff || scan->end - scan->at < 6 || scan->at[0] != '\\' || scan->at[1] != 'u')
		return refuse(scan, "a lone surrogate");
	low = hex_unit(scan->at + 2, scan->end);
	if (low < 0xdc00 || low > 0xdfff)
		return refuse(scan, "a lone surrogate");
	scan->at += 6;
	return 0;
}

static int scan_escape(struct scan *scan)
{
	char c;

	if (scan->at == scan->end)
		return refuse(scan, "a string without its end");
	c = *scan->at++;
	if (c == 'u')
		return scan_unicode_escape(scan);
	if (c == '\0' || !strchr("\"\\/bfnrt", c))
		return refuse(scan, "an escape that JSON does not have");
	if (scan->canonical && c == '/')
		return refuse(scan, "not canonical: an escape that another form replaces");
	return 0;
}

/* ASCII that stands in a string as it is: nearly all of a ledger. */
static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static int scan_string(struct scan *scan)
{
	if (!take(scan, '"'))
		return refuse(scan, "no string where one must stand");
	while (scan->at < scan->end) {
		size_t sequence;
		int r;

		if (is_plain((unsigned char)*scan->at)) {
			scan->at++;
			continue;
		}
		if (*scan->at == '"') {
			scan->at++;
			return 0;
		}
		if (*scan->at == '\\') {
			scan->at++;
			r = scan_escape(scan);
			if (r < 0)
				return r;
			continue;
		}
		if ((unsigned char)*scan->at < 0x20)
			return refuse(scan, "a control character in a string");
		sequence = kw_text_utf8_sequence(scan->at, (size_t)(scan->end - scan->at));
		if (sequence == 0)
			return refuse(scan, "a string that is not UTF-8");
		scan->at += sequence;
	}
	return refuse(scan, "a string without its end");
}

static bool take_digits(struct scan *scan)
{
	const char *begin = scan->at;

	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	return scan->at > begin;
}

static int scan_number(struct scan *scan)
{
	const char *begin = scan->at;
	char canonical[KW_NUMBER_BYTES];
	size_t length;

	(void)take(scan, '-');
	if (!take(scan, '0') && !take_digits(scan))
		return refuse(scan, "no JSON value where one must stand");
	if (take(scan, '.') && !take_digits(scan))
		return refuse(scan, "a number without digits after its point");
	if (take(scan, 'e') || take(scan, 'E')) {
		(void)(take(scan, '+') || take(scan, '-'));
		if (!take_digits(scan))
			return refuse(scan, "a number without digits in its exponent");
	}
	length = (size_t)(scan->at - begin);
	if (kw_number_format(begin, length, canonical) < 0)
		return refuse(scan, "a number that no double holds");
	if (scan->canonical &&
	    (strlen(canonical) != length || memcmp(canonical, begin, length) != 0))
		return refuse(scan, "not canonical: a number in another form");
	return 0;
}

static int scan_value(struct scan *scan);

static int scan_array(struct scan *scan)
{
	int r;

	skip_space(scan);
	if (take(scan, ']'))
		return 0;
	for (;;) {
		r = scan_value(scan);
		if (r < 0)
			return r;
		skip_space(scan);
		if (take(scan, ']'))
			return 0;
		if (!take(scan, ','))
			return refuse(scan, "an array without ',' or ']'");
	}
}

static int scan_object(struct scan *scan)
{
	struct kw_span previous = { NULL, 0 }, name;
	int r;

	skip_space(scan);
	if (take(scan, '}'))
		return 0;
	for (;;) {
		skip_space(scan);
		name.data = scan->at;
		r = scan_string(scan);
		if (r < 0)
			return r;
		name.length = (size_t)(scan->at - name.data);
		if (scan->canonical && previous.data && kw_read_compare(previous, name) >= 0)
			return refuse(scan,
				      "not canonical: names not in ascending order, or one twice");
		previous = name;
		skip_space(scan);
		if (!take(scan, ':'))
			return refuse(scan, "a name without ':'");
		r = scan_value(scan);
		if (r < 0)
			return r;
		skip_space(scan);
		if (take(scan, '}'))
			return 0;
		if (!take(scan, ','))
			return refuse(scan, "an object without ',' or '}'");
	}
}

static bool take_word(struct scan *scan, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, word, length) != 0)
		return false;
	scan->at += length;
	return true;
}

static int scan_value(struct scan *scan)
{
	int r;

	skip_space(scan);
	if (scan->at == scan->end)
		return refuse(scan, "the text ends where a value must stand");
	switch (*scan->at) {
	case '"':
		return scan_string(scan);
	case '{':
	case '[':
		if (++scan->depth > KW_SCAN_DEPTH_MAX)
			return refuse(scan, "nested too deeply");
		r = *scan->at++ == '{' ? scan_object(scan) : scan_array(scan);
		scan->depth--;
		return r;
	case 't':
	case 'f':
	case 'n':
		if (take_word(scan, "true") || take_word(scan, "false") || take_word(scan, "null"))
			return 0;
		return refuse(scan, "no JSON value where one must stand");
	default:
		return scan_number(scan);
	}
}

int kw_scan_check(const char *text, size_t length, bool canonical, const char **ret_reason)
{
	struct scan scan = { .at = text, .end = text + length, .canonical = canonical };
	int r = scan_value(&scan);

	skip_space(&scan);
	if (r == 0 && scan.at != scan.end)
		r = refuse(&scan, "bytes after the end of the value");
	if (r < 0)
		*ret_reason = scan.reason;
	return r;
}
