/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Segment files by their names. The directory is read anew each time it is asked about: nothing is
 * remembered that another process could have changed, and nothing is allocated by what lies there.
 */
#include "user/deliver/segments.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"

#define DIGITS 20U
#define SUFFIX ".jsonl"

static void close_directory(DIR **directory)
{
	if (*directory)
		(void)closedir(*directory);
}

static bool parse_name(const char *name, uint64_t *ret_first)
{
	if (strlen(name) != DIGITS + strlen(SUFFIX) || strcmp(name + DIGITS, SUFFIX) != 0)
		return false;
	return kw_text_parse_u64(name, DIGITS, ret_first) == 0;
}

/* The one nearest to bound: from below (bound itself included), or from above (not included). */
static int find_nearest(int directory, uint64_t bound, bool above, uint64_t *ret_first)
{
	/* A descriptor of its own: a shared one would share its position too. */
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup(close_directory) DIR *entries = NULL;
	uint64_t best = 0, first;
	bool found = false;

	if (fd < 0)
		return -errno;
	entries = fdopendir(fd);
	if (!entries) {
		int error = -errno;

		(void)close(fd);
		return error;
	}
	for (;;) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(entries);
		if (!entry)
			break;
		if (!parse_name(entry->d_name, &first))
			continue;
		if (above ? first <= bound : first > bound)
			continue;
		if (!found || (above ? first < best : first > best))
			best = first;
		found = true;
	}
	if (errno != 0)
		return -errno;
	if (!found)
		return -ENOENT;
	*ret_first = best;
	return 0;
}

void kw_segments_name(uint64_t first, char ret_name[static KW_SEGMENT_NAME_BYTES])
{
	(void)snprintf(ret_name, KW_SEGMENT_NAME_BYTES, "%0*" PRIu64 SUFFIX, (int)DIGITS, first);
}

int kw_segments_at_most(int directory, uint64_t bound, uint64_t *ret_first)
{
	return find_nearest(directory, bound, false, ret_first);
}

int kw_segments_above(int directory, uint64_t bound, uint64_t *ret_first)
{
	return find_nearest(directory, bound, true, ret_first);
}

int kw_segments_open(int directory, uint64_t first, int flags)
{
	char name[KW_SEGMENT_NAME_BYTES];
	cleanup_close int fd = -1;
	struct stat status;

	kw_segments_name(first, name);
	/* O_NONBLOCK: a FIFO of that name must not stop us. */
	fd = openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	return take_fd(fd);
}
