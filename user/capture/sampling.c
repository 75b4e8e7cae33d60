/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading one cgroup of thousands. kernfs makes the text anew for each read at offset 0, and gives the
 * whole of a small file in one read (fs/seq_file.c, 6.12): so one pread a file, into one buffer, straight to
 * numbers. Where no descriptor may be kept, the files are opened, read and closed, below the directory
 * whose inode was checked first: a name may be another cgroup's by now.
 */
#include "user/capture/swept.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/file.h"

/* How many slots are looked at for descriptors to take over. */
#define HAND_STEPS 64

/* Counters that only pass: their moves are not worth saying anything. */
#define PASSING_COUNTERS (1U << KW_COUNTER_CPU_USAGE_USEC | 1U << KW_COUNTER_CPU_PERIODS)

/* Length of the text in sweep->buffer, or -errno. */
static ssize_t read_text(struct kw_sweep *sweep, int fd)
{
	ssize_t got = pread(fd, sweep->buffer, sizeof(sweep->buffer), 0);

	if (got < 0)
		return errno == EINTR ? kw_file_pread_all(fd, sweep->buffer, sizeof(sweep->buffer))
				      : -errno;
	if ((size_t)got == sizeof(sweep->buffer))
		return -EFBIG;
	/* Cut short within a line: no kernel does it, but the file may lie anywhere. */
	if (got > 0 && sweep->buffer[got - 1] != '\n')
		return kw_file_pread_all(fd, sweep->buffer, sizeof(sweep->buffer));
	return got;
}

static int take_text(struct kw_sweep *sweep, struct swept *swept, enum kw_counts_file file, int fd)
{
	ssize_t length = read_text(sweep, fd);
	int r;

	if (length == -ENODEV)
		return -ENOENT;
	if (length < 0) {
		swept->known &= ~kw_counts_mask(file);
		return 0;
	}
	r = kw_counts_parse(file, sweep->buffer, (size_t)length, swept->value, &swept->known);
	if (r < 0) {
		swept->known &= ~kw_counts_mask(file);
		sweep->totals.malformed++;
	}
	return 0;
}

static int read_kept(struct kw_sweep *sweep, struct swept *swept, uint32_t files)
{
	int r = 0;

	for (int file = 0; r == 0 && file < KW_COUNTS_FILE_COUNT_; file++) {
		if (files & 1U << file && swept->files[file] >= 0)
			r = take_text(sweep, swept, (enum kw_counts_file)file, swept->files[file]);
	}
	return r;
}

static int read_once(struct kw_sweep *sweep, struct swept *swept, uint32_t files, int directory)
{
	int r = 0;

	for (int file = 0; r == 0 && file < KW_COUNTS_FILE_COUNT_; file++) {
		cleanup_close int fd = -1;

		if (!(files & 1U << file))
			continue;
		fd = openat(directory, kw_counts_file_name((enum kw_counts_file)file),
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0)
			r = take_text(sweep, swept, (enum kw_counts_file)file, fd);
		else if (errno == ENOENT)
			swept->known &= ~kw_counts_mask((enum kw_counts_file)file);
		else if (errno == ENODEV)
			r = -ENOENT;
		else
			r = -errno;
	}
	return r;
}

static int read_unkept(struct kw_sweep *sweep, struct swept *swept, uint32_t files)
{
	cleanup_close int directory = -1;
	struct stat status;
	int r = kw_swept_path(swept, sweep->path, sizeof(sweep->path));

	if (r < 0)
		return r;
	directory = openat(sweep->root_fd, sweep->path[1] ? sweep->path + 1 : ".",
			   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (directory < 0 || fstat(directory, &status) < 0)
		return -errno;
	if (status.st_ino != swept->id)
		return -ENOENT;
	kw_sampling_keep(sweep, swept, directory);
	return swept->is_kept ? read_kept(sweep, swept, files)
			      : read_once(sweep, swept, files, directory);
}

static bool is_news(const struct swept *swept, const uint64_t *before, uint32_t known_before)
{
	if (swept->known != known_before)
		return true;
	for (int i = 0; i < KW_COUNTER_COUNT_; i++) {
		if (swept->known & ~PASSING_COUNTERS & 1U << i && swept->value[i] != before[i])
			return true;
	}
	return false;
}

int kw_sampling_read(struct kw_sweep *sweep, struct swept *swept, uint32_t files)
{
	uint64_t before[KW_COUNTER_COUNT_];
	uint32_t known_before = swept->known;
	int r;

	memcpy(before, swept->value, sizeof(before));
	r = swept->is_kept ? read_kept(sweep, swept, files) : read_unkept(sweep, swept, files);
	/* What was read before the cgroup went away was true then. */
	if (is_news(swept, before, known_before)) {
		swept->is_untold = true;
		swept->has_moved = swept->is_told;
	}
	sweep->totals.readings++;
	sweep->totals.known |= swept->known;
	return r;
}

void kw_sampling_keep(struct kw_sweep *sweep, struct swept *swept, int directory)
{
	if (!swept->is_kept &&
	    sweep->descriptors + KW_COUNTS_FILE_COUNT_ > sweep->descriptors_max) {
		bool has_moved = swept->has_moved;

		swept->has_moved = false; /* the next try needs another reason */
		if (!has_moved || !kw_sampling_take_over(sweep))
			return;
	}
	for (int file = 0; file < KW_COUNTS_FILE_COUNT_; file++) {
		if (swept->files[file] >= 0)
			continue;
		swept->files[file] = openat(directory,
					    kw_counts_file_name((enum kw_counts_file)file),
					    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (swept->files[file] >= 0) {
			sweep->descriptors++;
		} else if (errno == EMFILE || errno == ENFILE) {
			/* The limit is nearer than it was said to be. */
			kw_sampling_drop(sweep, swept);
			sweep->descriptors_max = sweep->descriptors;
			return;
		} else {
			swept->known &= ~kw_counts_mask((enum kw_counts_file)file);
		}
	}
	swept->is_kept = true;
}

void kw_sampling_drop(struct kw_sweep *sweep, struct swept *swept)
{
	for (int file = 0; file < KW_COUNTS_FILE_COUNT_; file++) {
		if (swept->files[file] < 0)
			continue;
		(void)close(swept->files[file]);
		swept->files[file] = -1;
		sweep->descriptors--;
	}
	swept->is_kept = false;
}

bool kw_sampling_take_over(struct kw_sweep *sweep)
{
	for (int i = 0; i < HAND_STEPS && sweep->table.slots_used > 0; i++) {
		struct swept *swept;

		sweep->hand = (sweep->hand + 1) % sweep->table.slots_used;
		swept = sweep->table.slots[sweep->hand];
		if (!swept || !swept->is_kept)
			continue;
		if (!swept->has_moved) {
			kw_sampling_drop(sweep, swept);
			return sweep->descriptors + KW_COUNTS_FILE_COUNT_ <= sweep->descriptors_max;
		}
		swept->has_moved = false;
	}
	return false;
}
