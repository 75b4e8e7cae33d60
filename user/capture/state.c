/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a cgroup is like now: whether anybody lives in it, what it holds and what it may hold. Asked for
 * rarely, when a guest's word is to be judged, so nothing is kept open. Files: Documentation/
 * admin-guide/cgroup-v2.rst; memory.peak since 5.19, pids.peak since 6.1: what is missing is not known.
 */
#include "user/capture/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "user/base/file.h"
#include "user/base/text.h"

/* Files of one number, or "max". */
static const struct {
	const char *name;
	size_t offset;
	uint32_t known;
	bool of_ancestors; /* the smallest of them binds */
} numbers[] = {
	{ "memory.current", offsetof(struct kw_state, memory_bytes), KW_STATE_MEMORY, false },
	{ "memory.max", offsetof(struct kw_state, memory_max_bytes), KW_STATE_MEMORY_MAX, true },
	{ "pids.current", offsetof(struct kw_state, pids), KW_STATE_PIDS, false },
	{ "pids.max", offsetof(struct kw_state, pids_max), KW_STATE_PIDS_MAX, true },
	{ "pids.peak", offsetof(struct kw_state, pids_peak), KW_STATE_PIDS_PEAK, false },
};

static ssize_t read_text(int directory, const char *name, char *text, size_t size)
{
	cleanup_close int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : kw_file_pread_all(fd, text, size);
}

static bool read_number(int directory, const char *name, uint64_t *ret_number)
{
	char text[32];
	ssize_t length = read_text(directory, name, text, sizeof(text));

	if (length > 0 && text[length - 1] == '\n')
		length--;
	if (length <= 0)
		return false;
	if (length == 3 && memcmp(text, "max", 3) == 0) {
		*ret_number = KW_UNLIMITED;
		return true;
	}
	return kw_text_parse_u64(text, (size_t)length, ret_number) == 0;
}

/* The root has none of the limits, and no ancestor above the root is looked at. */
static void lower_by_ancestors(int directory, unsigned int depth, const char *name,
			       uint64_t *number)
{
	char path[3 * KW_CGROUP_DEPTH_MAX + 32];
	size_t at = 0;

	for (unsigned int i = 1; i < depth && i < KW_CGROUP_DEPTH_MAX; i++) {
		uint64_t above;

		/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the name comes behind it */
		memcpy(path + at, "../", 3);
		at += 3;
		(void)snprintf(path + at, sizeof(path) - at, "%s", name);
		if (read_number(directory, path, &above) && above < *number)
			*number = above;
	}
}

static bool read_key(int directory, const char *name, const char *key, uint64_t *ret_value)
{
	char text[KW_FLAT_FILE_MAX];
	struct kw_flat flat;
	ssize_t length = read_text(directory, name, text, sizeof(text));

	return length >= 0 && kw_counters_parse(text, (size_t)length, &flat) == 0 &&
	       kw_counters_get(&flat, key, ret_value);
}

static void read_keys(int directory, struct kw_state *state)
{
	uint64_t populated;

	if (read_key(directory, "cgroup.events", "populated", &populated)) {
		state->known |= KW_STATE_POPULATED;
		state->is_populated = populated != 0;
	}
	if (read_key(directory, "cpu.stat", "usage_usec", &state->cpu_usec))
		state->known |= KW_STATE_CPU;
	if (read_key(directory, "memory.events", "oom_kill", &state->oom_kill))
		state->known |= KW_STATE_OOM_KILL;
}

/* Path components: the depth below the root. */
static unsigned int depth_of(const char *path)
{
	unsigned int depth = 0;

	for (; *path; path++)
		depth += path[0] == '/' && path[1] != '\0';
	return depth;
}

int kw_state_read(const char *root_path, const char *path, const struct kw_clock *clock,
		  struct kw_state *ret_state)
{
	cleanup_close int root = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int directory = -1;
	struct kw_state state = { .boot_ns = kw_clock_boot_ns(clock) };

	if (root < 0)
		return -errno;
	/* Only cgroup v2 has it: elsewhere a directory that is missing says nothing. */
	if (faccessat(root, "cgroup.controllers", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return -ENOTSUP;
	if (path[0] != '/' || path[1] == '\0')
		return -EINVAL;
	directory = openat(root, path + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 && errno != ENOENT)
		return -errno;
	state.is_gone = directory < 0;
	for (size_t i = 0; i < kw_array_size(numbers) && !state.is_gone; i++) {
		uint64_t number;

		if (!read_number(directory, numbers[i].name, &number))
			continue;
		if (numbers[i].of_ancestors)
			lower_by_ancestors(directory, depth_of(path), numbers[i].name, &number);
		memcpy((char *)&state + numbers[i].offset, &number, sizeof(number));
		state.known |= numbers[i].known;
	}
	if (!state.is_gone)
		read_keys(directory, &state);
	*ret_state = state;
	return 0;
}
