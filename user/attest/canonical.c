/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Canonical JSON, written in one pass. Own code because signatures hang on every byte: jansson writes
 * control characters as \u001F where RFC 8785 3.2.2.2 wants \u001f, and has no integers above
 * 2^63-1. Nothing here allocates but the buffer it writes to.
 */
#include "user/attest/canonical.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/base/text.h"

/* 2^53 - 1: the largest integer up to which an IEEE double holds every one (RFC 7493 2.2). */
#define EXACT_MAX ((1ULL << 53) - 1)

/* Texts up to this length are put together on the stack. */
#define SIMPLE_MAX 252

static void fail(struct kw_json *json)
{
	if (!json->out->error)
		json->out->error = -EINVAL;
}

void kw_json_begin(struct kw_json *json, struct kw_bytes *out)
{
	/* Levels are set when they are entered: no need to clear them all. */
	json->out = out;
	json->depth = 0;
	json->done = false;
}

int kw_json_end(struct kw_json *json)
{
	if (json->depth != 0 || !json->done)
		fail(json);
	return kw_bytes_error(json->out);
}

/* Before a value: the comma of an array, or a look whether the key was given. */
static void value_begin(struct kw_json *json)
{
	struct kw_json_level *level;

	if (json->depth == 0) {
		if (json->done)
			fail(json);
		return;
	}
	level = &json->level[json->depth - 1];
	if (level->object) {
		if (!level->pending)
			fail(json);
		level->pending = false;
		return;
	}
	if (level->any)
		kw_bytes_append_char(json->out, ',');
	level->any = true;
}

static void value_end(struct kw_json *json)
{
	if (json->depth == 0)
		json->done = true;
}

static void open_level(struct kw_json *json, bool object)
{
	struct kw_json_level *level;

	value_begin(json);
	if (json->depth == KW_JSON_DEPTH_MAX) {
		fail(json);
		return;
	}
	level = &json->level[json->depth++];
	level->object = object;
	level->any = false;
	level->pending = false;
	level->key_length = 0;
	kw_bytes_append_char(json->out, object ? '{' : '[');
}

static void close_level(struct kw_json *json, bool object)
{
	const struct kw_json_level *level;

	if (json->depth == 0) {
		fail(json);
		return;
	}
	level = &json->level[--json->depth];
	if (level->object != object || level->pending)
		fail(json);
	kw_bytes_append_char(json->out, object ? '}' : ']');
	value_end(json);
}

void kw_json_object(struct kw_json *json)
{
	open_level(json, true);
}

void kw_json_end_object(struct kw_json *json)
{
	close_level(json, true);
}

void kw_json_array(struct kw_json *json)
{
	open_level(json, false);
}

void kw_json_end_array(struct kw_json *json)
{
	close_level(json, false);
}

/* Length of the run at text that needs no escape. Most text is one run. */
static size_t plain_run(const char *text, size_t length)
{
	size_t run = 0;

	while (run < length && (unsigned char)text[run] >= 0x20 && text[run] != '"' &&
	       text[run] != '\\')
		run++;
	return run;
}

/* RFC 8785 3.2.2.2: two-character escapes where JSON has them, else \u00xx in lower case. */
static void append_escape(struct kw_bytes *out, char character)
{
	static const char hex[] = "0123456789abcdef";
	static const char named[] = "\b\t\n\f\r\"\\", letter[] = "btnfr\"\\";
	const char *found = character ? strchr(named, character) : NULL;
	unsigned char byte = (unsigned char)character;
	char escape[6] = { '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] };

	if (found) {
		escape[1] = letter[found - named];
		kw_bytes_append(out, escape, 2);
	} else {
		kw_bytes_append(out, escape, sizeof(escape));
	}
}

/* Well-formed UTF-8 between quotation marks. */
static void append_quoted(struct kw_bytes *out, const char *text, size_t length)
{
	kw_bytes_append_char(out, '"');
	for (size_t i = 0; i < length;) {
		size_t run = plain_run(text + i, length - i);

		kw_bytes_append(out, text + i, run);
		i += run;
		if (i < length)
			append_escape(out, text[i++]);
	}
	kw_bytes_append_char(out, '"');
}

/* Whether text is ASCII without anything to escape, in JSON or by kw_text_append_escaped(). Nearly
 * all text is, and it then goes out in one piece. */
static bool is_simple(const char *text, size_t length)
{
	bool simple = true;

	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		simple &= byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\' && byte != '%';
	}
	return simple;
}

/* [,]"text"[:] for a simple text, with one append where it is short. */
static void append_simple(struct kw_bytes *out, bool comma, const char *text, size_t length,
			  bool colon)
{
	char piece[SIMPLE_MAX + 4], *at = piece;

	if (length > SIMPLE_MAX) {
		kw_bytes_append(out, ",\"" + !comma, 1U + comma);
		kw_bytes_append(out, text, length);
		kw_bytes_append(out, "\":", 1U + colon);
		return;
	}
	if (comma)
		*at++ = ',';
	*at++ = '"';
	memcpy(at, text, length);
	at += length;
	*at++ = '"';
	if (colon)
		*at++ = ':';
	kw_bytes_append(out, piece, (size_t)(at - piece));
}

