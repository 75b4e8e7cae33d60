/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whole files. Everything is opened close-on-exec and without following a link in the last component:
 * the daemon reads directories that others may write to.
 */
#include "user/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK 4096U

int kw_file_read(int directory, const char *path, struct kw_bytes *bytes)
{
	/* O_NONBLOCK: a FIFO put there by somebody else must not stop us. */
	cleanup_close int fd =
		openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;
	char chunk[CHUNK];

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	for (;;) {
		ssize_t got = read(fd, chunk, sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		kw_bytes_append(bytes, chunk, (size_t)got);
		if (kw_bytes_error(bytes) < 0)
			return kw_bytes_error(bytes) == -EMSGSIZE ? -EFBIG : kw_bytes_error(bytes);
	}
	return 0;
}

ssize_t kw_file_pread_all(int fd, char *buffer, size_t size)
{
	size_t used = 0;

	for (;;) {
		ssize_t got = pread(fd, buffer + used, size - used, (off_t)used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return (ssize_t)used;
		used += (size_t)got;
		if (used == size)
			return -EFBIG;
	}
}

int kw_file_write_all(int fd, const void *data, size_t length)
{
	const char *next = data;

	while (length > 0) {
		ssize_t written = write(fd, next, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		next += written;
		length -= (size_t)written;
	}
	return 0;
}

static int fill_and_rename(int directory, int fd, const char *temporary, const char *name,
			   const void *data, size_t length)
{
	int r = kw_file_write_all(fd, data, length);

	if (r < 0)
		return r;
	if (fsync(fd) < 0 || renameat(directory, temporary, directory, name) < 0 ||
	    fsync(directory) < 0)
		return -errno;
	return 0;
}

int kw_file_replace(int directory, const char *name, const void *data, size_t length, mode_t mode)
{
	char temporary[NAME_MAX + 1];
	cleanup_close int fd = -1;
	int r;

	r = snprintf(temporary, sizeof(temporary), ".%s.%d.new", name, (int)getpid());
	if (r < 0 || (size_t)r >= sizeof(temporary))
		return -ENAMETOOLONG;
	/* One of the same name was left by a process of the same number that ended in between. */
	if (unlinkat(directory, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    mode);
	if (fd < 0)
		return -errno;
	r = fill_and_rename(directory, fd, temporary, name, data, length);
	if (r < 0)
		(void)unlinkat(directory, temporary, 0);
	return r;
}

int kw_file_open_directory(const char *path, mode_t mode)
{
	char partial[PATH_MAX];
	size_t length = strlen(path);
	int fd;

	if (length == 0 || length >= sizeof(partial))
		return length == 0 ? -EINVAL : -ENAMETOOLONG;
	for (size_t i = 0; i <= length; i++) {
		bool last = i == length;

		partial[i] = '\0';
		if (i > 0 && (path[i] == '/' || last) && mkdir(partial, last ? mode : 0755) < 0 &&
		    errno != EEXIST)
			return -errno;
		partial[i] = path[i];
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
