/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The second output: with the ledger or not at all, and the same again after whatever a crash has left. */
#include "deliver_lines.h"

#include <signal.h>
#include <sys/resource.h>

#include "user/deliver/archive.h"

#define BESIDE "cellos/" FIRST_SEGMENT
#define PAIR_BYTES 2048

static struct kw_key *key;

/* A line and its envelope. */
struct pair {
	char line[PAIR_BYTES];
	size_t length;
	struct kw_bytes envelope;
};

static void make_pair(uint64_t sequence, const char *words, struct pair *ret_pair)
{
	int length = snprintf(
		ret_pair->line, PAIR_BYTES,
		"{\"data\":{\"words\":\"%s\"},\"id\":\"id-%llu\",\"recordedtime\":\"2026-01-02T03:04:05.%09lluZ\",\"sequence\":\"%020llu\",\"source\":\"/k\",\"specversion\":\"1.0\",\"type\":\"" KW_TYPE_CGROUP
		"\"}\n",
		words, (unsigned long long)sequence, (unsigned long long)sequence,
		(unsigned long long)sequence);

	assert_in_range(length, 1, PAIR_BYTES - 1);
	ret_pair->length = (size_t)length;
	kw_bytes_init(&ret_pair->envelope, 2L * PAIR_BYTES);
	assert_int_equal(
		kw_cellos_seal(key, ret_pair->line, ret_pair->length - 1, &ret_pair->envelope), 0);
}

static int append_both(struct kw_ledger *ledger, uint64_t sequence)
{
	struct pair pair;
	int r;

	make_pair(sequence, "as ever", &pair);
	r = kw_ledger_append_both(ledger, sequence, pair.line, pair.length, pair.envelope.data,
				  pair.envelope.length);
	kw_bytes_done(&pair.envelope);
	return r;
}

/* Opens both; a second output that was behind is completed, as the daemon does it. */
static struct kw_ledger *open_both(const char *directory, uint64_t max, uint64_t *ret_sequence)
{
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, max, &found);

	assert_int_equal(kw_ledger_open_beside(ledger, ret_sequence), 0);
	for (uint64_t sequence = *ret_sequence + 1; sequence <= found.head.sequence; sequence++) {
		struct pair pair;

		make_pair(sequence, "as ever", &pair);
		assert_int_equal(kw_ledger_append_beside(ledger, sequence, pair.envelope.data,
							 pair.envelope.length),
				 0);
		kw_bytes_done(&pair.envelope);
	}
	return ledger;
}

static void fill_both(const char *directory, uint64_t last, uint64_t max)
{
	uint64_t sequence;
	struct kw_ledger *ledger = open_both(directory, max, &sequence);

	while (sequence < last)
		assert_int_equal(append_both(ledger, ++sequence), 0);
	kw_ledger_free(ledger);
}

static void cut_file(const char *directory, const char *name, off_t size)
{
	char path[512];

	path_of(path, directory, name);
	assert_int_equal(truncate(path, size), 0);
}

static void expect_same(const char *directory, const char *name, const struct kw_bytes *expected)
{
	struct kw_bytes now = slurp(directory, name);

	assert_int_equal(now.length, expected->length);
	assert_memory_equal(now.data, expected->data, now.length);
	kw_bytes_done(&now);
}

static void every_line_has_its_envelope(void **state)
{
	char *directory = support_directory();
	uint64_t sequence;
	struct kw_ledger *ledger = open_both(directory, SEGMENT_MAX, &sequence);
	struct kw_bytes text;
	const char *at;

	(void)state;
	assert_int_equal(sequence, 0);
	for (sequence = 1; sequence <= 5; sequence++)
		assert_int_equal(append_both(ledger, sequence), 0);
	/* Nothing goes into one of them alone. */
	assert_int_equal(kw_ledger_append(ledger, 6, "{}\n", 3), -EINVAL);
	assert_int_equal(kw_ledger_append_beside(ledger, 6, "{}\n", 3), -EINVAL);
	assert_int_equal(kw_ledger_append_beside(ledger, 5, "{}\n", 3), -EINVAL);
	kw_ledger_free(ledger);
	text = slurp(directory, BESIDE);
	at = text.data;
	for (sequence = 1; sequence <= 5; sequence++) {
		struct pair pair;

		make_pair(sequence, "as ever", &pair);
		assert_memory_equal(at, pair.envelope.data, pair.envelope.length);
		at += pair.envelope.length;
		kw_bytes_done(&pair.envelope);
	}
	assert_ptr_equal(at, text.data + text.length);
	kw_bytes_done(&text);
	support_remove(directory);
}

