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
#include <unistd.h>

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

/* 0, -EBADMSG: not a sequence and a newline, -errno. */
static int read_one(int directory, const char *name, uint64_t *ret_sequence)
{
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, TEXT_BYTES);
	r = kw_file_read(directory, name, &text);
	if (r < 0)
		return r == -EFBIG ? -EBADMSG : r;
	if (text.length < 2 || text.data[text.length - 1] != '\n' ||
	    kw_text_parse_u64(text.data, text.length - 1, ret_sequence) < 0)
		return -EBADMSG;
	return 0;
}

/* Calls back for each reader of the ledger; a ledger that never had one has none. */
static int each(int ledger, kw_readers_fn callback, void *context)
{
	int fd = openat(ledger, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	cleanup(close_directory) DIR *entries = NULL;
	const struct dirent *entry;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	entries = fdopendir(fd);
	if (!entries) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	for (errno = 0; r == 0 && (entry = readdir(entries)); errno = 0) {
		struct kw_reader reader = { .sequence = 0 };

		if (!is_name(entry->d_name))
			continue;
		(void)snprintf(reader.name, sizeof(reader.name), "%s", entry->d_name);
		reader.is_understood = read_one(fd, entry->d_name, &reader.sequence) == 0;
		r = callback(context, &reader);
	}
	return r == 0 && errno ? -errno : r;
}

static int keep_lowest(void *context, const struct kw_reader *reader)
{
	struct kw_reader *lowest = context;

	if (reader->sequence < lowest->sequence)
		*lowest = *reader;
	return 0;
}

int kw_readers_lowest(int directory, uint64_t *ret_sequence,
		      char ret_name[static KW_READER_NAME_BYTES])
{
	struct kw_reader lowest = { .sequence = UINT64_MAX };
	int r = each(directory, keep_lowest, &lowest);

	*ret_sequence = lowest.sequence;
	memcpy(ret_name, lowest.name, KW_READER_NAME_BYTES);
	return r;
}

int kw_readers_each(const char *path, kw_readers_fn callback, void *context)
{
	cleanup_close int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return directory < 0 ? -errno : each(directory, callback, context);
}

/* A directory that root has made is the ledger's owner's: his readers put their files into it. */
static int own(int directory, const char *name)
{
	cleanup_close int fd =
		openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	struct stat ledger, made;

	if (fd < 0 || fstat(directory, &ledger) < 0 || fstat(fd, &made) < 0)
		return -errno;
	if (geteuid() != 0 || (made.st_uid == ledger.st_uid && made.st_gid == ledger.st_gid))
		return 0;
	return fchown(fd, ledger.st_uid, ledger.st_gid) < 0 ? -errno : 0;
}

/* Opens the directory of cursors. Returns an fd or -errno. */
static int open_cursors(const char *path)
{
	cleanup_close int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd, r = 0;

	if (directory < 0)
		return -errno;
	if (mkdirat(directory, DIRECTORY, 0700) == 0)
		r = own(directory, DIRECTORY);
	else if (errno != EEXIST)
		r = -errno;
	if (r < 0)
		return r;
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

int kw_reader_find(const char *path, const char *name, uint64_t *ret_sequence)
{
	cleanup_close int directory = -1, fd = -1;

	if (!is_name(name))
		return -EINVAL;
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	fd = openat(directory, DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : read_one(fd, name, ret_sequence);
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
