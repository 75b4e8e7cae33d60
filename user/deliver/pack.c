/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A segment is evidence, so nothing is believed of its compressed copy until it was read back from the file
 * and hashed to the same. A crash at any point leaves the plain one, or both of the same text: readers then
 * take the plain one, and compressing begins anew. Each frame has its size and a checksum, and a window that costs
 * its readers 1 MiB; so a line in the middle is had without what stands before its frame (frames.c).
 */
#include "user/deliver/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <zstd.h>

#include <kwitness/limits.h>

#include "user/base/file.h"
#include "user/deliver/deliver.h"
#include "user/deliver/segments.h"

#define CHUNK_BYTES (64U * 1024U)
#define LEVEL 3
#define WINDOW_LOG 20
/* What compressing leaves to those who write evidence. */
#define SPARE_BYTES (16U * 1024U * 1024U)
#define TEMPORARY ".packing"

static void free_context(ZSTD_CCtx **context)
{
	(void)ZSTD_freeCCtx(*context);
}

/* Whether both fit. The size is known, so nobody's last blocks are taken to find out. */
static int has_room(int directory, int fd, uint64_t *ret_size)
{
	struct statvfs system;
	struct stat status;

	if (fstat(fd, &status) < 0 || fstatvfs(directory, &system) < 0)
		return -errno;
	*ret_size = (uint64_t)status.st_size;
	return (uint64_t)system.f_bavail * system.f_frsize < *ret_size + SPARE_BYTES ? -ENOSPC : 0;
}

/* One chunk in, all that it gives out. */
static int compress_chunk(ZSTD_CCtx *context, int to, const char *chunk, size_t length,
			  char *packed, size_t packed_size, bool last)
{
	ZSTD_inBuffer in = { chunk, length, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { packed, packed_size, 0 };
		int r;

		left = ZSTD_compressStream2(context, &out, &in,
					    last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return -EIO;
		r = kw_file_write_all(to, packed, out.pos);
		if (r < 0)
			return r;
	} while (last ? left > 0 : in.pos < in.size);
	return 0;
}

/* So many bytes of the text as one frame. */
static int compress_frame(ZSTD_CCtx *context, int from, int to, uint64_t left, char *buffer,
			  crypto_hash_sha256_state *hash)
{
	int r = ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context, left)) ? -EINVAL : 0;

	do {
		ssize_t got = read(from, buffer, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0 && left > 0)
			return -EIO; /* shorter than it was: a closed segment does not change */
		(void)crypto_hash_sha256_update(hash, (unsigned char *)buffer, (size_t)got);
		left -= (uint64_t)got;
		if (r == 0)
			r = compress_chunk(context, to, buffer, (size_t)got, buffer + CHUNK_BYTES,
					   CHUNK_BYTES, left == 0);
	} while (r == 0 && left > 0);
	return r;
}

static int compress(ZSTD_CCtx *context, int from, int to, uint64_t left, const atomic_bool *stop,
		    unsigned char *ret_hash)
{
	cleanup_free char *buffer = malloc(2 * (size_t)CHUNK_BYTES);
	crypto_hash_sha256_state hash;
	int r = 0;

	if (!buffer)
		return -ENOMEM;
	(void)crypto_hash_sha256_init(&hash);
	do {
		uint64_t frame = left < KW_SEGMENT_FRAME_BYTES ? left : KW_SEGMENT_FRAME_BYTES;

		if (atomic_load(stop))
			return -ECANCELED;
		r = compress_frame(context, from, to, frame, buffer, &hash);
		left -= frame;
	} while (r == 0 && left > 0);
	(void)crypto_hash_sha256_final(&hash, ret_hash);
	if (r == 0 && read(from, buffer, 1) != 0)
		r = -EIO; /* there is more of it than there was */
	return r;
}

/* Whether the file means what was hashed. */
static int read_back(int fd, const atomic_bool *stop, const unsigned char *expected)
{
	cleanup(kw_unpack_freep) struct kw_unpack *unpack = NULL;
	cleanup_free char *buffer = malloc(CHUNK_BYTES);
	unsigned char found[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state hash;
	ssize_t got;

	if (!buffer || kw_unpack_new(fd, &unpack) < 0)
		return -ENOMEM;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	(void)crypto_hash_sha256_init(&hash);
	while ((got = kw_unpack_read(unpack, buffer, CHUNK_BYTES)) > 0) {
		if (atomic_load(stop))
			return -ECANCELED;
		(void)crypto_hash_sha256_update(&hash, (unsigned char *)buffer, (size_t)got);
	}
	(void)crypto_hash_sha256_final(&hash, found);
	if (got < 0)
		return got == -EBADMSG ? -EIO : (int)got;
	return sodium_memcmp(found, expected, sizeof(found)) == 0 ? 0 : -EIO;
}

static int fill(int from, int to, uint64_t size, const atomic_bool *stop)
{
	cleanup(free_context) ZSTD_CCtx *context = ZSTD_createCCtx();
	unsigned char hash[crypto_hash_sha256_BYTES];
	int r;

	if (!context)
		return -ENOMEM;
	if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, WINDOW_LOG)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)))
		return -EINVAL;
	r = compress(context, from, to, size, stop, hash);
	if (r == 0)
		r = read_back(to, stop, hash);
	return r == 0 && fsync(to) < 0 ? -errno : r;
}

int kw_pack_segment(int directory, uint64_t segment, const atomic_bool *stop)
{
	char name[KW_SEGMENT_NAME_BYTES], packed[KW_SEGMENT_NAME_BYTES];
	char temporary[KW_SEGMENT_NAME_BYTES + sizeof(TEMPORARY)];
	cleanup_close int from = kw_segments_open(directory, segment, O_RDONLY);
	cleanup_close int to = -1;
	uint64_t size = 0;
	int r;

	if (from < 0)
		return from;
	r = has_room(directory, from, &size);
	if (r < 0)
		return r;
	kw_segments_name(segment, name);
	kw_segments_packed_name(segment, packed);
	(void)snprintf(temporary, sizeof(temporary), "%s" TEMPORARY, packed);
	/* What a crash left under this name is of no use to anybody. */
	if (unlinkat(directory, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	to = openat(directory, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0)
		return -errno;
	r = fill(from, to, size, stop);
	if (r == 0 && renameat(directory, temporary, directory, packed) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(directory, temporary, 0);
		return r;
	}
	if (fsync(directory) < 0 || unlinkat(directory, name, 0) < 0 || fsync(directory) < 0)
		return -errno;
	return 0;
}
