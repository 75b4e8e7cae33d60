/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup-v2 counter files to numbers. The parser does what CellOS's does, so that a reading of ours
 * and one of theirs say the same of the same bytes (docs/events.md, "host.v1.cgroup"): one bad line
 * refuses the whole document, because half a document is no evidence.
 */
#include "user/capture/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "user/base/file.h"
#include "user/base/text.h"

static const char *const file_names[KW_FLAT_FILE_COUNT_] = {
	[KW_FLAT_MEMORY_EVENTS] = "memory.events",
	[KW_FLAT_CPU_STAT] = "cpu.stat",
	[KW_FLAT_PIDS_EVENTS] = "pids.events",
};

const char *kw_flat_file_name(enum kw_flat_file file)
{
	return file_names[file];
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Next token of [*at, end), blanks skipped; empty at the end of the line. */
static const char *take_token(const char **at, const char *end, size_t *ret_length)
{
	const char *start;

	while (*at < end && is_blank(**at))
		(*at)++;
	start = *at;
	while (*at < end && !is_blank(**at))
		(*at)++;
	*ret_length = (size_t)(*at - start);
	return start;
}

static int set_pair(struct kw_flat *flat, const char *key, size_t key_length, uint64_t value)
{
	uint32_t slot;

	if (key_length >= KW_FLAT_KEY_BYTES)
		return -ENAMETOOLONG;
	for (slot = 0; slot < flat->count; slot++) {
		if (strlen(flat->pairs[slot].key) == key_length &&
		    memcmp(flat->pairs[slot].key, key, key_length) == 0)
			break;
	}
	if (slot == KW_FLAT_KEYS_MAX)
		return -E2BIG;
	if (slot == flat->count) {
		memset(flat->pairs[slot].key, 0, KW_FLAT_KEY_BYTES);
		memcpy(flat->pairs[slot].key, key, key_length);
		flat->count++;
	}
	flat->pairs[slot].value = value;
	return 0;
}

int kw_counters_take_pair(const char *at, const char *end, const char **ret_key,
			  size_t *ret_key_length, uint64_t *ret_value)
{
	size_t key_length, value_length;
	const char *key = take_token(&at, end, &key_length), *value;

	if (key_length == 0)
		return 0; /* blank line */
	value = take_token(&at, end, &value_length);
	if (memchr(key, '\0', key_length) || value_length == 0)
		return -EBADMSG;
	/* Rust's u64 parser takes one leading '+'; the kernel never writes it, but "the same" is the rule. */
	if (value_length > 1 && value[0] == '+') {
		value++;
		value_length--;
	}
	if (kw_text_parse_u64(value, value_length, ret_value) < 0)
		return -EBADMSG;
	*ret_key = key;
	*ret_key_length = key_length;
	return 1;
}

static int parse_line(const char *at, const char *end, struct kw_flat *flat)
{
	const char *key;
	size_t key_length;
	uint64_t number;
	int r = kw_counters_take_pair(at, end, &key, &key_length, &number);

	return r > 0 ? set_pair(flat, key, key_length, number) : r;
}

int kw_counters_parse(const char *text, size_t length, struct kw_flat *ret_flat)
{
	const char *end = text + length, *at = text;
	uint32_t line = 0;

	ret_flat->present = true;
	ret_flat->error = 0;
	ret_flat->bad_line = 0;
	ret_flat->count = 0;
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = newline ? newline : end;
		int r;

		line++;
		r = parse_line(at, line_end, ret_flat);
		if (r < 0) {
			ret_flat->present = false;
			ret_flat->error = r;
			ret_flat->bad_line = line;
			ret_flat->count = 0;
			return r;
		}
		at = newline ? newline + 1 : end;
	}
	return 0;
}

void kw_counters_describe_error(const struct kw_flat *flat, char *ret_text, size_t size)
{
	switch (flat->error) {
	case -EBADMSG:
		(void)snprintf(ret_text, size, "flat-kv line %u refused", flat->bad_line);
		return;
	case -ENAMETOOLONG:
		(void)snprintf(ret_text, size, "flat-kv line %u: key too long", flat->bad_line);
		return;
	case -E2BIG:
		(void)snprintf(ret_text, size, "flat-kv line %u: too many keys", flat->bad_line);
		return;
	case -ENOENT:
		(void)snprintf(ret_text, size, "not there: controller off, or kernel without it");
		return;
	case -ENODEV:
		(void)snprintf(ret_text, size, "cgroup removed while it was read");
		return;
	default:
		(void)snprintf(ret_text, size, "%s", strerror(-flat->error));
	}
}

bool kw_counters_get(const struct kw_flat *flat, const char *key, uint64_t *ret_value)
{
	for (uint32_t i = 0; flat->present && i < flat->count; i++) {
		if (strcmp(flat->pairs[i].key, key) == 0) {
			*ret_value = flat->pairs[i].value;
			return true;
		}
	}
	return false;
}

static void read_file(int directory, const char *name, struct kw_flat *ret_flat)
{
	cleanup_close int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[KW_FLAT_FILE_MAX];
	ssize_t length;

	*ret_flat = (struct kw_flat){ .present = false };
	if (fd < 0) {
		ret_flat->error = -errno;
		return;
	}
	length = kw_file_pread_all(fd, text, sizeof(text));
	if (length < 0) {
		ret_flat->error = (int)length;
		return;
	}
	(void)kw_counters_parse(text, (size_t)length, ret_flat); /* the error stands in ret_flat */
}

int kw_counters_read(int root_fd, const char *root_path, const char *path,
		     const struct kw_clock *clock, struct kw_reading *ret_reading)
{
	const char *below = path[0] == '/' ? path + 1 : path;
	cleanup_close int directory = -1;
	int r;

	directory = openat(root_fd, below[0] ? below : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	r = snprintf(ret_reading->cgroup, sizeof(ret_reading->cgroup), "/%s", below);
	if (r < 0 || (size_t)r >= sizeof(ret_reading->cgroup))
		return -ENAMETOOLONG;
	r = snprintf(ret_reading->leaf, sizeof(ret_reading->leaf), "%s%s%s", root_path,
		     below[0] ? "/" : "", below);
	if (r < 0 || (size_t)r >= sizeof(ret_reading->leaf))
		return -ENAMETOOLONG;
	ret_reading->boot_ns = kw_clock_boot_ns(clock);
	for (int i = 0; i < KW_FLAT_FILE_COUNT_; i++)
		read_file(directory, file_names[i], &ret_reading->files[i]);
	return 0;
}
