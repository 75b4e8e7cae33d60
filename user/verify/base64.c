/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Standard base64 by a table. libsodium's decoder is made for secrets: it takes the same time whatever the text is,
 * and ten times as long, with half a kilobyte of envelope in each line of a ledger. And version 1.0.18 takes bytes
 * from 0x80 on for characters (sodium/codecs.c: its char is signed), so a text has other forms than its canonical
 * one; here it has not. Of ASCII texts both take exactly the same, which is tested.
 */
#include "user/verify/base64.h"

#include <stdint.h>

#define BAD 0x80U

/* The value of a character, or BAD. */
static uint32_t value_of(unsigned char c)
{
	/* For '+' to 'z'; 80 is no character. */
	static const unsigned char values[] = {
		62,   0x80, 0x80, 0x80, 63,   52,   53, 54, 55, 56, 57, 58, 59, 60, 61, 0x80,
		0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0,	1,  2,	3,  4,	5,  6,	7,  8,	9,
		10,   11,   12,	  13,	14,   15,   16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
		0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35,
		36,   37,   38,	  39,	40,   41,   42, 43, 44, 45, 46, 47, 48, 49, 50, 51,
	};

	return c >= '+' && c <= 'z' ? values[c - '+'] : BAD;
}

/* Four characters as 24 bits; BAD in the top byte when one is none. */
static uint32_t four(const unsigned char *text)
{
	uint32_t a = value_of(text[0]), b = value_of(text[1]), c = value_of(text[2]),
		 d = value_of(text[3]);

	return a << 18 | b << 12 | c << 6 | d | ((a | b | c | d) & BAD) << 24;
}

bool kw_base64_decode(const char *text, size_t length, unsigned char *ret, size_t size,
		      size_t *ret_length)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t padding = 0, bytes;
	uint32_t bits;

	if (length % 4 != 0)
		return false;
	if (length > 0 && text[length - 1] == '=')
		padding = text[length - 2] == '=' ? 2 : 1;
	bytes = length / 4 * 3 - padding;
	if (bytes > size)
		return false;
	for (size_t whole = bytes / 3; whole > 0; whole--, at += 4, ret += 3) {
		bits = four(at);
		if (bits >> 24)
			return false;
		ret[0] = (unsigned char)(bits >> 16);
		ret[1] = (unsigned char)(bits >> 8);
		ret[2] = (unsigned char)bits;
	}
	if (padding) {
		const unsigned char last[4] = { at[0], at[1], padding == 2 ? 'A' : at[2], 'A' };

		bits = four(last);
		if (bits >> 24 || (padding == 2 ? bits & 0xffff : bits & 0xff))
			return false;
		ret[0] = (unsigned char)(bits >> 16);
		if (padding == 1)
			ret[1] = (unsigned char)(bits >> 8);
	}
	*ret_length = bytes;
	return true;
}
