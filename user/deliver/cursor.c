/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A reader of a ledger that somebody else may be writing, now. Only whole lines are ever consumed: bytes
 * behind the last newline are read again next time, as the writer may cut them off and write others
 * there. inotify says when to look again; what it has queued is drained before the file is read, so that
 * nothing that is written after the look goes unnoticed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <sys/stat.h>

#include <kwitness/limits.h>

#include "user/base/cellos.h"
#include "user/deliver/backward.h"
#include "user/deliver/deliver.h"
#include "user/deliver/line.h"
#include "user/deliver/segments.h"

/* One line of KW_LINE_MAX and its newline always fit. */
#define BUFFER_BYTES (KW_LINE_MAX + 1U)

struct kw_cursor {
	int directory;
	int inotify;
	int fd; /* -1: no segment is open */
	uint64_t segment;
	uint64_t next_above; /* with fd == -1: the next segment is the first one above this */
	uint64_t skip_below; /* lines of a smaller sequence are not handed out */
	off_t offset; /* in the file, of the first byte in buffer; of no use in a packed one */
	struct kw_unpack *unpack; /* of a segment that is compressed; NULL: it is not */
	bool in_long_line;	  /* the rest of a line that was too long is stepped over */
	char *buffer;
	size_t used; /* handed out already */
	size_t have;
};

/* What wakes a reader where inotify has no watch to spare: a second that is over. */
static int start_ticking(struct kw_cursor *cursor)
{
	const struct itimerspec second = { { 1, 0 }, { 1, 0 } };

	if (cursor->inotify >= 0)
		(void)close(cursor->inotify);
	cursor->inotify = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (cursor->inotify < 0 || timerfd_settime(cursor->inotify, 0, &second, NULL) < 0)
		return -errno;
	return 0;
}

static int start_watching(struct kw_cursor *cursor, const char *path)
{
	cursor->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (cursor->inotify < 0) /* fs.inotify.max_user_instances */
		return errno == EMFILE ? start_ticking(cursor) : -errno;
	if (inotify_add_watch(cursor->inotify, path,
			      IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_ONLYDIR) < 0)
		return errno == ENOSPC ? start_ticking(cursor) : -errno;
	return 0;
}

static int next_in_segment(struct kw_cursor *cursor, const char **ret_line, size_t *ret_length);

static void leave_segment(struct kw_cursor *cursor)
{
	kw_unpack_free(take_ptr(cursor->unpack));
	if (cursor->fd >= 0)
		(void)close(take_fd(cursor->fd));
}

/* Takes the segment instead of the one that is open, from its begin. 0 or -errno: nothing has changed. */
static int enter_segment(struct kw_cursor *cursor, uint64_t segment)
{
	cleanup(kw_unpack_freep) struct kw_unpack *unpack = NULL;
	bool packed;
	int fd = kw_segments_open_any(cursor->directory, segment, &packed);

	if (fd < 0)
		return fd;
	if (packed && kw_unpack_new(fd, &unpack) < 0) {
		(void)close(fd);
		return -ENOMEM;
	}
	leave_segment(cursor);
	cursor->fd = fd;
	cursor->unpack = take_ptr(unpack);
	cursor->segment = segment;
	cursor->next_above = segment;
	cursor->offset = 0;
	cursor->used = 0;
	cursor->have = 0;
	cursor->in_long_line = false;
	return 0;
}

/* Positions behind the last whole line there is now. */
static int seek_end(struct kw_cursor *cursor)
{
	const char *line;
	size_t length;
	uint64_t last;
	int r = kw_segments_at_most(cursor->directory, UINT64_MAX, &last);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	cursor->next_above = last - (last > 0);
	do
		r = kw_cursor_next(cursor, &line, &length);
	while (r == 1 || r == -EMSGSIZE);
	return r;
}

static int new_cursor(const char *path, struct kw_cursor **ret_cursor)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = calloc(1, sizeof(*cursor));
	int r;

	if (!cursor)
		return -ENOMEM;
	cursor->fd = -1;
	cursor->inotify = -1;
	cursor->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cursor->directory < 0)
		return -errno;
	r = start_watching(cursor, path);
	if (r < 0)
		return r;
	cursor->buffer = malloc(BUFFER_BYTES);
	if (!cursor->buffer)
		return -ENOMEM;
	*ret_cursor = take_ptr(cursor);
	return 0;
}

