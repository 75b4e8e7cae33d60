/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Values of options. 0; -EINVAL: none of that kind, and nothing has changed. */
#include <stdbool.h>
#include <stdint.h>

/* RFC 3339, or a time ago: 90s, 10m, 2h, 7d; as a wall-clock time. */
int kw_option_since(const char *text, uint64_t *ret_real_ns);
/* A number, or "all": UINT64_MAX. */
int kw_option_count(const char *text, uint64_t *ret_number);
/* "always" or "never"; "auto" leaves what is there. */
int kw_option_color(const char *when, bool *ret_colour);
