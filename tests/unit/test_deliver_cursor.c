/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A reader beside the writer: sees each line once, whole, in order, whatever happens to the file. */
#include "deliver_lines.h"

#include <poll.h>
#include <sys/wait.h>

/* The cursor's next line is that of sequence. */
static void assert_next(struct kw_cursor *cursor, uint64_t sequence)
{
	char expected[LINE_BYTES];
	const char *line;
	size_t length;
	size_t expected_length =
		make_line(expected, sequence, KW_TYPE_CGROUP, "\"n\":18446744073709551615");

	assert_int_equal(kw_cursor_next(cursor, &line, &length), 1);
	assert_int_equal(length, expected_length - 1);
	assert_memory_equal(line, expected, length);
}

static void assert_none(struct kw_cursor *cursor)
{
	const char *line;
	size_t length;

	assert_int_equal(kw_cursor_next(cursor, &line, &length), 0);
	assert_int_equal(kw_cursor_next(cursor, &line, &length), 0);
}

static bool wakes(const struct kw_cursor *cursor, int milliseconds)
{
	struct pollfd wait = { .fd = kw_cursor_fd(cursor), .events = POLLIN };

	return poll(&wait, 1, milliseconds) == 1;
}

static void test_growth_and_roll_over(void **state)
{
	char *directory = support_directory();
	struct kw_cursor *cursor = NULL;
	struct kw_ledger_found found;
	struct kw_ledger *ledger;

	(void)state;
	/* Before there is anything at all. */
	assert_int_equal(kw_cursor_open(directory, 0, &cursor), 0);
	assert_none(cursor);
	ledger = open_ledger(directory, 700, &found);
	(void)wakes(cursor, 0);
	assert_none(cursor);
	assert_false(wakes(cursor, 0)); /* looked, and nothing is queued any more */
	for (uint64_t sequence = 1; sequence <= 60; sequence++) {
		append_plain(ledger, sequence);
		if (sequence % 7 == 0 || sequence > 50) {
			assert_true(wakes(cursor, 2000));
			for (uint64_t read = sequence > 50 ? sequence : sequence - 6;
			     read <= sequence; read++) {
				if (sequence > 50 || read > 49)
					break;
				assert_next(cursor, read);
			}
		}
		if (sequence == 50)
			assert_next(cursor, 50);
		if (sequence > 50)
			assert_next(cursor, sequence);
		if (sequence % 7 == 0 && sequence < 50)
			assert_none(cursor);
	}
	assert_none(cursor);
	kw_ledger_free(ledger);
	kw_cursor_free(cursor);
	/* From the start, over all segments. */
	assert_int_equal(kw_cursor_open(directory, 1, &cursor), 0);
	for (uint64_t sequence = 1; sequence <= 60; sequence++)
		assert_next(cursor, sequence);
	assert_none(cursor);
	kw_cursor_free(cursor);
	support_remove(directory);
}

static void test_positions(void **state)
{
	char *directory = support_directory();
	struct kw_cursor *cursor = NULL;
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, 700, &found);

	(void)state;
	for (uint64_t sequence = 1; sequence <= 20; sequence++)
		append_plain(ledger, sequence);
	for (uint64_t from = 2; from <= 20; from++) {
		assert_int_equal(kw_cursor_open(directory, from, &cursor), 0);
		assert_next(cursor, from);
		kw_cursor_free(cursor);
	}
	assert_int_equal(kw_cursor_open(directory, 22, &cursor), 0);
	assert_none(cursor);
	append_plain(ledger, 21);
	assert_none(cursor);
	append_plain(ledger, 22);
	assert_next(cursor, 22);
	kw_cursor_free(cursor);
	assert_int_equal(kw_cursor_open(directory, UINT64_MAX, &cursor), 0);
	assert_none(cursor);
	append_plain(ledger, 23);
	assert_next(cursor, 23);
	kw_cursor_free(cursor);
	kw_ledger_free(ledger);
	for (uint64_t lines = 1; lines <= 30; lines++) {
		assert_int_equal(kw_cursor_open_tail(directory, lines, &cursor), 0);
		for (uint64_t next = lines < 23 ? 24 - lines : 1; next <= 23; next++)
			assert_next(cursor, next);
		assert_none(cursor);
		kw_cursor_free(cursor);
	}
	assert_int_equal(kw_cursor_open_tail(directory, 0, &cursor), 0);
	assert_none(cursor);
	kw_cursor_free(cursor);
	cursor = NULL;
	assert_int_equal(kw_cursor_open("/nonexistent", 0, &cursor), -ENOENT);
	assert_int_equal(kw_cursor_open_tail("/nonexistent", 1, &cursor), -ENOENT);
	assert_null(cursor);
	support_remove(directory);
}

