/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * deliver: keep it and hand it on.
 *
 * In: signed lines. Out: the ledger directory (segments "<first sequence, 20 digits>.jsonl"), and
 * readers with cursors of their own. Owned: the directory's lock, the open segment.
 * Promised: append is all or nothing (a short write is cut off again); a second daemon is refused;
 * a torn last line is set aside into "torn/", never deleted, and reported so that it is declared.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "user/attest/attest.h"

struct kw_ledger;

/* What was found when a ledger was opened. */
struct kw_ledger_found {
	struct kw_chain_head head;
	bool torn; /* a last line without its newline, or unreadable, was set aside */
	uint64_t torn_bytes;
	char torn_name[64];    /* file below torn/ */
	bool has_last;	       /* the ledger was not empty */
	uint64_t last_real_ns; /* `recordedtime` of the last line */
	char last_boot_id[40]; /* of the last start gap, when found */
	bool stopped; /* the last line is a stop gap or its checkpoint: nothing was cut off */
	uint32_t open_incidents; /* oom_kill lines without their oom_incident in the tail */
};

/* A kill whose incident had not settled when the ledger's last writer ended. */
struct kw_ledger_open_kill {
	char incident_id[40];
	char event_id[40];
};

/* Opens (making 0700 when missing) and locks the directory, finds its end. max_segment_bytes: a
 * segment that has reached it is closed and the next one begun. 0; -EBUSY: another daemon has it;
 * -EACCES, -EROFS …; -EBADMSG: the last whole line is not one of ours. */
int kw_ledger_open(const char *path, uint64_t max_segment_bytes, struct kw_ledger **ret_ledger,
		   struct kw_ledger_found *ret_found) kw_must_check;
void kw_ledger_free(struct kw_ledger *ledger);
KW_DEFINE_CLEANUP(struct kw_ledger *, kw_ledger_free)

/* Whether length more bytes can be expected to fit (free blocks of the file system, minus a
 * reserve). 0, -ENOSPC, -EIO. Asked before a record is consumed. */
int kw_ledger_has_space(struct kw_ledger *ledger, size_t length) kw_must_check;
/* Appends one line (newline included) whose sequence is sequence. All or nothing. 0 or -errno. */
int kw_ledger_append(struct kw_ledger *ledger, uint64_t sequence, const void *line, size_t length)
	kw_must_check;
/* Whether an event of this id stands in the tail of the ledger (last 1,024 lines before this start
 * and everything since is not kept): the same record read twice after a crash. */
bool kw_ledger_has_id(const struct kw_ledger *ledger, const char *event_id);
/* The kills that found.open_incidents counts, newest first, at most KW_LEDGER_TAIL_LINES; borrowed. For
 * kw_reconcile_resume(), when the boot is still the same. */
const struct kw_ledger_open_kill *kw_ledger_open_kills(const struct kw_ledger *ledger,
						       size_t *ret_count);
/* First sequence of the segment that is being written; 0: none yet. */
uint64_t kw_ledger_segment(const struct kw_ledger *ledger);
/* Whether that segment ought to be closed: by its size, or because it is older than age_ns (0: never) at
 * real_ns. The caller then sees to its last line and closes it, by kw_ledger_close_segment(): the next line
 * begins another. One that grows to twice its size is closed without being asked. */
bool kw_ledger_segment_is_due(struct kw_ledger *ledger, uint64_t real_ns, uint64_t age_ns);
void kw_ledger_close_segment(struct kw_ledger *ledger);
/* From now on the caller closes segments. */
void kw_ledger_close_by_caller(struct kw_ledger *ledger);
/* The tree over what retention removed. 0; -ENOENT: nothing was; -EBADMSG; -errno. */
int kw_ledger_read_base(const struct kw_ledger *ledger, struct kw_attest_tree *ret_tree)
	kw_must_check;
/* Asks the sync thread for fdatasync; returns at once. */
void kw_ledger_request_sync(struct kw_ledger *ledger);
/* Sequence up to which lines are known to be on disk. */
uint64_t kw_ledger_durable(const struct kw_ledger *ledger);

/* The file "head": what the ledger's lines amounted to when a checkpoint was last made (attest writes and
 * reads its text). Its bytes appended to out; 0, -ENOENT: there is none, -EFBIG, -errno. */
int kw_ledger_read_head(const struct kw_ledger *ledger, struct kw_bytes *out) kw_must_check;
/* Asks for the head to be replaced, off the caller's path, once every line appended so far is durable:
 * never before, or a power cut could leave a head that is ahead of its ledger. 0 or -ENOMEM. */
