/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An index file of any bytes beside a segment of three lines: what is asked of it is answered or refused, in
 * bounded memory, and no line is handed out that is not one of a segment's. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kwitness/limits.h>

#include "tests/fuzz/fuzz.h"
#include "user/deliver/deliver.h"

static const char text[] = "{\"data\":{},\"id\":\"a\"}\n{\"data\":{},\"id\":\"b\"}\n{}\n";

static void put(int directory, const char *name, const void *data, size_t size)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	fuzz_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
}

static bool is_refusal(int r)
{
	return r == -EBADMSG || r == -ENOENT;
}

static void ask(int directory, uint64_t first)
{
	struct kw_indexes *indexes = NULL;
	struct kw_tree_path path = { .index = first - 1 };
	uint64_t end = 0, sequence = 0, size = 0;
	struct kw_tree tree;
	struct kw_bytes line;
	int r;

	kw_bytes_init(&line, KW_LINE_MAX);
	fuzz_assert(kw_indexes_open(directory, &indexes) == 0);
	r = kw_indexes_end(indexes, &end);
	fuzz_assert(r == -EBADMSG || (r == 0 && end >= first));
	for (uint64_t i = first; r == 0 && i < first + 4; i++) {
		int got = kw_indexes_read_line(indexes, i, &line);

		fuzz_assert(is_refusal(got) ||
			    (got == 0 && line.length < sizeof(text) &&
			     memmem(text, sizeof(text), line.data, line.length)));
		got = kw_indexes_find_checkpoint(indexes, i, &sequence, &size);
		fuzz_assert(is_refusal(got) || got == 0 ||
			    (got == 1 && size >= i && sequence > size && sequence <= end));
	}
	r = kw_indexes_find_id(indexes, "a", &sequence);
	fuzz_assert(is_refusal(r) || r == 0 || (r == 1 && sequence >= first && sequence <= end));
	r = kw_indexes_tree(indexes, end ? end : first, &tree, &path);
	fuzz_assert(is_refusal(r) || (r == 0 && tree.size == end));
	kw_indexes_free(indexes);
	kw_bytes_done(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char directory[] = "/tmp/kw-fuzz-index-XXXXXX", index[64], segment[64];
	uint64_t first = 1;
	int fd;

	if (size >= 24)
		memcpy(&first, data + 16, sizeof(first));
	first = le64toh(first);
	if (first == 0)
		first = 1;
	(void)snprintf(index, sizeof(index), "index/%020" PRIu64 ".idx", first);
	(void)snprintf(segment, sizeof(segment), "%020" PRIu64 ".jsonl", first);
	fuzz_assert(mkdtemp(directory) &&
		    (fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) >= 0);
	fuzz_assert(mkdirat(fd, "index", 0700) == 0);
	put(fd, index, data, size);
	put(fd, segment, text, sizeof(text) - 1);
	ask(fd, first);
	fuzz_assert(unlinkat(fd, index, 0) == 0 && unlinkat(fd, segment, 0) == 0 &&
		    unlinkat(fd, "index", AT_REMOVEDIR) == 0 && rmdir(directory) == 0);
	(void)close(fd);
	return 0;
}
