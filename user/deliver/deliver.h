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
#include <stdbool.h>
#include <stdint.h>

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
