/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long `kwitness prove` takes on a large ledger, the process's start and end included: random lines by sequence
 * and by id, with what it reads in the page cache and without (posix_fadvise() on every file of the ledger before
 * each), beside the start of the same program
 * for nothing. Then (KEYRING is not "-") what verifying all of it takes: lines a second with one thread and two, and the peak of resident
 * memory, as the kernel counted it.
 * usage: proof KWITNESS LEDGER LINES KEYRING COUNT
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <kwitness/limits.h>

#include "user/deliver/deliver.h"

#define COUNT_MAX 10000

static void die(const char *what)
{
	fprintf(stderr, "proof: %s: %s\n", what, strerror(errno));
	exit(3);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * KW_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Its output goes nowhere. Wall-clock time; it must end with 0. */
static uint64_t run(char *const argv[], struct rusage *ret_usage)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	uint64_t start = now_ns();
	int status = 0, r;
	pid_t pid;

	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (r != 0 || wait4(pid, &status, 0, ret_usage) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) != 0)
		die(argv[1]);
	return now_ns() - start;
}

/* Takes what can be taken of the files below out of the page cache. */
static void forget(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), file;
	DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!entries)
		die(name);
	while ((entry = readdir(entries))) {
		file = openat(fd, entry->d_name, O_RDONLY | O_CLOEXEC);
		if (file >= 0) {
			(void)fdatasync(file);
			(void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
			(void)close(file);
		}
	}
	(void)closedir(entries);
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static double cpu_ms(const struct rusage *usage)
{
	return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1e3 +
	       (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e3;
}

static void print_times(const char *what, uint64_t *times, size_t count, double cpu)
{
	qsort(times, count, sizeof(*times), compare);
	printf("%-42s p50 %7.2f ms   p99 %7.2f ms   processor %.2f ms   (%zu)\n", what,
	       (double)times[count / 2] / 1e6, (double)times[count * 99 / 100] / 1e6,
	       cpu / (double)count, count);
	(void)fflush(stdout);
}

struct bench {
	char *kwitness;
	char *ledger;
	int directory;
	struct kw_indexes *indexes;
	uint64_t lines; /* that are indexed */
	uint64_t all_lines;
};

static void name_line(const struct bench *bench, bool by_id, char *ret_name, size_t size)
{
	uint64_t sequence = (((uint64_t)random() << 31) ^ (uint64_t)random()) % bench->lines + 1;
	struct kw_bytes line;
	const char *id;

	(void)snprintf(ret_name, size, "%" PRIu64, sequence);
	if (!by_id)
		return;
	kw_bytes_init(&line, KW_LINE_MAX);
	if (kw_indexes_read_line(bench->indexes, sequence, &line) < 0)
		die("no such line");
	kw_bytes_append_char(&line, '\0');
	id = strstr(line.data, ",\"id\":\"");
	if (!id)
		die("no id");
	(void)snprintf(ret_name, size, "%.36s", id + strlen(",\"id\":\""));
	kw_bytes_done(&line);
}

static void prove(const struct bench *bench, const char *what, bool by_id, bool cold, size_t count)
{
	static uint64_t times[COUNT_MAX];
	char name[64], prove[] = "prove", option[] = "--ledger";
	char *const argv[] = { bench->kwitness, prove, option, bench->ledger, name, NULL };
	struct rusage usage;
	double cpu = 0;

	for (size_t i = 0; i < count; i++) {
		name_line(bench, by_id, name, sizeof(name));
		if (cold) {
			forget(bench->directory, ".");
			forget(bench->directory, "index");
		}
		times[i] = run(argv, &usage);
		cpu += cpu_ms(&usage);
	}
	print_times(what, times, count, cpu);
}

static void start_only(const struct bench *bench, size_t count)
{
	static uint64_t times[COUNT_MAX];
	char option[] = "--version";
	char *const argv[] = { bench->kwitness, option, NULL };
	struct rusage usage;
	double cpu = 0;

	for (size_t i = 0; i < count; i++)
		times[i] = run(argv, &usage);
	cpu += cpu_ms(&usage);
	print_times("the program's start and end alone", times, count, cpu);
}

static void verify(const struct bench *bench, char *keyring, char *jobs)
{
	char verify[] = "verify", option[] = "--keyring", threads[] = "--jobs";
	char *const argv[] = { bench->kwitness, verify, option,	       keyring,
			       threads,		jobs,	bench->ledger, NULL };
	struct rusage usage;
	uint64_t took = run(argv, &usage);
	double cpu = cpu_ms(&usage) / 1e3;

	printf("%" PRIu64
	       " lines verified, --jobs %s: %8.0f lines/s by the wall clock, %8.0f/s of one core, peak RSS %.1f MiB\n",
	       bench->all_lines, jobs, (double)bench->all_lines * 1e9 / (double)took,
	       (double)bench->all_lines / cpu, (double)usage.ru_maxrss / 1024);
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	struct bench bench = { .directory = -1 };
	size_t count = argc > 5 ? strtoul(argv[5], NULL, 10) : 0;
	char one[] = "1", two[] = "2";

	if (argc < 6 || count < 1 || count > COUNT_MAX) {
		fputs("usage: proof KWITNESS LEDGER LINES KEYRING COUNT\n", stderr);
		return 2;
	}
	bench.kwitness = argv[1];
	bench.ledger = argv[2];
	bench.directory = open(bench.ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (bench.directory < 0 || kw_indexes_open(bench.directory, &bench.indexes) < 0 ||
	    kw_indexes_end(bench.indexes, &bench.lines) < 0)
		die(bench.ledger);
	bench.all_lines = strtoull(argv[3], NULL, 10);
	srandom(1);
	start_only(&bench, count);
	prove(&bench, "proof by sequence, page cache warm", false, false, count);
	prove(&bench, "proof by id, page cache warm", true, false, count);
	prove(&bench, "proof by sequence, ledger and index cold", false, true, count / 10 + 1);
	prove(&bench, "proof by id, ledger and index cold", true, true, count / 10 + 1);
	if (strcmp(argv[4], "-") != 0) {
		verify(&bench, argv[4], one);
		verify(&bench, argv[4], two);
	}
	kw_indexes_free(bench.indexes);
	(void)close(bench.directory);
	return 0;
}