/* Half a line is not a line, and may become another one. */
static void test_partial_line(void **state)
{
	char *directory = support_directory();
	struct kw_cursor *cursor = NULL;
	char text[LINE_BYTES], path[512];
	size_t length = make_line(text, 3, KW_TYPE_CGROUP, "\"other\":1");
	off_t size;

	(void)state;
	fill_ledger(directory, 2);
	size = size_of(directory, FIRST_SEGMENT);
	path_of(path, directory, FIRST_SEGMENT);
	assert_int_equal(kw_cursor_open(directory, 0, &cursor), 0);
	assert_next(cursor, 1);
	assert_next(cursor, 2);
	for (size_t cut = 1; cut < length; cut++) {
		append_raw(directory, FIRST_SEGMENT, text, cut);
		assert_none(cursor);
		assert_int_equal(truncate(path, size), 0);
		assert_none(cursor);
	}
	fill_ledger(directory, 3);
	assert_next(cursor, 3);
	/* Half a line at the end of a segment that has a successor was given up by its writer. */
	append_raw(directory, FIRST_SEGMENT, text, 20);
	assert_none(cursor);
	length = make_line(text, 4, KW_TYPE_CGROUP, "\"n\":18446744073709551615");
	append_raw(directory, "00000000000000000004.jsonl", text, length);
	assert_next(cursor, 4);
	kw_cursor_free(cursor);
	support_remove(directory);
}

static void test_too_long(void **state)
{
	char *directory = support_directory();
	struct kw_cursor *cursor = NULL;
	char *long_line = malloc(3 * KW_LINE_MAX);
	char text[LINE_BYTES];
	const char *line;
	size_t length = make_line(text, 3, KW_TYPE_CGROUP, "\"n\":18446744073709551615");

	(void)state;
	assert_non_null(long_line);
	memset(long_line, 'x', 3 * KW_LINE_MAX);
	fill_ledger(directory, 2);
	append_raw(directory, FIRST_SEGMENT, long_line, 3 * KW_LINE_MAX);
	append_raw(directory, FIRST_SEGMENT, "\n", 1);
	append_raw(directory, FIRST_SEGMENT, text, length);
	/* One that just fits is handed out. */
	append_raw(directory, FIRST_SEGMENT, long_line, KW_LINE_MAX);
	append_raw(directory, FIRST_SEGMENT, "\n", 1);
	assert_int_equal(kw_cursor_open(directory, 0, &cursor), 0);
	assert_next(cursor, 1);
	assert_next(cursor, 2);
	assert_int_equal(kw_cursor_next(cursor, &line, &length), -EMSGSIZE);
	assert_next(cursor, 3);
	assert_int_equal(kw_cursor_next(cursor, &line, &length), 1);
	assert_int_equal(length, KW_LINE_MAX);
	assert_none(cursor);
	kw_cursor_free(cursor);
	free(long_line);
	support_remove(directory);
}

#define CONCURRENT_LINES 4000

/* The writer, a process of its own. */
static int write_many(const char *directory)
{
	char text[LINE_BYTES];
	struct kw_ledger_found found;
	struct kw_ledger *ledger = NULL;
	int r = kw_ledger_open(directory, 700, &ledger, &found);

	for (uint64_t sequence = 1; r == 0 && sequence <= CONCURRENT_LINES; sequence++)
		r = kw_ledger_append(
			ledger, sequence, text,
			make_line(text, sequence, KW_TYPE_CGROUP, "\"n\":18446744073709551615"));
	kw_ledger_free(ledger);
	return r == 0 ? 0 : 1;
}

static void test_beside_the_writer(void **state)
{
	char *directory = support_directory();
	struct kw_cursor *cursor = NULL;
	uint64_t sequence = 1;
	const char *line;
	size_t length;
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(kw_cursor_open(directory, 0, &cursor), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(write_many(directory));
	while (sequence <= CONCURRENT_LINES) {
		char expected[LINE_BYTES];
		int r = kw_cursor_next(cursor, &line, &length);

		if (r == 0) {
			assert_true(wakes(cursor, 20000)); /* never without a reason to look */
			continue;
		}
		assert_int_equal(r, 1);
		assert_int_equal(
			make_line(expected, sequence, KW_TYPE_CGROUP, "\"n\":18446744073709551615"),
			length + 1);
		assert_memory_equal(line, expected, length);
		sequence++;
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	kw_cursor_free(cursor);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_growth_and_roll_over), support_test(test_positions),
		support_test(test_partial_line),	 support_test(test_too_long),
		support_test(test_beside_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
