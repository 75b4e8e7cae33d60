/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one writer of a ledger directory. A line goes in with one pwrite() at the offset behind the last
 * one; what a failed write leaves is cut off before anything else is written, so a reader never sees a
 * line that the chain does not go on from. The lock is a flock(2) on a file of its own: it ends with the
 * process, however that ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <time.h>

#include "user/base/file.h"
#include "user/deliver/beside.h"
#include "user/deliver/lines.h"
#include "user/deliver/recover.h"
#include "user/deliver/reserve.h"
#include "user/deliver/segments.h"
#include "user/deliver/sync.h"
#include "user/deliver/unsynced.h"

/* How long an answer of fstatvfs() is believed; what is appended meanwhile is taken off. */
#define SPACE_BELIEVED_NS KW_NSEC_PER_SEC

struct kw_ledger {
	int directory;
	int lock;
	int fd; /* the last segment; -1: the next line begins one */
	off_t offset;
	uint64_t segment; /* its first sequence; 0: there is none yet */
	uint64_t max_segment_bytes;
	bool closed_by_caller;
	bool close_wanted;
	uint64_t begun_real_ns; /* when the segment was begun; 0: not known yet */
	uint64_t sequence;	/* of the last line */
	bool dirty;		/* bytes of a failed write may stand behind offset */
	uint64_t space;		/* believed to be free, the reserve taken off */
	uint64_t space_until_ns;
	bool has_reserve; /* the whole of it */
	struct kw_recovered recovered;
	struct kw_sync *sync;
	struct kw_beside *beside; /* NULL: lines go into the ledger alone */
	struct kw_unsynced *unsynced;
	uint64_t
		doubt_first; /* lines that a failed fdatasync put in doubt, written again; 0: none */
	uint64_t doubt_last;
	int doubt_error;
};

