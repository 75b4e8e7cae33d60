/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From oom:mark_victim to user space: how long until a kill can be read as a signed line of the
 * ledger, beside /dev/kmsg's "Killed process" line and a peer program's output, for the same kills in
 * the same run. The start of each is the boot time that the kernel hook wrote into the record; each
 * arrival is the boot time at which this reader had the bytes. The three are told apart by the
 * victim's pid.
 * usage: latency LEDGER KILLS SECONDS [PEER COMMAND...]   (reads until KILLS or SECONDS are over)
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/deliver/deliver.h"

#define KILLS_MAX 4096

enum witness { LEDGER, KMSG, PEER, WITNESS_COUNT };
static const char *const witness_names[] = { "kwitness ledger", "/dev/kmsg", "peer" };

struct kill {
	unsigned long pid;
	uint64_t marked_ns;
	uint64_t seen_ns[WITNESS_COUNT];
};

static struct kill kills[KILLS_MAX];
static size_t kill_count;

static struct kill *kill_of(unsigned long pid)
{
	for (size_t i = 0; i < kill_count; i++) {
		if (kills[i].pid == pid)
			return &kills[i];
	}
	if (pid == 0 || kill_count == KILLS_MAX)
		return NULL;
	kills[kill_count].pid = pid;
	return &kills[kill_count++];
}

static void seen(enum witness witness, unsigned long pid, uint64_t now)
{
	struct kill *kill = kill_of(pid);

	if (kill && kill->seen_ns[witness] == 0)
		kill->seen_ns[witness] = now;
}

