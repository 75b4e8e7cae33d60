/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One recording: records as `kwitnessd --record` writes them, the cgroup files as they were read, and what
 * neither can tell. Formats: tests/replay/README.md. */
#include "tests/replay/replay.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/base/file.h"
#include "user/base/log.h"

#define FILE_MAX (4U * 1024U * 1024U)
#define FRAME_HEADER_BYTES 20U

void replay_case_free(struct replay_case *test)
{
	if (!test)
		return;
	for (size_t i = 0; i < test->record_count; i++)
		free(test->records[i].bytes);
	for (size_t i = 0; i < test->cell_count; i++)
		free(test->cells[i]);
	free(test->records);
	free(test->vectors);
	free(test->kernel);
	free(test->name);
	kw_bytes_done(&test->cgroupfs);
	free(test);
}

void replay_case_expected(const struct replay_case *test, char *ret_path, size_t size)
{
	(void)snprintf(ret_path, size, "%s/replay/%s/%s.jsonl", test->vectors, test->kernel,
		       test->name);
}

static int read_file(const struct replay_case *test, const char *kind, const char *suffix,
		     struct kw_bytes *ret_bytes)
{
	char path[KW_PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s/%s/%s%s", test->vectors, kind, test->kernel,
		       test->name, suffix);
	r = kw_file_read(AT_FDCWD, path, ret_bytes);
	return r < 0 ? kw_log_error(r, "cannot read %s", path) : 0;
}

/* u32 length, u64 boot, u64 real, little-endian, then the record. */
static int parse_record(struct replay_case *test, const char *data, size_t length, size_t *at)
{
	struct replay_record *record = &test->records[test->record_count];
	uint64_t times[2];
	uint32_t size;

	if (length - *at < FRAME_HEADER_BYTES || test->record_count == REPLAY_RECORDS_MAX)
		return -EBADMSG;
	memcpy(&size, data + *at, sizeof(size));
	memcpy(times, data + *at + sizeof(size), sizeof(times));
	*at += FRAME_HEADER_BYTES;
	record->length = le32toh(size);
	record->received_boot_ns = le64toh(times[0]);
	record->received_real_ns = le64toh(times[1]);
	if (record->length == 0 || record->length > length - *at)
		return -EBADMSG;
	record->bytes = malloc(record->length);
	if (!record->bytes)
		return -ENOMEM;
	memcpy(record->bytes, data + *at, record->length);
	*at += record->length;
	test->record_count++;
	return 0;
}

static int load_records(struct replay_case *test)
{
	cleanup_bytes struct kw_bytes bytes;
	size_t at = 0;
	int r;

	kw_bytes_init(&bytes, FILE_MAX);
	r = read_file(test, "records", ".bin", &bytes);
	test->records = calloc(REPLAY_RECORDS_MAX, sizeof(*test->records));
	if (!test->records)
		return -ENOMEM;
	while (r == 0 && at < bytes.length)
		r = parse_record(test, bytes.data, bytes.length, &at);
	return r == 0 && test->record_count == 0 ? -ENODATA : r;
}

static int compare_pids(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static bool parse_moment(const char *line, const char *word, struct replay_moment *ret_moment)
{
	size_t length = strlen(word);

	return strncmp(line, word, length) == 0 &&
	       sscanf(line + length, " %" SCNu64 " %" SCNu64, &ret_moment->boot_ns,
		      &ret_moment->real_ns) == 2;
}

static int parse_line(struct replay_case *test, const char *line)
{
	if (sscanf(line, "boot-id %36s", test->boot_id) == 1 ||
	    parse_moment(line, "start", &test->start) || parse_moment(line, "stop", &test->stop) ||
	    strncmp(line, "kernel ", 7) == 0)
		return 0;
	if (test->victim_count < REPLAY_VICTIMS_MAX &&
	    sscanf(line, "killed %" SCNu32, &test->victims[test->victim_count]) == 1) {
		test->victim_count++;
		return 0;
	}
	if (test->cell_count < REPLAY_CELLS_MAX && strncmp(line, "cell ", 5) == 0) {
		test->cells[test->cell_count] = strdup(line + 5);
		return test->cells[test->cell_count++] ? 0 : -ENOMEM;
	}
	kw_log(LOG_ERR, "unknown line: %s", line);
	return -EBADMSG;
}

static int load_facts(struct replay_case *test)
{
	cleanup_bytes struct kw_bytes bytes;
	char *rest = NULL;
	int r;

	kw_bytes_init(&bytes, FILE_MAX);
	r = read_file(test, "replay", ".case", &bytes);
	if (r < 0)
		return r;
	for (char *line = strtok_r(bytes.data, "\n", &rest); r == 0 && line;
	     line = strtok_r(NULL, "\n", &rest))
		r = parse_line(test, line);
	if (r == 0 && (!test->boot_id[0] || !test->start.boot_ns || !test->stop.boot_ns))
		r = -EBADMSG;
	qsort(test->victims, test->victim_count, sizeof(*test->victims), compare_pids);
	return r;
}

int replay_case_load(const char *vectors, const char *kernel, const char *name,
		     struct replay_case **ret_test)
{
	cleanup(replay_case_freep) struct replay_case *test = calloc(1, sizeof(*test));
	int r;

	if (!test)
		return -ENOMEM;
	kw_bytes_init(&test->cgroupfs, FILE_MAX);
	test->vectors = strdup(vectors);
	test->kernel = strdup(kernel);
	test->name = strdup(name);
	if (!test->vectors || !test->kernel || !test->name)
		return -ENOMEM;
	r = load_facts(test);
	if (r == 0)
		r = load_records(test);
	if (r == 0)
		r = read_file(test, "cgroupfs", "", &test->cgroupfs);
	if (r < 0)
		return kw_log_error(r, "%s/%s is no recording", kernel, name);
	*ret_test = take_ptr(test);
	return 0;
}
