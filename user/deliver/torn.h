/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Setting a torn tail aside; private to deliver. */
#include <stddef.h>
#include <sys/types.h>

/* Copies the bytes of fd from offset to end to a new file torn/<segment name>.<offset>, on disk before
 * it returns. Never replaces an earlier one. 0 or -errno. */
int kw_torn_keep(int directory, int fd, const char *segment, off_t offset, off_t end,
		 char *ret_name, size_t size);