/* A crash has left any part of the second output: it is completed to the same bytes. */
static void whatever_is_missing_is_made_anew(void **state)
{
	char *directory = support_directory();
	struct kw_bytes whole, ledger_text;
	uint64_t sequence;

	(void)state;
	fill_both(directory, 4, SEGMENT_MAX);
	whole = slurp(directory, BESIDE);
	ledger_text = slurp(directory, FIRST_SEGMENT);
	for (size_t left = 0; left < whole.length; left += 13) {
		uint64_t lines = 0;

		for (size_t i = 0; i < left; i++)
			lines += whole.data[i] == '\n';
		cut_file(directory, BESIDE, (off_t)left);
		kw_ledger_free(open_both(directory, SEGMENT_MAX, &sequence));
		assert_int_equal(sequence, lines);
		expect_same(directory, BESIDE, &whole);
		expect_same(directory, FIRST_SEGMENT, &ledger_text);
	}
	kw_bytes_done(&whole);
	kw_bytes_done(&ledger_text);
	support_remove(directory);
}

/* Killed between the two writes, the second cut anywhere; or the ledger lost lines with the power. */
static void what_the_ledger_does_not_have_is_set_aside(void **state)
{
	char *directory = support_directory(), path[512];
	struct kw_bytes three;
	struct pair fourth;
	uint64_t sequence;
	off_t ledger_end;

	(void)state;
	fill_both(directory, 3, SEGMENT_MAX);
	three = slurp(directory, BESIDE);
	ledger_end = size_of(directory, FIRST_SEGMENT);
	make_pair(4, "as ever", &fourth);
	for (size_t written = 1; written <= fourth.envelope.length; written += 31) {
		append_raw(directory, BESIDE, fourth.envelope.data, written);
		kw_ledger_free(open_both(directory, SEGMENT_MAX, &sequence));
		assert_int_equal(sequence, 3);
		expect_same(directory, BESIDE, &three);
	}
	fill_both(directory, 6, SEGMENT_MAX);
	cut_file(directory, FIRST_SEGMENT, ledger_end);
	kw_ledger_free(open_both(directory, SEGMENT_MAX, &sequence));
	assert_int_equal(sequence, 3);
	expect_same(directory, BESIDE, &three);
	(void)snprintf(path, sizeof(path), "cellos/torn/%s.%zu", FIRST_SEGMENT, three.length);
	assert_true(size_of(directory, path) > 0); /* nothing is thrown away */
	kw_bytes_done(&fourth.envelope);
	kw_bytes_done(&three);
	support_remove(directory);
}

static void another_ledger_s_is_refused(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger;
	struct kw_bytes two;
	struct pair third;
	uint64_t sequence = 77;

	(void)state;
	fill_both(directory, 3, SEGMENT_MAX);
	two = slurp(directory, BESIDE);
	make_pair(3, "another", &third);
	cut_file(directory, BESIDE, (off_t)(two.length - third.envelope.length));
	append_raw(directory, BESIDE, third.envelope.data, third.envelope.length);
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	assert_int_equal(kw_ledger_open_beside(ledger, &sequence), -EBADMSG);
	assert_int_equal(sequence, 77);
	kw_ledger_free(ledger);
	kw_bytes_done(&third.envelope);
	kw_bytes_done(&two);
	support_remove(directory);
}

/* The file system takes the envelope and not the line, or neither: then neither is there. */
static void both_or_none(void **state)
{
	char *directory = support_directory();
	struct kw_ledger *ledger;
	struct rlimit before, limit;
	struct pair pair;
	uint64_t sequence;
	off_t line_end, envelope_end;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	fill_ledger(directory, 40); /* so that the ledger's file is the longer one */
	{
		struct kw_ledger_found found;

		ledger = open_ledger(directory, SEGMENT_MAX, &found);
		assert_int_equal(kw_ledger_open_beside(ledger, &sequence), 0);
	}
	assert_int_equal(append_both(ledger, 41), 0);
	line_end = size_of(directory, FIRST_SEGMENT);
	envelope_end = size_of(directory, BESIDE);
	make_pair(42, "as ever", &pair);
	assert_true(envelope_end + (off_t)pair.envelope.length < line_end);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	for (size_t room = 0; room < pair.length; room += 11) {
		limit = before;
		limit.rlim_cur = (rlim_t)line_end + room;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_int_equal(append_both(ledger, 42), -EFBIG);
		limit.rlim_cur = (rlim_t)envelope_end + room;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_int_equal(append_both(ledger, 42), -EFBIG);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		assert_int_equal(size_of(directory, FIRST_SEGMENT), line_end);
		assert_int_equal(size_of(directory, BESIDE), envelope_end);
	}
	assert_int_equal(append_both(ledger, 42), 0);
	assert_int_equal(size_of(directory, BESIDE), envelope_end + (off_t)pair.envelope.length);
	kw_ledger_free(ledger);
	kw_bytes_done(&pair.envelope);
	support_remove(directory);
}

