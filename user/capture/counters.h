/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* One line of a flat key-value file, for all who read such files. Private to the room. */
#include "user/capture/capture.h"

/* Key and value of the line [at, end), blanks around them and further tokens left out; *ret_key is borrowed
 * and not terminated. 1; 0: a blank line; -EBADMSG: no key and u64. Pure. */
int kw_counters_take_pair(const char *at, const char *end, const char **ret_key,
			  size_t *ret_key_length, uint64_t *ret_value) kw_must_check;
