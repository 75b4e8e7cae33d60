/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Strict text. comm and cgroup names are any bytes but NUL and '/' (Linux gives no encoding), so what
 * is no UTF-8 is escaped in a way that can be undone. '%' and not '\' is the escape: systemd's unit
 * names are full of "\x2d".
 */
#include "user/base/text.h"

#include <errno.h>
#include <string.h>

int kw_text_parse_u64(const char *text, size_t length, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (length == 0)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10U, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
			return -ERANGE;
	}
	*ret_value = value;
	return 0;
}

/* RFC 3629 section 4: the second byte's range depends on the first. */
size_t kw_text_utf8_sequence(const char *text, size_t length)
{
	const unsigned char *byte = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t need;

	if (length == 0)
		return 0;
	if (byte[0] < 0x80)
		return 1;
	if (byte[0] >= 0xc2 && byte[0] <= 0xdf)
		need = 2;
	else if (byte[0] >= 0xe0 && byte[0] <= 0xef)
		need = 3;
	else if (byte[0] >= 0xf0 && byte[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (need > length)
		return 0;
	if (byte[0] == 0xe0)
		low = 0xa0;
	else if (byte[0] == 0xed)
		high = 0x9f; /* no surrogates */
	else if (byte[0] == 0xf0)
		low = 0x90;
	else if (byte[0] == 0xf4)
		high = 0x8f; /* nothing above U+10FFFF */
	if (byte[1] < low || byte[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++) {
		if (byte[i] < 0x80 || byte[i] > 0xbf)
			return 0;
	}
	return need;
}

bool kw_text_is_utf8(const char *text, size_t length)
{
	for (size_t i = 0; i < length;) {
		size_t sequence = kw_text_utf8_sequence(text + i, length - i);

		if (sequence == 0)
			return false;
		i += sequence;
	}
	return true;
}

static bool is_control(const char *text, size_t sequence)
{
	const unsigned char *byte = (const unsigned char *)text;

	if (sequence == 1)
		return byte[0] < 0x20 || byte[0] == 0x7f;
	return sequence == 2 && byte[0] == 0xc2 && byte[1] < 0xa0; /* U+0080..U+009F */
}

static void append_escaped(struct kw_bytes *bytes, const char *text, size_t length, bool no_control)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < length;) {
		size_t sequence = kw_text_utf8_sequence(text + i, length - i);

		if (sequence > 0 && text[i] != '%' &&
		    !(no_control && is_control(text + i, sequence))) {
			kw_bytes_append(bytes, text + i, sequence);
			i += sequence;
			continue;
		}
		for (size_t end = i + (sequence ? sequence : 1); i < end; i++) {
			unsigned char byte = (unsigned char)text[i];
			char escape[3] = { '%', hex[byte >> 4], hex[byte & 15] };

			kw_bytes_append(bytes, escape, sizeof(escape));
		}
	}
}

void kw_text_append_escaped(struct kw_bytes *bytes, const char *text, size_t length)
{
	append_escaped(bytes, text, length, false);
}

void kw_text_append_printable(struct kw_bytes *bytes, const char *text, size_t length)
{
	append_escaped(bytes, text, length, true);
}

bool kw_text_is_identifier(const char *text, size_t length, size_t maximum, const char *extra)
{
	if (length == 0 || length > maximum)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
			continue;
		if (c == '\0' || !strchr(extra, c))
			return false;
	}
	return true;
}

bool kw_text_matches_glob(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	/* Only the last '*' is ever retried: an earlier one has matched as little as it can already. */
	while (*text) {
		if (*pattern == '*') {
			star = pattern++;
			resume = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star) {
			pattern = star + 1;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}
