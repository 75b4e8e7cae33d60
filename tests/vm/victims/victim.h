/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every victim does: reads its options, and says the truth about itself, one JSON object a line,
 * each in one write(2), so that the lines of several processes never mix and none is lost with a buffer
 * when the process is killed.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	exit(3);
}

/* A number with an optional K, M or G. */
static inline unsigned long long parse_number(const char *text)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	switch (*end) {
	case 'G':
		number *= 1024;
		__attribute__((fallthrough));
	case 'M':
		number *= 1024;
		__attribute__((fallthrough));
	case 'K':
		number *= 1024;
		end++;
		break;
	default:
		break;
	}
	if (errno != 0 || end == text || *end != '\0')
		die("not a number: '%s'", text);
	return number;
}

static inline void say(const char *line, size_t length)
{
	while (length > 0) {
		ssize_t n = write(STDOUT_FILENO, line, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			exit(3);
		line += n;
		length -= (size_t)n;
	}
}

/* Bytes that JSON does not take as they are, as \u00XX: byte for byte, whatever encoding they were meant in. */
static inline void escape_json(const char *bytes, char *out, size_t size)
{
	size_t used = 0;

	for (; *bytes != '\0' && used + 7 < size; bytes++) {
		unsigned char c = (unsigned char)*bytes;

		if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
			used += (size_t)snprintf(out + used, size - used, "\\u%04x", c);
		else
			out[used++] = (char)c;
	}
	out[used] = '\0';
}

/* The path of the "0::" line: the v2 hierarchy. */
static inline void own_cgroup(char *out, size_t size)
{
	char text[8192], *line, *end;
	ssize_t n;
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);

	out[0] = '\0';
	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return;
	text[n] = '\0';
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (line == NULL)
		return;
	line = strstr(line, "0::") + 3;
	end = strchr(line, '\n');
	if (end != NULL)
		*end = '\0';
	(void)snprintf(out, size, "%s", line);
}

/* "pid":…,"tid":…,"ppid":…,"uid":…,"comm":"…","cgroup":"…" */
static inline void describe_self(char *out, size_t size)
{
	char cgroup[4096], comm[17] = "", cgroup_json[8192], comm_json[128];

	own_cgroup(cgroup, sizeof(cgroup));
	(void)prctl(PR_GET_NAME, comm);
	escape_json(cgroup, cgroup_json, sizeof(cgroup_json));
	escape_json(comm, comm_json, sizeof(comm_json));
	(void)snprintf(
		out, size,
		"\"pid\":%d,\"tid\":%ld,\"ppid\":%d,\"uid\":%u,\"comm\":\"%s\",\"cgroup\":\"%s\"",
		getpid(), syscall(SYS_gettid), getppid(), getuid(), comm_json, cgroup_json);
}

/* {"role":"…", who I am, more} */
static inline void __attribute__((format(printf, 2, 3)))
introduce(const char *role, const char *format, ...)
{
	char self[9000], more[512], line[10240];
	va_list args;
	int n;

	va_start(args, format);
	(void)vsnprintf(more, sizeof(more), format, args);
	va_end(args);
	describe_self(self, sizeof(self));
	n = snprintf(line, sizeof(line), "{\"role\":\"%s\",%s%s%s}\n", role, self,
		     more[0] != '\0' ? "," : "", more);
	if (n > 0)
		say(line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}
