/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes where the kernel does not tell them: the numbers in /proc, compared with the last look. What
 * lives between two looks is not seen, so each event says "source": "proc". proc(5).
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "user/guest/guest.h"

/* Above: those with the highest places in /proc are not looked at. */
#define PIDS_MAX 8192

struct seen {
	uint32_t pid;
	char comm[KW_COMM_BYTES];
};

struct kw_procscan {
	DIR *directory;
	bool is_first;
	unsigned int count;
	struct seen *last;
	struct seen *now;
};

void kw_procscan_comm(uint32_t pid, char ret_comm[static KW_COMM_BYTES])
{
	char path[40];
	char text[32];
	long n;

	(void)snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	n = kw_pressure_slurp(AT_FDCWD, path, text, sizeof(text));
	memset(ret_comm, 0, KW_COMM_BYTES);
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	if (n > 0)
		memcpy(ret_comm, text, strnlen(text, KW_COMM_BYTES - 1));
}

static int compare(const void *a, const void *b)
{
	const struct seen *left = a;
	const struct seen *right = b;

	return left->pid < right->pid ? -1 : left->pid > right->pid;
}

static unsigned int look(struct kw_procscan *scan)
{
	const struct dirent *entry;
	unsigned int count = 0;

	rewinddir(scan->directory);
	while (count < PIDS_MAX && (entry = readdir(scan->directory)))
		if (isdigit((unsigned char)entry->d_name[0]))
			scan->now[count++].pid = (uint32_t)strtoul(entry->d_name, NULL, 10);
	qsort(scan->now, count, sizeof(scan->now[0]), compare);
	return count;
}

static void tell(struct kw_queue *queue, const char *probe, const struct seen *seen,
		 uint64_t now_ns)
{
	struct kw_report report = {
		.probe = probe, .pid = seen->pid, .comm = seen->comm, .monotonic_ns = now_ns
	};

	kw_report_add_text(&report, "source", "proc");
	kw_queue_put(queue, &report);
}

void kw_procscan_turn(struct kw_procscan *scan, struct kw_queue *queue, uint64_t now_ns)
{
	unsigned int count = look(scan);
	struct seen *last = scan->last;
	unsigned int i = 0, j = 0;

	while (i < scan->count || j < count) {
		if (j == count || (i < scan->count && last[i].pid < scan->now[j].pid)) {
			tell(queue, "process.exited", &last[i++], now_ns);
		} else if (i == scan->count || scan->now[j].pid < last[i].pid) {
			kw_procscan_comm(scan->now[j].pid, scan->now[j].comm);
			if (!scan->is_first)
				tell(queue, "process.spawned", &scan->now[j], now_ns);
			j++;
		} else {
			scan->now[j++] = last[i++];
		}
	}
	scan->last = scan->now;
	scan->now = last;
	scan->count = count;
	scan->is_first = false;
}

int kw_procscan_open(struct kw_procscan **ret_scan)
{
	struct kw_procscan *scan = calloc(1, sizeof(*scan));

	if (!scan)
		return -ENOMEM;
	scan->is_first = true;
	scan->directory = opendir("/proc");
	scan->last = calloc(PIDS_MAX, sizeof(*scan->last));
	scan->now = calloc(PIDS_MAX, sizeof(*scan->now));
	if (scan->directory && scan->last && scan->now) {
		*ret_scan = scan;
		return 0;
	}
	if (scan->directory)
		(void)closedir(scan->directory);
	free(scan->last);
	free(scan->now);
	free(scan);
	return -ENOMEM;
}
