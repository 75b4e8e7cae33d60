/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* census.c over a directory that looks like /proc, and over /proc itself. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/guest/guest.h"

#define KERNEL_THREAD "0 0 0 0 -1 2129984 0"
#define PROCESS "1 1 1 0 -1 4194560 0"

/* PID's directory, with a stat file unless rest is NULL. */
static void add(const char *proc, const char *pid, const char *comm, const char *rest)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", proc, pid);
	assert_int_equal(mkdir(path, 0700), 0);
	if (!rest)
		return;
	(void)snprintf(path, sizeof(path), "%s/%s/stat", proc, pid);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "%s (%s) S %s\n", pid, comm, rest);
	assert_int_equal(fclose(file), 0);
}

static uint64_t count(const char *proc)
{
	struct kw_census *census;
	uint64_t processes = 0;

	assert_int_equal(kw_census_open(proc, &census), 0);
	/* Each time the same. */
	for (int i = 0; i < 2; i++)
		if (!kw_census_count(census, &processes))
			processes = UINT64_MAX;
	kw_census_free(census);
	return processes;
}

static void kernel_threads_are_no_processes(void **state)
{
	char *proc = support_directory();

	(void)state;
	assert_true(count(proc) == UINT64_MAX); /* nobody: then it is no /proc */
	add(proc, "1", "init", PROCESS);
	add(proc, "2", "kthreadd", KERNEL_THREAD);
	add(proc, "3", "kworker/0:0) S 1 1 1 0 -1 4194560 0", KERNEL_THREAD);
	add(proc, "77", ") S " KERNEL_THREAD, PROCESS);
	add(proc, "78", "gone meanwhile", NULL);
	add(proc, "self", "init", PROCESS);
	add(proc, "79x", "none", PROCESS);
	add(proc, "0", "none", PROCESS);
	add(proc, "4294967296", "none", PROCESS);
	assert_int_equal(count(proc), 3);
	support_remove(proc);
}

/* In a container nobody is the kernel's; then not even flags are looked at. */
static void without_kthreadd_there_are_none(void **state)
{
	char *proc = support_directory();

	(void)state;
	add(proc, "1", "init", PROCESS);
	add(proc, "2", "sh", PROCESS);
	add(proc, "3", "x", NULL);
	assert_int_equal(count(proc), 3);
	support_remove(proc);
}

static void too_many_are_not_counted(void **state)
{
	char *proc = support_directory();
	char pid[16];

	(void)state;
	for (int i = 1; i <= 8192; i++) {
		(void)snprintf(pid, sizeof(pid), "%d", i);
		add(proc, pid, "x", NULL);
	}
	assert_int_equal(count(proc), 8192);
	add(proc, "8193", "x", NULL);
	assert_true(count(proc) == UINT64_MAX);
	support_remove(proc);
}

/* Whoever lives all the while is counted; nobody else can be told from here. */
static void those_of_this_machine(void **state)
{
	enum { CHILDREN = 100 };
	pid_t children[CHILDREN];
	uint64_t processes;

	(void)state;
	for (int i = 0; i < CHILDREN; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] == 0) {
			(void)pause();
			_exit(0);
		}
	}
	processes = count("/proc");
	for (int i = 0; i < CHILDREN; i++) {
		assert_int_equal(kill(children[i], SIGKILL), 0);
		assert_int_equal(waitpid(children[i], NULL, 0), children[i]);
	}
	assert_in_range(processes, CHILDREN + 1, 8192);
}

static void no_proc_is_said(void **state)
{
	struct kw_census *census;

	(void)state;
	assert_int_equal(kw_census_open("/nonexistent", &census), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_threads_are_no_processes),
		cmocka_unit_test(without_kthreadd_there_are_none),
		cmocka_unit_test(too_many_are_not_counted),
		cmocka_unit_test(those_of_this_machine),
		cmocka_unit_test(no_proc_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
