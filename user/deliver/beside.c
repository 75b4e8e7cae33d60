/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The second output. An envelope is written before its line is: so after a crash there may be one too many,
 * which is cut off, and none too few. A power cut can take from either file what was not synced; what is
 * missing here is made anew from the ledger, by whoever has the key. The ledger alone is the record.
 */
#include "user/deliver/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kwitness/limits.h>

#include "user/deliver/backward.h"
#include "user/deliver/line.h"
#include "user/deliver/lines.h"
#include "user/deliver/segments.h"
#include "user/deliver/torn.h"

/* Envelopes, or what is left of them, that the ledger has no lines for: more is no crash's doing. */
#define SURPLUS_MAX 1024U

struct kw_beside {
	struct kw_sync *sync; /* borrowed */
	int directory;
	int fd; /* the last segment; -1: the next line begins one */
	uint64_t segment;
	off_t offset;
	off_t before; /* where the last one begins */
	bool dirty;   /* bytes of a failed write may stand behind offset */
	uint64_t sequence;
};

KW_DEFINE_CLEANUP(struct kw_beside *, kw_beside_free)

/* Whether the last line here that the ledger has too is the same. */
static int check_same(const struct kw_backward_unit *unit, uint64_t sequence,
		      const struct kw_chain_head *head)
{
	unsigned char hash[crypto_hash_sha256_BYTES];

	if (sequence < head->sequence)
		return 0;
	(void)crypto_hash_sha256(hash, (const unsigned char *)unit->text, unit->length);
	return memcmp(hash, head->hash, sizeof(hash)) == 0 ? 0 : -EBADMSG;
}

/* Behind the last envelope of a segment whose line the ledger has; 0: there is none. */
static int find_end(int fd, off_t size, const struct kw_chain_head *head, off_t *ret_end,
		    uint64_t *ret_sequence)
{
	cleanup(kw_backward_done) struct kw_backward backward = { 0 };
	unsigned int surplus = 0;
	int r = kw_backward_init(&backward, fd, size);

	while (r == 0) {
		off_t end = backward.end;
		struct kw_backward_unit unit;
		struct kw_line line;

		r = kw_backward_next(&backward, &unit);
		if (r <= 0) {
			*ret_end = 0;
			return r;
		}
		r = 0;
		if (unit.whole && unit.enveloped &&
		    kw_line_facts(unit.text, unit.length, &line) == 0 &&
		    line.sequence <= head->sequence) {
			*ret_end = end;
			*ret_sequence = line.sequence;
			return check_same(&unit, line.sequence, head);
		}
		if (++surplus > SURPLUS_MAX)
			r = -EBADMSG;
	}
	return r;
}

static int cut(int directory, int fd, uint64_t segment, off_t end, off_t size)
{
	char name[KW_SEGMENT_NAME_BYTES], torn[64];
	int r = 0;

	kw_segments_name(segment, name);
	if (end < size)
		r = kw_torn_keep(directory, fd, name, end, size, torn, sizeof(torn));
	if (r < 0)
		return r;
	if (end == 0 && unlinkat(directory, name, 0) < 0)
		return -errno;
	return ftruncate(fd, end) < 0 || fsync(fd) < 0 || fsync(directory) < 0 ? -errno : 0;
}

/* A kw_lines_fn: the sequence of the last line. */
static int note_sequence(void *context, const char *text, size_t length)
{
	struct kw_line line;

	if (text && kw_line_facts(text, length, &line) == 0)
		*(uint64_t *)context = line.sequence;
	return 0;
}

/* The last segment was closed and compressed: the profile had been another since. */
static int recover_packed(struct kw_beside *beside, uint64_t segment,
			  const struct kw_chain_head *head)
{
	int r = kw_lines_each(beside->directory, segment, note_sequence, &beside->sequence);

	if (r == 0 && (beside->sequence < segment || beside->sequence > head->sequence))
		r = -EBADMSG;
	return r < 0 ? r : 1;
}

