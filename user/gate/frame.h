/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Bytes of one guest connection to whole frames. In: what recv() gave, cut anywhere. Out: bodies, in
 * order. The buffer is fixed: it holds one frame of the largest size, so a connection costs the same
 * whatever its guest sends.
 */
#include <stdbool.h>
#include <stddef.h>

#include <kwitness/limits.h>

#define KW_FRAME_PREFIX 4 /* u32, little-endian: bytes of the body */

struct kw_frame_buffer {
	size_t start; /* first byte not handed out yet */
	size_t end;   /* behind the last byte read */
	unsigned char data[KW_FRAME_PREFIX + KW_FRAME_BODY_MAX];
};

enum kw_frame_outcome {
	KW_FRAME_PARTIAL,  /* more bytes are needed */
	KW_FRAME_WHOLE,	   /* a body was handed out */
	KW_FRAME_EMPTY,	   /* a frame of length 0 was stepped over */
	KW_FRAME_TOO_LONG, /* a length above KW_FRAME_BODY_MAX: stays so, framing is lost */
};

void kw_frame_init(struct kw_frame_buffer *buffer);

/* Where the next bytes go; at least one byte of room, given that kw_frame_next() has said PARTIAL.
 * Moves what is left to the front: bodies handed out before are no longer valid. */
unsigned char *kw_frame_space(struct kw_frame_buffer *buffer, size_t *ret_size);

/* length bytes were put where kw_frame_space() said; never more than it offered. */
void kw_frame_filled(struct kw_frame_buffer *buffer, size_t length);

/* The next frame. The body is borrowed from buffer until kw_frame_space() is called. Sets both return
 * values only when WHOLE. */
enum kw_frame_outcome kw_frame_next(struct kw_frame_buffer *buffer, const unsigned char **ret_body,
				    size_t *ret_length);

/* Whether bytes of a frame are held: the connection ended inside it, if it ends now. */
bool kw_frame_is_partial(const struct kw_frame_buffer *buffer);
