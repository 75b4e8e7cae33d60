/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Standard base64 in its one canonical form. Private to the room. */
#include <stdbool.h>
#include <stddef.h>

/* Decodes RFC 4648 section 4: padded, without white space, no bits set behind the last byte. Returns whether it is
 * that and fits in size; *ret_length: bytes of it. Not in constant time: signatures and digests are no secrets. */
bool kw_base64_decode(const char *text, size_t length, unsigned char *ret, size_t size,
		      size_t *ret_length);
