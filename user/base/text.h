/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Strict text: numbers, alphabets, and foreign bytes made printable without losing any. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

/* Parses length bytes as a decimal u64: digits only, no sign, no blanks, no overflow.
 * Returns 0, -EINVAL (not digits) or -ERANGE (above 2^64-1). */
int kw_text_parse_u64(const char *text, size_t length, uint64_t *ret_value) kw_must_check;

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool kw_text_is_utf8(const char *text, size_t length);

/* Length of the well-formed UTF-8 sequence at text, 0 when there is none. */
size_t kw_text_utf8_sequence(const char *text, size_t length);

/* Appends foreign bytes as UTF-8: a byte that is no UTF-8 becomes %XX, and '%' itself %25, so that
 * the original can be had back and nothing is passed through raw. */
void kw_text_append_escaped(struct kw_bytes *bytes, const char *text, size_t length);

/* As above, and control characters (also U+0080..U+009F) become %XX: for a terminal. */
void kw_text_append_printable(struct kw_bytes *bytes, const char *text, size_t length);

/* Whether 1..maximum bytes, all of [A-Za-z0-9] or of the characters in extra. */
bool kw_text_is_identifier(const char *text, size_t length, size_t maximum, const char *extra);

/* Shell-like match with '*' and '?', the whole of text. No backtracking beyond linear. */
bool kw_text_matches_glob(const char *pattern, const char *text);
