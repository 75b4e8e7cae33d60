/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Lines as kwitnessd writes them, as far as the ledger looks at them. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kwitness/names.h>

#include "user/base/file.h"
#include "user/deliver/deliver.h"

#define LINE_BYTES 512
#define SEGMENT_MAX (64 * 1024 * 1024)

/* data: the members of data. Returns the length, newline included. */
static inline size_t make_line(char text[static LINE_BYTES], uint64_t sequence, const char *type,
			       const char *data)
{
	int length = snprintf(
		text, LINE_BYTES,
		"{\"data\":{%s},\"id\":\"id-%llu\",\"recordedtime\":\"2026-01-02T03:04:05.%09lluZ\",\"sequence\":\"%020llu\",\"specversion\":\"1.0\",\"type\":\"%s\"}\n",
		data, (unsigned long long)sequence, (unsigned long long)sequence,
		(unsigned long long)sequence, type);

	assert_in_range(length, 1, LINE_BYTES - 1);
	return (size_t)length;
}

static inline void append_typed(struct kw_ledger *ledger, uint64_t sequence, const char *type,
				const char *data)
{
	char text[LINE_BYTES];
	size_t length = make_line(text, sequence, type, data);

	assert_int_equal(kw_ledger_append(ledger, sequence, text, length), 0);
}

static inline void append_plain(struct kw_ledger *ledger, uint64_t sequence)
{
	append_typed(ledger, sequence, KW_TYPE_CGROUP, "\"n\":18446744073709551615");
}

static inline struct kw_ledger *open_ledger(const char *directory, uint64_t max,
					    struct kw_ledger_found *ret_found)
{
	struct kw_ledger *ledger = NULL;

	assert_int_equal(kw_ledger_open(directory, max, &ledger, ret_found), 0);
	return ledger;
}

/* Lines 1 to last in one segment, closed again. */
static inline void fill_ledger(const char *directory, uint64_t last)
{
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);

	for (uint64_t sequence = found.head.sequence + 1; sequence <= last; sequence++)
		append_plain(ledger, sequence);
	kw_ledger_free(ledger);
}

static inline void path_of(char ret_path[static 512], const char *directory, const char *name)
{
	assert_in_range(snprintf(ret_path, 512, "%s/%s", directory, name), 1, 511);
}

/* Bytes behind the end of a file, as a crash leaves them. */
static inline void append_raw(const char *directory, const char *name, const void *data,
			      size_t length)
{
	char path[512];
	int fd;

	path_of(path, directory, name);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(kw_file_write_all(fd, data, length), 0);
	(void)close(fd);
}

/* Whole content; free with kw_bytes_done(). */
static inline struct kw_bytes slurp(const char *directory, const char *name)
{
	struct kw_bytes bytes;
	char path[512];

	path_of(path, directory, name);
	kw_bytes_init(&bytes, 256U * 1024U * 1024U);
	assert_int_equal(kw_file_read(AT_FDCWD, path, &bytes), 0);
	return bytes;
}

static inline off_t size_of(const char *directory, const char *name)
{
	struct stat status;
	char path[512];

	path_of(path, directory, name);
	return stat(path, &status) < 0 ? -1 : status.st_size;
}

#define FIRST_SEGMENT "00000000000000000001.jsonl"