int kw_cursor_open(const char *path, uint64_t from_sequence, struct kw_cursor **ret_cursor)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	uint64_t segment;
	int r = new_cursor(path, &cursor);

	if (r < 0)
		return r;
	if (from_sequence == UINT64_MAX) {
		r = seek_end(cursor);
	} else {
		cursor->skip_below = from_sequence > 1 ? from_sequence : 0;
		r = kw_segments_at_most(cursor->directory, from_sequence, &segment);
		if (r == 0 && segment > 0)
			cursor->next_above = segment - 1;
	}
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_cursor = take_ptr(cursor);
	return 0;
}

/* Goes back over at most *lines whole lines of one segment, taking them off. Returns the offset of the
 * first of them, or -errno. */
static off_t step_back(int fd, uint64_t *lines)
{
	cleanup(kw_backward_done) struct kw_backward backward = { 0 };
	struct kw_backward_unit unit;
	struct stat status;
	off_t start;
	int r;

	if (fstat(fd, &status) < 0)
		return -errno;
	start = status.st_size;
	r = kw_backward_init(&backward, fd, status.st_size);
	if (r < 0)
		return r;
	while (*lines > 0 && (r = kw_backward_next(&backward, &unit)) == 1) {
		start = unit.start;
		*lines -= unit.whole;
	}
	return r < 0 ? r : start;
}

/* A compressed segment can be read from its begin only: once to count its lines, once up to the first of
 * the last *lines, taking them off. 0 or -errno. */
static int skip_packed(struct kw_cursor *cursor, uint64_t *lines)
{
	uint64_t segment = cursor->segment, count = 0, skip;
	const char *line;
	size_t length;
	int r;

	while ((r = next_in_segment(cursor, &line, &length)) != 0) {
		if (r < 0 && r != -EMSGSIZE)
			return r;
		count++;
	}
	r = enter_segment(cursor, segment);
	skip = count > *lines ? count - *lines : 0;
	for (*lines -= count - skip; skip > 0 && (r >= 0 || r == -EMSGSIZE); skip--)
		r = next_in_segment(cursor, &line, &length);
	return r < 0 && r != -EMSGSIZE ? r : 0;
}

int kw_cursor_open_tail(const char *path, uint64_t lines, struct kw_cursor **ret_cursor)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	uint64_t segment;
	int r;

	if (lines == 0)
		return kw_cursor_open(path, UINT64_MAX, ret_cursor);
	r = new_cursor(path, &cursor);
	if (r < 0)
		return r;
	r = kw_segments_at_most(cursor->directory, UINT64_MAX, &segment);
	while (r == 0) {
		off_t start = 0;

		r = enter_segment(cursor, segment);
		if (r == 0 && cursor->unpack)
			r = skip_packed(cursor, &lines);
		else if (r == 0)
			start = step_back(cursor->fd, &lines);
		if (r < 0 || start < 0)
			return r < 0 ? r : (int)start;
		cursor->offset = start;
		if (lines == 0 || segment == 0)
			break;
		r = kw_segments_at_most(cursor->directory, segment - 1, &segment);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_cursor = take_ptr(cursor);
	return 0;
}

void kw_cursor_free(struct kw_cursor *cursor)
{
	if (!cursor)
		return;
	leave_segment(cursor);
	if (cursor->inotify >= 0)
		(void)close(cursor->inotify);
	if (cursor->directory >= 0)
		(void)close(cursor->directory);
	free(cursor->buffer);
	free(cursor);
}

int kw_cursor_fd(const struct kw_cursor *cursor)
{
	return cursor->inotify;
}

static int drain_inotify(const struct kw_cursor *cursor)
{
	char events[4096];
	ssize_t got;

	do
		got = read(cursor->inotify, events, sizeof(events));
	while (got > 0 || (got < 0 && errno == EINTR));
	return got < 0 && errno != EAGAIN ? -errno : 0;
}

