/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* A closed segment, compressed or not, line by line from its begin; private to deliver. */
#include <stddef.h>
#include <stdint.h>

/* A whole line without its newline, out of its CellOS envelope if it has one; borrowed. text NULL: longer than KW_LINE_MAX. Anything but 0 ends the
 * reading. */
typedef int (*kw_lines_fn)(void *context, const char *text, size_t length);

/* Calls back for each. 0: all were read; what the callback returned; -EBADMSG: damaged, or the last line has
 * no newline; -errno. */
int kw_lines_each(int directory, uint64_t segment, kw_lines_fn callback, void *context);
/* `recordedtime` of a segment's first line. 0, -EBADMSG: it cannot be read, -errno. */
int kw_lines_begun(int directory, uint64_t segment, uint64_t *ret_real_ns);
