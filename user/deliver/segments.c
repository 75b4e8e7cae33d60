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
#define PACKED ".zst"

/* Which segments are looked at. */
enum wanted {
	AT_MOST,     /* the greatest one of at most bound */
	ABOVE,	     /* the smallest one above it */
	PLAIN_ABOVE, /* of those that are not compressed */
};

static void close_directory(DIR **directory)
{
	if (*directory)
		(void)closedir(*directory);
}

static bool parse_name(const char *name, bool plain_only, uint64_t *ret_first)
{
	if (strlen(name) < DIGITS || (strcmp(name + DIGITS, SUFFIX) != 0 &&
				      (plain_only || strcmp(name + DIGITS, SUFFIX PACKED) != 0)))
		return false;
	return kw_text_parse_u64(name, DIGITS, ret_first) == 0;
}

static int find_nearest(int directory, uint64_t bound, enum wanted wanted, uint64_t *ret_first)
{
	/* A descriptor of its own: a shared one would share its position too. */
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup(close_directory) DIR *entries = NULL;
	uint64_t best = 0, first;
	bool found = false, above = wanted != AT_MOST;

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
		if (!parse_name(entry->d_name, wanted == PLAIN_ABOVE, &first))
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

void kw_segments_packed_name(uint64_t first, char ret_name[static KW_SEGMENT_NAME_BYTES])
{
	(void)snprintf(ret_name, KW_SEGMENT_NAME_BYTES, "%0*" PRIu64 SUFFIX PACKED, (int)DIGITS,
		       first);
}

int kw_segments_at_most(int directory, uint64_t bound, uint64_t *ret_first)
{
	return find_nearest(directory, bound, AT_MOST, ret_first);
}

int kw_segments_above(int directory, uint64_t bound, uint64_t *ret_first)
{
	return find_nearest(directory, bound, ABOVE, ret_first);
}

int kw_segments_plain_above(int directory, uint64_t bound, uint64_t *ret_first)
{
	return find_nearest(directory, bound, PLAIN_ABOVE, ret_first);
}

static int open_regular(int directory, const char *name, int flags)
{
	cleanup_close int fd = -1;
	struct stat status;

	/* O_NONBLOCK: a FIFO of that name must not stop us. */
	fd = openat(directory, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	return S_ISREG(status.st_mode) ? take_fd(fd) : -EINVAL;
}

int kw_segments_open(int directory, uint64_t first, int flags)
{
	char name[KW_SEGMENT_NAME_BYTES];

	kw_segments_name(first, name);
	return open_regular(directory, name, flags);
}

int kw_segments_open_any(int directory, uint64_t first, bool *ret_packed)
{
	char name[KW_SEGMENT_NAME_BYTES];
	int fd = kw_segments_open(directory, first, O_RDONLY);

	*ret_packed = false;
	if (fd != -ENOENT)
		return fd;
	/* The compressed one has its name before the other loses its own. */
	kw_segments_packed_name(first, name);
	fd = open_regular(directory, name, O_RDONLY);
	*ret_packed = fd >= 0;
	return fd;
}

int kw_segments_open_beside(int directory)
{
	int fd = openat(directory, KW_BESIDE, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : fd;
}