int kw_ledger_keep_head(struct kw_ledger *ledger, const void *text, size_t length) kw_must_check;
/* Sequence of the last line when the head that is on disk was asked for; 0: none since the start. */
uint64_t kw_ledger_kept_head(const struct kw_ledger *ledger);
/* Waits for everything that was asked for. At the end of the daemon only. */
void kw_ledger_wait(struct kw_ledger *ledger);

/* ---- cursor.c: a reader of a ledger directory that may be growing ---- */

struct kw_cursor;
/* from_sequence: first line wanted (0 or 1: from the start; UINT64_MAX: only what comes). */
int kw_cursor_open(const char *path, uint64_t from_sequence, struct kw_cursor **ret_cursor)
	kw_must_check;
/* Positioned lines whole lines before the ledger's end, or at its start when it has fewer. */
int kw_cursor_open_tail(const char *path, uint64_t lines, struct kw_cursor **ret_cursor)
	kw_must_check;
void kw_cursor_free(struct kw_cursor *cursor);
KW_DEFINE_CLEANUP(struct kw_cursor *, kw_cursor_free)
/* Next whole line, without its newline; *ret_line is borrowed until the next call. 1: a line,
 * 0: none yet, -EMSGSIZE: a line longer than KW_LINE_MAX was stepped over, or -errno. */
int kw_cursor_next(struct kw_cursor *cursor, const char **ret_line, size_t *ret_length)
	kw_must_check;
/* Descriptor that wakes when the ledger grows; where no inotify watch is to be had, each second. */
int kw_cursor_fd(const struct kw_cursor *cursor);

/* ---- unpack.c: a segment's text, compressed or not ---- */

struct kw_unpack;
/* Reads fd (borrowed: a file from where it stands, a pipe) as it is, or decompresses it when it begins
 * with a Zstandard frame; after the last frame whatever follows is taken as it is. 0 or -ENOMEM. */
int kw_unpack_new(int fd, struct kw_unpack **ret_unpack) kw_must_check;
void kw_unpack_free(struct kw_unpack *unpack);
KW_DEFINE_CLEANUP(struct kw_unpack *, kw_unpack_free)
/* The next bytes of the text, at most size. How many; 0: its end; -EBADMSG: the compressed file is damaged or
 * cut off here, and kw_unpack_reason() says how (static); -errno. */
ssize_t kw_unpack_read(struct kw_unpack *unpack, void *buffer, size_t size) kw_must_check;
const char *kw_unpack_reason(const struct kw_unpack *unpack);

/* ---- readers.c: those who want every line, and have told so ---- */

#define KW_READER_NAME_BYTES 64 /* with its NUL */

/* Remembers below the ledger that the reader of this name ([A-Za-z0-9._@-], no leading dot) needs no line up to
 * sequence any more; makes it known when it is not yet. 0, -EINVAL, -errno. */
int kw_reader_keep(const char *path, const char *name, uint64_t sequence) kw_must_check;
int kw_reader_forget(const char *path, const char *name) kw_must_check;
/* What the reader of this name keeps. 0; -ENOENT: it is not known; -EBADMSG: its file cannot be understood;
 * -EINVAL, -errno. */
int kw_reader_find(const char *path, const char *name, uint64_t *ret_sequence) kw_must_check;

struct kw_reader {
	char name[KW_READER_NAME_BYTES];
	bool is_understood; /* else sequence is 0: it holds everything */
	uint64_t sequence;
};
/* 0, or what ends the reading: -errno. */
typedef int (*kw_readers_fn)(void *context, const struct kw_reader *reader);
/* Calls back for each reader, in no order. 0 or -errno. */
int kw_readers_each(const char *path, kw_readers_fn callback, void *context) kw_must_check;
/* The one that is furthest behind; UINT64_MAX: there is none. 0 or -errno. */
int kw_readers_lowest(int directory, uint64_t *ret_sequence,
		      char ret_name[static KW_READER_NAME_BYTES]) kw_must_check;

/* ---- archive.c, retain.c, pack.c: what becomes of closed segments, in a thread of its own ---- */

struct kw_archive_policy {
	bool index;
	bool compress;
	uint64_t retain_bytes;	/* of all segments' files; 0: whatever there is */
	uint64_t retain_age_ns; /* 0: for ever */
	bool force;		/* remove also what a reader has not passed */
};

/* A segment that ought to be removed, once that is declared. */
struct kw_archive_removal {
	uint64_t first; /* sequences of its lines */
	uint64_t last;
	uint64_t bytes;
	uint64_t unread; /* of them, lines that reader has not passed; 0: none */
	char reader[KW_READER_NAME_BYTES];
	struct kw_attest_tree tree; /* over all lines of the ledger up to last */
};

struct kw_archive;
int kw_archive_start(const char *path, const struct kw_archive_policy *policy,
		     struct kw_archive **ret_archive) kw_must_check;
