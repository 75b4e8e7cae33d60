/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The event loop, with time that passes only from one thing to the next: a record is taken when it was
 * received, an incident settles at its deadline, the housekeeping comes once a second (loop.c has the
 * same in sd-event). Everything lies below the working directory, so that no path of this machine gets
 * into a line.
 */
#include "tests/replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/file.h"

#define CELLS "cells"
#define CGROUP_ROOT "sys/fs/cgroup"
#define SOURCE "/kwitness/00000000000000000000000000000000"
#define KEY_ID "replay"
#define SEGMENT_BYTES (64U * 1024U * 1024U)
#define SETTLE_NS (200 * KW_NSEC_PER_MSEC)
#define POLL_INTERVAL_NS (5 * KW_NSEC_PER_SEC)
/* A case that needs more turns of the clock than this does not come to rest. */
#define TURNS_MAX 100000

/* Known to everybody: it signs nothing but the expected ledgers. */
static const unsigned char seed[32] = "kwitness replay: a public seed";

int replay_keyring(struct kw_bytes *out)
{
	struct kw_key *key = NULL;
	int r = kw_key_from_seed(seed, KEY_ID, &key);

	if (r < 0)
		return r;
	kw_key_append_keyring(key, out);
	kw_key_free(key);
	return kw_bytes_error(out);
}

static uint64_t boot_ns(void *context)
{
	return ((struct replay_run *)context)->now.boot_ns;
}

static uint64_t real_ns(void *context)
{
	return ((struct replay_run *)context)->now.real_ns;
}

/* ---- what the reader sees ---- */

/* "PATH/FILE TEXT" to TEXT in the file of the tree; is_new: its first line of this snapshot. */
static int write_line(const char *line, size_t length, bool is_new)
{
	const char *space = memchr(line, ' ', length);
	cleanup_close int directory = -1, file = -1;
	char path[KW_PATH_MAX + sizeof(CGROUP_ROOT)];
	char *slash;

	if (!space || line[0] != '/' || (size_t)(space - line) >= KW_PATH_MAX)
		return -EBADMSG;
	(void)snprintf(path, sizeof(path), CGROUP_ROOT "%.*s", (int)(space - line), line);
	slash = strrchr(path, '/');
	*slash = '\0';
	directory = kw_file_open_directory(path, 0755);
	if (directory < 0)
		return directory;
	file = openat(directory, slash + 1,
		      O_WRONLY | O_CREAT | O_CLOEXEC | (is_new ? O_TRUNC : O_APPEND), 0644);
	if (file < 0)
		return -errno;
	return kw_file_write_all(file, space + 1, length - (size_t)(space + 1 - line));
}

/* Puts into the tree what stands in it at this time. */
static int apply_snapshots(struct replay_run *run)
{
	const struct kw_bytes *text = &run->test->cgroupfs;
	const char *last = "";
	size_t last_length = 0;
	int r = 0;

	while (r == 0 && run->cgroupfs_done < text->length) {
		const char *line = text->data + run->cgroupfs_done;
		const char *newline = strchr(line, '\n');
		size_t length = newline ? (size_t)(newline - line) + 1 : strlen(line);
		size_t name = strcspn(line, " \n");
		uint64_t from;

		if (sscanf(line, "at %" SCNu64, &from) == 1) {
			if (from > run->now.boot_ns)
				return 0;
		} else {
			r = write_line(line, length,
				       name != last_length || strncmp(line, last, name) != 0);
			last = line;
			last_length = name;
		}
		run->cgroupfs_done += length;
	}
	return r;
}

static int write_cells(const struct replay_case *test)
{
	cleanup_close int directory = kw_file_open_directory(CELLS, 0700);
	char name[NAME_MAX];
	int r = 0;

	if (directory < 0)
		return directory;
	for (size_t i = 0; r == 0 && i < test->cell_count; i++) {
		const char *text = strchr(test->cells[i], ' ');

		if (!text)
			return -EBADMSG;
		(void)snprintf(name, sizeof(name), "%.*s", (int)(text - test->cells[i]),
			       test->cells[i]);
		r = kw_file_replace(directory, name, text + 1, strlen(text + 1), 0600);
	}
	return r;
}

/* ---- the loop ---- */

static void on_cell(void *context, enum kw_cell_change change, const struct kw_cell *cell,
		    const char *file, const char *refusal)
{
	struct replay_run *run = context;

	kw_pipeline_cell(&run->pipeline, change, cell, file, refusal);
}

static int open_pipeline(struct replay_run *run)
{
	struct kw_pipeline_options options = {
		.ledger = REPLAY_LEDGER,
		.segment_bytes = SEGMENT_BYTES,
		.cells = CELLS,
		.cgroup_root = CGROUP_ROOT,
		.settle_ns = SETTLE_NS,
		.poll_interval_ns = POLL_INTERVAL_NS,
		.boot_id = run->test->boot_id,
		.source = SOURCE,
		.key = run->key,
		.clock = &run->clock,
	};
	int r = kw_pipeline_open(&run->pipeline, &options);

	run->is_open = true;
	if (r == 0)
		r = kw_cells_refresh(run->pipeline.cells, on_cell, run);
	run->next_housekeeping_boot_ns = run->now.boot_ns + KW_NSEC_PER_SEC;
	return r;
}

