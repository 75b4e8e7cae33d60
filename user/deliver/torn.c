/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a crash left of a line is evidence as well, if only of the crash: it is copied, made durable with
 * its directory entries, and only then may the caller cut it off.
 */
#include "user/deliver/torn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "user/base/file.h"

/* Copies of the same place: a crash between copy and cut leaves one each time. */
#define COPIES_MAX 100U

static int open_torn_directory(int directory)
{
	int fd;

	if (mkdirat(directory, "torn", 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(directory, "torn", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* Returns an fd or -errno; ret_name: a name that was free. */
static int create(int torn, const char *segment, off_t offset, char *ret_name, size_t size)
{
	for (unsigned int i = 0; i < COPIES_MAX; i++) {
		int length =
			i == 0 ? snprintf(ret_name, size, "%s.%" PRId64, segment, (int64_t)offset)
			       : snprintf(ret_name, size, "%s.%" PRId64 ".%u", segment,
					  (int64_t)offset, i);
		int fd;

		if (length < 0 || (size_t)length >= size)
			return -ENAMETOOLONG;
		fd = openat(torn, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			    0600);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int copy(int from, int to, off_t offset, off_t end)
{
	char chunk[8192];

	while (offset < end) {
		off_t left = end - offset;
		size_t want = left < (off_t)sizeof(chunk) ? (size_t)left : sizeof(chunk);
		ssize_t got = pread(from, chunk, want, offset);
		int r;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		r = kw_file_write_all(to, chunk, (size_t)got);
		if (r < 0)
			return r;
		offset += got;
	}
	return fsync(to) < 0 ? -errno : 0;
}

int kw_torn_keep(int directory, int fd, const char *segment, off_t offset, off_t end,
		 char *ret_name, size_t size)
{
	cleanup_close int torn = open_torn_directory(directory);
	cleanup_close int to = -1;
	int r;

	if (torn < 0)
		return torn;
	to = create(torn, segment, offset, ret_name, size);
	if (to < 0)
		return to;
	r = copy(fd, to, offset, end);
	if (r == 0 && (fsync(torn) < 0 || fsync(directory) < 0))
		r = -errno;
	if (r < 0)
		(void)unlinkat(torn, ret_name, 0); /* half a copy is none */
	return r;
}
