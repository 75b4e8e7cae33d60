/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a crash can leave at a ledger's end, byte by byte, and what must not be touched. */
#include "deliver_lines.h"

/* Opens, checks that length bytes were set aside behind line last, goes on with the next line. */
static void assert_recovers(const char *directory, uint64_t last, const void *tail, size_t length)
{
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);
	struct kw_bytes kept;
	char name[128];

	assert_int_equal(found.head.sequence, last);
	assert_true(found.torn);
	assert_int_equal(found.torn_bytes, length);
	(void)snprintf(name, sizeof(name), "torn/%s", found.torn_name);
	kept = slurp(directory, name);
	assert_int_equal(kept.length, length);
	assert_memory_equal(kept.data, tail, length);
	kw_bytes_done(&kept);
	append_plain(ledger, last + 1);
	kw_ledger_free(ledger);
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	assert_false(found.torn);
	assert_int_equal(found.head.sequence, last + 1);
	kw_ledger_free(ledger);
}

static void test_every_length(void **state)
{
	char text[LINE_BYTES], nuls[LINE_BYTES] = { 0 };
	size_t length = make_line(text, 4, KW_TYPE_CGROUP, "\"x\":1");

	(void)state;
	for (size_t cut = 1; cut < length; cut++) {
		char *directory = support_directory();

		fill_ledger(directory, 3);
		append_raw(directory, FIRST_SEGMENT, text, cut);
		assert_recovers(directory, 3, text, cut);
		/* The size reached the disk before the data did. */
		append_raw(directory, FIRST_SEGMENT, nuls, cut);
		assert_recovers(directory, 4, nuls, cut);
		support_remove(directory);
	}
}

static void test_unreadable_lines(void **state)
{
	char garbage[3000];
	char *directory = support_directory();
	static const char two[] = "\0\0\0\0\"}\n{\"data\":{},\"id\n\0\0";

	(void)state;
	fill_ledger(directory, 3);
	append_raw(directory, FIRST_SEGMENT, two, sizeof(two));
	assert_recovers(directory, 3, two, sizeof(two));
	memset(garbage, '\n', sizeof(garbage)); /* more empty lines than a crash brings … */
	append_raw(directory, FIRST_SEGMENT, garbage, 1000);
	assert_recovers(directory, 4, garbage, 1000); /* … but 1,000 are borne with */
	support_remove(directory);
}

static void test_longer_than_any_line(void **state)
{
	char *directory = support_directory();
	char *long_line = malloc(3 * KW_LINE_MAX);

	(void)state;
	assert_non_null(long_line);
	memset(long_line, 'x', 3 * KW_LINE_MAX);
	fill_ledger(directory, 3);
	append_raw(directory, FIRST_SEGMENT, long_line, 3 * KW_LINE_MAX - 7);
	assert_recovers(directory, 3, long_line, 3 * KW_LINE_MAX - 7);
	long_line[3 * KW_LINE_MAX - 8] = '\n';
	append_raw(directory, FIRST_SEGMENT, long_line, 3 * KW_LINE_MAX - 7);
	assert_recovers(directory, 4, long_line, 3 * KW_LINE_MAX - 7);
	free(long_line);
	support_remove(directory);
}

/* Cut short twice at the same place: the first copy stays. */
static void test_keeps_each(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger;
	char first[64];

	(void)state;
	fill_ledger(directory, 1);
	append_raw(directory, FIRST_SEGMENT, "{\"a", 3);
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	kw_ledger_free(ledger);
	memcpy(first, found.torn_name, sizeof(first));
	append_raw(directory, FIRST_SEGMENT, "{\"bc", 4);
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	kw_ledger_free(ledger);
	assert_string_not_equal(first, found.torn_name);
	for (int i = 0; i < 2; i++) {
		char name[128];
		struct kw_bytes kept;

		(void)snprintf(name, sizeof(name), "torn/%s", i ? found.torn_name : first);
		kept = slurp(directory, name);
		assert_string_equal(kept.data, i ? "{\"bc" : "{\"a");
		kw_bytes_done(&kept);
	}
	support_remove(directory);
}

/* The last segment holds nothing whole: the ledger ends in the one before it. */
static void test_empty_segments(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger;

	(void)state;
	fill_ledger(directory, 3);
	append_raw(directory, "00000000000000000004.jsonl", "", 0);
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	assert_false(found.torn);
	assert_int_equal(found.head.sequence, 3);
	append_plain(ledger, 4);
	kw_ledger_free(ledger);
	append_raw(directory, "00000000000000000005.jsonl", "{\"da", 4);
	assert_recovers(directory, 4, "{\"da", 4);
	support_remove(directory);
}

static void test_leaves_others_alone(void **state)
{
	static const char *const foreign[] = {
		"{}\n",
		"{\"sequence\":\"4\",\"id\":\"x\",\"recordedtime\":\"2026-01-02T03:04:05Z\"}\n",
		"{\"data\":{\"sequence\":\"00000000000000000004\"},\"id\":\"x\",\"recordedtime\":\"2026-01-02T03:04:05Z\"}\n",
		"{\"id\":\"x\",\"recordedtime\":\"yesterday\",\"sequence\":\"00000000000000000004\"}\n",
	};
	struct kw_ledger_found found;

	(void)state;
	for (size_t i = 0; i < kw_array_size(foreign); i++) {
		char *directory = support_directory();
		struct kw_ledger *ledger = NULL;
		off_t size;

		fill_ledger(directory, 3);
		append_raw(directory, FIRST_SEGMENT, foreign[i], strlen(foreign[i]));
		size = size_of(directory, FIRST_SEGMENT);
		assert_int_equal(kw_ledger_open(directory, SEGMENT_MAX, &ledger, &found), -EBADMSG);
		assert_null(ledger);
		assert_int_equal(size_of(directory, FIRST_SEGMENT), size);
		assert_int_equal(size_of(directory, "torn"), -1);
		support_remove(directory);
	}
}

