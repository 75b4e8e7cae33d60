/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a ledger ends, after whatever happened to its last writer. A line is appended by one pwrite(),
 * so SIGKILL leaves whole lines; a power cut leaves any prefix, or (file size on disk before the data)
 * NULs and old blocks. Everything behind the last line that can be read is set aside, never deleted,
 * and reported so that it is declared. A last line that is JSON but not ours is no trace of a crash:
 * then somebody else writes here, and nothing is touched.
 */
#include "user/deliver/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <kwitness/limits.h>

#include "user/deliver/backward.h"
#include "user/deliver/line.h"
#include "user/deliver/lines.h"
#include "user/deliver/segments.h"
#include "user/deliver/torn.h"

/* Unreadable lines at the end that may pass for a crash's doing. */
#define TORN_LINES_MAX 1024U
/* How far back the last start gap is looked for, when it is not in the tail. */
#define START_SEARCH_BYTES (64 * 1024 * 1024)

/* Facts of the lines that were read back, newest first. */
struct tail {
	size_t lines;
	off_t bytes;
	char (*settled)[40]; /* incidents whose summary stands */
	size_t settled_count;
};

void kw_recover_done(struct kw_recovered *recovered)
{
	free(recovered->ids);
	free(recovered->kills);
	recovered->ids = NULL;
	recovered->kills = NULL;
}

/* Finds the last readable line of a segment. *ret_end: behind it; 0 when there is none. */
static int find_good_end(int fd, off_t size, off_t *ret_end, struct kw_line *ret_line,
			 struct kw_ledger_found *found)
{
	cleanup(kw_backward_done) struct kw_backward backward = { 0 };
	unsigned int bad = 0;
	int r = kw_backward_init(&backward, fd, size);

	if (r < 0)
		return r;
	for (;;) {
		off_t end = backward.end;
		struct kw_backward_unit unit;

		r = kw_backward_next(&backward, &unit);
		if (r <= 0) {
			*ret_end = 0;
			return r;
		}
		r = unit.whole && unit.text ? kw_line_facts(unit.text, unit.length, ret_line)
					    : -EBADMSG;
		if (r == 0) {
			found->head.sequence = ret_line->sequence;
			found->enveloped = unit.enveloped;
			(void)crypto_hash_sha256(found->head.hash, (const unsigned char *)unit.text,
						 unit.length);
			*ret_end = end;
			return 0;
		}
		if (r != -EBADMSG)
			return r == -EPROTO ? -EBADMSG : r;
		if (unit.whole && ++bad > TORN_LINES_MAX)
			return -EBADMSG;
	}
}

static int set_aside(int directory, int fd, uint64_t segment, off_t end, off_t size,
		     struct kw_ledger_found *found)
{
	char name[KW_SEGMENT_NAME_BYTES];
	int r;

	kw_segments_name(segment, name);
	r = kw_torn_keep(directory, fd, name, end, size, found->torn_name,
			 sizeof(found->torn_name));
	if (r < 0)
		return r;
	if (ftruncate(fd, end) < 0 || fsync(fd) < 0)
		return -errno;
	found->torn = true;
	found->torn_bytes += (uint64_t)(size - end);
	return 0;
}

static int remove_empty(int directory, uint64_t segment)
{
	char name[KW_SEGMENT_NAME_BYTES];

	kw_segments_name(segment, name);
	if (unlinkat(directory, name, 0) < 0 || fsync(directory) < 0)
		return -errno;
	return 0;
}

