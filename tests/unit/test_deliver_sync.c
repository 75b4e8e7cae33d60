/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The sync thread: durable follows what was asked for, over segments, and signals stay the loop's. */
#include "deliver_lines.h"

#include <signal.h>
#include <time.h>

#include "user/deliver/sync.h"

static bool becomes_durable(const struct kw_ledger *ledger, uint64_t sequence)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (int i = 0; i < 5000; i++) {
		if (kw_ledger_durable(ledger) >= sequence)
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

static void test_durable(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, 700, &found);

	(void)state;
	kw_ledger_request_sync(ledger); /* nothing there yet */
	assert_int_equal(kw_ledger_durable(ledger), 0);
	for (uint64_t sequence = 1; sequence <= 300; sequence++) {
		append_plain(ledger, sequence);
		if (sequence == 10)
			assert_true(kw_ledger_durable(ledger) < 10); /* not asked for yet */
		if (sequence % 3 == 0)
			kw_ledger_request_sync(ledger);
	}
	assert_true(becomes_durable(ledger, 300));
	assert_int_equal(kw_ledger_durable(ledger), 300);
	assert_int_equal(kw_ledger_has_space(ledger, 1), 0);
	kw_ledger_free(ledger);
	support_remove(directory);
}

static void test_error(void **state)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct kw_sync *sync = NULL;
	int pipes[2], i;

	(void)state;
	assert_int_equal(kw_sync_start(5, &sync), 0);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	kw_sync_request(sync, pipes[1], 6); /* EINVAL: a pipe cannot be synced */
	for (i = 0; i < 5000 && kw_sync_error(sync) == 0; i++)
		(void)nanosleep(&pause, NULL);
	assert_int_equal(kw_sync_error(sync), -EINVAL);
	assert_int_equal(kw_sync_durable(sync), 5);
	kw_sync_free(sync);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

static void test_signals(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);
	struct timespec wait = { .tv_sec = 5 };
	sigset_t set, before;

	(void)state;
	append_plain(ledger, 1);
	kw_ledger_request_sync(ledger);
	assert_true(becomes_durable(ledger, 1)); /* the thread runs, with the mask it has */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
	/* Were it open in the thread, the default action would end the process. */
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	assert_int_equal(sigtimedwait(&set, NULL, &wait), SIGUSR1);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
	kw_ledger_free(ledger);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_durable),
		support_test(test_error),
		support_test(test_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
