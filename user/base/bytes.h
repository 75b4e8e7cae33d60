/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * A growing byte buffer with a mandatory maximum. Errors are sticky: after the first failure appends
 * do nothing, and kw_bytes_error() tells; so a writer checks once, at its end.
 */
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

struct kw_bytes {
	char *data; /* always NUL-terminated when not NULL; the NUL is not counted */
	size_t length;
	size_t capacity;
	size_t maximum;
	int error; /* 0, -ENOMEM, or -EMSGSIZE when the maximum was reached */
};

/* An empty buffer that grows to at most maximum bytes. Free with kw_bytes_done(). */
void kw_bytes_init(struct kw_bytes *bytes, size_t maximum);
/* Frees the storage; the buffer may be initialised again. */
void kw_bytes_done(struct kw_bytes *bytes);
/* Empties the buffer and its error, keeps the storage. */
void kw_bytes_clear(struct kw_bytes *bytes);
void kw_bytes_append(struct kw_bytes *bytes, const void *data, size_t length);
void kw_bytes_append_char(struct kw_bytes *bytes, char character);
void kw_bytes_append_string(struct kw_bytes *bytes, const char *string);
void kw_bytes_append_format(struct kw_bytes *bytes, const char *format, ...) kw_printf(2, 3);
/* 0 or the first error (negative errno). */
int kw_bytes_error(const struct kw_bytes *bytes);

#define cleanup_bytes cleanup(kw_bytes_done)
