// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * usage: forks [--refusals N] [--max N] [--hold]
 * Forks children that only wait, until the kernel has refused N times (default 1) with EAGAIN, or there are
 * --max (default 4096). Says {"role":"forks",…} first, and then {"role":"forked",…,"forked":…,"refused":…}.
 * Its children go when it goes: at once, or with --hold when it is killed.
 */
#include "victim.h"

#include <getopt.h>
#include <signal.h>
#include <sys/wait.h>

static void __attribute__((noreturn)) wait_for_end_of(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Gone before it was asked for: nobody would end this child, and it would keep what it inherited open. */
	if (getppid() != parent)
		_exit(0);
	for (;;)
		(void)pause();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "refusals", 1, NULL, 'r' },
		{ "max", 1, NULL, 'm' },
		{ "hold", 0, NULL, 'h' },
		{ 0 },
	};
	unsigned long long refusals = 1, max = 4096, forked = 0, refused = 0;
	int option, holds = 0;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			refusals = parse_number(optarg);
			break;
		case 'm':
			max = parse_number(optarg);
			break;
		case 'h':
			holds = 1;
			break;
		default:
			return 2;
		}
	}
	introduce("forks", "\"max\":%llu", max);
	while (refused < refusals && forked < max) {
		pid_t parent = getpid(), pid = fork();

		if (pid == 0)
			wait_for_end_of(parent);
		if (pid > 0)
			forked++;
		else if (errno == EAGAIN)
			refused++;
		else
			die("cannot fork: %s", strerror(errno));
	}
	introduce("forked", "\"forked\":%llu,\"refused\":%llu", forked, refused);
	while (holds)
		(void)pause();
	return 0; /* which kills them */
}
