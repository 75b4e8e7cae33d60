/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading a segment from its end, where a crash has left its traces. pread() into a bounded buffer and
 * not mmap(): a file that shrinks under a mapping ends the reader with SIGBUS.
 */
#include "user/deliver/backward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kwitness/limits.h>

#include "user/base/cellos.h"

/* A usual step: some dozens of lines. */
#define STEP (64U * 1024U)

int kw_backward_init(struct kw_backward *backward, int fd, off_t end)
{
	*backward = (struct kw_backward){ .fd = fd, .end = end, .base = end };
	backward->buffer = malloc(KW_LINE_MAX);
	return backward->buffer ? 0 : -ENOMEM;
}

void kw_backward_done(struct kw_backward *backward)
{
	free(backward->buffer);
	backward->buffer = NULL;
}

/* Loads the size bytes before backward->end, or as many as there are. */
static int load(struct kw_backward *backward, size_t size)
{
	size_t want = (off_t)size < backward->end ? size : (size_t)backward->end;
	off_t base = backward->end - (off_t)want;
	size_t have = 0;

	while (have < want) {
		ssize_t got = pread(backward->fd, backward->buffer + have, want - have,
				    base + (off_t)have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO; /* it shrank while it was read */
		have += (size_t)got;
	}
	backward->base = base;
	backward->have = have;
	return 0;
}

/* Offset behind the last newline before limit, within what is loaded; -1: none there. */
static off_t newline_before(const struct kw_backward *backward, off_t limit)
{
	const char *newline;

	if (limit <= backward->base)
		return -1;
	newline = memrchr(backward->buffer, '\n', (size_t)(limit - backward->base));
	return newline ? backward->base + (newline - backward->buffer) + 1 : -1;
}

/* The unit is too long to be held: only where it starts is still of interest. */
static int find_start(struct kw_backward *backward, off_t *ret_start)
{
	off_t end = backward->end;
	off_t start = -1;
	int r = 0;

	while (start < 0 && backward->base > 0) {
		backward->end = backward->base;
		r = load(backward, KW_LINE_MAX);
		if (r < 0)
			break;
		start = newline_before(backward, backward->end);
	}
	backward->end = end;
	*ret_start = start < 0 ? 0 : start;
	return r;
}

int kw_backward_next(struct kw_backward *backward, struct kw_backward_unit *ret_unit)
{
	struct kw_backward_unit unit = { 0 };
	off_t start = -1, text_end;
	int r = 0;

	if (backward->end == 0)
		return 0;
	if (backward->end <= backward->base)
		r = load(backward, STEP);
	if (r < 0)
		return r;
	unit.whole = backward->buffer[backward->end - 1 - backward->base] == '\n';
	text_end = backward->end - (unit.whole ? 1 : 0);
	start = newline_before(backward, text_end);
	if (start < 0 && backward->base > 0) {
		r = load(backward, KW_LINE_MAX);
		if (r < 0)
			return r;
		start = newline_before(backward, text_end);
	}
	if (start < 0 && backward->base > 0) {
		r = find_start(backward, &start);
		if (r < 0)
			return r;
	} else {
		start = start < 0 ? 0 : start;
		unit.text = backward->buffer + (start - backward->base);
	}
	unit.start = start;
	unit.length = (size_t)(text_end - start);
	backward->end = start;
	if (unit.whole && unit.text) {
		const char *line = unit.text;

		kw_cellos_strip(&unit.text, &unit.length);
		unit.enveloped = unit.text != line;
	}
	*ret_unit = unit;
	return 1;
}
