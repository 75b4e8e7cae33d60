// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * usage: spin [--threads N] [--seconds S] [--yield]
 * Burns CPU in N threads for S seconds of the clock. --yield: calls the scheduler all the time, which looks at
 * the quota then and not only at the next tick, so that a short period is throttled once each. Says {"role":"spin",…,"threads":N} at the start, and
 * {"role":"spun",…,"cpuUsec":…,"wallUsec":…} at the end: what it asked for and what it was given.
 */
#include "victim.h"

#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

static unsigned long long end_ns;
static int does_yield;

static unsigned long long now_ns(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (unsigned long long)t.tv_sec * 1000000000ULL + (unsigned long long)t.tv_nsec;
}

static void *burn(void *argument)
{
	volatile unsigned long long work = 0;

	(void)argument;
	while (now_ns(CLOCK_MONOTONIC) < end_ns) {
		for (unsigned i = 0; i < 1000; i++)
			work = work + i;
		if (does_yield)
			(void)sched_yield();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "threads", 1, NULL, 't' },
						 { "seconds", 1, NULL, 's' },
						 { "yield", 0, NULL, 'y' },
						 { 0 } };
	unsigned long long threads = 1, seconds = 5, start;
	pthread_t *others;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 't':
			threads = parse_number(optarg);
			break;
		case 's':
			seconds = parse_number(optarg);
			break;
		case 'y':
			does_yield = 1;
			break;
		default:
			return 2;
		}
	}
	if (threads == 0 || threads > 1024)
		die("--threads takes 1 to 1024");
	introduce("spin", "\"threads\":%llu", threads);
	start = now_ns(CLOCK_MONOTONIC);
	end_ns = start + seconds * 1000000000ULL;
	others = calloc((size_t)threads, sizeof(*others));
	if (others == NULL)
		die("out of memory");
	for (unsigned long long i = 1; i < threads; i++)
		if (pthread_create(&others[i], NULL, burn, NULL) != 0)
			die("cannot start a thread");
	(void)burn(NULL);
	for (unsigned long long i = 1; i < threads; i++)
		(void)pthread_join(others[i], NULL);
	free(others);
	introduce("spun", "\"threads\":%llu,\"cpuUsec\":%llu,\"wallUsec\":%llu", threads,
		  now_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000,
		  (now_ns(CLOCK_MONOTONIC) - start) / 1000);
	return 0;
}
