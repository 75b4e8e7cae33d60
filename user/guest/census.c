/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many processes there are at one time. Processes come and go while /proc is read, so what one look
 * finds may never have been there together, and a host that knows the most there ever were would call
 * the number a lie. Hence two looks, one after the other: whoever is in both was there between them. The
 * number may be too small for processes that are just coming or going; it is never too large. proc(5).
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "user/guest/guest.h"

/* Above: no number is given, rather than a wrong one or a long look. */
#define PIDS_MAX 8192

/* kthreadd, the parent of all kernel threads, where they are in sight (init/main.c, rest_init()). */
#define KTHREADD_PID 2
/* /proc/PID/stat has the task's flags as its ninth member (include/linux/sched.h). */
#define FLAGS_MEMBER 9
#define PF_KTHREAD 0x00200000

struct kw_census {
	DIR *directory;
	unsigned int count;
	uint32_t pids[PIDS_MAX];
};

/* A number below 2^32 and nothing else: the name of a process. */
static bool is_pid(const char *name, uint32_t *ret_pid)
{
	char *end;
	unsigned long pid;

	if (!isdigit((unsigned char)name[0]))
		return false;
	pid = strtoul(name, &end, 10);
	*ret_pid = (uint32_t)pid;
	return *end == '\0' && pid > 0 && pid <= UINT32_MAX;
}

static bool is_kernel_thread(const struct kw_census *census, uint32_t pid)
{
	char path[32];
	char text[512];
	const char *at;

	(void)snprintf(path, sizeof(path), "%u/stat", pid);
	if (kw_pressure_slurp(dirfd(census->directory), path, text, sizeof(text)) <= 0)
		return false;
	/* A name, the second, may have anything in it, a ')' as well, but none comes after it. */
	at = strrchr(text, ')');
	for (unsigned int member = 2; at && member < FLAGS_MEMBER; member++)
		at = strchr(at + 1, ' ');
	return at && (strtoul(at, NULL, 10) & PF_KTHREAD);
}

/* Who is there now, into pids. */
static bool look(struct kw_census *census)
{
	const struct dirent *entry;
	uint32_t pid;

	census->count = 0;
	rewinddir(census->directory);
	while ((entry = readdir(census->directory))) {
		if (!is_pid(entry->d_name, &pid))
			continue;
		if (census->count == PIDS_MAX)
			return false;
		census->pids[census->count++] = pid;
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *left = a;
	const uint32_t *right = b;

	return *left < *right ? -1 : *left > *right;
}

bool kw_census_count(struct kw_census *census, uint64_t *ret_processes)
{
	bool sees_kernel = is_kernel_thread(census, KTHREADD_PID);
	const struct dirent *entry;
	uint64_t processes = 0;
	uint32_t pid;

	if (!look(census))
		return false;
	qsort(census->pids, census->count, sizeof(census->pids[0]), compare);
	rewinddir(census->directory);
	while ((entry = readdir(census->directory)))
		if (is_pid(entry->d_name, &pid) &&
		    bsearch(&pid, census->pids, census->count, sizeof(pid), compare) &&
		    !(sees_kernel && is_kernel_thread(census, pid)))
			processes++;
	/* Whoever asks is one: /proc shows nothing. */
	if (processes == 0)
		return false;
	*ret_processes = processes;
	return true;
}

int kw_census_open(const char *proc, struct kw_census **ret_census)
{
	struct kw_census *census = calloc(1, sizeof(*census));
	int r;

	if (!census)
		return -ENOMEM;
	census->directory = opendir(proc);
	if (census->directory) {
		*ret_census = census;
		return 0;
	}
	r = -errno;
	free(census);
	return r;
}

void kw_census_free(struct kw_census *census)
{
	if (!census)
		return;
	(void)closedir(census->directory);
	free(census);
}