static uint64_t monotonic_ns(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
	return (uint64_t)now.tv_sec * KW_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int lock_directory(struct kw_ledger *ledger)
{
	ledger->lock = openat(ledger->directory, "lock",
			      O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (ledger->lock < 0)
		return -errno;
	if (flock(ledger->lock, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

int kw_ledger_open(const char *path, uint64_t max_segment_bytes, struct kw_ledger **ret_ledger,
		   struct kw_ledger_found *ret_found)
{
	cleanup(kw_ledger_freep) struct kw_ledger *ledger = calloc(1, sizeof(*ledger));
	int r;

	if (!ledger)
		return -ENOMEM;
	ledger->lock = -1;
	ledger->fd = -1;
	ledger->max_segment_bytes = max_segment_bytes;
	ledger->directory = kw_file_open_directory(path, 0700);
	if (ledger->directory < 0)
		return ledger->directory;
	r = lock_directory(ledger);
	if (r == 0)
		r = kw_recover(ledger->directory, &ledger->recovered);
	if (r < 0)
		return r;
	ledger->sequence = ledger->recovered.found.head.sequence;
	ledger->offset = ledger->recovered.offset;
	ledger->segment = ledger->recovered.segment;
	if (ledger->recovered.found.has_last) {
		ledger->fd = kw_segments_open(ledger->directory, ledger->recovered.segment, O_RDWR);
		r = ledger->fd < 0 ? ledger->fd : kw_unsynced_renew(ledger->fd, ledger->offset);
		if (r < 0)
			return r;
	}
	r = kw_unsynced_new(&ledger->unsynced);
	if (r == 0)
		r = kw_sync_start(ledger->sequence, &ledger->sync);
	if (r < 0)
		return r;
	*ret_found = ledger->recovered.found;
	*ret_ledger = take_ptr(ledger);
	return 0;
}

void kw_ledger_free(struct kw_ledger *ledger)
{
	if (!ledger)
		return;
	if (ledger->sync && ledger->fd >= 0)
		kw_sync_request(ledger->sync, ledger->fd, ledger->sequence);
	kw_sync_free(ledger->sync);
	kw_beside_free(ledger->beside);
	kw_unsynced_free(ledger->unsynced);
	kw_recover_done(&ledger->recovered);
	if (ledger->fd >= 0)
		(void)close(ledger->fd);
	if (ledger->lock >= 0)
		(void)close(ledger->lock);
	if (ledger->directory >= 0)
		(void)close(ledger->directory);
	free(ledger);
}

/* Cuts off what a failed write has left. */
static int make_clean(struct kw_ledger *ledger)
{
	if (!ledger->dirty)
		return 0;
	if (ftruncate(ledger->fd, ledger->offset) < 0)
		return -errno;
	ledger->dirty = false;
	return 0;
}

/* The lines of a segment that is closed; the sync thread has the descriptor from then on. */
static int rewrite_closed(struct kw_ledger *ledger, uint64_t segment)
{
	cleanup_close int fd = kw_segments_open(ledger->directory, segment, O_RDWR);
	int r;

	/* Compressed meanwhile, from the bytes that were meant, and synced. */
	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd : kw_unsynced_rewrite(ledger->unsynced, segment, fd);
	if (r == 0)
		kw_sync_retire(ledger->sync, take_fd(fd));
	return r;
}

/* An fdatasync has failed: everything behind the last durable line is written again, and a sync asked for. */
static int rewrite(struct kw_ledger *ledger, int error)
{
	uint64_t durable = kw_sync_durable(ledger->sync), segment = 0;
	int r = 0;

	kw_unsynced_trim(ledger->unsynced, durable);
	if (!kw_unsynced_covers(ledger->unsynced, durable))
		return -ENOTRECOVERABLE;
	while (r == 0 && (segment = kw_unsynced_segment_above(ledger->unsynced, segment)) != 0)
		r = segment == ledger->segment
			    ? kw_unsynced_rewrite(ledger->unsynced, segment, ledger->fd)
			    : rewrite_closed(ledger, segment);
	if (r < 0)
		return r;
	if (!ledger->doubt_first)
		ledger->doubt_first = durable + 1;
	ledger->doubt_last = ledger->sequence;
	ledger->doubt_error = error;
	kw_sync_rewritten(ledger->sync);
	kw_ledger_request_sync(ledger);
	return 0;
}

/* 0; -errno: an fdatasync has failed, and what was in doubt is not on disk yet; -ENOTRECOVERABLE. */
static int check_disk(struct kw_ledger *ledger)
{
	int error = kw_sync_error(ledger->sync);
	int r = error < 0 ? rewrite(ledger, error) : 0;

	if (r == 0 && (error < 0 || kw_sync_durable(ledger->sync) < ledger->doubt_last))
		r = ledger->doubt_error;
	return r;
}

bool kw_ledger_take_doubt(struct kw_ledger *ledger, uint64_t *ret_first, uint64_t *ret_last)
{
	if (!ledger->doubt_first || kw_sync_durable(ledger->sync) < ledger->doubt_last)
		return false;
	*ret_first = ledger->doubt_first;
	*ret_last = ledger->doubt_last;
	ledger->doubt_first = 0;
	return true;
}

/* Takes the reserve when there is room for it and a turn's lines; as much stays free where there is none. */
static int look_at_space(struct kw_ledger *ledger)
{
	struct statvfs status;
	uint64_t available;

	if (fstatvfs(ledger->directory, &status) < 0)
		return -errno;
	available = (uint64_t)status.f_bavail * status.f_frsize;
	if (!ledger->has_reserve && available > 2 * (uint64_t)KW_RESERVE_BYTES &&
	    kw_reserve_make(ledger->directory) == 0) {
		ledger->has_reserve = true;
		available -= KW_RESERVE_BYTES;
	}
	ledger->space = available;
	if (!ledger->has_reserve)
		ledger->space -= available < KW_RESERVE_BYTES ? available : KW_RESERVE_BYTES;
	return 0;
}

void kw_ledger_use_reserve(struct kw_ledger *ledger, bool is_end)
{
	/* Without it the words may fit all the same. */
	(void)kw_reserve_release(ledger->directory,
				 is_end ? 0 : KW_RESERVE_BYTES - KW_RESERVE_WORDS_BYTES);
	ledger->has_reserve = false;
	ledger->space_until_ns = 0;
}

int kw_ledger_has_space(struct kw_ledger *ledger, size_t length)
{
	uint64_t now = monotonic_ns();
	int r = check_disk(ledger);

	if (r < 0)
		return r;
	r = make_clean(ledger);
	if (r < 0)
		return r;
	if (now >= ledger->space_until_ns || ledger->space < length) {
		r = look_at_space(ledger);
		if (r < 0)
			return r;
		ledger->space_until_ns = now + SPACE_BELIEVED_NS;
	}
	return ledger->space < length ? -ENOSPC : 0;
}

/* Opens the segment that sequence is the first line of, when the last one is full or there is none. */
static int roll_over(struct kw_ledger *ledger, uint64_t sequence)
{
	uint64_t limit = ledger->max_segment_bytes * (ledger->closed_by_caller ? 2 : 1);
	int fd;

	if (ledger->fd >= 0 && !ledger->close_wanted &&
	    (ledger->offset == 0 || (uint64_t)ledger->offset < limit))
		return 0;
	fd = kw_segments_open(ledger->directory, sequence, O_RDWR | O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	if (fsync(ledger->directory) < 0) {
		int error = -errno;
		char name[KW_SEGMENT_NAME_BYTES];

		/* Tried again with the same name. */
		kw_segments_name(sequence, name);
		(void)unlinkat(ledger->directory, name, 0);
		(void)close(fd);
		return error;
	}
	if (ledger->fd >= 0)
		kw_sync_retire(ledger->sync, ledger->fd);
	ledger->fd = fd;
	ledger->offset = 0;
	ledger->segment = sequence;
	ledger->close_wanted = false;
	ledger->begun_real_ns = 0;
	return 0;
}

/* All of it or, after make_clean(), nothing. */
static int write_at_end(struct kw_ledger *ledger, const char *line, size_t length)
{
	size_t done = 0;

	ledger->dirty = true;
	while (done < length) {
		ssize_t written = pwrite(ledger->fd, line + done, length - done,
					 ledger->offset + (off_t)done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		done += (size_t)written;
	}
	ledger->dirty = false;
	return 0;
}

/* What goes into the ledger, and its envelope for the file beside; length 0: none. */
struct pieces {
	const char *line;
	size_t length;
	const char *envelope;
	size_t envelope_length;
};

static int write_pieces(struct kw_ledger *ledger, uint64_t sequence, const struct pieces *pieces)
{
	int r = 0;

	if (ledger->beside)
		r = kw_beside_append(ledger->beside, ledger->segment, sequence, pieces->envelope,
				     pieces->envelope_length);
	if (r < 0)
		return r;
	r = write_at_end(ledger, pieces->line, pieces->length);
	if (r < 0 && ledger->beside)
		kw_beside_undo(ledger->beside);
	return r;
}

static int append(struct kw_ledger *ledger, uint64_t sequence, const struct pieces *pieces)
{
	int r;

	/* The caller's mistake, not the disk's: a chain with a hole must not be written. */
	if (sequence != ledger->sequence + 1 || pieces->length == 0 ||
	    pieces->line[pieces->length - 1] != '\n' ||
	    (pieces->envelope_length > 0) != (ledger->beside != NULL))
		return -EINVAL;
	r = make_clean(ledger);
	if (r == 0)
		r = roll_over(ledger, sequence);
	if (r < 0)
		return r;
	r = write_pieces(ledger, sequence, pieces);
	if (r < 0) {
		ledger->space_until_ns = 0;
		(void)make_clean(ledger); /* else it is tried again before the next write */
		return r;
	}
	kw_unsynced_trim(ledger->unsynced, kw_sync_durable(ledger->sync));
	kw_unsynced_add(ledger->unsynced, sequence, ledger->segment, ledger->offset, pieces->line,
			pieces->length);
	ledger->offset += (off_t)pieces->length;
	ledger->sequence = sequence;
	ledger->space -= ledger->space < pieces->length ? ledger->space : pieces->length;
	return 0;
}

int kw_ledger_append(struct kw_ledger *ledger, uint64_t sequence, const void *line, size_t length)
{
	return append(ledger, sequence, &(struct pieces){ .line = line, .length = length });
}

int kw_ledger_append_both(struct kw_ledger *ledger, uint64_t sequence, const void *line,
			  size_t length, const void *envelope, size_t envelope_length)
{
	return append(ledger, sequence,
		      &(struct pieces){ line, length, envelope, envelope_length });
}

uint64_t kw_ledger_first(const struct kw_ledger *ledger)
{
	uint64_t first;

	return kw_segments_above(ledger->directory, 0, &first) < 0 ? 0 : first;
}

int kw_ledger_open_beside(struct kw_ledger *ledger, uint64_t *ret_sequence)
{
	int r = kw_beside_open(ledger->directory, &ledger->recovered.found.head, ledger->sync,
			       &ledger->beside);

	if (r == 0)
		*ret_sequence = kw_beside_sequence(ledger->beside);
	return r;
}

int kw_ledger_append_beside(struct kw_ledger *ledger, uint64_t sequence, const void *envelope,
			    size_t length)
{
	uint64_t last = kw_beside_sequence(ledger->beside), segment;
	int r;

	if (sequence > ledger->sequence || sequence != (last ? last + 1 : kw_ledger_first(ledger)))
		return -EINVAL;
	r = kw_segments_at_most(ledger->directory, sequence, &segment);
	return r < 0 ? r : kw_beside_append(ledger->beside, segment, sequence, envelope, length);
}

static int compare_ids(const void *left, const void *right)
{
	return strcmp(left, right);
}

bool kw_ledger_has_id(const struct kw_ledger *ledger, const char *event_id)
{
	return bsearch(event_id, ledger->recovered.ids, ledger->recovered.id_count,
		       sizeof(*ledger->recovered.ids), compare_ids) != NULL;
}

const struct kw_ledger_open_kill *kw_ledger_open_kills(const struct kw_ledger *ledger,
						       size_t *ret_count)
{
	*ret_count = ledger->recovered.kill_count;
	return ledger->recovered.kills;
}

uint64_t kw_ledger_segment(const struct kw_ledger *ledger)
{
	return ledger->segment;
}

bool kw_ledger_segment_is_due(struct kw_ledger *ledger, uint64_t real_ns, uint64_t age_ns)
{
	if (ledger->fd < 0 || ledger->offset == 0 || ledger->close_wanted)
		return false;
	if ((uint64_t)ledger->offset >= ledger->max_segment_bytes)
		return true;
	/* One that was begun by this run is asked about within a second. */
	if (ledger->begun_real_ns == 0 &&
	    kw_lines_begun(ledger->directory, ledger->segment, &ledger->begun_real_ns) < 0)
		ledger->begun_real_ns = real_ns;
	return age_ns && real_ns > ledger->begun_real_ns &&
	       real_ns - ledger->begun_real_ns >= age_ns;
}

void kw_ledger_close_segment(struct kw_ledger *ledger)
{
	ledger->close_wanted = ledger->fd >= 0 && ledger->offset > 0;
}

void kw_ledger_close_by_caller(struct kw_ledger *ledger)
{
	ledger->closed_by_caller = true;
}

int kw_ledger_read_base(const struct kw_ledger *ledger, struct kw_attest_tree *ret_tree)
{
	return kw_archive_read_base(ledger->directory, ret_tree);
}

void kw_ledger_request_sync(struct kw_ledger *ledger)
{
	if (ledger->fd >= 0)
		kw_sync_request(ledger->sync, ledger->fd, ledger->sequence);
}

uint64_t kw_ledger_durable(const struct kw_ledger *ledger)
{
	return kw_sync_durable(ledger->sync);
}

int kw_ledger_read_head(const struct kw_ledger *ledger, struct kw_bytes *out)
{
	return kw_file_read(ledger->directory, "head", out);
}

int kw_ledger_keep_head(struct kw_ledger *ledger, const void *text, size_t length)
{
	return kw_sync_keep_head(ledger->sync, ledger->fd, ledger->sequence, ledger->directory,
				 text, length);
}

uint64_t kw_ledger_kept_head(const struct kw_ledger *ledger)
{
	return kw_sync_head(ledger->sync);
}

void kw_ledger_wait(struct kw_ledger *ledger)
{
	kw_sync_wait(ledger->sync);
}
