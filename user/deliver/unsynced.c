/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * When an fdatasync() fails, the kernel has marked the pages clean that it could not write: the next one succeeds and
 * says nothing about them, and what is read back may be what is on disk or what is not (fsync(2); ext4 and XFS keep the
 * new bytes in the cache, btrfs drops them). The only way to a line that is known to be on disk is to write it
 * again from memory, and sync that. So each is kept here until it is durable, in one buffer, oldest first.
 */
#include "user/deliver/unsynced.h"

#include <errno.h>
#include <kwitness/limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line {
	uint64_t segment;
	off_t offset;
	size_t length;
};

struct kw_unsynced {
	uint64_t first; /* sequence of lines[0] */
	size_t count;
	size_t bytes; /* of text that are used */
	struct line lines[KW_UNSYNCED_MAX_LINES];
	char text[KW_UNSYNCED_MAX_BYTES];
};

_Static_assert(KW_UNSYNCED_MAX_BYTES >= KW_EVENT_MAX, "one line must fit");

int kw_unsynced_new(struct kw_unsynced **ret_unsynced)
{
	/* Of this size it is mapped: what is not used takes no memory. */
	struct kw_unsynced *unsynced = calloc(1, sizeof(*unsynced));

	if (!unsynced)
		return -ENOMEM;
	*ret_unsynced = unsynced;
	return 0;
}

void kw_unsynced_free(struct kw_unsynced *unsynced)
{
	free(unsynced);
}

static void drop_oldest(struct kw_unsynced *unsynced, size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++)
		bytes += unsynced->lines[i].length;
	unsynced->first += count;
	unsynced->count -= count;
	unsynced->bytes -= bytes;
	memmove(unsynced->lines, unsynced->lines + count,
		unsynced->count * sizeof(*unsynced->lines));
	memmove(unsynced->text, unsynced->text + bytes, unsynced->bytes);
}

void kw_unsynced_trim(struct kw_unsynced *unsynced, uint64_t durable)
{
	if (unsynced->count == 0 || durable < unsynced->first)
		return;
	durable -= unsynced->first - 1;
	drop_oldest(unsynced, durable < unsynced->count ? (size_t)durable : unsynced->count);
}

void kw_unsynced_add(struct kw_unsynced *unsynced, uint64_t sequence, uint64_t segment,
		     off_t offset, const void *line, size_t length)
{
	/* A quarter at a time: moving all the rest for each line would cost more than writing it. */
	if (unsynced->count == KW_UNSYNCED_MAX_LINES)
		drop_oldest(unsynced, KW_UNSYNCED_MAX_LINES / 4);
	while (unsynced->count > 0 && unsynced->bytes + length > KW_UNSYNCED_MAX_BYTES)
		drop_oldest(unsynced, (unsynced->count + 3) / 4);
	if (unsynced->count == 0)
		unsynced->first = sequence;
	unsynced->lines[unsynced->count++] = (struct line){ segment, offset, length };
	memcpy(unsynced->text + unsynced->bytes, line, length);
	unsynced->bytes += length;
}

bool kw_unsynced_covers(const struct kw_unsynced *unsynced, uint64_t durable)
{
	return unsynced->count == 0 || durable + 1 >= unsynced->first;
}

uint64_t kw_unsynced_segment_above(const struct kw_unsynced *unsynced, uint64_t segment)
{
	for (size_t i = 0; i < unsynced->count; i++) {
		if (unsynced->lines[i].segment > segment)
			return unsynced->lines[i].segment;
	}
	return 0;
}

static int write_at(int fd, const char *text, size_t length, off_t offset)
{
	while (length > 0) {
		ssize_t written = pwrite(fd, text, length, offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		text += written;
		length -= (size_t)written;
		offset += written;
	}
	return 0;
}

int kw_unsynced_rewrite(const struct kw_unsynced *unsynced, uint64_t segment, int fd)
{
	const char *text = unsynced->text;
	int r = 0;

	for (size_t i = 0; r == 0 && i < unsynced->count; i++) {
		const struct line *line = &unsynced->lines[i];

		if (line->segment == segment)
			r = write_at(fd, text, line->length, line->offset);
		text += line->length;
	}
	return r;
}

/*
 * What the last writer left in the page cache is not known to be on disk, and an fdatasync would not tell if one has
 * failed before (above): so the end, which is in doubt if anything is, is written anew, byte for byte.
 */
int kw_unsynced_renew(int fd, off_t end)
{
	off_t offset = end > (off_t)KW_REWRITE_MAX_BYTES ? end - (off_t)KW_REWRITE_MAX_BYTES : 0;
	char chunk[8192];

	while (offset < end) {
		off_t left = end - offset;
		size_t want = left < (off_t)sizeof(chunk) ? (size_t)left : sizeof(chunk);
		ssize_t got = pread(fd, chunk, want, offset);

		if (got > 0)
			got = pwrite(fd, chunk, (size_t)got, offset);
		/* A full disk that copies on write: there is no room for what is there already. */
		if (got < 0 && (errno == ENOSPC || errno == EDQUOT))
			break;
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		offset += got;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}
