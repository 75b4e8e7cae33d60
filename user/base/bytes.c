/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A growing buffer that cannot outgrow the maximum its owner gave it. Doubling keeps appends cheap;
 * the sticky error lets writers of long lines check once.
 */
#include "user/base/bytes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define FIRST_CAPACITY 256U

void kw_bytes_init(struct kw_bytes *bytes, size_t maximum)
{
	*bytes = (struct kw_bytes){ .maximum = maximum };
}

void kw_bytes_done(struct kw_bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct kw_bytes){ .maximum = bytes->maximum };
}

void kw_bytes_clear(struct kw_bytes *bytes)
{
	bytes->length = 0;
	bytes->error = 0;
	if (bytes->data)
		bytes->data[0] = '\0';
}

/* Makes room for length more bytes and the NUL. */
static int reserve(struct kw_bytes *bytes, size_t length)
{
	size_t capacity = bytes->capacity ? bytes->capacity : FIRST_CAPACITY;
	char *data;

	if (bytes->error)
		return bytes->error;
	if (length > bytes->maximum - bytes->length)
		return bytes->error = -EMSGSIZE;
	if (bytes->data && bytes->length + length < bytes->capacity)
		return 0;
	while (capacity <= bytes->length + length)
		capacity *= 2;
	data = realloc(bytes->data, capacity);
	if (!data)
		return bytes->error = -ENOMEM;
	bytes->data = data;
	bytes->capacity = capacity;
	return 0;
}

void kw_bytes_append(struct kw_bytes *bytes, const void *data, size_t length)
{
	if (reserve(bytes, length) < 0)
		return;
	if (length)
		memcpy(bytes->data + bytes->length, data, length);
	bytes->length += length;
	bytes->data[bytes->length] = '\0';
}

void kw_bytes_append_char(struct kw_bytes *bytes, char character)
{
	kw_bytes_append(bytes, &character, 1);
}

void kw_bytes_append_string(struct kw_bytes *bytes, const char *string)
{
	kw_bytes_append(bytes, string, strlen(string));
}

void kw_bytes_append_format(struct kw_bytes *bytes, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0) {
		if (!bytes->error)
			bytes->error = -EINVAL;
		return;
	}
	if (reserve(bytes, (size_t)length) < 0)
		return;
	va_start(arguments, format);
	(void)vsnprintf(bytes->data + bytes->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	bytes->length += (size_t)length;
}

int kw_bytes_error(const struct kw_bytes *bytes)
{
	return bytes->error;
}
