/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A segment is compressed in frames, each of which says how much text it has (pack.c): so what stands before a place
 * is stepped over, by the headers of frames and of their blocks alone (RFC 8878 3.1.1), and not decompressed. What
 * the headers say is not believed: whoever reads there compares what he finds.
 */
#include "user/deliver/frames.h"

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>
#include <zstd.h>

/* The longest header of a frame. */
#define HEADER_BYTES 18
#define BLOCK_HEADER_BYTES 3

/* As many bytes as there are. How many, or -errno. */
static ssize_t read_at(int fd, unsigned char *buffer, size_t size, off_t offset)
{
	ssize_t got;

	do
		got = pread(fd, buffer, size, offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* RFC 8878 3.1.1.1: magic number, descriptor, window, dictionary's id, size of the content. */
static unsigned int header_bytes(unsigned char descriptor)
{
	static const unsigned int dictionary[] = { 0, 1, 2, 4 }, content[] = { 0, 2, 4, 8 };
	unsigned int size = content[descriptor >> 6], single = descriptor >> 5 & 1;

	if (size == 0 && single)
		size = 1;
	return 5U + (single ? 0 : 1) + dictionary[descriptor & 3] + size;
}

/* Steps over the blocks from *at on, and a checksum if there is one. */
static int skip_blocks(int fd, unsigned char descriptor, off_t *at)
{
	unsigned char header[BLOCK_HEADER_BYTES];
	unsigned int value = 0;

	while (!(value & 1)) {
		ssize_t got = read_at(fd, header, sizeof(header), *at);

		if (got < 0)
			return (int)got;
		value = header[0] | (unsigned int)header[1] << 8 | (unsigned int)header[2] << 16;
		if (got < BLOCK_HEADER_BYTES || (value >> 1 & 3) == 3)
			return -EBADMSG;
		/* One that repeats a byte has that byte only. */
		*at += BLOCK_HEADER_BYTES + ((value >> 1 & 3) == 1 ? 1 : (off_t)(value >> 3));
	}
	*at += descriptor & 4 ? 4 : 0;
	return 0;
}

int kw_frames_seek(int fd, uint64_t offset, uint64_t *ret_start)
{
	uint64_t start = 0;
	off_t at = 0;

	for (;;) {
		unsigned char header[HEADER_BYTES];
		ssize_t got = read_at(fd, header, sizeof(header), at);
		unsigned long long size;
		int r;

		if (got < 0)
			return (int)got;
		size = ZSTD_getFrameContentSize(header, (size_t)got);
		if (size == ZSTD_CONTENTSIZE_ERROR)
			return -EBADMSG;
		if (size == ZSTD_CONTENTSIZE_UNKNOWN || offset - start < size)
			break;
		start += size;
		at += header_bytes(header[4]);
		r = skip_blocks(fd, header[4], &at);
		if (r < 0)
			return r;
	}
	if (lseek(fd, at, SEEK_SET) < 0)
		return -errno;
	*ret_start = start;
	return 0;
}