static void test_strange_segments(void **state)
{
	struct kw_ledger_found found;
	struct kw_ledger *ledger = NULL;
	char *directory = support_directory();
	char path[512], text[LINE_BYTES];

	(void)state;
	fill_ledger(directory, 3);
	/* Not segments: passed over. */
	support_write(directory, "9.jsonl", "x");
	support_write(directory, "0000000000000000000x.jsonl", "x");
	support_write(directory, "99999999999999999999.jsonl", "x"); /* above 2^64 - 1 */
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	assert_int_equal(found.head.sequence, 3);
	kw_ledger_free(ledger);
	ledger = NULL;
	/* A segment whose line is not the one its name promises. */
	append_raw(directory, "00000000000000000009.jsonl", text,
		   make_line(text, 4, KW_TYPE_CGROUP, ""));
	assert_int_equal(kw_ledger_open(directory, SEGMENT_MAX, &ledger, &found), -EBADMSG);
	/* A link instead of a file. */
	path_of(path, directory, "00000000000000000009.jsonl");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(kw_ledger_open(directory, SEGMENT_MAX, &ledger, &found), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(kw_ledger_open(directory, SEGMENT_MAX, &ledger, &found), -EINVAL);
	support_remove(directory);
}

static void test_open_incidents(void **state)
{
	char *directory = support_directory();
	const struct kw_ledger_open_kill *kills;
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, 1, &found); /* a line a segment */
	size_t count;

	(void)state;
	append_typed(ledger, 1, KW_TYPE_GAP, "\"bootId\":\"boot-old\",\"kind\":\"start\"");
	append_typed(ledger, 2, KW_TYPE_GAP, "\"bootId\":\"boot-new\",\"kind\":\"reboot\"");
	append_typed(ledger, 3, KW_TYPE_GAP, "\"bootId\":\"no\",\"kind\":\"lost\"");
	append_typed(ledger, 4, KW_TYPE_OOM_KILL, "\"incident\":\"A\"");
	append_typed(ledger, 5, KW_TYPE_OOM_KILL, "\"incident\":\"B\"");
	append_typed(ledger, 6, KW_TYPE_OOM_INCIDENT, "\"incident\":\"A\"");
	append_typed(ledger, 7, KW_TYPE_OOM_KILL, "\"incident\":\"B\"");
	append_typed(ledger, 8, KW_TYPE_OOM_KILL, "\"incident\":\"C\"");
	/* What a process named itself is no member of the event. */
	append_typed(ledger, 9, KW_TYPE_CGROUP,
		     "\"comm\":\"\\\",\\\"bootId\\\":\\\"x\",\"kind\":\"stop\"");
	kw_ledger_free(ledger);
	ledger = open_ledger(directory, 1, &found);
	assert_int_equal(found.open_incidents, 2);
	assert_string_equal(found.last_boot_id, "boot-new");
	assert_false(found.stopped);
	kills = kw_ledger_open_kills(ledger, &count);
	assert_int_equal(count, 3);
	assert_string_equal(kills[0].incident_id, "C");
	assert_string_equal(kills[0].event_id, "id-8");
	assert_string_equal(kills[2].event_id, "id-5");
	append_typed(ledger, 10, KW_TYPE_GAP, "\"kind\":\"stop\"");
	kw_ledger_free(ledger);
	ledger = open_ledger(directory, 1, &found);
	assert_true(found.stopped);
	kw_ledger_free(ledger);
	support_remove(directory);
}

static void test_long_tail(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, 100000, &found);

	(void)state;
	append_typed(ledger, 1, KW_TYPE_GAP, "\"bootId\":\"boot-1\",\"kind\":\"start\"");
	append_typed(ledger, 2, KW_TYPE_OOM_KILL, "\"incident\":\"A\"");
	for (uint64_t sequence = 3; sequence <= 3 + 2 * KW_LEDGER_TAIL_LINES; sequence++)
		append_plain(ledger, sequence);
	kw_ledger_free(ledger);
	ledger = open_ledger(directory, 100000, &found);
	/* The boot is looked for further back than ids and incidents are. */
	assert_string_equal(found.last_boot_id, "boot-1");
	assert_int_equal(found.open_incidents, 0);
	assert_false(kw_ledger_has_id(ledger, "id-2"));
	assert_false(kw_ledger_has_id(ledger, "id-1027"));
	assert_true(kw_ledger_has_id(ledger, "id-1028")); /* of 2,051: the last 1,024 */
	assert_true(kw_ledger_has_id(ledger, "id-2051"));
	kw_ledger_free(ledger);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_every_length),
		support_test(test_unreadable_lines),
		support_test(test_longer_than_any_line),
		support_test(test_keeps_each),
		support_test(test_empty_segments),
		support_test(test_leaves_others_alone),
		support_test(test_strange_segments),
		support_test(test_open_incidents),
		support_test(test_long_tail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
