/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading JSON text that kw_scan_check() has passed: members, elements, what strings mean. Nothing is
 * checked again but bounds, and nothing but kw_read_decode() copies.
 */
#include "user/verify/scan.h"

#include <errno.h>
#include <string.h>

#include "user/base/text.h"

/* Four hex digits; the text was checked. */
static uint32_t hex_unit(const char *text)
{
	uint32_t unit = 0;

	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)text[i];

		unit = unit << 4 | ((c & 0x0fU) + (c > '9' ? 9U : 0U));
	}
	return unit;
}

/* One code point of a checked string's inside; *at moves on. */
static uint32_t next_point(const char **at, const char *end)
{
	static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
	const unsigned char *byte = (const unsigned char *)*at;
	const char *found;
	uint32_t unit;

	if (byte[0] != '\\') {
		size_t sequence = kw_text_utf8_sequence(*at, (size_t)(end - *at));

		*at += sequence ? sequence : 1;
		if (sequence == 2)
			return (byte[0] & 0x1fU) << 6 | (byte[1] & 0x3fU);
		if (sequence == 3)
			return (byte[0] & 0x0fU) << 12 | (byte[1] & 0x3fU) << 6 | (byte[2] & 0x3fU);
		if (sequence == 4)
			return (byte[0] & 0x07U) << 18 | (byte[1] & 0x3fU) << 12 |
			       (byte[2] & 0x3fU) << 6 | (byte[3] & 0x3fU);
		return byte[0];
	}
	if (byte[1] != 'u') {
		*at += 2;
		found = strchr(letters, byte[1]);
		return found ? (unsigned char)meanings[found - letters] : byte[1];
	}
	unit = hex_unit(*at + 2);
	*at += 6;
	if (unit < 0xd800 || unit > 0xdbff)
		return unit;
	unit = 0x10000 + ((unit - 0xd800) << 10) + (hex_unit(*at + 2) - 0xdc00);
	*at += 6;
	return unit;
}

/* A number that sorts as the code point's UTF-16 code units do: above U+FFFF they begin with d800 to
 * dfff, which stands before U+E000. */
static uint32_t utf16_rank(uint32_t point)
{
	if (point >= 0x10000)
		return point - 0x10000 + 0xd800;
	return point >= 0xe000 ? point + 0x100000 : point;
}

int kw_read_compare(struct kw_span left, struct kw_span right)
{
	const char *a = left.data + 1, *a_end = left.data + left.length - 1;
	const char *b = right.data + 1, *b_end = right.data + right.length - 1;

	/* As far as they are the same plain ASCII there is nothing to decode. */
	while (a < a_end && b < b_end && *a == *b && (unsigned char)*a < 0x80 && *a != '\\') {
		a++;
		b++;
	}
	while (a < a_end && b < b_end) {
		uint32_t x = utf16_rank(next_point(&a, a_end)),
			 y = utf16_rank(next_point(&b, b_end));

		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a < a_end) - (b < b_end);
}

bool kw_read_is_string(struct kw_span value)
{
	return value.data && value.length >= 2 && value.data[0] == '"';
}

static void append_point(struct kw_bytes *out, uint32_t point)
{
	char text[4];
	size_t length;

	if (point < 0x80) {
		text[0] = (char)point;
		length = 1;
	} else if (point < 0x800) {
		text[0] = (char)(0xc0 | point >> 6);
		text[1] = (char)(0x80 | (point & 0x3f));
		length = 2;
	} else if (point < 0x10000) {
		text[0] = (char)(0xe0 | point >> 12);
		text[1] = (char)(0x80 | (point >> 6 & 0x3f));
		text[2] = (char)(0x80 | (point & 0x3f));
		length = 3;
	} else {
		text[0] = (char)(0xf0 | point >> 18);
		text[1] = (char)(0x80 | (point >> 12 & 0x3f));
		text[2] = (char)(0x80 | (point >> 6 & 0x3f));
		text[3] = (char)(0x80 | (point & 0x3f));
		length = 4;
	}
	kw_bytes_append(out, text, length);
}

int kw_read_decode(struct kw_span string, struct kw_bytes *out)
{
	const char *at, *end;

	if (!kw_read_is_string(string))
		return -EBADMSG;
	at = string.data + 1;
	end = string.data + string.length - 1;
	while (at < end) {
		const char *escape = memchr(at, '\\', (size_t)(end - at));
		size_t run = (size_t)((escape ? escape : end) - at);

		kw_bytes_append(out, at, run);
		at += run;
		if (at < end)
			append_point(out, next_point(&at, end));
	}
	return kw_bytes_error(out);
}