static int set_time(struct replay_run *run, uint64_t boot)
{
	run->now.real_ns += boot - run->now.boot_ns;
	run->now.boot_ns = boot;
	return apply_snapshots(run);
}

/* As rearm_deadline() of loop.c: in whole microseconds, behind the deadline. */
static uint64_t next_deadline(const struct replay_run *run)
{
	uint64_t deadline = kw_reconcile_deadline(run->pipeline.reconcile);

	if (deadline == UINT64_MAX)
		return deadline;
	deadline = (deadline / KW_NSEC_PER_USEC + 1) * KW_NSEC_PER_USEC;
	return deadline > run->now.boot_ns ? deadline : run->now.boot_ns;
}

/* Deadlines before housekeeping, as their priorities have it. */
static int pass(struct replay_run *run, uint64_t until)
{
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		uint64_t deadline = next_deadline(run),
			 housekeeping = run->next_housekeeping_boot_ns;
		bool is_deadline = deadline <= housekeeping;
		uint64_t next = is_deadline ? deadline : housekeeping;
		int r;

		if (next > until)
			return until > run->now.boot_ns ? set_time(run, until) : 0;
		r = set_time(run, next);
		if (r < 0)
			return r;
		if (is_deadline) {
			kw_pipeline_due(&run->pipeline);
			continue;
		}
		run->next_housekeeping_boot_ns += KW_NSEC_PER_SEC;
		r = kw_pipeline_ready(&run->pipeline);
		if (r < 0)
			return r;
		kw_pipeline_poll(&run->pipeline);
		kw_ledger_request_sync(run->pipeline.ledger);
	}
	return -ELOOP;
}

int replay_begin(struct replay_run *run, const struct replay_case *test)
{
	int r;

	*run = (struct replay_run){ .test = test, .now = test->start };
	run->clock = (struct kw_clock){ .boot_ns = boot_ns, .real_ns = real_ns, .context = run };
	if (unlink(REPLAY_SEGMENT) < 0 && errno != ENOENT)
		return -errno;
	r = kw_key_from_seed(seed, KEY_ID, &run->key);
	if (r == 0)
		r = write_cells(test);
	if (r == 0)
		r = apply_snapshots(run);
	return r < 0 ? r : open_pipeline(run);
}

/* What drain.c makes of a record that does not pass. */
static void make_lost(const struct replay_record *record, struct kw_observation *observation,
		      struct kw_lost *lost)
{
	const struct kw_record_header *header = (const void *)record->bytes;

	*lost = (struct kw_lost){ .reason = KW_LOST_MALFORMED, .count = 1 };
	if (record->length >= sizeof(*header) && header->kind < KW_RECORD_KIND_COUNT_)
		lost->record_kind = header->kind;
	observation->kind = KW_OBSERVATION_LOST;
	observation->boot_ns = observation->received_boot_ns;
	observation->lost = lost;
}

int replay_take(struct replay_run *run, const struct replay_record *record)
{
	struct kw_observation observation = {};
	struct kw_lost lost;
	int decoded, r;

	if (record->received_boot_ns > run->now.boot_ns) {
		r = pass(run, record->received_boot_ns);
		if (r < 0)
			return r;
		run->now.real_ns = record->received_real_ns;
	}
	r = kw_pipeline_ready(&run->pipeline);
	if (r < 0)
		return r;
	decoded = kw_record_decode(record->bytes, record->length, &observation);
	observation.received_boot_ns = run->now.boot_ns;
	observation.received_real_ns = run->now.real_ns;
	if (decoded < 0)
		make_lost(record, &observation, &lost);
	return kw_pipeline_observe(&run->pipeline, &observation);
}

static void close_pipeline(struct replay_run *run)
{
	if (run->is_open)
		kw_pipeline_close(&run->pipeline);
	run->is_open = false;
}

int replay_crash(struct replay_run *run)
{
	close_pipeline(run);
	return open_pipeline(run);
}

int replay_finish(struct replay_run *run)
{
	int r = 0;

	if (run->test->stop.boot_ns > run->now.boot_ns) {
		r = pass(run, run->test->stop.boot_ns);
		run->now.real_ns = run->test->stop.real_ns;
	}
	if (r == 0)
		r = kw_pipeline_ready(&run->pipeline);
	return r < 0 ? r : kw_pipeline_stop(&run->pipeline);
}

void replay_done(struct replay_run *run)
{
	close_pipeline(run);
	kw_key_free(run->key);
	run->key = NULL;
}
