/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Time through one pointer, so that tests own it. Nanoseconds everywhere. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KW_NSEC_PER_SEC 1000000000ULL
#define KW_NSEC_PER_MSEC 1000000ULL
#define KW_NSEC_PER_USEC 1000ULL

struct kw_clock {
	uint64_t (*boot_ns)(void *context); /* CLOCK_BOOTTIME: counts through suspend */
	uint64_t (*real_ns)(void *context); /* CLOCK_REALTIME since 1970, UTC */
	void *context;
};

/* The kernel's clocks. */
extern const struct kw_clock kw_clock_system;

uint64_t kw_clock_boot_ns(const struct kw_clock *clock);
uint64_t kw_clock_real_ns(const struct kw_clock *clock);

/* Wall-clock time of a boot time, by today's distance of the two clocks. Never before 1970. */
uint64_t kw_clock_real_of_boot(const struct kw_clock *clock, uint64_t boot_ns);

/* "2026-11-23T03:31:32.123456789Z" with its NUL. */
#define KW_RFC3339_BYTES 31
void kw_clock_format(uint64_t real_ns, char ret_text[static KW_RFC3339_BYTES]);

/* Parses an RFC 3339 time (any zone, up to nine digits of fraction) to ns since 1970.
 * Returns 0 or -EINVAL. */
int kw_clock_parse(const char *text, size_t length, uint64_t *ret_real_ns);
