/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A segment's text, whatever it is stored as. Compressed is what begins with a Zstandard frame's magic number
 * (RFC 8878 3.1.1), which no line can begin with; so one reader does for files, for standard input, and for
 * several segments that were joined (`cat`), the compressed ones first. The bytes are hostile: the window is
 * bounded, so is what is read and handed out at a time, and nothing is allocated by what a header promises.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include <kwitness/limits.h>

#include "user/deliver/deliver.h"

#define INPUT_BYTES (128U * 1024U)

enum state {
	AT_FRAME, /* at the file's begin, or behind a frame */
	IN_FRAME,
	PLAIN, /* to the end of the file */
};

struct kw_unpack {
	int fd; /* borrowed */
	enum state state;
	ZSTD_DCtx *context; /* NULL: nothing compressed was met yet */
	const char *reason;
	bool ended; /* no more to be read */
	size_t used;
	size_t have;
	char input[INPUT_BYTES];
};

int kw_unpack_new(int fd, struct kw_unpack **ret_unpack)
{
	struct kw_unpack *unpack = malloc(sizeof(*unpack));

	if (!unpack)
		return -ENOMEM;
	memset(unpack, 0, offsetof(struct kw_unpack, input));
	unpack->fd = fd;
	*ret_unpack = unpack;
	return 0;
}

void kw_unpack_free(struct kw_unpack *unpack)
{
	if (!unpack)
		return;
	(void)ZSTD_freeDCtx(unpack->context);
	free(unpack);
}

const char *kw_unpack_reason(const struct kw_unpack *unpack)
{
	return unpack->reason;
}

/* Reads behind what is held, which is moved to the begin. 0 (see ended) or -errno. */
static int load(struct kw_unpack *unpack)
{
	size_t left = unpack->have - unpack->used;
	ssize_t got;

	memmove(unpack->input, unpack->input + unpack->used, left);
	unpack->used = 0;
	unpack->have = left;
	do
		got = read(unpack->fd, unpack->input + left, sizeof(unpack->input) - left);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	unpack->ended = got == 0;
	unpack->have += (size_t)got;
	return 0;
}

static int begin_frame(struct kw_unpack *unpack)
{
	if (!unpack->context)
		unpack->context = ZSTD_createDCtx();
	if (!unpack->context)
		return -ENOMEM;
	(void)ZSTD_DCtx_reset(unpack->context, ZSTD_reset_session_only);
	if (ZSTD_isError(ZSTD_DCtx_setParameter(unpack->context, ZSTD_d_windowLogMax,
						KW_SEGMENT_WINDOW_LOG_MAX)))
		return -EINVAL;
	unpack->state = IN_FRAME;
	return 0;
}

/* What comes next, told by its first four bytes. 1: something, 0: the end, -errno. */
static int begin(struct kw_unpack *unpack)
{
	static const unsigned char magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };
	size_t left;
	int r = 0;

	while (r == 0 && unpack->have - unpack->used < sizeof(magic) && !unpack->ended)
		r = load(unpack);
	left = unpack->have - unpack->used;
	if (r < 0 || left == 0)
		return r;
	if (left >= sizeof(magic) &&
	    memcmp(unpack->input + unpack->used, magic, sizeof(magic)) == 0)
		r = begin_frame(unpack);
	else
		unpack->state = PLAIN;
	return r < 0 ? r : 1;
}

static ssize_t take_plain(struct kw_unpack *unpack, void *buffer, size_t size)
{
	size_t left;
	int r = 0;

	if (unpack->have == unpack->used && !unpack->ended)
		r = load(unpack);
	if (r < 0)
		return r;
	left = unpack->have - unpack->used;
	if (size > left)
		size = left;
	memcpy(buffer, unpack->input + unpack->used, size);
	unpack->used += size;
	return (ssize_t)size;
}

/* Bytes of the frame; 0: it has ended, and gave none. */
static ssize_t take_packed(struct kw_unpack *unpack, void *buffer, size_t size)
{
	ZSTD_outBuffer out = { buffer, size, 0 };

	while (out.pos == 0) {
		ZSTD_inBuffer in = { unpack->input, unpack->have, unpack->used };
		size_t before = in.pos, r = ZSTD_decompressStream(unpack->context, &out, &in);

		unpack->used = in.pos;
		if (ZSTD_isError(r)) {
			unpack->reason = ZSTD_getErrorName(r);
			return -EBADMSG;
		}
		if (r == 0) {
			unpack->state = AT_FRAME;
			break;
		}
		if (out.pos > 0 || in.pos < in.size || in.pos > before)
			continue;
		if (unpack->ended) {
			unpack->reason = "it ends in the middle: cut off";
			return -EBADMSG;
		}
		if (load(unpack) < 0)
			return -EIO;
	}
	return (ssize_t)out.pos;
}

ssize_t kw_unpack_read(struct kw_unpack *unpack, void *buffer, size_t size)
{
	ssize_t got = 0;
	int r;

	while (got == 0) {
		if (unpack->state == PLAIN)
			return take_plain(unpack, buffer, size);
		if (unpack->state == AT_FRAME) {
			r = begin(unpack);
			if (r <= 0)
				return r;
			continue;
		}
		got = take_packed(unpack, buffer, size);
	}
	return got;
}
