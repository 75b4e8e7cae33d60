/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Time. CLOCK_BOOTTIME orders events and survives clock steps; CLOCK_REALTIME is what people read.
 * Dates by day counts (proleptic Gregorian), so that no time zone file or locale is ever read.
 */
#include "user/base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec now;

	/* Cannot fail: both ids exist on every kernel we run on, and now is ours. */
	(void)clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * KW_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static uint64_t system_boot_ns(void *context)
{
	(void)context;
	return read_clock(CLOCK_BOOTTIME);
}

static uint64_t system_real_ns(void *context)
{
	(void)context;
	return read_clock(CLOCK_REALTIME);
}

/* Between two reads this thread may have been preempted: the best of a few. */
#define READ_TRIES 5
#define READ_ERROR_NS 10000

static struct kw_clock_sync system_sync(void)
{
	struct timex timex = { .modes = 0 }; /* asks, and needs no privilege */
	int state = adjtimex(&timex);

	if (state < 0)
		return (struct kw_clock_sync){ .state = KW_CLOCK_UNKNOWN };
	return (struct kw_clock_sync){
		.state = state == TIME_ERROR || timex.status & STA_UNSYNC ? KW_CLOCK_UNSYNCHRONISED
									  : KW_CLOCK_SYNCHRONISED,
		.max_error_usec = timex.maxerror > 0 ? (uint64_t)timex.maxerror : 0,
	};
}

static void system_read(void *context, struct kw_clock_reading *ret_reading)
{
	(void)context;
	ret_reading->error_ns = UINT64_MAX;
	for (int i = 0; i < READ_TRIES && ret_reading->error_ns > READ_ERROR_NS; i++) {
		uint64_t before = read_clock(CLOCK_BOOTTIME), real = read_clock(CLOCK_REALTIME);
		uint64_t monotonic = read_clock(CLOCK_MONOTONIC);
		uint64_t took = read_clock(CLOCK_BOOTTIME) - before;

		if (took >= ret_reading->error_ns)
			continue;
		ret_reading->boot_ns = before;
		ret_reading->real_ns = real;
		ret_reading->monotonic_ns = monotonic;
		ret_reading->error_ns = took;
	}
	ret_reading->sync = system_sync();
}

const struct kw_clock kw_clock_system = { system_boot_ns, system_real_ns, NULL, system_read, NULL };

const char *kw_clock_state_name(enum kw_clock_state state)
{
	static const char *const names[KW_CLOCK_STATE_COUNT_] = {
		[KW_CLOCK_UNKNOWN] = "unknown",
		[KW_CLOCK_UNSYNCHRONISED] = "unsynchronised",
		[KW_CLOCK_SYNCHRONISED] = "synchronised",
	};

	return (unsigned int)state < KW_CLOCK_STATE_COUNT_ ? names[state] : NULL;
}

uint64_t kw_clock_boot_ns(const struct kw_clock *clock)
{
	return clock->boot_ns(clock->context);
}

uint64_t kw_clock_real_ns(const struct kw_clock *clock)
{
	return clock->real_ns(clock->context);
}

int kw_clock_read(const struct kw_clock *clock, struct kw_clock_reading *ret_reading)
{
	if (!clock->read)
		return -EOPNOTSUPP;
	clock->read(clock->context, ret_reading);
	return 0;
}

/* How many of the steps are remembered. */
static uint64_t remembered(const struct kw_clock_steps *steps)
{
	return steps->count < KW_CLOCK_STEPS_MAX ? steps->count : KW_CLOCK_STEPS_MAX;
}

int64_t kw_clock_stepped_ns(const struct kw_clock *clock, uint64_t from_boot_ns,
			    uint64_t to_boot_ns)
{
	uint64_t sum = 0; /* of two's complements: what wraps comes back */

	for (uint64_t i = 0; clock->steps && i < remembered(clock->steps); i++) {
		const struct kw_clock_step *step = &clock->steps->last[i];

		if (step->from_boot_ns >= from_boot_ns && step->to_boot_ns <= to_boot_ns)
			sum += (uint64_t)step->by_ns;
	}
	return (int64_t)sum;
}

