/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Length prefix to whole frames; pure, so that it can be fuzzed and tested without a socket. The frame
 * is CellOS's: u32 little-endian body length, then at most 4096 bytes (docs/events.md, guest frames).
 */
#include "user/gate/frame.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

void kw_frame_init(struct kw_frame_buffer *buffer)
{
	buffer->start = 0;
	buffer->end = 0;
}

unsigned char *kw_frame_space(struct kw_frame_buffer *buffer, size_t *ret_size)
{
	if (buffer->start > 0) {
		memmove(buffer->data, buffer->data + buffer->start, buffer->end - buffer->start);
		buffer->end -= buffer->start;
		buffer->start = 0;
	}
	*ret_size = sizeof(buffer->data) - buffer->end;
	return buffer->data + buffer->end;
}

void kw_frame_filled(struct kw_frame_buffer *buffer, size_t length)
{
	assert(length <= sizeof(buffer->data) - buffer->end);
	buffer->end += length;
}

enum kw_frame_outcome kw_frame_next(struct kw_frame_buffer *buffer, const unsigned char **ret_body,
				    size_t *ret_length)
{
	const unsigned char *at = buffer->data + buffer->start;
	size_t held = buffer->end - buffer->start;
	uint32_t length;

	if (held < KW_FRAME_PREFIX)
		return KW_FRAME_PARTIAL;
	length = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
		 (uint32_t)at[3] << 24;
	if (length > KW_FRAME_BODY_MAX)
		return KW_FRAME_TOO_LONG;
	if (length == 0) {
		buffer->start += KW_FRAME_PREFIX;
		return KW_FRAME_EMPTY;
	}
	if (held - KW_FRAME_PREFIX < length)
		return KW_FRAME_PARTIAL;
	buffer->start += KW_FRAME_PREFIX + length;
	*ret_body = at + KW_FRAME_PREFIX;
	*ret_length = length;
	return KW_FRAME_WHOLE;
}

bool kw_frame_is_partial(const struct kw_frame_buffer *buffer)
{
	return buffer->end > buffer->start;
}
