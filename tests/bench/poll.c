/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How fast the poller of all cgroups reads them, beside open/read/close of the same five files in turns
 * of the same run: CPU time of this process, user and kernel. Then a minute's rounds as the daemon has
 * them, in wall-clock time a turn. Memory is what the process grew by.
 * usage: poll ROOT [ROUNDS [DESCRIPTORS [PEER ARG...]]]
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "user/capture/swept.h"

#define PATHS_MAX 20000
#define TURNS_MAX 1000000

static char *paths[PATHS_MAX];
static size_t paths_count;
static uint64_t turn_ns[TURNS_MAX]; /* by the wall clock */
static uint64_t own_ns[TURNS_MAX];  /* of this process: without whoever else had the CPU */
static size_t turns_count;
static unsigned long told;

static uint64_t clock_ns(clockid_t which)
{
	struct timespec now;

	(void)clock_gettime(which, &now);
	return (uint64_t)now.tv_sec * KW_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static int add_path(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status, (void)walk;
	if (type == FTW_D && paths_count < PATHS_MAX)
		paths[paths_count++] = strdup(path);
	return 0;
}

static int hear(void *context, const struct kw_observation *observation)
{
	(void)context, (void)observation;
	told++;
	return 0;
}

/* The way that needs nothing kept: what every exporter does. */
static void read_all_plainly(void)
{
	static char text[KW_FLAT_FILE_MAX];
	static struct kw_flat flat;

	for (size_t i = 0; i < paths_count; i++) {
		for (int file = 0; file < KW_COUNTS_FILE_COUNT_; file++) {
			char path[KW_PATH_MAX];
			ssize_t length;
			int fd;

			(void)snprintf(path, sizeof(path), "%s/%s", paths[i],
				       kw_counts_file_name((enum kw_counts_file)file));
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			length = read(fd, text, sizeof(text));
			if (length > 0)
				(void)kw_counters_parse(text, (size_t)length, &flat);
			(void)close(fd);
		}
	}
}

/* Every file of every cgroup, by the way that inotify's urgent ones take. */
static void read_all(struct kw_sweep *sweep)
{
	for (uint32_t i = 0; i < sweep->table.slots_used; i++) {
		if (sweep->table.slots[i])
			kw_sweep_hurry(sweep, sweep->table.slots[i], SWEPT_ALL_FILES, false);
	}
	while (kw_sweep_notified(sweep, hear, NULL) > 0)
		;
}

static void round_of(struct kw_sweep *sweep)
{
	int more = 1;

	kw_sweep_begin_round(sweep);
	while (more) {
		uint64_t start = clock_ns(CLOCK_MONOTONIC);
		uint64_t own = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		int notified = kw_sweep_notified(sweep, hear, NULL);

		more = notified > 0 || kw_sweep_turn(sweep, hear, NULL) > 0;
		if (turns_count < TURNS_MAX) {
			own_ns[turns_count] = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - own;
			turn_ns[turns_count++] = clock_ns(CLOCK_MONOTONIC) - start;
		}
	}
}

static uint64_t resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long size, resident = 0;

	if (file && fscanf(file, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (file)
		(void)fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int by_size(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static void print_turns(uint64_t *times, const char *which)
{
	qsort(times, turns_count, sizeof(times[0]), by_size);
	printf("  a turn of the loop, %s: p50 %" PRIu64 " us, p99 %" PRIu64 " us, longest %" PRIu64
	       " us, of %zu\n",
	       which, times[turns_count / 2] / 1000, times[turns_count * 99 / 100] / 1000,
	       times[turns_count - 1] / 1000, turns_count);
}

static double rate(uint64_t cgroups, uint64_t ns)
{
	return (double)cgroups * 1e9 / (double)(ns ? ns : 1);
}

static void measure(struct kw_sweep *sweep, unsigned int rounds)
{
	uint64_t ours = 0, plain = 0, steady = 0, steady_count = 0;
	struct kw_sweep_totals totals;

	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

		read_all(sweep);
		ours += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
		start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		read_all_plainly();
		plain += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	}
	/* A minute as the daemon has it: eleven rounds that believe inotify, and one that looks at everything. */
	for (unsigned int i = 0; i < KW_SWEEP_WALK_ROUNDS; i++) {
		uint64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

		round_of(sweep);
		steady += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
		steady_count += paths_count;
	}
	kw_sweep_totals(sweep, &totals);
	printf("%zu cgroups, all files (%u over kept descriptors): %.0f cgroups/s   open/read/close: %.0f/s   ratio %.1f\n",
	       paths_count, totals.read_kept, rate(rounds * paths_count, ours),
	       rate(rounds * paths_count, plain), (double)plain / (double)(ours ? ours : 1));
	printf("  a minute of rounds (%u of the cgroups with inotify): %.0f cgroups/s, ratio %.1f; %.2f %% of a core at 5 s\n",
	       totals.cgroups - totals.not_notified, rate(steady_count, steady),
	       rate(steady_count, steady) / rate(rounds * paths_count, plain),
	       (double)steady / 1e9 / 60 * 100);
}

/* Another program that reads all cgroups once, by its own CPU time. */
static void measure_peer(char **argv)
{
	struct rusage usage;
	uint64_t ns;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(null, STDOUT_FILENO);
		(void)dup2(null, STDERR_FILENO);
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0 || status != 0) {
		printf("  %s: could not be measured (status %d)\n", argv[0], status);
		return;
	}
	ns = ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * KW_NSEC_PER_SEC +
	     ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000;
	printf("  %s, once (its own files: it shows usage, not events): %.0f cgroups/s\n", argv[0],
	       rate(paths_count, ns));
}

int main(int argc, char **argv)
{
	struct kw_sweep_options options = { .clock = &kw_clock_system,
					    .globs = "*",
					    .descriptors = KW_SWEEP_DESCRIPTORS_MAX };
	unsigned int rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 5;
	struct kw_sweep *sweep = NULL;
	struct rlimit limit;
	uint64_t before, used, heap;

	if (argc < 2) {
		fputs("usage: poll ROOT [ROUNDS [DESCRIPTORS [PEER ARG...]]]\n", stderr);
		return 2;
	}
	if (argc > 3)
		options.descriptors = (uint32_t)strtoul(argv[3], NULL, 10);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	(void)nftw(argv[1], add_path, 32, FTW_PHYS);
	options.root_path = argv[1];
	before = resident_bytes();
	heap = mallinfo2().uordblks;
	if (kw_sweep_open(&options, &sweep) < 0) {
		perror("poll");
		return 3;
	}
	round_of(sweep);
	used = resident_bytes() - before;
	heap = mallinfo2().uordblks - heap;
	turns_count = 0;
	measure(sweep, rounds);
	print_turns(turn_ns, "wall clock");
	print_turns(own_ns, "CPU time");
	printf("  memory: %" PRIu64 " bytes of heap a cgroup, %" PRIu64
	       " resident; %lu observations\n",
	       heap / paths_count, used / paths_count, told);
	kw_sweep_free(sweep);
	if (argc > 4)
		measure_peer(argv + 4);
	for (size_t i = 0; i < paths_count; i++)
		free(paths[i]);
	return 0;
}