/* One segment's end. 1: it has a last line; 0: it was empty and is gone now; -errno. */
static int recover_segment(int directory, uint64_t segment, struct kw_recovered *recovered)
{
	cleanup_close int fd = kw_segments_open(directory, segment, O_RDWR);
	struct kw_line line = { 0 };
	struct stat status;
	off_t end = 0;
	int r;

	/* Compressed: it was closed, and what came behind it is not here. Nothing may be written after it
	 * as if it were the end, and least of all as if there were nothing. */
	if (fd < 0)
		return fd == -ENOENT ? -EBADMSG : fd;
	if (fstat(fd, &status) < 0)
		return -errno;
	r = find_good_end(fd, status.st_size, &end, &line, &recovered->found);
	if (r == 0 && end > 0 && line.sequence < segment)
		r = -EBADMSG; /* the name promises another line */
	if (r == 0 && end < status.st_size)
		r = set_aside(directory, fd, segment, end, status.st_size, &recovered->found);
	if (r < 0)
		return r;
	if (end == 0)
		return remove_empty(directory, segment);
	recovered->segment = segment;
	recovered->offset = end;
	recovered->found.has_last = true;
	recovered->found.last_real_ns = line.recorded_real_ns;
	recovered->found.stopped = line.is_closing ||
				   (line.type == KW_LINE_GAP && line.gap_kind == KW_GAP_STOP);
	return 1;
}

static bool is_settled(const struct tail *tail, const char *incident_id)
{
	for (size_t i = 0; i < tail->settled_count; i++) {
		if (strcmp(tail->settled[i], incident_id) == 0)
			return true;
	}
	return false;
}

static void note_kill(struct kw_recovered *recovered, const struct kw_line *line)
{
	struct kw_ledger_open_kill *kill;
	bool first = true;

	for (size_t i = 0; i < recovered->kill_count; i++)
		first = first && strcmp(recovered->kills[i].incident_id, line->incident_id) != 0;
	kill = &recovered->kills[recovered->kill_count++];
	memcpy(kill->incident_id, line->incident_id, sizeof(kill->incident_id));
	memcpy(kill->event_id, line->id, sizeof(kill->event_id));
	recovered->found.open_incidents += first;
}

/* A line of the tail, newest first: a summary is met before the kills it sums up. */
static void note_line(struct kw_recovered *recovered, struct tail *tail, const struct kw_line *line)
{
	struct kw_ledger_found *found = &recovered->found;

	if (line->boot_id[0] && !found->last_boot_id[0] &&
	    (line->gap_kind == KW_GAP_START || line->gap_kind == KW_GAP_RESTART ||
	     line->gap_kind == KW_GAP_REBOOT))
		memcpy(found->last_boot_id, line->boot_id, sizeof(found->last_boot_id));
	if (tail->lines >= KW_LEDGER_TAIL_LINES)
		return;
	tail->lines++;
	memcpy(recovered->ids[recovered->id_count++], line->id, sizeof(line->id));
	if (line->type == KW_LINE_OOM_INCIDENT)
		memcpy(tail->settled[tail->settled_count++], line->incident_id,
		       sizeof(line->incident_id));
	else if (line->type == KW_LINE_OOM_KILL && line->incident_id[0] &&
		 !is_settled(tail, line->incident_id))
		note_kill(recovered, line);
}

/* Whether nothing more is wanted from further back. */
static bool is_enough(const struct kw_recovered *recovered, const struct tail *tail)
{
	return tail->lines >= KW_LEDGER_TAIL_LINES &&
	       (recovered->found.last_boot_id[0] || tail->bytes >= START_SEARCH_BYTES);
}

static int read_segment(int fd, off_t end, struct kw_recovered *recovered, struct tail *tail)
{
	static const char boot_id[] = "\"bootId\"";
	cleanup(kw_backward_done) struct kw_backward backward = { 0 };
	int r = kw_backward_init(&backward, fd, end);

	while (r == 0 && !is_enough(recovered, tail)) {
		struct kw_backward_unit unit;
		struct kw_line line;

		r = kw_backward_next(&backward, &unit);
		if (r <= 0)
			return r;
		r = 0;
		tail->bytes += (off_t)unit.length;
		if (!unit.text)
			continue;
		/* Further back only a start gap is of interest: others need no parsing. */
		if (tail->lines >= KW_LEDGER_TAIL_LINES &&
		    !memmem(unit.text, unit.length, boot_id, sizeof(boot_id) - 1))
			continue;
		if (kw_line_facts(unit.text, unit.length, &line) == 0)
			note_line(recovered, tail, &line);
	}
	return r;
}

