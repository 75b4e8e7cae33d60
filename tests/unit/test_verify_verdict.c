/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The verdict of `kwitness verify` over ledgers that have something to tell: restarts, losses, more gaps than are
 * listed, several keys, checkpoints with an account that does not add up, texts that would drive a terminal. */
#include "test_attest_findings.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/base/file.h"

#define KEYRING "{\"" SAMPLE_KID "\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\"}\n"
#define MANY_GAPS 20000U

static char *directory;
static char output[1 << 18];

/* A ledger under way. */
struct writer {
	struct sample sample;
	struct kw_attest *attest;
	struct kw_key *keys[3];
	struct kw_bytes line;
	struct kw_bytes text;
};

static void begin(struct writer *writer)
{
	struct kw_attest_options options = { .source = SAMPLE_SOURCE };

	memset(writer, 0, sizeof(*writer));
	sample_init(&writer->sample);
	assert_int_equal(kw_key_from_seed(sample_seed(), SAMPLE_KID, &writer->keys[0]), 0);
	options.key = writer->keys[0];
	options.clock = &writer->sample.clock;
	assert_int_equal(kw_attest_open(&options, &writer->attest), 0);
	kw_bytes_init(&writer->line, KW_EVENT_MAX);
	kw_bytes_init(&writer->text, 64 << 20);
}

static void keep(struct writer *writer)
{
	kw_attest_commit(writer->attest);
	kw_bytes_append(&writer->text, writer->line.data, writer->line.length);
	assert_int_equal(kw_bytes_error(&writer->text), 0);
}

/* At so many seconds behind the sample's time. */
static void say(struct writer *writer, uint64_t seconds, struct kw_finding finding)
{
	writer->sample.time.real_ns = SAMPLE_REAL_NS + seconds * KW_NSEC_PER_SEC;
	assert_int_equal(kw_attest_finding(writer->attest, &finding, &writer->line), 0);
	keep(writer);
}

static void gap(struct writer *writer, uint64_t seconds, enum kw_gap_kind kind, const char *reason)
{
	say(writer, seconds, sample_gap(&writer->sample, kind, reason));
}

static void lost(struct writer *writer, uint64_t seconds, const char *reason, uint64_t count)
{
	struct kw_finding finding = sample_gap(&writer->sample, KW_GAP_LOST, reason);

	writer->sample.gap.lost_known = count > 0;
	writer->sample.gap.lost = count;
	writer->sample.gap.from_boot_ns = SAMPLE_BOOT_NS;
	writer->sample.gap.to_boot_ns = SAMPLE_BOOT_NS + count * KW_NSEC_PER_SEC;
	say(writer, seconds, finding);
}

static void rotate(struct writer *writer, unsigned int n, const char *id)
{
	const unsigned char seed[32] = { 7, (unsigned char)n };

	assert_int_equal(kw_key_from_seed(seed, id, &writer->keys[n]), 0);
	assert_int_equal(kw_attest_rotate(writer->attest, writer->keys[n],
					  n == 1 ? KW_ROTATION_WANTED : KW_ROTATION_EPOCH,
					  &writer->line),
			 0);
	keep(writer);
}

static void checkpoint(struct writer *writer, const struct kw_parity_totals *parity)
{
	struct kw_checkpoint checkpoint = { .tree = kw_attest_current_tree(writer->attest),
					    .reason = KW_CHECKPOINT_INTERVAL,
					    .parity = parity };

	assert_int_equal(kw_attest_checkpoint(writer->attest, &checkpoint, &writer->line), 0);
	keep(writer);
}

static void end(struct writer *writer, const char *name)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(kw_file_replace(fd, name, writer->text.data, writer->text.length, 0644),
			 0);
	assert_int_equal(close(fd), 0);
	kw_attest_free(writer->attest);
	for (size_t i = 0; i < kw_array_size(writer->keys); i++)
		kw_key_free(writer->keys[i]);
	kw_bytes_done(&writer->line);
	kw_bytes_done(&writer->text);
}