/* Segments of the same numbers; a crash in between two of them. */
static void segments_go_together(void **state)
{
	static const char *const names[] = { FIRST_SEGMENT, "00000000000000000003.jsonl",
					     "00000000000000000005.jsonl" };
	char *directory = support_directory(), path[512];
	struct kw_bytes second, third;
	uint64_t sequence;

	(void)state;
	fill_both(directory, 6, 300);
	for (size_t i = 0; i < kw_array_size(names); i++) {
		assert_true(size_of(directory, names[i]) > 0);
		(void)snprintf(path, sizeof(path), "cellos/%s", names[i]);
		assert_true(size_of(directory, path) > 0);
	}
	second = slurp(directory, "cellos/00000000000000000003.jsonl");
	third = slurp(directory, path);
	assert_int_equal(
		unlink((path_of(path, directory, "cellos/00000000000000000005.jsonl"), path)), 0);
	cut_file(directory, "cellos/00000000000000000003.jsonl", 5);
	kw_ledger_free(open_both(directory, 300, &sequence));
	assert_int_equal(sequence, 2);
	expect_same(directory, "cellos/00000000000000000003.jsonl", &second);
	expect_same(directory, "cellos/00000000000000000005.jsonl", &third);
	kw_bytes_done(&second);
	kw_bytes_done(&third);
	support_remove(directory);
}

static void closed_segments_are_kept_together(void **state)
{
	const struct kw_archive_policy policy = { .compress = true, .retain_bytes = 1 };
	char *directory = support_directory();
	struct kw_archive_removal removal;
	struct kw_archive *archive = NULL;
	uint64_t sequence;

	(void)state;
	fill_both(directory, 6, 300);
	assert_int_equal(kw_archive_start(directory, &policy, &archive), 0);
	kw_archive_look(archive, 5, 0);
	kw_archive_wait(archive);
	assert_int_equal(kw_archive_error(archive), 0);
	assert_int_equal(size_of(directory, BESIDE), -1);
	assert_true(size_of(directory, BESIDE ".zst") > 0);
	assert_true(size_of(directory, "cellos/00000000000000000005.jsonl") > 0);
	assert_true(kw_archive_proposal(archive, &removal));
	assert_int_equal(removal.last, 2);
	kw_archive_declared(archive);
	kw_archive_wait(archive);
	assert_int_equal(size_of(directory, FIRST_SEGMENT ".zst"), -1);
	assert_int_equal(size_of(directory, BESIDE ".zst"), -1);
	assert_true(size_of(directory, "cellos/00000000000000000003.jsonl.zst") > 0);
	kw_archive_free(archive);
	/* The profile was another for a while: the last segment here is compressed. */
	cut_file(directory, "cellos/00000000000000000005.jsonl", 0);
	kw_ledger_free(open_both(directory, 300, &sequence));
	assert_int_equal(sequence, 4);
	assert_true(size_of(directory, "cellos/00000000000000000005.jsonl") > 0);
	support_remove(directory);
}

/* What the envelope counts on disk, retention counts. */
static void retention_counts_both(void **state)
{
	struct kw_archive_policy policy = { .retain_bytes = 0 };
	char *directory = support_directory();
	struct kw_archive_removal removal;
	int fd;

	(void)state;
	fill_both(directory, 6, 300);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < 3; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "%020d.jsonl", 1 + 2 * i);
		policy.retain_bytes += (uint64_t)size_of(directory, name);
		(void)snprintf(name, sizeof(name), "cellos/%020d.jsonl", 1 + 2 * i);
		policy.retain_bytes += (uint64_t)size_of(directory, name);
	}
	assert_int_equal(kw_archive_propose(fd, &policy, 5, 0, &removal), 0);
	policy.retain_bytes--;
	assert_int_equal(kw_archive_propose(fd, &policy, 5, 0, &removal), 1);
	(void)close(fd);
	support_remove(directory);
}

static int setup(void **state)
{
	static const unsigned char seed[32] = "deliver: a public seed";

	(void)state;
	return kw_key_from_seed(seed, "deliver", &key);
}

static int teardown(void **state)
{
	(void)state;
	kw_key_free(key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(every_line_has_its_envelope),
		support_test(whatever_is_missing_is_made_anew),
		support_test(what_the_ledger_does_not_have_is_set_aside),
		support_test(another_ledger_s_is_refused),
		support_test(both_or_none),
		support_test(segments_go_together),
		support_test(closed_segments_are_kept_together),
		support_test(retention_counts_both),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
