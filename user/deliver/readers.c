/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Readers that want every line: each keeps a file "cursors/<name>" beside the segments, with the sequence of
 * the last line that it needs no more. Retention does not remove what one of them has not passed. A file that
 * cannot be understood holds everything: its reader may have read nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/file.h"
#include "user/base/text.h"
#include "user/deliver/deliver.h"

#define DIRECTORY "cursors"
#define TEXT_BYTES 24

static bool is_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < KW_READER_NAME_BYTES && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-") ==
		       length;
}

static void close_directory(DIR **directory)
{
	if (*directory)
		(void)closedir(*directory);
}

static uint64_t read_one(int directory, const char *name)
{
	cleanup_bytes struct kw_bytes text;
	uint64_t sequence;

	kw_bytes_init(&text, TEXT_BYTES);
	if (kw_file_read(directory, name, &text) < 0 || text.length < 2 ||
	    text.data[text.length - 1] != '\n' ||
	    kw_text_parse_u64(text.data, text.length - 1, &sequence) < 0)
		return 0;
	return sequence;
}

int kw_readers_lowest(int directory, uint64_t *ret_sequence,
		      char ret_name[static KW_READER_NAME_BYTES])
{
	int fd = openat(directory, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	cleanup(close_directory) DIR *entries = NULL;
	const struct dirent *entry;

	*ret_sequence = UINT64_MAX;
	ret_name[0] = '\0';
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	entries = fdopendir(fd);
	if (!entries) {
		int error = -errno;

		(void)close(fd);
		return error;
	}
	for (errno = 0; (entry = readdir(entries)); errno = 0) {
		uint64_t sequence;

		if (!is_name(entry->d_name))
			continue;
		sequence = read_one(fd, entry->d_name);
		if (sequence >= *ret_sequence)
			continue;
		*ret_sequence = sequence;
		(void)snprintf(ret_name, KW_READER_NAME_BYTES, "%s", entry->d_name);
	}
	return errno ? -errno : 0;
}

/* Opens the directory of cursors. Returns an fd or -errno. */
static int open_cursors(const char *path)
{
	cleanup_close int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (directory < 0)
		return -errno;
	if (mkdirat(directory, DIRECTORY, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(directory, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int kw_reader_keep(const char *path, const char *name, uint64_t sequence)
{
	cleanup_close int fd = -1;
	char text[TEXT_BYTES];
	int length;

	if (!is_name(name))
		return -EINVAL;
	fd = open_cursors(path);
	if (fd < 0)
		return fd;
	length = snprintf(text, sizeof(text), "%" PRIu64 "\n", sequence);
	return kw_file_replace(fd, name, text, (size_t)length, 0600);
}

int kw_reader_forget(const char *path, const char *name)
{
	cleanup_close int fd = -1;

	if (!is_name(name))
		return -EINVAL;
	fd = open_cursors(path);
	if (fd < 0)
		return fd;
	return unlinkat(fd, name, 0) < 0 || fsync(fd) < 0 ? -errno : 0;
}
