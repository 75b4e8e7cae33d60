/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What unit tests share: cmocka's includes in the order it wants, a directory of their own, a clock of
 * their own, and a guard against leaked descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "user/base/clock.h"

/* A new empty directory; remove with support_remove(). Owned by the caller. */
char *support_directory(void);
/* Removes path and everything below it; frees path. */
void support_remove(char *path);
/* Writes text to directory/name. */
void support_write(const char *directory, const char *name, const char *text);

/* Time as the test sets it. */
struct support_time {
	uint64_t boot_ns;
	uint64_t real_ns;
};
struct kw_clock support_clock(struct support_time *time);

/* cmocka setup and teardown: a test that leaves a descriptor open fails. */
int support_count_descriptors(void **state);
int support_check_descriptors(void **state);
#define support_test(function)                                                                     \
	cmocka_unit_test_setup_teardown(function, support_count_descriptors,                       \
					support_check_descriptors)