/* Number behind the first occurrence of key at or after text; 0: none. */
static uint64_t number_after(const char *text, const char *key)
{
	const char *at = text ? strstr(text, key) : NULL;

	return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static int read_ledger(struct kw_cursor *cursor)
{
	static char line[KW_EVENT_MAX + 1];
	const char *bytes;
	size_t length;
	int r, kills_read = 0;

	while ((r = kw_cursor_next(cursor, &bytes, &length)) > 0) {
		uint64_t now = kw_clock_boot_ns(&kw_clock_system);
		const char *victim;
		struct kill *kill;

		if (length > KW_EVENT_MAX)
			continue;
		memcpy(line, bytes, length); /* the cursor's bytes end without a NUL */
		line[length] = '\0';
		if (!strstr(line, "host.v1.oom_kill\""))
			continue;
		victim = strstr(line, "\"victim\":");
		kill = kill_of((unsigned long)number_after(victim, "\"tgid\":"));
		if (!kill)
			continue;
		kill->marked_ns = number_after(line, "\"bootNs\":");
		seen(LEDGER, kill->pid, now);
		kills_read++;
	}
	return r < 0 ? r : kills_read;
}

static void read_kmsg(int fd)
{
	char record[8192];
	ssize_t length;

	/* One record a read; EPIPE: records were overwritten before we read them. */
	while ((length = read(fd, record, sizeof(record) - 1)) > 0 ||
	       (length < 0 && errno == EPIPE)) {
		if (length < 0)
			continue;
		record[length] = '\0';
		seen(KMSG, (unsigned long)number_after(record, "Killed process "),
		     kw_clock_boot_ns(&kw_clock_system));
	}
}

static void read_peer(int fd)
{
	static char text[65536];
	static size_t used;
	ssize_t length = read(fd, text + used, sizeof(text) - 1 - used);
	char *line = text, *newline;
	uint64_t now = kw_clock_boot_ns(&kw_clock_system);

	if (length <= 0)
		return;
	used += (size_t)length;
	text[used] = '\0';
	while ((newline = strchr(line, '\n'))) {
		*newline = '\0';
		/* libbpf-tools' oomkill: …, OOM kill of PID 123 ("comm"), … */
		seen(PEER, (unsigned long)number_after(line, "OOM kill of PID "), now);
		line = newline + 1;
	}
	used -= (size_t)(line - text);
	memmove(text, line, used);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double report(enum witness witness, size_t total, double ours)
{
	static uint64_t delays[KILLS_MAX];
	size_t count = 0;
	double p50;

	for (size_t i = 0; i < kill_count; i++) {
		if (kills[i].marked_ns && kills[i].seen_ns[witness] > kills[i].marked_ns)
			delays[count++] = kills[i].seen_ns[witness] - kills[i].marked_ns;
	}
	if (count == 0) {
		printf("latency %-16s saw 0 of %zu kills\n", witness_names[witness], total);
		return 0;
	}
	qsort(delays, count, sizeof(delays[0]), compare);
	p50 = (double)delays[count / 2] / 1e6;
	printf("latency %-16s saw %zu of %zu kills: p50 %.3f ms  p90 %.3f ms  p99 %.3f ms  max %.3f ms",
	       witness_names[witness], count, total, p50, (double)delays[count * 9 / 10] / 1e6,
	       (double)delays[count * 99 / 100] / 1e6, (double)delays[count - 1] / 1e6);
	if (ours > 0)
		printf("   ratio of p50 to ours %.2f", p50 / ours);
	printf("\n");
	return p50;
}

static pid_t start_peer(char **command, int *ret_fd)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		exit(3);
	if (pid == 0) {
		(void)dup2(ends[1], STDOUT_FILENO);
		(void)execvp(command[0], command);
		_exit(127);
	}
	(void)close(ends[1]);
	*ret_fd = ends[0];
	return pid;
}

int main(int argc, char **argv)
{
	struct kw_cursor *cursor = NULL;
	struct pollfd fds[WITNESS_COUNT];
	pid_t peer = 0;
	size_t wanted, total = 0;
	uint64_t end, quiet = 0;
	int r;

	if (argc < 4) {
		fputs("usage: latency LEDGER KILLS SECONDS [PEER COMMAND...]\n", stderr);
		return 2;
	}
	wanted = strtoul(argv[2], NULL, 10);
	r = kw_cursor_open(argv[1], UINT64_MAX, &cursor);
	if (r < 0) {
		fprintf(stderr, "latency: %s: %s\n", argv[1], strerror(-r));
		return 3;
	}
	fds[LEDGER] = (struct pollfd){ kw_cursor_fd(cursor), POLLIN, 0 };
	fds[KMSG] =
		(struct pollfd){ open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC), POLLIN, 0 };
	if (fds[KMSG].fd >= 0)
		(void)lseek(fds[KMSG].fd, 0, SEEK_END);
	fds[PEER] = (struct pollfd){ -1, POLLIN, 0 };
	if (argc > 4)
		peer = start_peer(argv + 4, &fds[PEER].fd);
	fputs("latency: ready\n", stderr);
	end = kw_clock_boot_ns(&kw_clock_system) + strtoull(argv[3], NULL, 10) * KW_NSEC_PER_SEC;
	while (kw_clock_boot_ns(&kw_clock_system) < end &&
	       (quiet == 0 || kw_clock_boot_ns(&kw_clock_system) < quiet)) {
		(void)poll(fds, WITNESS_COUNT, 100);
		r = read_ledger(cursor);
		if (r > 0)
			total += (size_t)r;
		if (fds[KMSG].revents)
			read_kmsg(fds[KMSG].fd);
		if (fds[PEER].revents)
			read_peer(fds[PEER].fd);
		/* All there: two seconds more for the slower witnesses. */
		if (total >= wanted && quiet == 0)
			quiet = kw_clock_boot_ns(&kw_clock_system) + 2 * KW_NSEC_PER_SEC;
	}
	double ours = report(LEDGER, total, 0);

	(void)report(KMSG, total, ours);
	if (peer > 0) {
		(void)report(PEER, total, ours);
		(void)kill(peer, SIGTERM);
		(void)waitpid(peer, NULL, 0);
	}
	kw_cursor_free(cursor);
	return total >= wanted ? 0 : 1;
}
