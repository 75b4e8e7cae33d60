/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Values that administrators know from systemd and chmod(1): yes and no, ages with a unit, modes. */
#include <errno.h>
#include <string.h>

#include "user/base/text.h"
#include "user/daemon/daemon.h"

int kw_setting_parse_bool(const char *value, bool *ret_value)
{
	static const char *const words[][2] = {
		{ "no", "yes" }, { "false", "true" }, { "off", "on" }, { "0", "1" }
	};

	for (size_t i = 0; i < kw_array_size(words); i++) {
		for (int truth = 0; truth < 2; truth++) {
			if (strcmp(value, words[i][truth]) != 0)
				continue;
			*ret_value = truth;
			return 0;
		}
	}
	return -EINVAL;
}

int kw_setting_parse_age(const char *value, uint64_t minimum_sec, uint64_t maximum_sec,
			 uint64_t *ret_ns)
{
	static const struct {
		const char *suffix;
		uint64_t seconds;
	} units[] = { { "", 1 },     { "s", 1 },     { "m", 60 },     { "min", 60 },
		      { "h", 3600 }, { "d", 86400 }, { "w", 604800 }, { "y", 31557600 } };
	size_t digits = strspn(value, "0123456789");
	uint64_t number;

	if (kw_text_parse_u64(value, digits, &number) < 0)
		return -EINVAL;
	for (size_t i = 0; i < kw_array_size(units); i++) {
		if (strcmp(value + digits, units[i].suffix) != 0)
			continue;
		if (number > maximum_sec / units[i].seconds ||
		    number * units[i].seconds < minimum_sec)
			return -EINVAL;
		*ret_ns = number * units[i].seconds * KW_NSEC_PER_SEC;
		return 0;
	}
	return -EINVAL;
}

int kw_setting_parse_mode(const char *value, mode_t maximum, mode_t *ret_mode)
{
	mode_t mode = 0;

	for (const char *c = value; *c; c++) {
		if (*c < '0' || *c > '7' || mode > maximum)
			return -EINVAL;
		mode = mode * 8 + (mode_t)(*c - '0');
	}
	if (value[0] == '\0' || mode > maximum)
		return -EINVAL;
	*ret_mode = mode;
	return 0;
}
