/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Whole files: read with a bound, write all, replace by rename. */
#include <stddef.h>
#include <stdbool.h>
#include <sys/types.h>

#include "bytes.h"

/* Reads the file at path below directory (AT_FDCWD: relative to the working directory), regular
 * files only, links not followed, at most bytes->maximum. 0, -EFBIG when larger, or -errno. */
int kw_file_read(int directory, const char *path, struct kw_bytes *bytes) kw_must_check;

/* Reads a kept descriptor from its start into buffer. Returns bytes read, -EFBIG when the file does
 * not fit in size, or -errno. */
ssize_t kw_file_pread_all(int fd, char *buffer, size_t size) kw_must_check;

/* Writes all of data, going on after EINTR and short writes. 0 or -errno. */
int kw_file_write_all(int fd, const void *data, size_t length) kw_must_check;

/* Replaces directory/name by a file of these bytes: temporary file, fsync, rename, fsync of the
 * directory. 0 or -errno; on error the old file stands. */
int kw_file_replace(int directory, const char *name, const void *data, size_t length, mode_t mode)
	kw_must_check;

/* Opens a directory, making it (mode) and missing parents (0755) first. Returns an fd or -errno. */
int kw_file_open_directory(const char *path, mode_t mode) kw_must_check;
