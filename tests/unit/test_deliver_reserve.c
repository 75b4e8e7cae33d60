/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The blocks set aside; a disk that is really full is in tests/vm/14-failures.t. */
#include "deliver_lines.h"

#include <kwitness/limits.h>

#include "user/deliver/reserve.h"

static off_t allocated(const char *directory)
{
	struct stat status;
	char path[512];

	path_of(path, directory, "reserve");
	return stat(path, &status) < 0 ? -1 : (off_t)status.st_blocks * 512;
}

static void it_is_there_while_there_is_room(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);

	(void)state;
	append_plain(ledger, 1);
	assert_int_equal(kw_ledger_has_space(ledger, 1), 0);
	assert_int_equal(allocated(directory), KW_RESERVE_BYTES);
	kw_ledger_use_reserve(ledger, false);
	assert_int_equal(allocated(directory), KW_RESERVE_BYTES - KW_RESERVE_WORDS_BYTES);
	assert_int_equal(kw_ledger_has_space(ledger, 1), 0); /* made whole again */
	assert_int_equal(allocated(directory), KW_RESERVE_BYTES);
	kw_ledger_use_reserve(ledger, true);
	assert_int_equal(allocated(directory), 0);
	kw_ledger_free(ledger);

	/* It is no part of the ledger. */
	assert_int_equal(kw_ledger_open(directory, SEGMENT_MAX, &ledger, &found), 0);
	assert_int_equal(found.head.sequence, 1);
	kw_ledger_free(ledger);
	support_remove(directory);
}

static void what_is_no_file_of_ours_is_not_touched(void **state)
{
	char *directory = support_directory();
	char path[512];
	int fd;

	(void)state;
	path_of(path, directory, "reserve");
	assert_int_equal(symlink("/dev/null", path), 0);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(kw_reserve_make(fd), -ELOOP);
	assert_int_equal(kw_reserve_release(fd, 0), -ELOOP);
	(void)close(fd);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(it_is_there_while_there_is_room),
		support_test(what_is_no_file_of_ours_is_not_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
