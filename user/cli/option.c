/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Values of options that more than one command may take: times ago, counts, when to colour. */
#include "user/cli/option.h"

#include <errno.h>
#include <string.h>

#include "user/base/clock.h"
#include "user/base/text.h"

int kw_option_since(const char *text, uint64_t *ret_real_ns)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t length = strlen(text);
	uint64_t now = kw_clock_real_ns(&kw_clock_system), ago;

	if (kw_clock_parse(text, length, ret_real_ns) == 0)
		return 0;
	for (size_t i = 0; i < kw_array_size(units); i++) {
		if (length < 2 || text[length - 1] != units[i].unit)
			continue;
		if (kw_text_parse_u64(text, length - 1, &ago) < 0 ||
		    __builtin_mul_overflow(ago, units[i].seconds * KW_NSEC_PER_SEC, &ago))
			return -EINVAL;
		*ret_real_ns = ago < now ? now - ago : 1;
		return 0;
	}
	return -EINVAL;
}

int kw_option_count(const char *text, uint64_t *ret_number)
{
	if (strcmp(text, "all") == 0) {
		*ret_number = UINT64_MAX;
		return 0;
	}
	return kw_text_parse_u64(text, strlen(text), ret_number);
}

int kw_option_color(const char *when, bool *ret_colour)
{
	if (strcmp(when, "auto") == 0)
		return 0;
	if (strcmp(when, "always") != 0 && strcmp(when, "never") != 0)
		return -EINVAL;
	*ret_colour = strcmp(when, "always") == 0;
	return 0;
}
