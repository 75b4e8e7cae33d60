/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "test_attest_findings.h"

#include <fcntl.h>

#include "user/base/file.h"

#define GOLDEN_DIRECTORY "tests/vectors/ledgers/sample"
#define GOLDEN "00000000000000000001.jsonl"

static struct kw_key *key;
static struct sample sample;
static struct kw_bytes line;

static int setup(void **state)
{
	(void)state;
	kw_bytes_init(&line, KW_EVENT_MAX);
	return kw_key_from_seed(sample_seed(), SAMPLE_KID, &key);
}

static int teardown(void **state)
{
	(void)state;
	kw_key_free(key);
	kw_bytes_done(&line);
	return 0;
}

static struct kw_attest *open_chain(struct kw_chain_head head)
{
	struct kw_attest_options options = {
		.key = key, .source = SAMPLE_SOURCE, .clock = &sample.clock, .head = head
	};
	struct kw_attest *attest = NULL;

	sample_init(&sample);
	assert_int_equal(kw_attest_open(&options, &attest), 0);
	return attest;
}

static void expect_in_line(const char *text)
{
	if (!strstr(line.data, text))
		fail_msg("not in the line: %s\n%s", text, line.data);
}

/* The whole sample ledger, byte for byte. KW_RECORD=1 writes it anew; review the difference. */
static void the_ledger_is_the_golden_one(void **state)
{
	struct kw_bytes lines[SAMPLE_LINES], golden, made;
	int directory;

	(void)state;
	kw_bytes_init(&golden, 1 << 20);
	kw_bytes_init(&made, 1 << 20);
	sample_ledger(SAMPLE_LINES, lines);
	for (int i = 0; i < SAMPLE_LINES; i++) {
		kw_bytes_append(&made, lines[i].data, lines[i].length);
		kw_bytes_done(&lines[i]);
	}
	directory = open(GOLDEN_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(directory >= 0);
	if (getenv("KW_RECORD"))
		assert_int_equal(kw_file_replace(directory, GOLDEN, made.data, made.length, 0644),
				 0);
	assert_int_equal(kw_file_read(directory, GOLDEN, &golden), 0);
	assert_string_equal(made.data, golden.data);
	assert_int_equal(close(directory), 0);
	kw_bytes_done(&golden);
	kw_bytes_done(&made);
}

static void the_head_moves_on_commit_only(void **state)
{
	struct kw_attest *attest = open_chain((struct kw_chain_head){ .sequence = 0 });
	struct kw_finding finding = sample_gap(&sample, KW_GAP_START, "one");
	char first[8192];

	(void)state;
	kw_attest_commit(attest); /* nothing was made */
	assert_int_equal(kw_attest_head(attest).sequence, 0);
	assert_int_equal(kw_attest_finding(attest, &finding, &line), 0);
	assert_int_equal(kw_attest_head(attest).sequence, 0);
	(void)snprintf(first, sizeof(first), "%s", line.data);
	assert_int_equal(kw_attest_finding(attest, &finding, &line), 0);
	assert_string_equal(line.data, first); /* same place, same line */
	kw_attest_commit(attest);
	kw_attest_commit(attest); /* once is enough */
	assert_int_equal(kw_attest_head(attest).sequence, 1);
	assert_int_equal(kw_attest_finding(attest, &finding, &line), 0);
	expect_in_line("\"sequence\":\"00000000000000000002\"");
	assert_string_not_equal(line.data, first);
	kw_attest_free(attest);
}

static void it_goes_on_from_a_given_head(void **state)
{
	struct kw_chain_head head = { .sequence = 41 };
	struct kw_attest *attest;
	struct kw_finding finding;
	unsigned char hash[32];

	(void)state;
	memset(head.hash, 0xff, sizeof(head.hash));
	attest = open_chain(head);
	kw_attest_commit(attest); /* nothing was made */
	finding = sample_gap(&sample, KW_GAP_RESTART, "again");
	assert_int_equal(kw_attest_finding(attest, &finding, &line), 0);
	expect_in_line("\"prevhash\":\"__________________________________________8\"");
	expect_in_line("\"sequence\":\"00000000000000000042\"");
	kw_attest_commit(attest);
	assert_int_equal(line.data[line.length - 1], '\n');
	(void)crypto_hash_sha256(hash, (unsigned char *)line.data, line.length - 1);
	assert_memory_equal(kw_attest_head(attest).hash, hash, 32);
	kw_attest_free(attest);
}

/* A finding that cannot be said leaves nothing behind and takes no number. */
static void a_refused_finding_takes_no_number(void **state)
{
	struct kw_attest *attest = open_chain((struct kw_chain_head){ .sequence = 0 });
	struct kw_finding finding = { .kind = KW_FINDING_KIND_COUNT_ };

	(void)state;
	assert_int_equal(kw_attest_finding(attest, &finding, &line), -EINVAL);
	assert_int_equal(line.length, 0);
	kw_attest_commit(attest);
	assert_int_equal(kw_attest_head(attest).sequence, 0);
	finding.kind = KW_FINDING_OOM_KILL; /* without its record */
	assert_int_equal(kw_attest_finding(attest, &finding, &line), -EINVAL);
	kw_attest_free(attest);
}

/* An incident too large for an event loses victims, never its verdict, and says how many. */
static void a_large_incident_leaves_victims_out(void **state)
{
	static struct kw_incident_victim victims[KW_INCIDENT_VICTIMS_MAX];
	struct kw_attest *attest = open_chain((struct kw_chain_head){ .sequence = 0 });
	struct kw_finding finding = sample_incident(&sample);

	(void)state;
	for (int i = 0; i < KW_INCIDENT_VICTIMS_MAX; i++) {
		victims[i] = sample.victims[0];
		memset(victims[i].cgroup.path, 0xff, sizeof(victims[i].cgroup.path) - 1);
		victims[i].cgroup.path[0] = '/';
	}
	sample.incident.victims = victims;
	sample.incident.victim_count = KW_INCIDENT_VICTIMS_MAX;
	sample.incident.victims_omitted = 3;
	assert_int_equal(kw_attest_finding(attest, &finding, &line), 0);
	assert_in_range(line.length, KW_EVENT_MAX / 4, KW_EVENT_MAX);
	expect_in_line("\"result\":\"explained\"");
	expect_in_line("\"victimsOmitted\":51"); /* 64 do not fit, nor 32: 16 named, 48 + 3 not */
	kw_attest_free(attest);
}

static void a_caller_s_small_buffer_is_no_half_line(void **state)
{
	struct kw_attest *attest = open_chain((struct kw_chain_head){ .sequence = 0 });
	struct kw_finding finding = sample_gap(&sample, KW_GAP_START, "one");
	struct kw_bytes small;

	(void)state;
	kw_bytes_init(&small, 300);
	assert_int_equal(kw_attest_finding(attest, &finding, &small), -EMSGSIZE);
	assert_int_equal(small.length, 0);
	kw_attest_commit(attest);
	assert_int_equal(kw_attest_head(attest).sequence, 0);
	kw_bytes_done(&small);
	kw_attest_free(attest);
}

static void a_source_must_be_given(void **state)
{
	struct kw_attest_options options = { .key = key, .source = "", .clock = &sample.clock };
	struct kw_attest *attest = NULL;

	(void)state;
	assert_int_equal(kw_attest_open(&options, &attest), -EINVAL);
	options.source = "\xff";
	assert_int_equal(kw_attest_open(&options, &attest), -EINVAL);
	options.source = SAMPLE_SOURCE;
	options.key = NULL;
	assert_int_equal(kw_attest_open(&options, &attest), -EINVAL);
	assert_null(attest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(the_ledger_is_the_golden_one),
		support_test(the_head_moves_on_commit_only),
		support_test(it_goes_on_from_a_given_head),
		support_test(a_refused_finding_takes_no_number),
		support_test(a_large_incident_leaves_victims_out),
		support_test(a_caller_s_small_buffer_is_no_half_line),
		support_test(a_source_must_be_given),
	};

	return cmocka_run_group_tests_name("attest_chain", tests, setup, teardown);
}
