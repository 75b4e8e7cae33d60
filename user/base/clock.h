/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Time through one pointer, so that tests own it. Nanoseconds everywhere. */
#include <kwitness/limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KW_NSEC_PER_SEC 1000000000ULL
#define KW_NSEC_PER_MSEC 1000000ULL
#define KW_NSEC_PER_USEC 1000ULL

/* What the kernel says of CLOCK_REALTIME (adjtimex(2)). */
enum kw_clock_state {
	KW_CLOCK_UNKNOWN,	 /* it could not be asked */
	KW_CLOCK_UNSYNCHRONISED, /* nobody disciplines it, or nobody does any more */
	KW_CLOCK_SYNCHRONISED,
	KW_CLOCK_STATE_COUNT_
};
const char *kw_clock_state_name(enum kw_clock_state state);

struct kw_clock_sync {
	enum kw_clock_state state;
	uint64_t max_error_usec; /* the kernel's bound of its error; 0 when unknown */
};

/* All clocks at one moment. */
struct kw_clock_reading {
	uint64_t boot_ns;
	uint64_t real_ns;
	uint64_t monotonic_ns; /* CLOCK_MONOTONIC: stands still in suspend */
	uint64_t error_ns;     /* how far apart the three were read, at most */
	struct kw_clock_sync sync;
};

/* CLOCK_REALTIME was set, at some moment between two readings. */
struct kw_clock_step {
	uint64_t from_boot_ns;
	uint64_t to_boot_ns;
	int64_t by_ns; /* forwards: above 0 */
};

/* The last ones, in a ring: number n is at n % KW_CLOCK_STEPS_MAX. */
struct kw_clock_steps {
	struct kw_clock_step last[KW_CLOCK_STEPS_MAX];
	uint64_t count; /* of all that were seen */
};

struct kw_clock {
	uint64_t (*boot_ns)(void *context); /* CLOCK_BOOTTIME: counts through suspend */
	uint64_t (*real_ns)(void *context); /* CLOCK_REALTIME since 1970, UTC */
	void *context;
	/* All of them at once; NULL: steps and suspends are not looked for. */
	void (*read)(void *context, struct kw_clock_reading *ret_reading);
	const struct kw_clock_steps *steps; /* that are known; borrowed; NULL: none */
};

/* The kernel's clocks. */
extern const struct kw_clock kw_clock_system;

uint64_t kw_clock_boot_ns(const struct kw_clock *clock);
uint64_t kw_clock_real_ns(const struct kw_clock *clock);

/* All clocks at one moment. 0; -EOPNOTSUPP: this clock has no such reader. */
int kw_clock_read(const struct kw_clock *clock, struct kw_clock_reading *ret_reading);

/* By how much CLOCK_REALTIME was set between two boot times; a step that may have been outside is not counted. */
int64_t kw_clock_stepped_ns(const struct kw_clock *clock, uint64_t from_boot_ns,
			    uint64_t to_boot_ns);

/* Wall-clock time of a boot time: by today's distance of the two clocks, and the steps since. Never before
 * 1970. */
uint64_t kw_clock_real_of_boot(const struct kw_clock *clock, uint64_t boot_ns);
/* Wall-clock time at boot_ns, when it was real_ns at the later at_boot_ns. Never before 1970. */
uint64_t kw_clock_real_before(const struct kw_clock *clock, uint64_t boot_ns, uint64_t at_boot_ns,
			      uint64_t real_ns);

/* Wall-clock time without the steps forwards of the last settle_ns, for what must not believe a clock that is
 * wrong for a moment. 0 when there were more of them than are remembered. */
uint64_t kw_clock_settled_real_ns(const struct kw_clock *clock, uint64_t settle_ns);

/* "2026-11-23T03:31:32.123456789Z" with its NUL. */
#define KW_RFC3339_BYTES 31
void kw_clock_format(uint64_t real_ns, char ret_text[static KW_RFC3339_BYTES]);

/* Parses an RFC 3339 time (any zone, up to nine digits of fraction) to ns since 1970.
 * Returns 0 or -EINVAL. */
int kw_clock_parse(const char *text, size_t length, uint64_t *ret_real_ns);
