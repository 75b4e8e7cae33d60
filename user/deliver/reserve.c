/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Free blocks are anybody's: who fills the disk also takes what the ledger needs to say so. So some are allocated ahead,
 * in a file that means nothing, and given back in the moment in which they are used: a little when the disk is
 * found full, the rest at the end in order. Between giving back and writing lies nothing that waits.
 */
#include "user/deliver/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <kwitness/limits.h>
#include <unistd.h>

#include "user/base/cleanup.h"

static int open_reserve(int directory)
{
	/* O_NONBLOCK: a FIFO of that name must not stop us. */
	int fd = openat(directory, "reserve",
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

	return fd < 0 ? -errno : fd;
}

int kw_reserve_make(int directory)
{
	cleanup_close int fd = open_reserve(directory);

	if (fd < 0)
		return fd;
	/* What is allocated already stays so and costs nothing. */
	while (fallocate(fd, 0, 0, KW_RESERVE_BYTES) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int kw_reserve_release(int directory, off_t keep)
{
	cleanup_close int fd = open_reserve(directory);

	if (fd < 0)
		return fd;
	return ftruncate(fd, keep) < 0 ? -errno : 0;
}