/* 1: it has a last line that the ledger has; 0: it had none, and is gone now; -errno. */
static int recover_segment(struct kw_beside *beside, uint64_t segment,
			   const struct kw_chain_head *head)
{
	cleanup_close int fd = kw_segments_open(beside->directory, segment, O_RDWR);
	struct stat status;
	off_t end = 0;
	int r;

	if (fd < 0)
		return fd == -ENOENT ? recover_packed(beside, segment, head) : fd;
	if (fstat(fd, &status) < 0)
		return -errno;
	r = find_end(fd, status.st_size, head, &end, &beside->sequence);
	if (r == 0)
		r = cut(beside->directory, fd, segment, end, status.st_size);
	if (r < 0 || end == 0)
		return r;
	beside->segment = segment;
	beside->offset = end;
	beside->fd = take_fd(fd);
	return 1;
}

int kw_beside_open(int directory, const struct kw_chain_head *head, struct kw_sync *sync,
		   struct kw_beside **ret_beside)
{
	cleanup(kw_beside_freep) struct kw_beside *beside = calloc(1, sizeof(*beside));
	uint64_t segment;
	int r = 0;

	if (!beside)
		return -ENOMEM;
	beside->sync = sync;
	beside->fd = -1;
	beside->directory = -1;
	if (mkdirat(directory, KW_BESIDE, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (fsync(directory) < 0)
		return -errno;
	beside->directory = kw_segments_open_beside(directory);
	if (beside->directory < 0)
		return beside->directory;
	while (r == 0) {
		r = kw_segments_at_most(beside->directory, UINT64_MAX, &segment);
		if (r == 0)
			r = recover_segment(beside, segment, head);
	}
	if (r < 0 && r != -ENOENT)
		return r;
	/* What the last writer left in the page cache is not known to be on disk. */
	if (beside->fd >= 0 && fdatasync(beside->fd) < 0)
		return -errno;
	kw_sync_beside(sync, beside->fd);
	*ret_beside = take_ptr(beside);
	return 0;
}

void kw_beside_free(struct kw_beside *beside)
{
	if (!beside)
		return;
	if (beside->fd >= 0)
		(void)close(beside->fd);
	if (beside->directory >= 0)
		(void)close(beside->directory);
	free(beside);
}

uint64_t kw_beside_sequence(const struct kw_beside *beside)
{
	return beside->sequence;
}

/* Begins the segment when it is not the one that is open. */
static int enter(struct kw_beside *beside, uint64_t segment)
{
	int fd;

	if (beside->fd >= 0 && beside->segment == segment)
		return 0;
	fd = kw_segments_open(beside->directory, segment, O_RDWR | O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	if (fsync(beside->directory) < 0) {
		int error = -errno;

		(void)close(fd);
		return error;
	}
	if (beside->fd >= 0)
		kw_sync_retire(beside->sync, beside->fd);
	kw_sync_beside(beside->sync, fd);
	beside->fd = fd;
	beside->segment = segment;
	beside->offset = 0;
	return 0;
}

/* Cuts off what a failed write has left. */
static int make_clean(struct kw_beside *beside)
{
	if (beside->dirty && ftruncate(beside->fd, beside->offset) < 0)
		return -errno;
	beside->dirty = false;
	return 0;
}

static int write_at_end(struct kw_beside *beside, const char *line, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t written = pwrite(beside->fd, line + done, length - done,
					 beside->offset + (off_t)done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		done += (size_t)written;
	}
	return 0;
}

int kw_beside_append(struct kw_beside *beside, uint64_t segment, uint64_t sequence,
		     const void *line, size_t length)
{
	int r = make_clean(beside);

	if (r == 0)
		r = enter(beside, segment);
	if (r < 0)
		return r;
	r = write_at_end(beside, line, length);
	if (r < 0) {
		beside->dirty = true;
		(void)make_clean(beside); /* else it is tried again before the next write */
		return r;
	}
	beside->before = beside->offset;
	beside->offset += (off_t)length;
	beside->sequence = sequence;
	return 0;
}

void kw_beside_undo(struct kw_beside *beside)
{
	beside->offset = beside->before;
	beside->sequence--;
	beside->dirty = true;
	(void)make_clean(beside);
}
