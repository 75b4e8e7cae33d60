/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Recorded records through the whole of user space. case.c reads a recording, drive.c plays the event loop
 * to it with a clock of its own, told.c reads what came out, variants.c says what must come out when the
 * recording is cut, doubled or forged, replay.c is the program.
 */
#include <stdbool.h>
#include <stdint.h>

#include "user/daemon/pipeline.h"

/* ---- case.c: one recording ---- */

struct replay_record {
	uint64_t received_boot_ns;
	uint64_t received_real_ns;
	size_t length;
	unsigned char *bytes; /* aligned as a ring's records are */
};

struct replay_moment {
	uint64_t boot_ns;
	uint64_t real_ns;
};

#define REPLAY_CELLS_MAX 8
#define REPLAY_RECORDS_MAX 4096
#define REPLAY_VICTIMS_MAX 1024

struct replay_case {
	char *vectors; /* absolute path of tests/vectors */
	char *kernel;
	char *name;
	char boot_id[40];
	struct replay_moment start;
	struct replay_moment stop;
	size_t victim_count;
	uint32_t victims[REPLAY_VICTIMS_MAX]; /* who died, in the victims' own words; sorted */
	size_t cell_count;
	char *cells[REPLAY_CELLS_MAX]; /* "NAME TEXT" of cell files */
	struct kw_bytes cgroupfs;      /* what the reader sees, and when */
	size_t record_count;
	struct replay_record *records;
};

/* Reads tests/vectors/{records,cgroupfs,replay}/<kernel>/<name>*. 0, or -errno after saying why. */
int replay_case_load(const char *vectors, const char *kernel, const char *name,
		     struct replay_case **ret_test);
void replay_case_free(struct replay_case *test);
KW_DEFINE_CLEANUP(struct replay_case *, replay_case_free)
/* Path of the expected ledger into ret_path. */
void replay_case_expected(const struct replay_case *test, char *ret_path, size_t size);

/* ---- drive.c: the loop, in a directory that is the working directory ---- */

#define REPLAY_LEDGER "ledger"
#define REPLAY_SEGMENT "ledger/00000000000000000001.jsonl"

struct replay_run {
	const struct replay_case *test;
	struct kw_key *key;
	struct kw_clock clock;
	struct replay_moment now;
	uint64_t next_housekeeping_boot_ns;
	size_t cgroupfs_done; /* bytes of the snapshot that stand in the tree */
	bool is_open;
	struct kw_pipeline pipeline;
};

/* The test key's keyring, as text. 0 or -errno. */
int replay_keyring(struct kw_bytes *out);
/* A run over an empty ledger, at the start of the recording. 0 or -errno. */
int replay_begin(struct replay_run *run, const struct replay_case *test);
/* Time passes until the record was received (or not at all, when that is over), then it is taken. */
int replay_take(struct replay_run *run, const struct replay_record *record);
/* As a SIGKILL leaves it, and a new daemon at once. */
int replay_crash(struct replay_run *run);
/* Time passes until the end of the recording; the end in order. */
int replay_finish(struct replay_run *run);
void replay_done(struct replay_run *run);

/* ---- told.c: a ledger, read back ---- */

struct replay_kill {
	char id[40];
	char incident[40];
	uint32_t tgid;
};

struct replay_incident {
	char id[40];
	uint32_t kills;
	char result[16];
	char words[512];
};

struct replay_told {
	size_t lines;
	size_t kill_count;
	struct replay_kill *kills; /* by tgid */
	size_t incident_count;
	struct replay_incident *incidents;
	unsigned int gaps[KW_GAP_KIND_COUNT_];
	uint64_t faults;   /* that the verifier found */
	char fault[256];   /* the first of them */
	char repeated[40]; /* an event id that stands twice; empty: none */
	struct kw_bytes text;
};

/* Reads and verifies REPLAY_SEGMENT. 0 or -errno. */
int replay_told_read(struct replay_told *told);
void replay_told_done(struct replay_told *told);
const struct replay_incident *replay_told_incident(const struct replay_told *told, const char *id);

/* ---- variants.c: 0, or -1 with the reason in why; -errno when it could not be tried ---- */

#define REPLAY_WHY_BYTES 1024

typedef int (*replay_variant_fn)(const struct replay_case *test, char *why);
int replay_truth(const struct replay_case *test, char *why);
int replay_twice(const struct replay_case *test, char *why);
int replay_dropped(const struct replay_case *test, char *why);
int replay_restarted(const struct replay_case *test, char *why);
int replay_forged(const struct replay_case *test, char *why);