bool kw_read_equals(struct kw_span string, const char *text)
{
	const char *at, *end, *want = text, *want_end = text + strlen(text);

	if (!kw_read_is_string(string))
		return false;
	at = string.data + 1;
	end = string.data + string.length - 1;
	/* An escape is longer than what it means; a string without one means its own bytes. */
	if (end - at <= want_end - want || !memchr(at, '\\', (size_t)(end - at)))
		return end - at == want_end - want && memcmp(at, want, (size_t)(end - at)) == 0 &&
		       !memchr(at, '\\', (size_t)(end - at));
	while (at < end && want < want_end) {
		if (*want == '\\') { /* the reader would take it for an escape */
			if (next_point(&at, end) != '\\')
				return false;
			want++;
		} else if (next_point(&at, end) != next_point(&want, want_end)) {
			return false;
		}
	}
	return at == end && want == want_end;
}

/* End of the string, number or word that begins at at. */
static const char *skip_scalar(const char *at, const char *end)
{
	if (*at != '"') {
		while (at < end && *at != ',' && *at != '}' && *at != ']' && *at != ':' &&
		       !kw_scan_is_space(*at))
			at++;
		return at;
	}
	for (at++; at < end;) {
		const char *quote = memchr(at, '"', (size_t)(end - at));
		const char *escape = memchr(at, '\\', (size_t)((quote ? quote : end) - at));

		if (!escape)
			return quote ? quote + 1 : end;
		at = escape + 2;
	}
	return end;
}

/* The value at *at, which moves behind it. */
static struct kw_span take_value(const char **at, const char *end)
{
	struct kw_span value = { *at, 0 };
	unsigned int depth = 0;

	do {
		if (**at == '{' || **at == '[') {
			depth++;
			(*at)++;
		} else if (**at == '}' || **at == ']') {
			depth--;
			(*at)++;
		} else if (**at == ',' || **at == ':' || kw_scan_is_space(**at)) {
			(*at)++;
		} else {
			*at = skip_scalar(*at, end);
		}
	} while (depth > 0 && *at < end);
	value.length = (size_t)(*at - value.data);
	return value;
}

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && kw_scan_is_space(*at))
		at++;
	return at;
}

/* The next item of an object or array, NULL at its end. */
static const char *begin_item(struct kw_span whole, char open, char close, size_t position)
{
	const char *end, *at;

	if (!whole.data || whole.length < 2 || whole.data[0] != open)
		return NULL;
	end = whole.data + whole.length;
	at = skip_space(whole.data + (position ? position : 1), end);
	if (position && at < end && *at == ',')
		at = skip_space(at + 1, end);
	return at < end && *at != close ? at : NULL;
}

bool kw_read_member(struct kw_span object, size_t *position, struct kw_span *ret_name,
		    struct kw_span *ret_value)
{
	const char *end = object.data + object.length;
	const char *at = begin_item(object, '{', '}', *position);

	if (!at)
		return false;
	*ret_name = take_value(&at, end);
	at = skip_space(at, end);
	if (at < end)
		at++; /* ':' */
	at = skip_space(at, end);
	if (at == end)
		return false;
	*ret_value = take_value(&at, end);
	*position = (size_t)(at - object.data);
	return true;
}

bool kw_read_element(struct kw_span array, size_t *position, struct kw_span *ret_value)
{
	const char *at = begin_item(array, '[', ']', *position);

	if (!at)
		return false;
	*ret_value = take_value(&at, array.data + array.length);
	*position = (size_t)(at - array.data);
	return true;
}

int kw_read_members(struct kw_span object, struct kw_members *ret_members)
{
	struct kw_span name, value;
	size_t position = 0;

	ret_members->count = 0;
	if (!object.data || object.length == 0 || object.data[0] != '{')
		return -EBADMSG;
	while (kw_read_member(object, &position, &name, &value)) {
		if (ret_members->count == KW_MEMBERS_MAX)
			return -E2BIG;
		ret_members->names[ret_members->count] = name;
		ret_members->values[ret_members->count++] = value;
	}
	return 0;
}

struct kw_span kw_read_find(const struct kw_members *members, const char *name)
{
	for (size_t i = 0; i < members->count; i++) {
		if (kw_read_equals(members->names[i], name))
			return members->values[i];
	}
	return (struct kw_span){ NULL, 0 };
}
