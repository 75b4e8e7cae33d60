// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Takes memory, step by step, until it is killed or has what it was told to take.
 * Each process says who it is before it touches any memory:
 *   {"role":"hog","pid":…,"tid":…,"ppid":…,"uid":…,"comm":"…","cgroup":"…","oomScoreAdj":…}
 * and, if it lives to have all of --bytes, {"role":"full",…,"bytes":…}; then it waits to be killed.
 */
#include "victim.h"

#include <getopt.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

struct plan {
	unsigned long long bytes; /* 0: until killed */
	unsigned long long child_bytes;
	unsigned long long step;
	unsigned long children;
	unsigned long threads;
	unsigned long sharers;
	int wait_fd;
	long oom_score_adj;
	int has_oom_score_adj;
	int leaves;
	int is_shared;
	const char *comm;
};

static const char usage[] =
	"usage: hog [options]\n"
	"  --bytes N           stop growing there (K, M, G); default: never\n"
	"  --step N            how much at a time (default 1M)\n"
	"  --shmem             shared memory instead of anonymous\n"
	"  --children N        fork N children that hold --child-bytes each (default 1M); growing begins when they do\n"
	"  --child-bytes N\n"
	"  --threads N         N more threads; the last of them does the growing\n"
	"  --share-mm N        N processes more that share this one's memory, as after vfork()\n"
	"  --oom-score-adj N   of the hog itself; its children keep the old one\n"
	"  --comm NAME         name of the process\n"
	"  --wait-fd FD        wait for a byte or the end of file there before touching memory\n"
	"  --start-on-stdin    --wait-fd 0\n"
	"  --exit              leave when --bytes are there, instead of waiting to be killed\n";

static void __attribute__((noreturn)) wait_to_be_killed(void)
{
	for (;;)
		(void)pause();
}

static void write_oom_score_adj(long value)
{
	FILE *file = fopen("/proc/self/oom_score_adj", "we");

	if (file == NULL || fprintf(file, "%ld", value) < 0 || fclose(file) != 0)
		die("cannot set oom_score_adj to %ld: %s", value, strerror(errno));
}

static long read_oom_score_adj(void)
{
	long value = LONG_MIN;
	FILE *file = fopen("/proc/self/oom_score_adj", "re");

	if (file == NULL || fscanf(file, "%ld", &value) != 1)
		die("cannot read oom_score_adj");
	(void)fclose(file);
	return value;
}

/* Touches every page: memory that is only mapped is not charged. */
static void take(unsigned long long bytes, int is_shared)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
			    (is_shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("cannot map %llu bytes: %s", bytes, strerror(errno));
	for (size_t at = 0; at < bytes; at += page)
		((volatile char *)memory)[at] = (char)(at / page + 1);
}

static void *grow(void *argument)
{
	const struct plan *plan = argument;
	unsigned long long have = 0;

	if (plan->threads > 0)
		introduce("grower", "\"oomScoreAdj\":%ld", read_oom_score_adj());
	while (plan->bytes == 0 || have < plan->bytes) {
		unsigned long long next = plan->step;

		if (plan->bytes != 0 && plan->bytes - have < next)
			next = plan->bytes - have;
		take(next, plan->is_shared);
		have += next;
	}
	introduce("full", "\"bytes\":%llu", have);
	if (plan->leaves)
		exit(0);
	return NULL;
}

static void *idle(void *argument)
{
	(void)argument;
	wait_to_be_killed();
}

static int share(void *argument)
{
	(void)argument;
	wait_to_be_killed();
}

/* As vfork() does it, but without waiting for them. */
static void start_sharers(const struct plan *plan)
{
	const size_t stack_bytes = 64 * 1024;

	for (unsigned long i = 0; i < plan->sharers; i++) {
		char *stack = mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (stack == MAP_FAILED ||
		    clone(share, stack + stack_bytes, CLONE_VM | SIGCHLD, NULL) < 0)
			die("cannot start a process that shares memory: %s", strerror(errno));
	}
}