/* Ends the thread; what it was at is left as it was. NULL is allowed. */
void kw_archive_free(struct kw_archive *archive);
/* Asks it to look at the segments before current, the first sequence of the one that is being written; it is
 * real_ns now. Returns at once. */
void kw_archive_look(struct kw_archive *archive, uint64_t current, uint64_t real_ns);
/* Whether something ought to be removed; the same until it is declared. */
bool kw_archive_proposal(struct kw_archive *archive, struct kw_archive_removal *ret_removal);
/* The proposal stands in the ledger, durably: now it is removed. */
void kw_archive_declared(struct kw_archive *archive);
/* 0, or what failed in the last look: it is tried again with the next. */
int kw_archive_error(struct kw_archive *archive);
/* Waits until nothing is under way: for tests. */
void kw_archive_wait(struct kw_archive *archive);
/* The tree over what was removed. 0; -ENOENT: nothing was; -EBADMSG; -errno. */
int kw_archive_read_base(int directory, struct kw_attest_tree *ret_tree) kw_must_check;

/* ---- index.c, indexes.c, indexer.c: where lines stand, and the tree's nodes; a cache that nobody believes ---- */

/* Makes the index of a closed segment, by what those before it and the file "base" say of the lines before; *stop
 * ends it (NULL: nothing does). 1: made, 0: it is there already; -ENODATA: what stands before is not indexed;
 * -EBADMSG: the segment is damaged; -EFBIG: it has more than KW_INDEX_LINES_MAX lines; -ECANCELED; -errno. */
int kw_index_make(int directory, uint64_t segment, const atomic_bool *stop) kw_must_check;
/* Those of all segments above *above and before current, which move *above on; so many were made. 0, or what
 * ended it, as above: it has moved *above past a segment that cannot be indexed at all. */
int kw_index_make_closed(int directory, uint64_t *above, uint64_t current, const atomic_bool *stop,
			 uint64_t *ret_made) kw_must_check;
/* 0 or -errno. */
int kw_index_remove(int directory, uint64_t segment) kw_must_check;
/* All of them, also such as are of no segment. 0 or -errno. */
int kw_index_remove_all(int directory) kw_must_check;
/* First sequence of the last segment, which is never indexed. 0, -ENOENT, -errno. */
int kw_index_last(int directory, uint64_t *ret_segment) kw_must_check;

struct kw_indexes;
/* ledger: its directory, borrowed. 0; -ENOENT: nothing is indexed; -E2BIG: more than KW_INDEX_FILES_MAX; -errno. */
int kw_indexes_open(int ledger, struct kw_indexes **ret_indexes) kw_must_check;
void kw_indexes_free(struct kw_indexes *indexes);
KW_DEFINE_CLEANUP(struct kw_indexes *, kw_indexes_free)
/* What they say has to be checked. Each: -ENOENT: an index or a segment is missing; -EBADMSG: one is damaged;
 * -errno. The last line that is indexed; 0. */
int kw_indexes_end(struct kw_indexes *indexes, uint64_t *ret_sequence) kw_must_check;
/* 1: the line with this id; 0: none is known. */
int kw_indexes_find_id(struct kw_indexes *indexes, const char *id, uint64_t *ret_sequence)
	kw_must_check;
/* The line of this sequence, without its newline, in place of what is in out. 0. */
int kw_indexes_read_line(struct kw_indexes *indexes, uint64_t sequence, struct kw_bytes *out)
	kw_must_check;
/* The first checkpoint that covers line size: its own line's sequence, and how many lines it covers. 1, 0: none. */
int kw_indexes_find_checkpoint(struct kw_indexes *indexes, uint64_t size, uint64_t *ret_sequence,
			       uint64_t *ret_size) kw_must_check;
/* The tree over the first size lines. path (NULL: not wanted), whose index is below size, gets what siblings this
 * tree has; those that are missing come when it grows. 0. */
int kw_indexes_tree(struct kw_indexes *indexes, uint64_t size, struct kw_tree *ret_tree,
		    struct kw_tree_path *path) kw_must_check;

/* ---- silences.c ---- */

/* A silence that was said in the ledger's tail, and whose end was not. */
struct kw_ledger_silence {
	char cell_id[KW_CELL_ID_MAX + 1];
	char run_id[KW_CELL_ID_MAX + 1];
	char event_id[40];
	uint64_t boot_ns;
};
/* 0 or -errno, which ends the reading. */
typedef int (*kw_ledger_silence_fn)(void *context, const struct kw_ledger_silence *silence);
/* Calls back for each, oldest first; looks at the last KW_SILENCE_TAIL_LINES lines. 0 or -errno. */
int kw_ledger_open_silences(const char *path, kw_ledger_silence_fn callback, void *context)
	kw_must_check;