/* Opens the next segment. 1, 0: there is none yet, or -errno. */
static int open_next(struct kw_cursor *cursor)
{
	uint64_t segment;
	int r = kw_segments_above(cursor->directory, cursor->next_above, &segment);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = enter_segment(cursor, segment);
	/* It was empty, and recovery removed it; or retention did. */
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/* A compressed segment never changes: what was read is kept, and more read behind it. */
static ssize_t fill_packed(struct kw_cursor *cursor)
{
	size_t left = cursor->have - cursor->used;
	ssize_t got;

	memmove(cursor->buffer, cursor->buffer + cursor->used, left);
	cursor->used = 0;
	cursor->have = left;
	got = kw_unpack_read(cursor->unpack, cursor->buffer + left, BUFFER_BYTES - left);
	if (got > 0)
		cursor->have += (size_t)got;
	return got;
}

/* Fills the buffer anew from the first byte that was not handed out. Bytes read, or -errno. */
static ssize_t fill(struct kw_cursor *cursor)
{
	ssize_t got;

	if (cursor->unpack)
		return fill_packed(cursor);
	cursor->offset += (off_t)cursor->used;
	cursor->used = 0;
	cursor->have = 0;
	do
		got = pread(cursor->fd, cursor->buffer, BUFFER_BYTES, cursor->offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	cursor->have = (size_t)got;
	return got;
}

/* The next line of the open segment. 1, 0: none, -EMSGSIZE: it was too long and is stepped over. */
static int next_in_segment(struct kw_cursor *cursor, const char **ret_line, size_t *ret_length)
{
	for (int attempt = 0;; attempt++) {
		char *start = cursor->buffer + cursor->used;
		size_t left = cursor->have - cursor->used;
		const char *newline = memchr(start, '\n', left);
		bool was_long = cursor->in_long_line;
		ssize_t got;

		if (newline) {
			cursor->used += (size_t)(newline - start) + 1;
			cursor->in_long_line = false;
			if (was_long) {
				attempt = -1;
				continue;
			}
			*ret_line = start;
			*ret_length = (size_t)(newline - start);
			kw_cellos_strip(ret_line, ret_length);
			return 1;
		}
		if (left == BUFFER_BYTES) {
			cursor->used = cursor->have;
			cursor->in_long_line = true;
			if (!was_long)
				return -EMSGSIZE;
			attempt = 0;
		}
		if (attempt > 0 && !cursor->unpack)
			return 0;
		got = fill(cursor);
		if (got <= 0)
			return (int)got;
	}
}

/* The next line of the ledger, whatever its sequence. */
static int next_line(struct kw_cursor *cursor, const char **ret_line, size_t *ret_length)
{
	int r = cursor->fd >= 0 ? next_in_segment(cursor, ret_line, ret_length) : 0;

	while (r == 0) {
		uint64_t ignored;

		r = drain_inotify(cursor);
		if (r == 0 && cursor->fd >= 0) {
			/* Is there a later segment? Asked before the last look at this one: lines
			 * are never added to a segment once its successor exists. */
			int later = kw_segments_above(cursor->directory, cursor->segment, &ignored);

			r = next_in_segment(cursor, ret_line, ret_length);
			if (r != 0 || later == -ENOENT)
				return r;
			r = later;
		}
		if (r < 0)
			return r;
		r = open_next(cursor);
		if (r <= 0)
			return r;
		r = next_in_segment(cursor, ret_line, ret_length);
	}
	return r;
}

int kw_cursor_next(struct kw_cursor *cursor, const char **ret_line, size_t *ret_length)
{
	for (;;) {
		struct kw_line facts;
		int r = next_line(cursor, ret_line, ret_length);

		if (r != 1 || cursor->skip_below == 0)
			return r;
		/* A line whose sequence cannot be read is handed out: better twice than never. */
		if (kw_line_facts(*ret_line, *ret_length, &facts) < 0)
			return 1;
		if (facts.sequence < cursor->skip_below)
			continue;
		cursor->skip_below = 0;
		return 1;
	}
}