/* The shell's `$kw` is the program; the test's directory the current one. */
static int run(const char *command)
{
	const char *build = getenv("KW_BUILD");
	char shell[8192], absolute[4096], program[4096];
	size_t length;
	FILE *pipe;
	int status;

	(void)snprintf(program, sizeof(program), "%s/kwitness", build ? build : "build");
	assert_non_null(realpath(program, absolute));
	(void)snprintf(shell, sizeof(shell), "cd '%s' && kw='%s'; { %s; } 2>&1", directory,
		       absolute, command);
	pipe = popen(shell, "re");
	assert_non_null(pipe);
	length = fread(output, 1, sizeof(output) - 1, pipe);
	output[length] = '\0';
	status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect(const char *text)
{
	if (!strstr(output, text))
		fail_msg("not in the output: %s\n%s", text, output);
}

static void expect_not(const char *text)
{
	if (strstr(output, text))
		fail_msg("in the output: %s\n%s", text, output);
}

static int setup(void **state)
{
	(void)state;
	directory = support_directory();
	if (!directory)
		return -1;
	support_write(directory, "ring", KEYRING);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	support_remove(directory);
	return 0;
}

static void an_end_is_told_with_the_start_behind_it(void **state)
{
	struct writer writer;

	(void)state;
	begin(&writer);
	gap(&writer, 0, KW_GAP_START, "the ledger begins");
	gap(&writer, 10, KW_GAP_STOP, "stopped in order");
	checkpoint(&writer, NULL); /* of the stop */
	gap(&writer, 75, KW_GAP_RESTART, "restart: the last daemon stopped in order");
	gap(&writer, 100, KW_GAP_CELL, "cell a: no");
	gap(&writer, 7300, KW_GAP_REBOOT, "the host was booted anew");
	gap(&writer, 7200, KW_GAP_RESTART, "the clock was set back");
	end(&writer, "ends.jsonl");
	assert_int_equal(run("$kw verify --utc --keyring ring ends.jsonl"), 0);
	expect("Nobody recorded 3 times, from a daemon's last line to the next one's first: 2 h 1 min in all, besides 1 whose length no clock tells.\n");
	expect("  sequence 4 (2026-11-23 03:32:47.123Z), restart, 1 min 5 s after the line before, which was an orderly stop: restart: the last daemon stopped in order\n");
	expect("  sequence 6 (2026-11-23 05:33:12.123Z), reboot, 2 h 0 min after the line before, without an orderly stop (crash, kill or power cut): the host was booted anew\n");
	expect("  sequence 7 (2026-11-23 05:31:32.123Z), restart, of unknown length, without an orderly stop");
	expect("It ends without an orderly stop: ");
	assert_int_equal(
		run("$kw verify --json --keyring ring ends.jsonl | jq -c '[.stoppedInOrder, .gapList.unwatched, .gapList.unmeasured, (.gapList.listed[] | [.sequence, .before, .lengthNs])]'"),
		0);
	assert_string_equal(
		output,
		"[false,3,1,[1,null,null],[4,\"stop\",65000000000],[5,null,null],[6,\"none\",7200000000000],[7,\"none\",null]]\n");
	/* Local times say how far they are from UTC. */
	assert_int_equal(run("TZ=XXX-5:30 $kw verify --keyring ring ends.jsonl"), 0);
	expect("from sequence 1 (2026-11-23 09:01:32.123+0530) to ");
	expect(", local, with their distance to UTC.\n");
}

static void losses_are_added_up_by_reason(void **state)
{
	struct writer writer;

	(void)state;
	begin(&writer);
	gap(&writer, 0, KW_GAP_START, "the ledger begins");
	lost(&writer, 1, "7 records were lost: the ring was full", 7);
	lost(&writer, 2, "15 records were lost: the ring was full", 15);
	lost(&writer, 3, "a door was open", 0);
	say(&writer, 4, sample_kill(&writer.sample));
	end(&writer, "losses.jsonl");
	assert_int_equal(run("$kw verify --keyring ring losses.jsonl"), 0);
	expect("It declares 22 records as lost, and 1 event says that something was missed without knowing how many records:\n"
	       "  22 records in 2 events, kind lost: n records were lost: the ring was full\n"
	       "  an unknown number in 1 event, kind lost: a door was open\n");
	assert_int_equal(
		run("$kw verify --json --keyring ring losses.jsonl | jq -c '[.gapsLost, .losses.records, .losses.unknown, (.losses.listed[] | [.events, .records, .unknown])]'"),
		0);
	assert_string_equal(output, "[22,22,1,[2,22,0],[1,0,1]]\n");
	/* A line that is replayed is a fault, and says nothing a second time. */
	assert_int_equal(
		run("sed -n 2p losses.jsonl >>losses.jsonl; $kw verify --json --keyring ring losses.jsonl | jq -c '[.sound, .gapsLost, .losses.records]'"),
		0);
	assert_string_equal(output, "[false,22,22]\n");
}

static void what_is_not_listed_is_added_up(void **state)
{
	struct writer writer;
	char reason[64];

	(void)state;
	begin(&writer);
	gap(&writer, 0, KW_GAP_START, "the ledger begins");
	for (unsigned int i = 1; i <= MANY_GAPS; i++) {
		/* No two reasons alike, and the longest in the middle. */
		(void)snprintf(reason, sizeof(reason), "reason%u", i);
		lost(&writer, i, reason, i == MANY_GAPS / 2 ? 100000 : 1);
	}
	end(&writer, "many.jsonl");
	assert_int_equal(run("$kw verify --keyring ring many.jsonl"), 0);
	expect("It declares 119999 records as lost:\n  1 record in 1 event, kind lost: reason1\n");
	expect("  119967 records in 19968 events of kinds and reasons that are not listed\n");
	expect("The longest of the gaps that it declares");
	expect(", lost, 27 h 46 min, 100000 records lost: reason10000\n");
	expect("  and 19951 gaps that are not listed, 5 h 32 min together\n");
	assert_true(strlen(output) < 20000);
	assert_int_equal(
		run("$kw verify --json --keyring ring many.jsonl | jq -c '[(.gapList.listed | length), .gapList.omitted, (.losses.listed | length), .losses.others.events]'"),
		0);
	assert_string_equal(output, "[50,19951,32,19968]\n");
}

static void keys_and_checkpoints_have_their_sentences(void **state)
{
	const struct kw_parity_totals parity = { .unexplained = -2,
						 .faults = 3,
						 .not_followed = 4 };
	struct writer writer;

	(void)state;
	begin(&writer);
	gap(&writer, 0, KW_GAP_START, "the ledger begins");
	rotate(&writer, 1, "second");
	checkpoint(&writer, NULL);
	rotate(&writer, 2, "third");
	gap(&writer, 60, KW_GAP_CELL, "cell a: no");
	checkpoint(&writer, &parity);
	gap(&writer, 61, KW_GAP_STOP, "stopped in order");
	end(&writer, "keys.jsonl");
	assert_int_equal(run("$kw verify --utc --keyring ring keys.jsonl"), 0);
	expect("Key " SAMPLE_KID
	       ", of the keyring, signed sequence 1 (2026-11-23 03:31:32.123Z) to sequence 2 (");
	expect("), where another took its place.\nKey second, announced at sequence 2 by the key before it, signed sequence 3 (");
	expect("Key third, announced at sequence 4 by the key before it, signed sequence 5 (2026-11-23 03:32:32.123Z) to sequence 7 (2026-11-23 03:32:33.123Z).\n");
	expect("The key changed 2 times, 1 of them because an epoch was over; each change is signed");
	expect("2 checkpoints hold against the lines before; the last, sequence 6 (");
	expect("), covers 5 lines with the root ");
	expect("  lines 6 to 7, behind what the last checkpoint covers");
	expect("  -2 kills and 3 moves of counters that nothing explains, as of sequence 6\n");
	expect("  counters of 4 cgroups, not followed as of sequence 6\n");
	expect("It ends in order: the daemon said at sequence 7 that it stops.\n");
	assert_int_equal(
		run("$kw verify --json --keyring ring keys.jsonl | jq -e '(.checkpoints.lastNote | split(\"\\n\")[2]) == .checkpoints.lastRoot and .keys.changes == 2 and .keys.epochs == 1 and .notCovered.linesAfterLastCheckpoint == 2 and .notCovered.killsUnexplained == -2'"),
		0);
	/* A good checkpoint that was kept, and one of another ledger. */
	assert_int_equal(
		run("$kw verify --json --keyring ring --keyring-out later keys.jsonl | jq -rj .checkpoints.lastNote >note; $kw verify --keyring later --since note keys.jsonl"),
		0);
	expect("It extends the checkpoint that was kept in note.\n");
}

static void the_keyring_that_changes_lead_to(void **state)
{
	(void)state;
	assert_int_equal(
		run("$kw verify --keyring ring --keyring-out out keys.jsonl >/dev/null; cat out"),
		0);
	expect("\"" SAMPLE_KID
	       "\": {\"key\": \"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\", \"lastSequence\": 2}");
	expect("\"firstSequence\": 3, \"lastSequence\": 4}");
	expect("\"firstSequence\": 5}");
	/* All of the ledger, and what is left of it when its announcements are gone. */
	assert_int_equal(run("$kw verify --keyring out keys.jsonl"), 0);
	assert_int_equal(run("tail -n +5 keys.jsonl | $kw verify --partial --keyring out -"), 0);
	assert_int_equal(run("tail -n +5 keys.jsonl | $kw verify --partial --keyring ring -"), 1);
	expect("unknown_key");
	/* The limits of the keyring that was given stay. */
	assert_int_equal(
		run("jq -c '{\"" SAMPLE_KID "\": {key: .\"" SAMPLE_KID
		    "\", notBefore: \"2026-01-01T00:00:00Z\", notAfter: \"2027-01-01T00:00:00Z\", lastSequence: 100}}' ring >limited; $kw verify --keyring limited --keyring-out again keys.jsonl >/dev/null; jq -c '.\"" SAMPLE_KID
		    "\" | [.notBefore, .notAfter, .lastSequence, .firstSequence]' again"),
		0);
	assert_string_equal(
		output,
		"[\"2026-01-01T00:00:00.000000000Z\",\"2027-01-01T00:00:00.000000000Z\",2,null]\n");
	/* Of a ledger that is not sound none is written, and one that is there stays. */
	assert_int_equal(
		run("echo old >kept; sed 2d keys.jsonl | $kw verify --keyring ring --keyring-out kept - >/dev/null"),
		1);
	expect("kept: not written, as the ledger is not sound");
	assert_int_equal(run("cat kept"), 0);
	assert_string_equal(output, "old\n");
	assert_int_equal(
		run("$kw verify --keyring ring --keyring-out none/ring keys.jsonl >/dev/null"), 3);
	expect("none/ring: No such file");
}

static void what_a_ledger_says_is_harmless_for_a_terminal(void **state)
{
	struct writer writer;

	(void)state;
	begin(&writer);
	gap(&writer, 0, KW_GAP_START,
	    "red \033[31m, bell \a, title \033]0;x\a, new\nline and \302\233K");
	lost(&writer, 1, "tab\tand 100%25 \177", 3);
	end(&writer, "hostile.jsonl");
	assert_int_equal(run("$kw verify --keyring ring hostile.jsonl"), 0);
	expect("start: red %1B[31m, bell %07, title %1B]0;x%07, new%0Aline and %C2%9BK\n");
	expect("kind lost: tab%09and 100%25 %7F\n");
	expect_not("\033");
	expect_not("\a");
	expect_not("\302\233");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(an_end_is_told_with_the_start_behind_it),
		support_test(losses_are_added_up_by_reason),
		support_test(what_is_not_listed_is_added_up),
		support_test(keys_and_checkpoints_have_their_sentences),
		support_test(the_keyring_that_changes_lead_to),
		support_test(what_a_ledger_says_is_harmless_for_a_terminal),
	};

	return cmocka_run_group_tests_name("verify_verdict", tests, setup, teardown);
}
