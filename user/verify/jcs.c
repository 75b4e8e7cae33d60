/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Any JSON text to its canonical form (RFC 8785), for events that others wrote. Works on the text
 * itself: of each object only the places of its members are kept, and sorted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/verify/scan.h"

/* Members of one object. Above: refused. */
#define MEMBERS_MAX 4096

struct member {
	struct kw_span name;
	struct kw_span value;
};

static int append_value(struct kw_bytes *out, struct kw_span value, const char **ret_reason);

static int compare_members(const void *left, const void *right)
{
	return kw_read_compare(((const struct member *)left)->name,
			       ((const struct member *)right)->name);
}

/* What the string means, written the canonical way. */
static int append_string(struct kw_bytes *out, struct kw_span string)
{
	static const char hex[] = "0123456789abcdef";
	static const char named[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, string.length);
	r = kw_read_decode(string, &text);
	if (r < 0)
		return r;
	kw_bytes_append_char(out, '"');
	for (size_t i = 0; i < text.length; i++) {
		char c = text.data[i];
		const char *found = c ? strchr(named, c) : NULL;
		char escape[6] = { '\\', 'u', '0', '0', hex[(c >> 4) & 1], hex[c & 15] };

		if (found) {
			escape[1] = letters[found - named];
			kw_bytes_append(out, escape, 2);
		} else if ((unsigned char)c < 0x20) {
			kw_bytes_append(out, escape, sizeof(escape));
		} else {
			kw_bytes_append_char(out, c);
		}
	}
	kw_bytes_append_char(out, '"');
	return kw_bytes_error(out);
}

static int collect(struct kw_span object, struct member **ret_members, size_t *ret_count)
{
	cleanup_free struct member *members = NULL;
	size_t count = 0, capacity = 0, position = 0;
	struct kw_span name, value;

	while (kw_read_member(object, &position, &name, &value)) {
		if (count == MEMBERS_MAX)
			return -E2BIG;
		if (count == capacity) {
			struct member *grown;

			capacity = capacity ? 2 * capacity : 16;
			grown = reallocarray(members, capacity, sizeof(*members));
			if (!grown)
				return -ENOMEM;
			members = grown;
		}
		members[count++] = (struct member){ name, value };
	}
	*ret_members = take_ptr(members);
	*ret_count = count;
	return 0;
}

static int append_object(struct kw_bytes *out, struct kw_span object, const char **ret_reason)
{
	cleanup_free struct member *members = NULL;
	size_t count;
	int r;

	r = collect(object, &members, &count);
	if (r == -E2BIG) {
		*ret_reason = "an object with too many members";
		return -EBADMSG;
	}
	if (r < 0)
		return r;
	if (count)
		qsort(members, count, sizeof(*members), compare_members);
	kw_bytes_append_char(out, '{');
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && compare_members(&members[i - 1], &members[i]) == 0) {
			*ret_reason = "a name stands twice in an object";
			return -EBADMSG;
		}
		if (i > 0)
			kw_bytes_append_char(out, ',');
		r = append_string(out, members[i].name);
		if (r < 0)
			return r;
		kw_bytes_append_char(out, ':');
		r = append_value(out, members[i].value, ret_reason);
		if (r < 0)
			return r;
	}
	kw_bytes_append_char(out, '}');
	return kw_bytes_error(out);
}

static int append_array(struct kw_bytes *out, struct kw_span array, const char **ret_reason)
{
	size_t position = 0;
	struct kw_span value;
	bool any = false;
	int r;

	kw_bytes_append_char(out, '[');
	while (kw_read_element(array, &position, &value)) {
		if (any)
			kw_bytes_append_char(out, ',');
		any = true;
		r = append_value(out, value, ret_reason);
		if (r < 0)
			return r;
	}
	kw_bytes_append_char(out, ']');
	return kw_bytes_error(out);
}

static int append_value(struct kw_bytes *out, struct kw_span value, const char **ret_reason)
{
	char number[KW_NUMBER_BYTES];
	int r;

	switch (value.data[0]) {
	case '{':
		return append_object(out, value, ret_reason);
	case '[':
		return append_array(out, value, ret_reason);
	case '"':
		return append_string(out, value);
	case 't':
	case 'f':
	case 'n':
		kw_bytes_append(out, value.data, value.length);
		return kw_bytes_error(out);
	default:
		r = kw_number_format(value.data, value.length, number);
		if (r < 0)
			return r;
		kw_bytes_append_string(out, number);
		return kw_bytes_error(out);
	}
}

int kw_jcs_append(struct kw_bytes *out, const char *text, size_t length, const char **ret_reason)
{
	struct kw_span value = { text, length };
	int r;

	r = kw_scan_check(text, length, false, ret_reason);
	if (r < 0)
		return r;
	while (kw_scan_is_space(value.data[0])) {
		value.data++;
		value.length--;
	}
	while (kw_scan_is_space(value.data[value.length - 1]))
		value.length--;
	return append_value(out, value, ret_reason);
}