/* Never before 1970, and not behind what 64 bits hold. */
static uint64_t add_ns(uint64_t real_ns, int64_t by_ns)
{
	uint64_t amount = by_ns < 0 ? 0 - (uint64_t)by_ns : (uint64_t)by_ns;

	if (by_ns < 0)
		return amount > real_ns ? 0 : real_ns - amount;
	return amount > UINT64_MAX - real_ns ? UINT64_MAX : real_ns + amount;
}

uint64_t kw_clock_real_before(const struct kw_clock *clock, uint64_t boot_ns, uint64_t at_boot_ns,
			      uint64_t real_ns)
{
	int64_t stepped = kw_clock_stepped_ns(clock, boot_ns, at_boot_ns);
	uint64_t then = add_ns(real_ns, stepped == INT64_MIN ? INT64_MAX : -stepped);
	uint64_t age = at_boot_ns > boot_ns ? at_boot_ns - boot_ns : 0;

	return age > then ? 0 : then - age;
}

uint64_t kw_clock_real_of_boot(const struct kw_clock *clock, uint64_t boot_ns)
{
	uint64_t real = kw_clock_real_ns(clock), boot = kw_clock_boot_ns(clock);

	if (boot_ns > boot)
		return real + (boot_ns - boot);
	return kw_clock_real_before(clock, boot_ns, boot, real);
}

uint64_t kw_clock_settled_real_ns(const struct kw_clock *clock, uint64_t settle_ns)
{
	uint64_t real = kw_clock_real_ns(clock), boot = kw_clock_boot_ns(clock);
	uint64_t since = boot > settle_ns ? boot - settle_ns : 0;
	unsigned int recent = 0;

	for (uint64_t i = 0; clock->steps && i < remembered(clock->steps); i++) {
		const struct kw_clock_step *step = &clock->steps->last[i];

		if (step->to_boot_ns < since)
			continue;
		recent++;
		if (step->by_ns > 0)
			real = add_ns(real, -step->by_ns);
	}
	return recent == KW_CLOCK_STEPS_MAX ? 0 : real;
}