/* Of a compressed segment, which is read forward, the last lines are kept and then taken from the end. */
struct last_lines {
	struct kw_line *lines; /* a ring of KW_LEDGER_TAIL_LINES */
	uint64_t count;
	off_t bytes;
};

/* A kw_lines_fn. */
static int keep_line(void *context, const char *text, size_t length)
{
	struct last_lines *last = context;

	last->bytes += (off_t)length;
	if (text &&
	    kw_line_facts(text, length, &last->lines[last->count % KW_LEDGER_TAIL_LINES]) == 0)
		last->count++;
	return 0;
}

static int read_packed(int directory, uint64_t segment, struct kw_recovered *recovered,
		       struct tail *tail)
{
	cleanup_free struct kw_line *lines = calloc(KW_LEDGER_TAIL_LINES, sizeof(*lines));
	struct last_lines last = { .lines = lines };
	int r;

	if (!lines)
		return -ENOMEM;
	r = kw_lines_each(directory, segment, keep_line, &last);
	/* A damaged one is verify's to tell: what was read of it counts. */
	if (r < 0 && r != -EBADMSG)
		return r;
	tail->bytes += last.bytes;
	for (uint64_t i = 0; i < last.count && i < KW_LEDGER_TAIL_LINES; i++)
		note_line(recovered, tail, &lines[(last.count - 1 - i) % KW_LEDGER_TAIL_LINES]);
	return 0;
}

static int read_tail(int directory, struct kw_recovered *recovered, struct tail *tail)
{
	uint64_t segment = recovered->segment;
	off_t end = recovered->offset;
	int r = 0;

	while (r == 0 && !is_enough(recovered, tail)) {
		bool packed = false;
		cleanup_close int fd = kw_segments_open_any(directory, segment, &packed);
		struct stat status;

		if (fd < 0 || fstat(fd, &status) < 0)
			return fd < 0 ? fd : -errno;
		if (packed) {
			r = read_packed(directory, segment, recovered, tail);
		} else {
			r = read_segment(fd, end < 0 ? status.st_size : end, recovered, tail);
		}
		end = -1;
		if (r < 0 || segment == 0)
			break;
		r = kw_segments_at_most(directory, segment - 1, &segment);
	}
	return r == -ENOENT ? 0 : r;
}

static int compare_ids(const void *left, const void *right)
{
	return strcmp(left, right);
}

static void free_tail(struct tail *tail)
{
	free(tail->settled);
}

int kw_recover(int directory, struct kw_recovered *ret_recovered)
{
	cleanup(kw_recover_done) struct kw_recovered recovered = { 0 };
	cleanup(free_tail) struct tail tail = { 0 };
	uint64_t segment;
	int r = 0;

	recovered.ids = calloc(KW_LEDGER_TAIL_LINES, sizeof(*recovered.ids));
	recovered.kills = calloc(KW_LEDGER_TAIL_LINES, sizeof(*recovered.kills));
	tail.settled = calloc(KW_LEDGER_TAIL_LINES, sizeof(*tail.settled));
	if (!recovered.ids || !recovered.kills || !tail.settled)
		return -ENOMEM;
	while (r == 0) {
		r = kw_segments_at_most(directory, UINT64_MAX, &segment);
		if (r == 0)
			r = recover_segment(directory, segment, &recovered);
	}
	if (r > 0)
		r = read_tail(directory, &recovered, &tail);
	if (r < 0 && r != -ENOENT)
		return r;
	qsort(recovered.ids, recovered.id_count, sizeof(*recovered.ids), compare_ids);
	*ret_recovered = recovered;
	recovered.ids = NULL;
	recovered.kills = NULL;
	return 0;
}
