/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A ledger of any size, as kwitnessd would have written it: signed lines, a checkpoint after every thousand,
 * segments of 64 MiB, closed ones indexed (and compressed) by the thread that does it in the daemon. Prints its
 * keyring.
 * usage: ledger DIRECTORY LINES [compress]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/deliver/deliver.h"

#define SEGMENT_BYTES (64ULL << 20)
#define CHECKPOINT_EVERY 1000U

struct writer {
	struct kw_attest *attest;
	struct kw_ledger *ledger;
	struct kw_archive *archive;
	struct kw_bytes line;
	uint64_t segment;
};

static void check(int error, const char *what)
{
	if (error >= 0)
		return;
	fprintf(stderr, "ledger: %s: %s\n", what, strerror(-error));
	exit(3);
}

static void append(struct writer *writer)
{
	uint64_t sequence = kw_attest_head(writer->attest).sequence + 1;

	check(kw_ledger_append(writer->ledger, sequence, writer->line.data, writer->line.length),
	      "cannot append");
	kw_attest_commit(writer->attest);
	if (kw_ledger_segment(writer->ledger) != writer->segment) {
		writer->segment = kw_ledger_segment(writer->ledger);
		kw_archive_look(writer->archive, writer->segment, 0);
	}
}

static void write_checkpoint(struct writer *writer)
{
	struct kw_checkpoint checkpoint = { .tree = kw_attest_current_tree(writer->attest) };

	check(kw_attest_checkpoint(writer->attest, &checkpoint, &writer->line),
	      "cannot make a checkpoint");
	append(writer);
	if (kw_ledger_segment_is_due(writer->ledger, 0, 0))
		kw_ledger_close_segment(writer->ledger);
}

static void fill(struct writer *writer, const struct kw_finding *finding, uint64_t lines)
{
	for (uint64_t i = 2; i <= lines; i++) {
		if (i % CHECKPOINT_EVERY == 0) {
			write_checkpoint(writer);
			continue;
		}
		check(kw_attest_finding(writer->attest, finding, &writer->line), "cannot sign");
		append(writer);
	}
	write_checkpoint(writer);
}

int main(int argc, char **argv)
{
	static struct kw_attributed attributed;
	static struct kw_gate_message guest = { .kind = KW_GATE_FRAME,
						.content_version = 0x100,
						.guest_pid = 42,
						.comm_bytes = 4,
						.comm = "bash",
						.probe_bytes = 15,
						.probe_source = "process.spawned" };
	struct kw_observation observation = { .kind = KW_OBSERVATION_GUEST,
					      .received_real_ns = 1795400000ULL * KW_NSEC_PER_SEC,
					      .guest = &guest };
	struct kw_finding finding = { .kind = KW_FINDING_GUEST,
				      .attributed = &attributed,
				      .incident_id = "00000000-0000-8000-8000-000000000000" };
	struct kw_archive_policy policy = { .index = true, .compress = argc > 3 };
	struct kw_attest_options options = { .source = "/kwitness/bench",
					     .clock = &kw_clock_system };
	unsigned char seed[32] = { 1 };
	struct writer writer = { .segment = 0 };
	struct kw_ledger_found found;
	struct kw_key *key = NULL;

	if (argc < 3) {
		fputs("usage: ledger DIRECTORY LINES [compress]\n", stderr);
		return 2;
	}
	kw_bytes_init(&writer.line, KW_EVENT_MAX);
	attributed.observation = &observation;
	attributed.has_cell = true;
	(void)snprintf(attributed.cell.cell_id, sizeof(attributed.cell.cell_id), "cell-1");
	(void)snprintf(attributed.cell.run_id, sizeof(attributed.cell.run_id), "run-1");
	check(kw_key_from_seed(seed, "bench", &key), "cannot make a key");
	options.key = key;
	check(kw_ledger_open(argv[1], SEGMENT_BYTES, &writer.ledger, &found), argv[1]);
	check(found.has_last ? -EEXIST : 0, argv[1]);
	kw_ledger_close_by_caller(writer.ledger);
	check(kw_attest_open(&options, &writer.attest), "cannot set up");
	check(kw_archive_start(argv[1], &policy, &writer.archive), "cannot start the archive");
	fill(&writer, &finding, strtoull(argv[2], NULL, 10));
	kw_archive_look(writer.archive, writer.segment, 0);
	kw_archive_wait(writer.archive);
	check(kw_archive_error(writer.archive), "the archive failed");
	kw_bytes_clear(&writer.line);
	kw_key_append_keyring(key, &writer.line);
	(void)fwrite(writer.line.data, 1, writer.line.length, stdout);
	kw_archive_free(writer.archive);
	kw_attest_free(writer.attest);
	kw_ledger_free(writer.ledger);
	kw_key_free(key);
	kw_bytes_done(&writer.line);
	return 0;
}
