/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory pressure: the kernel says when tasks have stalled for so long within a window, once a window at
 * most (Documentation/accounting/psi.rst), so nothing is polled. A kernel without PSI has no such
 * events; heartbeats and OOM kills remain.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "user/guest/guest.h"

/* 150 ms of 2 s: windows of 2 s need no privilege from 6.5 on. */
#define TRIGGER "some 150000 2000000"
#define WINDOW_USEC 2000000
#define PATH "/proc/pressure/memory"

long kw_pressure_slurp(int directory_fd, const char *path, char *text, size_t size)
{
	cleanup_close int fd = openat(directory_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	size_t length = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (length < size - 1 && n > 0) {
		n = read(fd, text + length, size - 1 - length);
		if (n > 0)
			length += (size_t)n;
	}
	text[length] = '\0';
	return n < 0 ? -errno : (long)length;
}

bool kw_pressure_value(const char *text, const char *key, uint64_t *ret_value)
{
	size_t length = strlen(key);

	for (const char *at = text; (at = strstr(at, key)); at += length) {
		bool is_word = at == text || isspace((unsigned char)at[-1]);

		if (is_word && (at[length] == ' ' || at[length] == '=') &&
		    isdigit((unsigned char)at[length + 1])) {
			*ret_value = strtoull(at + length + 1, NULL, 10);
			return true;
		}
	}
	return false;
}

static void read_totals(uint64_t *ret_some_usec, uint64_t *ret_full_usec)
{
	char text[256];
	const char *full;

	*ret_some_usec = *ret_full_usec = 0;
	if (kw_pressure_slurp(AT_FDCWD, PATH, text, sizeof(text)) <= 0)
		return;
	(void)kw_pressure_value(text, "total", ret_some_usec);
	full = strstr(text, "full ");
	if (full)
		(void)kw_pressure_value(full, "total", ret_full_usec);
}

void kw_pressure_open(struct kw_pressure_watch *pressure)
{
	memset(pressure, 0, sizeof(*pressure));
	pressure->fd = open(PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (pressure->fd >= 0 && write(pressure->fd, TRIGGER, sizeof(TRIGGER)) < 0)
		(void)close(take_fd(pressure->fd));
	read_totals(&pressure->some_usec, &pressure->full_usec);
}

void kw_pressure_read(struct kw_pressure_watch *pressure, struct kw_queue *queue, uint64_t now_ns)
{
	struct kw_report report = { .probe = "memory.pressure",
				    .pid = (uint32_t)getpid(),
				    .comm = "kwitness-guest",
				    .monotonic_ns = now_ns };
	uint64_t some_usec, full_usec;

	read_totals(&some_usec, &full_usec);
	kw_report_add_number(&report, "full_usec", full_usec - pressure->full_usec);
	kw_report_add_number(&report, "some_usec", some_usec - pressure->some_usec);
	kw_report_add_number(&report, "window_usec", WINDOW_USEC);
	pressure->some_usec = some_usec;
	pressure->full_usec = full_usec;
	kw_queue_put(queue, &report);
}
