/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The last minute of memory.current of those cgroups that can run out of it: where there is a limit, or
 * somebody asked. Kept in pages of 4 KiB, so that a minute takes 64 bytes; the kernel charges whole pages
 * (mm/memcontrol.c), which are never smaller.
 */
#include "user/capture/swept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/file.h"
#include "user/base/text.h"

#define PAGE_BYTES 4096U
/* A round that comes a little early must not make the next sample come a whole round late. */
#define EARLY_NS (KW_HISTORY_EVERY_NS / 10)

static bool has_limit(int directory)
{
	cleanup_close int fd = openat(directory, "memory.max", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[32];
	ssize_t length;

	if (fd < 0)
		return false;
	length = kw_file_pread_all(fd, text, sizeof(text));
	return length > 0 && text[0] >= '0' && text[0] <= '9';
}

void kw_history_decide(struct kw_sweep *sweep, struct swept *swept, int directory)
{
	bool wanted = has_limit(directory);

	if (!wanted && sweep->options.is_followed &&
	    kw_swept_path(swept, sweep->path, sizeof(sweep->path)) == 0)
		wanted = sweep->options.is_followed(sweep->options.context, sweep->path);
	if (!wanted) {
		kw_history_drop(sweep, swept);
	} else if (!swept->history && sweep->histories < KW_HISTORIES_MAX) {
		/* No memory for it: no history, as at the cap. */
		swept->history = calloc(1, sizeof(*swept->history));
		sweep->histories += swept->history != NULL;
	}
}

void kw_history_drop(struct kw_sweep *sweep, struct swept *swept)
{
	sweep->histories -= swept->history != NULL;
	free(swept->history);
	swept->history = NULL;
}

static int read_current(struct kw_sweep *sweep, const struct swept *swept, uint64_t *ret_bytes)
{
	char directory[KW_PATH_MAX], path[KW_PATH_MAX + sizeof("/memory.current")], text[32];
	cleanup_close int fd = -1;
	ssize_t length;
	int r = kw_swept_path(swept, directory, sizeof(directory));

	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/memory.current", directory);
	fd = openat(sweep->root_fd, path + strspn(path, "/"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	length = kw_file_pread_all(fd, text, sizeof(text));
	if (length < 0)
		return (int)length;
	return kw_text_parse_u64(
		text, strcspn(text, "\n") < (size_t)length ? strcspn(text, "\n") : (size_t)length,
		ret_bytes);
}

void kw_history_sample(struct kw_sweep *sweep, struct swept *swept, uint64_t now_boot_ns)
{
	struct swept_history *history = swept->history;
	uint64_t bytes = 0;

	if (!history || (history->count > 0 &&
			 now_boot_ns < history->last_boot_ns + KW_HISTORY_EVERY_NS - EARLY_NS))
		return;
	if (read_current(sweep, swept, &bytes) < 0)
		return;
	bytes /= PAGE_BYTES;
	history->pages[history->count % KW_HISTORY_SAMPLES] = bytes > UINT32_MAX ? UINT32_MAX
										 : (uint32_t)bytes;
	history->count++;
	history->last_boot_ns = now_boot_ns;
}

int kw_sweep_history(const struct kw_sweep *sweep, const char *path, struct kw_history *ret_history)
{
	const struct swept *swept = kw_swept_by_path(&sweep->table, path);
	const struct swept_history *history = swept ? swept->history : NULL;
	uint32_t count;

	if (!history || history->count == 0)
		return -ENODATA;
	count = history->count < KW_HISTORY_SAMPLES ? history->count : KW_HISTORY_SAMPLES;
	ret_history->interval_ms = (uint32_t)(KW_HISTORY_EVERY_NS / KW_NSEC_PER_MSEC);
	ret_history->last_boot_ns = history->last_boot_ns;
	ret_history->count = count;
	for (uint32_t i = 0; i < count; i++)
		ret_history->bytes[i] =
			(uint64_t)
				history->pages[(history->count - count + i) % KW_HISTORY_SAMPLES] *
			PAGE_BYTES;
	return 0;
}
