/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Canonical numbers. RFC 8785 3.2.2.3 prints every number as ECMAScript prints the nearest double,
 * which rounds integers above 2^53. Our counters are u64, so integers that fit 64 bits are kept
 * exactly: the one deviation, said in docs/ledger.md. Everything else is as the RFC has it.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/text.h"
#include "user/verify/scan.h"

#define DIGITS_MAX 17 /* enough for any double (IEEE 754 binary64) */
#define LITERAL_MAX 1024

/* "-?(0|[1-9][0-9]*)" within i64 or u64: its own canonical form, but for "-0". */
static bool is_exact_integer(const char *text, size_t length)
{
	bool negative = length > 0 && text[0] == '-';
	uint64_t value;

	if (kw_text_parse_u64(text + negative, length - negative, &value) < 0)
		return false;
	if (!negative)
		return true;
	return value != 0 && value <= (uint64_t)INT64_MAX + 1;
}

/* Adds one to the last of count decimal digits; false when that takes another digit. */
static bool increment(char *digits, int count)
{
	for (int i = count - 1; i >= 0; i--) {
		if (digits[i] != '9') {
			digits[i]++;
			return true;
		}
		digits[i] = '0';
	}
	return false;
}

static bool reads_as(const char *digits, int count, int exponent, double value)
{
	char text[DIGITS_MAX + 16];

	(void)snprintf(text, sizeof(text), "%c.%.*se%d", digits[0], count - 1, digits + 1,
		       exponent);
	return strtod(text, NULL) == value;
}

/* Fewest digits that read back as value (above 0), and the exponent of the first of them. */
static int shortest(double value, char ret_digits[static DIGITS_MAX + 1], int *ret_exponent)
{
	char text[DIGITS_MAX + 16];

	for (int count = 1; count <= DIGITS_MAX; count++) {
		(void)snprintf(text, sizeof(text), "%.*e", count - 1, value);
		ret_digits[0] = text[0];
		if (count > 1)
			memcpy(ret_digits + 1, text + 2, (size_t)count - 1);
		ret_digits[count] = '\0';
		*ret_exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
		if (reads_as(ret_digits, count, *ret_exponent, value))
			return count;
		/* At a power of two the gap above is twice the gap below: the nearest decimal may lie
		 * outside below while the next one above reads back (2^-44 is one). */
		if (increment(ret_digits, count) &&
		    reads_as(ret_digits, count, *ret_exponent, value))
			return count;
	}
	return DIGITS_MAX; /* not reached: 17 digits always read back */
}

/* ECMA-262 Number::toString(value, 10), for k digits with the point after n of them. */
static void print_digits(const char *digits, int k, int n, char *out, size_t size)
{
	if (k <= n && n <= 21)
		(void)snprintf(out, size, "%s%.*s", digits, n - k, "000000000000000000000");
	else if (0 < n && n <= 21)
		(void)snprintf(out, size, "%.*s.%s", n, digits, digits + n);
	else if (-6 < n && n <= 0)
		(void)snprintf(out, size, "0.%.*s%s", -n, "000000", digits);
	else if (k == 1)
		(void)snprintf(out, size, "%se%+d", digits, n - 1);
	else
		(void)snprintf(out, size, "%c.%se%+d", digits[0], digits + 1, n - 1);
}

int kw_number_format(const char *text, size_t length, char ret_text[static KW_NUMBER_BYTES])
{
	char literal[LITERAL_MAX], digits[DIGITS_MAX + 1];
	int count, exponent;
	double value;

	if (length < KW_NUMBER_BYTES && is_exact_integer(text, length)) {
		memcpy(ret_text, text, length);
		ret_text[length] = '\0';
		return 0;
	}
	/* Digits without end say nothing that a double could hold. */
	if (length >= sizeof(literal))
		return -ERANGE;
	memcpy(literal, text, length);
	literal[length] = '\0';
	value = strtod(literal, NULL);
	if (!isfinite(value))
		return -ERANGE;
	if (value == 0) { /* "-0" too */
		memcpy(ret_text, "0", 2);
		return 0;
	}
	count = shortest(fabs(value), digits, &exponent);
	ret_text[0] = '-';
	print_digits(digits, count, exponent + 1, ret_text + (value < 0), KW_NUMBER_BYTES - 1);
	return 0;
}
