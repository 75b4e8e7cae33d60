/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A ledger's head: on disk only behind its lines, whole or not at all. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/deliver/deliver.h"

static char *directory;

static int setup(void **state)
{
	(void)state;
	directory = support_directory();
	return directory ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	support_remove(directory);
	return 0;
}

static void expect_head(const struct kw_ledger *ledger, const char *text)
{
	struct kw_bytes head;

	kw_bytes_init(&head, 4096);
	assert_int_equal(kw_ledger_read_head(ledger, &head), 0);
	assert_string_equal(head.data, text);
	kw_bytes_done(&head);
}

static void it_is_kept_behind_its_lines(void **state)
{
	struct kw_ledger *ledger = NULL;
	struct kw_ledger_found found;
	struct kw_bytes none;
	char line[64], path[4096];

	(void)state;
	assert_int_equal(kw_ledger_open(directory, 1 << 20, &ledger, &found), 0);
	kw_bytes_init(&none, 64);
	assert_int_equal(kw_ledger_read_head(ledger, &none), -ENOENT);
	assert_int_equal(kw_ledger_kept_head(ledger), 0);
	for (unsigned int i = 1; i <= 50; i++) {
		char text[32];
		int length = snprintf(line, sizeof(line), "line %u\n", i);

		assert_int_equal(kw_ledger_append(ledger, i, line, (size_t)length), 0);
		length = snprintf(text, sizeof(text), "head %u\n", i);
		assert_int_equal(kw_ledger_keep_head(ledger, text, (size_t)length), 0);
		if (i % 10)
			continue;
		kw_ledger_wait(ledger);
		assert_int_equal(kw_ledger_kept_head(ledger), i);
		assert_true(kw_ledger_durable(ledger) >= i);
		expect_head(ledger, text);
	}
	/* What a writer of the same number left behind is no obstacle. */
	(void)snprintf(path, sizeof(path), ".head.%d.new", (int)getpid());
	support_write(directory, path, "half");
	assert_int_equal(kw_ledger_append(ledger, 51, "x\n", 2), 0);
	assert_int_equal(kw_ledger_keep_head(ledger, "head 51\n", 8), 0);
	kw_ledger_wait(ledger);
	expect_head(ledger, "head 51\n");
	kw_ledger_free(ledger);
	kw_bytes_done(&none);
}

/* When it cannot be written, it is not said to be kept, and the old one stands. */
static void one_that_fails_is_not_kept(void **state)
{
	struct kw_ledger *ledger = NULL;
	struct kw_ledger_found found;
	char path[4096];

	(void)state;
	assert_int_equal(kw_ledger_open(directory, 1 << 20, &ledger, &found), 0);
	assert_int_equal(kw_ledger_append(ledger, 1, "x\n", 2), 0);
	(void)snprintf(path, sizeof(path), "%s/head", directory);
	assert_int_equal(mkdir(path, 0700), 0); /* a rename onto a directory fails */
	assert_int_equal(kw_ledger_keep_head(ledger, "head\n", 5), 0);
	kw_ledger_wait(ledger);
	assert_int_equal(kw_ledger_kept_head(ledger), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(kw_ledger_keep_head(ledger, "head\n", 5), 0);
	kw_ledger_wait(ledger);
	assert_int_equal(kw_ledger_kept_head(ledger), 1);
	kw_ledger_free(ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_kept_behind_its_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_fails_is_not_kept, setup, teardown),
	};

	return cmocka_run_group_tests_name("deliver_head", tests, NULL, NULL);
}