/* Days since 1970-01-01 to a civil date: eras of 400 years, years that begin in March. */
static void civil_of_days(int64_t days, int64_t *ret_year, unsigned int *ret_month,
			  unsigned int *ret_day)
{
	int64_t shifted = days + 719468;
	int64_t era = shifted / 146097;
	int64_t day_of_era = shifted % 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month = (5 * day_of_year + 2) / 153;

	*ret_day = (unsigned int)(day_of_year - (153 * month + 2) / 5 + 1);
	*ret_month = (unsigned int)(month < 10 ? month + 3 : month - 9);
	*ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

static int64_t days_of_civil(int64_t year, unsigned int month, unsigned int day)
{
	int64_t shifted = year - (month <= 2);
	int64_t era = shifted / 400;
	int64_t year_of_era = shifted % 400;
	int64_t day_of_year =
		(153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

static void put_digits(char *text, unsigned int count, unsigned int value)
{
	for (; count > 0; count--, value /= 10)
		text[count - 1] = (char)('0' + value % 10);
}

void kw_clock_format(uint64_t real_ns, char ret_text[static KW_RFC3339_BYTES])
{
	uint64_t seconds = real_ns / KW_NSEC_PER_SEC;
	unsigned int in_day = (unsigned int)(seconds % 86400), month, day;
	int64_t year;

	/* 2^64 ns end in the year 2554: four digits always. */
	civil_of_days((int64_t)(seconds / 86400), &year, &month, &day);
	memcpy(ret_text, "0000-00-00T00:00:00.000000000Z", KW_RFC3339_BYTES);
	put_digits(ret_text, 4, (unsigned int)year);
	put_digits(ret_text + 5, 2, month);
	put_digits(ret_text + 8, 2, day);
	put_digits(ret_text + 11, 2, in_day / 3600);
	put_digits(ret_text + 14, 2, in_day / 60 % 60);
	put_digits(ret_text + 17, 2, in_day % 60);
	put_digits(ret_text + 20, 9, (unsigned int)(real_ns % KW_NSEC_PER_SEC));
}

/* Takes count digits at *text; false when they are not there. */
static bool take_digits(const char **text, const char *end, int count, unsigned int *ret_value)
{
	unsigned int value = 0;

	if (end - *text < count)
		return false;
	for (int i = 0; i < count; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		value = value * 10 + (unsigned int)(**text - '0');
	}
	*ret_value = value;
	return true;
}

static bool take_char(const char **text, const char *end, const char *one_of)
{
	if (*text >= end)
		return false;
	for (; *one_of; one_of++) {
		if (**text == *one_of) {
			(*text)++;
			return true;
		}
	}
	return false;
}

static bool take_fraction(const char **text, const char *end, uint64_t *ret_ns)
{
	uint64_t unit = KW_NSEC_PER_SEC / 10;

	*ret_ns = 0;
	if (*text >= end || **text != '.')
		return true;
	(*text)++;
	if (*text >= end || **text < '0' || **text > '9')
		return false;
	for (; *text < end && **text >= '0' && **text <= '9'; (*text)++, unit /= 10) {
		if (unit == 0)
			return false;
		*ret_ns += (uint64_t)(**text - '0') * unit;
	}
	return true;
}

/* "Z" or "+hh:mm": seconds to take off for UTC. */
static bool take_zone(const char **text, const char *end, int64_t *ret_seconds)
{
	unsigned int hours, minutes;
	bool west;

	*ret_seconds = 0;
	if (take_char(text, end, "Zz"))
		return true;
	west = *text < end && **text == '-';
	if (!take_char(text, end, "+-") || !take_digits(text, end, 2, &hours) ||
	    !take_char(text, end, ":") || !take_digits(text, end, 2, &minutes) || hours > 23 ||
	    minutes > 59)
		return false;
	*ret_seconds = (int64_t)(hours * 3600 + minutes * 60) * (west ? -1 : 1);
	return true;
}

int kw_clock_parse(const char *text, size_t length, uint64_t *ret_real_ns)
{
	static const unsigned char days_in_month[] = { 31, 29, 31, 30, 31, 30,
						       31, 31, 30, 31, 30, 31 };
	const char *end = text + length;
	unsigned int year, month, day, hour, minute, second;
	uint64_t fraction;
	int64_t zone, seconds;

	if (!take_digits(&text, end, 4, &year) || !take_char(&text, end, "-") ||
	    !take_digits(&text, end, 2, &month) || !take_char(&text, end, "-") ||
	    !take_digits(&text, end, 2, &day) || !take_char(&text, end, "Tt ") ||
	    !take_digits(&text, end, 2, &hour) || !take_char(&text, end, ":") ||
	    !take_digits(&text, end, 2, &minute) || !take_char(&text, end, ":") ||
	    !take_digits(&text, end, 2, &second) || !take_fraction(&text, end, &fraction) ||
	    !take_zone(&text, end, &zone) || text != end)
		return -EINVAL;
	if (month < 1 || month > 12 || day < 1 || day > days_in_month[month - 1] || hour > 23 ||
	    minute > 59 || second > 60)
		return -EINVAL;
	if (month == 2 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)))
		return -EINVAL;
	seconds =
		days_of_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone;
	if (seconds < 0 || (uint64_t)seconds > UINT64_MAX / KW_NSEC_PER_SEC - 1)
		return -EINVAL;
	*ret_real_ns = (uint64_t)seconds * KW_NSEC_PER_SEC + fraction;
	return 0;
}
