/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* JSON texts: checking and reading them without a tree. Private to the room. */
#include "user/verify/verify.h"

#define KW_SCAN_DEPTH_MAX 64

/* Whether text is one JSON value and nothing else; canonical: and its own canonical form, byte for
 * byte. 0, or -EBADMSG with a static reason. Not canonical: repeated names are not looked for. */
int kw_scan_check(const char *text, size_t length, bool canonical, const char **ret_reason)
	kw_must_check;

/* ---- read.c ---- */

/* Order of two JSON strings by UTF-16 code units of what they mean (RFC 8785 3.2.3). */
int kw_read_compare(struct kw_span left, struct kw_span right);

/* Next element of an array, as kw_read_member(). */
bool kw_read_element(struct kw_span array, size_t *position, struct kw_span *ret_value);

/* Whether c is white space in JSON. */
static inline bool kw_scan_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* ---- number.c ---- */

/* Room for a canonical number: the longest have 24 characters. */
#define KW_NUMBER_BYTES 64
/* Canonical form of a JSON number: integers within 64 bits exactly, all else as ECMAScript prints the
 * double nearest to it. 0, or -ERANGE: no finite double. */
int kw_number_format(const char *text, size_t length, char ret_text[static KW_NUMBER_BYTES])
	kw_must_check;
