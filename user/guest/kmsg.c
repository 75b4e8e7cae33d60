/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * OOM kills: the kernel's own line for each ("Killed process", __oom_kill_process() in mm/oom_kill.c,
 * the same from 4.x to 6.18) names the victim; the counter oom_kill counts them. What is counted and not
 * named, because a record was overwritten or the log is closed to us, is reported as a number. Records:
 * Documentation/ABI/testing/dev-kmsg; user space can write there, but not with the kernel's facility 0.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "user/guest/guest.h"

#define TURN_RECORDS 256
#define KILLED "Killed process "

static bool take_number(const char *text, const char *key, uint64_t *ret_value)
{
	const char *at = strstr(text, key);

	if (!at || !isdigit((unsigned char)at[strlen(key)]))
		return false;
	*ret_value = strtoull(at + strlen(key), NULL, 10);
	return true;
}

bool kw_kmsg_parse(const char *record, struct kw_oom_line *ret_line)
{
	unsigned long priority = strtoul(record, NULL, 10);
	const char *text = strchr(record, ';');
	struct kw_oom_line line = { .pid = 0 };
	const char *killed, *open, *close;
	size_t length;

	if (!isdigit((unsigned char)record[0]) || priority >> 3 != 0 || !text)
		return false;
	killed = strstr(text, KILLED);
	if (!killed || !strstr(text, "ut of memory"))
		return false;
	/* "Killed process 42 (name) total-vm:…kB, anon-rss:…kB, …": a name may have ')' in it. */
	open = strchr(killed, '(');
	close = strstr(killed, ") total-vm:");
	if (!isdigit((unsigned char)killed[strlen(KILLED)]) || !open || !close || close < open)
		return false;
	line.pid = (uint32_t)strtoul(killed + strlen(KILLED), NULL, 10);
	length = (size_t)(close - open - 1);
	if (length >= sizeof(line.comm))
		length = sizeof(line.comm) - 1;
	memcpy(line.comm, open + 1, length);
	line.is_memcg = strncmp(text, ";Memory cgroup", strlen(";Memory cgroup")) == 0;
	(void)take_number(close, "anon-rss:", &line.anon_rss_kb);
	(void)take_number(close, "total-vm:", &line.total_vm_kb);
	*ret_line = line;
	return true;
}

static void tell_named(const struct kw_oom_line *line, struct kw_queue *queue, uint64_t now_ns)
{
	struct kw_report report = {
		.probe = "oom.killed", .pid = line->pid, .comm = line->comm, .monotonic_ns = now_ns
	};

	kw_report_add_number(&report, "anon_rss_kb", line->anon_rss_kb);
	kw_report_add_text(&report, "constraint", line->is_memcg ? "memcg" : "none");
	kw_report_add_number(&report, "kills", 1);
	kw_report_add_text(&report, "source", "kmsg");
	kw_report_add_number(&report, "total_vm_kb", line->total_vm_kb);
	kw_queue_put(queue, &report);
}

/* Records are numbered: what is missing between two was overwritten before we read it. */
static void count_lost(struct kw_kmsg *kmsg, const char *record, struct kw_queue *queue,
		       uint64_t now_ns)
{
	const char *comma = strchr(record, ',');
	uint64_t sequence = comma ? strtoull(comma + 1, NULL, 10) : 0;

	if (!comma)
		return;
	if (kmsg->has_sequence && sequence > kmsg->sequence)
		kw_queue_lost(queue, "kmsg", sequence - kmsg->sequence, now_ns);
	kmsg->has_sequence = true;
	kmsg->sequence = sequence + 1;
}

void kw_kmsg_read(struct kw_kmsg *kmsg, struct kw_queue *queue, uint64_t now_ns)
{
	char record[2048];

	for (int i = 0; i < TURN_RECORDS && kmsg->fd >= 0; i++) {
		struct kw_oom_line line;
		ssize_t n = read(kmsg->fd, record, sizeof(record) - 1);

		/* EPIPE: records were overwritten; the next number says how many. EINVAL: one that is
		 * longer than this, which is no line of an OOM. */
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (n < 0 && errno == EINVAL) {
			kmsg->sequence++;
			continue;
		}
		if (n <= 0)
			return;
		record[n] = '\0';
		count_lost(kmsg, record, queue, now_ns);
		if (!kw_kmsg_parse(record, &line))
			continue;
		kmsg->kills++;
		tell_named(&line, queue, now_ns);
	}
}

/* ---- the counter ---- */

static bool read_counter(const struct kw_kmsg *kmsg, uint64_t *ret_count)
{
	char text[16384];
	const char *path = strcmp(kmsg->counter, "vmstat") == 0 ? "/proc/vmstat"
								: "/sys/fs/cgroup/memory.events";

	return kw_pressure_slurp(AT_FDCWD, path, text, sizeof(text)) > 0 &&
	       kw_pressure_value(text, "oom_kill", ret_count);
}

void kw_kmsg_count(struct kw_kmsg *kmsg, struct kw_queue *queue, uint64_t now_ns)
{
	uint64_t count = 0;
	uint64_t behind, said;
	struct kw_report report = { .probe = "oom.killed", .comm = "", .monotonic_ns = now_ns };

	if (!kmsg->counter || !read_counter(kmsg, &count))
		return;
	count -= kmsg->base;
	behind = count > kmsg->kills + kmsg->told ? count - kmsg->kills - kmsg->told : 0;
	/* It is counted a moment before it is logged: only what was behind at the last look as well. */
	said = behind < kmsg->behind ? behind : kmsg->behind;
	kmsg->behind = behind - said;
	if (said == 0)
		return;
	kmsg->told += said;
	kw_report_add_number(&report, "kills", said);
	kw_report_add_text(&report, "source", kmsg->counter);
	kw_queue_put(queue, &report);
}

uint64_t kw_kmsg_kills(const struct kw_kmsg *kmsg)
{
	return kmsg->kills + kmsg->told;
}

void kw_kmsg_open(struct kw_kmsg *kmsg)
{
	static const char *const counters[] = { "vmstat", "memory.events" };

	memset(kmsg, 0, sizeof(*kmsg));
	kmsg->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg->fd >= 0)
		(void)lseek(kmsg->fd, 0, SEEK_END);
	for (size_t i = 0; i < kw_array_size(counters); i++) {
		kmsg->counter = counters[i];
		if (read_counter(kmsg, &kmsg->base))
			return;
	}
	kmsg->counter = NULL;
}
