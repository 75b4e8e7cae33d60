/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a whole segment forward, in constant memory: a compressed one cannot be read in another way
 * (recover.c), and its lines have to be hashed before it may be removed (archive.c).
 */
#include "user/deliver/lines.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/base/cellos.h"
#include "user/deliver/deliver.h"
#include "user/deliver/line.h"
#include "user/deliver/segments.h"

#define BUFFER_BYTES (KW_LINE_MAX + 1U)

struct reading {
	struct kw_unpack *unpack;
	char *buffer;
	size_t have;
	bool in_long_line;
};

/* Hands out the whole lines that are held, and keeps the rest. */
static int hand_out(struct reading *reading, kw_lines_fn callback, void *context)
{
	const char *at = reading->buffer, *end = at + reading->have, *newline;
	int r = 0;

	while (r == 0 && (newline = memchr(at, '\n', (size_t)(end - at)))) {
		const char *line = reading->in_long_line ? NULL : at;
		size_t length = (size_t)(newline - at);

		if (line)
			kw_cellos_strip(&line, &length);
		r = callback(context, line, length);
		reading->in_long_line = false;
		at = newline + 1;
	}
	reading->have = (size_t)(end - at);
	memmove(reading->buffer, at, reading->have);
	if (reading->have == BUFFER_BYTES) {
		reading->in_long_line = true;
		reading->have = 0;
	}
	return r;
}

int kw_lines_each(int directory, uint64_t segment, kw_lines_fn callback, void *context)
{
	cleanup(kw_unpack_freep) struct kw_unpack *unpack = NULL;
	cleanup_free char *buffer = malloc(BUFFER_BYTES);
	struct reading reading = { .buffer = buffer };
	cleanup_close int fd = -1;
	bool packed;
	int r;

	if (!buffer)
		return -ENOMEM;
	fd = kw_segments_open_any(directory, segment, &packed);
	if (fd < 0)
		return fd;
	r = kw_unpack_new(fd, &unpack);
	while (r == 0) {
		ssize_t got =
			kw_unpack_read(unpack, buffer + reading.have, BUFFER_BYTES - reading.have);

		if (got < 0)
			return (int)got;
		if (got == 0)
			return reading.have || reading.in_long_line ? -EBADMSG : 0;
		reading.have += (size_t)got;
		r = hand_out(&reading, callback, context);
	}
	return r;
}

/* A kw_lines_fn: of the first line all that is wanted. */
static int take_first(void *context, const char *text, size_t length)
{
	uint64_t *real_ns = context;
	struct kw_line line;

	if (!text || kw_line_facts(text, length, &line) < 0)
		return -EBADMSG;
	*real_ns = line.recorded_real_ns;
	return 1;
}

int kw_lines_begun(int directory, uint64_t segment, uint64_t *ret_real_ns)
{
	int r = kw_lines_each(directory, segment, take_first, ret_real_ns);

	return r == 0 ? -EBADMSG : r < 0 ? r : 0;
}