int kw_json_compare(const char *left, size_t left_length, const char *right, size_t right_length)
{
	size_t common = left_length < right_length ? left_length : right_length;

	for (size_t i = 0; i < common; i++) {
		unsigned char a = (unsigned char)left[i], b = (unsigned char)right[i];

		if (a == b)
			continue;
		/* UTF-8 sorts by code point, and so does UTF-16 but for one thing: U+10000 and above
		 * (lead byte f0 up) are surrogates d800-dfff, which stand before U+E000-U+FFFF (ee, ef). */
		if (a >= 0xf0 && (b == 0xee || b == 0xef))
			return -1;
		if (b >= 0xf0 && (a == 0xee || a == 0xef))
			return 1;
		return a < b ? -1 : 1;
	}
	if (left_length == right_length)
		return 0;
	return left_length < right_length ? -1 : 1;
}

void kw_json_key(struct kw_json *json, const char *key)
{
	struct kw_json_level *level;
	size_t length = strlen(key);
	bool simple = is_simple(key, length);

	if (json->depth == 0 || length > KW_JSON_KEY_MAX) {
		fail(json);
		return;
	}
	level = &json->level[json->depth - 1];
	if (!level->object || level->pending || (!simple && !kw_text_is_utf8(key, length)) ||
	    (level->any && kw_json_compare(level->key, level->key_length, key, length) >= 0)) {
		fail(json);
		return;
	}
	memcpy(level->key, key, length);
	level->key_length = length;
	if (simple) {
		append_simple(json->out, level->any, key, length, true);
	} else {
		if (level->any)
			kw_bytes_append_char(json->out, ',');
		append_quoted(json->out, key, length);
		kw_bytes_append_char(json->out, ':');
	}
	level->any = true;
	level->pending = true;
}

/* A text with bytes in it that are no UTF-8: these become %XX, all else stays. */
static void append_mended(struct kw_bytes *out, const char *text, size_t length)
{
	kw_bytes_append_char(out, '"');
	for (size_t i = 0; i < length;) {
		size_t sequence = kw_text_utf8_sequence(text + i, length - i);

		if (sequence == 0)
			kw_bytes_append_format(out, "%%%02X", (unsigned char)text[i]);
		else if (plain_run(text + i, 1) == 0)
			append_escape(out, text[i]);
		else
			kw_bytes_append(out, text + i, sequence);
		i += sequence ? sequence : 1;
	}
	kw_bytes_append_char(out, '"');
}

void kw_json_string(struct kw_json *json, const char *text)
{
	size_t length = strlen(text);

	value_begin(json);
	if (is_simple(text, length))
		append_simple(json->out, false, text, length, false);
	else if (kw_text_is_utf8(text, length))
		append_quoted(json->out, text, length);
	else
		append_mended(json->out, text, length);
	value_end(json);
}

void kw_json_foreign(struct kw_json *json, const char *text, size_t length)
{
	value_begin(json);
	if (is_simple(text, length)) {
		append_simple(json->out, false, text, length, false);
	} else {
		struct kw_bytes escaped;

		/* %XX is the longest form a byte can take. */
		kw_bytes_init(&escaped, length * 3);
		kw_text_append_escaped(&escaped, text, length);
		if (kw_bytes_error(&escaped) && !json->out->error)
			json->out->error = kw_bytes_error(&escaped);
		append_quoted(json->out, escaped.data ? escaped.data : "", escaped.length);
		kw_bytes_done(&escaped);
	}
	value_end(json);
}

static void number(struct kw_json *json, bool negative, uint64_t magnitude)
{
	char digits[21];
	size_t at = sizeof(digits);

	value_begin(json);
	do {
		digits[--at] = (char)('0' + magnitude % 10);
		magnitude /= 10;
	} while (magnitude);
	if (negative)
		digits[--at] = '-';
	kw_bytes_append(json->out, digits + at, sizeof(digits) - at);
	value_end(json);
}

void kw_json_u64(struct kw_json *json, uint64_t value)
{
	number(json, false, value);
}

void kw_json_i64(struct kw_json *json, int64_t value)
{
	/* 0 - x in unsigned arithmetic is right for INT64_MIN too. */
	number(json, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void kw_json_id(struct kw_json *json, uint64_t value)
{
	char text[24];

	if (value <= EXACT_MAX) {
		kw_json_u64(json, value);
		return;
	}
	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	kw_json_string(json, text);
}

static void literal(struct kw_json *json, const char *text)
{
	value_begin(json);
	kw_bytes_append_string(json->out, text);
	value_end(json);
}

void kw_json_bool(struct kw_json *json, bool value)
{
	literal(json, value ? "true" : "false");
}

void kw_json_null(struct kw_json *json)
{
	literal(json, "null");
}

void kw_json_raw(struct kw_json *json, const char *text, size_t length)
{
	value_begin(json);
	kw_bytes_append(json->out, text, length);
	value_end(json);
}

void kw_json_member_string(struct kw_json *json, const char *key, const char *text)
{
	if (!text || text[0] == '\0')
		return;
	kw_json_key(json, key);
	kw_json_string(json, text);
}

void kw_json_member_foreign(struct kw_json *json, const char *key, const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	if (length == 0)
		return;
	kw_json_key(json, key);
	kw_json_foreign(json, text, length);
}

void kw_json_member_u64(struct kw_json *json, const char *key, uint64_t value)
{
	kw_json_key(json, key);
	kw_json_u64(json, value);
}

void kw_json_member_i64(struct kw_json *json, const char *key, int64_t value)
{
	kw_json_key(json, key);
	kw_json_i64(json, value);
}

void kw_json_member_bool(struct kw_json *json, const char *key, bool value)
{
	kw_json_key(json, key);
	kw_json_bool(json, value);
}

void kw_json_member_nonzero(struct kw_json *json, const char *key, uint64_t value)
{
	if (value)
		kw_json_member_u64(json, key, value);
}
