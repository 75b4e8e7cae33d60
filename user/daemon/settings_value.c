/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Values that administrators know from systemd and chmod(1): yes and no, ages with a unit, modes;
 * and words of which one is chosen. */
#include <errno.h>
#include <string.h>

#include "user/base/text.h"
#include "user/daemon/daemon.h"

const char *const kw_setting_syscall_filters[KW_SYSCALL_FILTER_COUNT_ + 1] = {
	[KW_SYSCALL_FILTER_REFUSE] = "refuse",
	[KW_SYSCALL_FILTER_KILL] = "kill",
	[KW_SYSCALL_FILTER_OFF] = "off",
};

const char *const kw_setting_durabilities[KW_DURABILITY_COUNT_ + 1] = {
	[KW_DURABILITY_EVIDENCE] = "evidence",
	[KW_DURABILITY_ALWAYS] = "always",
	[KW_DURABILITY_RELAXED] = "relaxed",
};

int kw_setting_parse_word(const char *const words[], const char *value, unsigned int *ret_number)
{
	for (unsigned int i = 0; words[i]; i++) {
		if (strcmp(value, words[i]) == 0) {
			*ret_number = i;
			return 0;
		}
	}
	return -EINVAL;
}

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

static const char *const syscall_filters[KW_SYSCALL_FILTER_COUNT_] = {
	[KW_SYSCALL_FILTER_REFUSE] = "refuse",
	[KW_SYSCALL_FILTER_KILL] = "kill",
	[KW_SYSCALL_FILTER_OFF] = "off",
};

int kw_setting_parse_syscall_filter(const char *value, enum kw_syscall_filter *ret_filter)
{
	for (int i = 0; i < KW_SYSCALL_FILTER_COUNT_; i++) {
		if (strcmp(value, syscall_filters[i]) == 0) {
			*ret_filter = (enum kw_syscall_filter)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *kw_setting_syscall_filter_name(enum kw_syscall_filter filter)
{
	return syscall_filters[filter];
}

int kw_setting_set_path(char **target, const char *value, bool may_be_empty)
{
	char *copy;

	if (value[0] == '\0' ? !may_be_empty : strlen(value) >= KW_PATH_MAX)
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*target);
	*target = copy;
	return 0;
}

/* Patterns of paths, separated by blanks; none is allowed, and none that can match nothing. */
int kw_setting_set_globs(char **target, const char *value)
{
	size_t count = 0;

	for (const char *at = value + strspn(value, " \t"); *at; at += strspn(at, " \t")) {
		if (++count > KW_SWEEP_GLOBS_MAX || !strchr("/*?", *at))
			return -EINVAL;
		at += strcspn(at, " \t");
	}
	return kw_setting_set_path(target, count ? value : "", true);
}

/* Names of units, or paths of cgroups, separated by blanks. */
int kw_setting_set_units(char **target, const char *value)
{
	size_t count = 0;

	for (const char *at = value + strspn(value, " \t"); *at; at += strspn(at, " \t")) {
		size_t length = strcspn(at, " \t");

		if (++count > KW_KILLERS_MAX || (length == 2 && strncmp(at, "..", 2) == 0) ||
		    memmem(at, length, "../", 3) || memmem(at, length, "/..", 3))
			return -EINVAL;
		at += length;
	}
	return kw_setting_set_path(target, count ? value : "", true);
}