static void start_children(const struct plan *plan)
{
	int ready[2];

	if (plan->children == 0)
		return;
	if (pipe(ready) != 0)
		die("cannot make a pipe: %s", strerror(errno));
	for (unsigned long i = 0; i < plan->children; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("cannot fork: %s", strerror(errno));
		if (pid == 0) {
			(void)close(ready[0]);
			introduce("child", "\"oomScoreAdj\":%ld", read_oom_score_adj());
			if (plan->child_bytes > 0)
				take(plan->child_bytes, plan->is_shared);
			if (write(ready[1], "", 1) != 1)
				exit(3);
			(void)close(ready[1]);
			wait_to_be_killed();
		}
	}
	(void)close(ready[1]);
	for (unsigned long i = 0; i < plan->children; i++) {
		char byte;

		if (read(ready[0], &byte, 1) != 1)
			die("a child died before it held its memory");
	}
	(void)close(ready[0]);
}

enum {
	BYTES,
	STEP,
	SHMEM,
	CHILDREN,
	CHILD_BYTES,
	THREADS,
	SHARE_MM,
	ADJ,
	COMM,
	WAIT_FD,
	ON_STDIN,
	EXIT,
	HELP
};

static const struct option options[] = {
	{ "bytes", 1, NULL, BYTES },
	{ "step", 1, NULL, STEP },
	{ "shmem", 0, NULL, SHMEM },
	{ "children", 1, NULL, CHILDREN },
	{ "child-bytes", 1, NULL, CHILD_BYTES },
	{ "threads", 1, NULL, THREADS },
	{ "share-mm", 1, NULL, SHARE_MM },
	{ "oom-score-adj", 1, NULL, ADJ },
	{ "comm", 1, NULL, COMM },
	{ "wait-fd", 1, NULL, WAIT_FD },
	{ "start-on-stdin", 0, NULL, ON_STDIN },
	{ "exit", 0, NULL, EXIT },
	{ "help", 0, NULL, HELP },
	{ 0 },
};

static void read_options(int argc, char **argv, struct plan *plan)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case BYTES:
			plan->bytes = parse_number(optarg);
			break;
		case STEP:
			plan->step = parse_number(optarg);
			break;
		case SHMEM:
			plan->is_shared = 1;
			break;
		case CHILDREN:
			plan->children = (unsigned long)parse_number(optarg);
			break;
		case CHILD_BYTES:
			plan->child_bytes = parse_number(optarg);
			break;
		case THREADS:
			plan->threads = (unsigned long)parse_number(optarg);
			break;
		case SHARE_MM:
			plan->sharers = (unsigned long)parse_number(optarg);
			break;
		case ADJ:
			plan->oom_score_adj = strtol(optarg, NULL, 10);
			plan->has_oom_score_adj = 1;
			break;
		case COMM:
			plan->comm = optarg;
			break;
		case WAIT_FD:
			plan->wait_fd = (int)parse_number(optarg);
			break;
		case ON_STDIN:
			plan->wait_fd = STDIN_FILENO;
			break;
		case EXIT:
			plan->leaves = 1;
			break;
		case HELP:
			(void)fputs(usage, stdout);
			exit(0);
		default:
			(void)fputs(usage, stderr);
			exit(2);
		}
	}
	if (optind != argc || plan->step == 0) {
		(void)fputs(usage, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct plan plan = { .child_bytes = 1 << 20, .step = 1 << 20, .wait_fd = -1 };
	char byte;

	read_options(argc, argv, &plan);
	if (plan.comm != NULL)
		(void)prctl(PR_SET_NAME, plan.comm);
	start_children(&plan);
	start_sharers(&plan);
	if (plan.has_oom_score_adj)
		write_oom_score_adj(plan.oom_score_adj);
	introduce("hog", "\"oomScoreAdj\":%ld", read_oom_score_adj());
	if (plan.wait_fd >= 0)
		while (read(plan.wait_fd, &byte, 1) < 0 && errno == EINTR)
			;
	for (unsigned long i = 0; i < plan.threads; i++) {
		pthread_t thread;
		int r = pthread_create(&thread, NULL, i + 1 == plan.threads ? grow : idle, &plan);

		if (r != 0)
			die("cannot start a thread: %s", strerror(r));
	}
	if (plan.threads == 0)
		(void)grow(&plan);
	wait_to_be_killed();
}
