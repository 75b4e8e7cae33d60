/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A disk that fails to keep what it was given, as the kernel shows it: fdatasync() fails once, what it should have
 * written is gone, and the next one succeeds. fdatasync() is this program's own here, in place of libc's; a real failing
 * disk is in tests/vm/62-disk-errors.t.
 */
#include "deliver_lines.h"

#include <kwitness/limits.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "user/deliver/unsynced.h"

static atomic_int failures;   /* calls that fail from now on */
static atomic_long kept_size; /* what a failed call leaves of the file; the rest is NULs */

int fdatasync(int fd);
int fdatasync(int fd)
{
	static const char nothing[65536];
	struct stat status;

	if (atomic_load(&failures) == 0)
		return (int)syscall(SYS_fdatasync, fd);
	atomic_fetch_sub(&failures, 1);
	if (fstat(fd, &status) == 0 && status.st_size > atomic_load(&kept_size))
		(void)!pwrite(fd, nothing, (size_t)(status.st_size - atomic_load(&kept_size)),
			      atomic_load(&kept_size));
	errno = EIO;
	return -1;
}

static bool comes_back(struct kw_ledger *ledger, int expected, unsigned int *ret_refusals)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	*ret_refusals = 0;
	for (int i = 0; i < 5000; i++) {
		int r = kw_ledger_has_space(ledger, 1);

		if (r == expected)
			return true;
		*ret_refusals += r == -EIO;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

/* Every line is there and says what it said. */
static void assert_whole(const char *directory, uint64_t last)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	uint64_t sequence = 0;
	const char *line;
	size_t length;

	assert_int_equal(kw_cursor_open(directory, 1, &cursor), 0);
	while (kw_cursor_next(cursor, &line, &length) == 1) {
		char expected[32];

		(void)snprintf(expected, sizeof(expected), "\"id\":\"id-%llu\"",
			       (unsigned long long)++sequence);
		assert_non_null(memmem(line, length, expected, strlen(expected)));
	}
	assert_int_equal(sequence, last);
}

static void what_a_failed_sync_lost_is_written_again(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);
	uint64_t first = 0, last = 0;
	unsigned int refusals;

	(void)state;
	append_plain(ledger, 1);
	kw_ledger_request_sync(ledger);
	kw_ledger_wait(ledger);
	assert_int_equal(kw_ledger_durable(ledger), 1);
	assert_false(kw_ledger_take_doubt(ledger, &first, &last));

	atomic_store(&kept_size, size_of(directory, FIRST_SEGMENT));
	append_plain(ledger, 2);
	append_plain(ledger, 3);
	atomic_store(&failures, 1);
	kw_ledger_request_sync(ledger);
	kw_ledger_wait(ledger);
	append_plain(ledger, 4); /* a turn that had begun */
	/* A later success of the same descriptor says nothing. */
	kw_ledger_request_sync(ledger);
	kw_ledger_wait(ledger);
	assert_int_equal(kw_ledger_durable(ledger), 1);

	assert_true(comes_back(ledger, 0, &refusals));
	assert_true(refusals >= 1); /* noticed before a record would have been consumed */
	assert_int_equal(kw_ledger_durable(ledger), 4);
	assert_true(kw_ledger_take_doubt(ledger, &first, &last));
	assert_int_equal(first, 2);
	assert_int_equal(last, 4);
	assert_false(kw_ledger_take_doubt(ledger, &first, &last)); /* told once */
	assert_whole(directory, 4);
	kw_ledger_free(ledger);
	support_remove(directory);
}

static void so_is_what_it_lost_of_segments_that_are_closed(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, 700, &found);
	unsigned int refusals;

	(void)state;
	append_plain(ledger, 1);
	kw_ledger_request_sync(ledger);
	/* What is durable is in a segment of its own, which the failures do not reach. */
	kw_ledger_close_segment(ledger);
	append_plain(ledger, 2);
	kw_ledger_wait(ledger);
	assert_int_equal(kw_ledger_durable(ledger), 1);
	atomic_store(&kept_size, 0);
	atomic_store(&failures, 3);
	for (uint64_t sequence = 3; sequence <= 12; sequence++)
		append_plain(ledger, sequence); /* each segment that ends is synced */
	kw_ledger_request_sync(ledger);
	kw_ledger_wait(ledger);
	assert_true(kw_ledger_durable(ledger) < 12);
	assert_true(comes_back(ledger, 0, &refusals));
	assert_int_equal(kw_ledger_durable(ledger), 12);
	assert_whole(directory, 12);
	kw_ledger_free(ledger);
	support_remove(directory);
}

static void a_disk_that_goes_on_failing_gets_no_lines(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);
	unsigned int refusals;

	(void)state;
	atomic_store(&kept_size, 0);
	append_plain(ledger, 1);
	atomic_store(&failures, 5);
	kw_ledger_request_sync(ledger);
	kw_ledger_wait(ledger);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(kw_ledger_has_space(ledger, 1), -EIO);
		kw_ledger_wait(ledger);
		assert_int_equal(kw_ledger_durable(ledger), 0);
	}
	assert_true(comes_back(ledger, 0, &refusals));
	assert_whole(directory, 1);
	kw_ledger_free(ledger);
	support_remove(directory);
}

static void lines_that_are_no_more_in_memory_are_not_made_up(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);

	(void)state;
	for (uint64_t sequence = 1; sequence <= KW_UNSYNCED_MAX_LINES + 1; sequence++)
		append_plain(ledger, sequence);
	atomic_store(&kept_size, SEGMENT_MAX);
	atomic_store(&failures, 1);
	kw_ledger_request_sync(ledger);
	kw_ledger_wait(ledger);
	assert_int_equal(kw_ledger_has_space(ledger, 1), -ENOTRECOVERABLE);
	assert_int_equal(kw_ledger_durable(ledger), 0);
	kw_ledger_free(ledger);
	/* The next start has them from the page cache, and asks the disk again. */
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	assert_int_equal(kw_ledger_durable(ledger), KW_UNSYNCED_MAX_LINES + 1);
	kw_ledger_free(ledger);
	support_remove(directory);
}

static void the_oldest_are_given_up_by_bytes_as_well(void **state)
{
	struct kw_unsynced *unsynced = NULL;
	char line[KW_EVENT_MAX] = "";

	(void)state;
	assert_int_equal(kw_unsynced_new(&unsynced), 0);
	for (uint64_t sequence = 1; sequence <= 16; sequence++)
		kw_unsynced_add(unsynced, sequence, 1, 0, line, sizeof(line));
	assert_true(kw_unsynced_covers(unsynced, 0)); /* 16 of 64 KiB fit */
	kw_unsynced_add(unsynced, 17, 20, 0, line, sizeof(line));
	assert_false(kw_unsynced_covers(unsynced, 0));
	assert_true(kw_unsynced_covers(unsynced, 16));
	assert_int_equal(kw_unsynced_segment_above(unsynced, 1), 20);
	kw_unsynced_trim(unsynced, 16);
	assert_int_equal(kw_unsynced_segment_above(unsynced, 0), 20);
	kw_unsynced_trim(unsynced, 17);
	assert_int_equal(kw_unsynced_segment_above(unsynced, 0), 0);
	kw_unsynced_free(unsynced);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(what_a_failed_sync_lost_is_written_again),
		support_test(so_is_what_it_lost_of_segments_that_are_closed),
		support_test(a_disk_that_goes_on_failing_gets_no_lines),
		support_test(lines_that_are_no_more_in_memory_are_not_made_up),
		support_test(the_oldest_are_given_up_by_bytes_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
