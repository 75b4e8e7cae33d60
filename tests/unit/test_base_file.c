/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/file.h"

static void replace_is_whole(void **state)
{
	char *directory = support_directory();
	cleanup_close int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_bytes struct kw_bytes bytes;

	(void)state;
	kw_bytes_init(&bytes, 100);
	assert_int_equal(kw_file_replace(fd, "a", "one", 3, 0600), 0);
	assert_int_equal(kw_file_replace(fd, "a", "second", 6, 0600), 0);
	assert_int_equal(kw_file_read(fd, "a", &bytes), 0);
	assert_string_equal(bytes.data, "second");
	assert_int_equal(kw_file_replace(fd, "b/c", "x", 1, 0600), -ENOENT);
	support_remove(directory);
}

static void read_refuses_what_is_no_plain_file(void **state)
{
	char *directory = support_directory();
	cleanup_close int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_bytes struct kw_bytes bytes;

	(void)state;
	kw_bytes_init(&bytes, 4);
	support_write(directory, "long", "12345");
	assert_int_equal(kw_file_read(fd, "long", &bytes), -EFBIG);
	kw_bytes_clear(&bytes);
	assert_int_equal(symlinkat("long", fd, "link"), 0);
	assert_int_equal(kw_file_read(fd, "link", &bytes), -ELOOP);
	assert_int_equal(mkfifoat(fd, "fifo", 0600), 0);
	assert_int_equal(kw_file_read(fd, "fifo", &bytes), -EINVAL); /* and does not hang */
	assert_int_equal(kw_file_read(fd, ".", &bytes), -EINVAL);
	assert_int_equal(kw_file_read(fd, "none", &bytes), -ENOENT);
	support_remove(directory);
}

static void directories_are_made(void **state)
{
	char *directory = support_directory();
	char path[256];
	struct stat status;
	int fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/x/y", directory);
	fd = kw_file_open_directory(path, 0700);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	(void)close(fd);
	support_write(directory, "file", "");
	(void)snprintf(path, sizeof(path), "%s/file", directory);
	assert_int_equal(kw_file_open_directory(path, 0700), -ENOTDIR);
	support_remove(directory);
}

static void buffers_have_a_maximum(void **state)
{
	cleanup_bytes struct kw_bytes bytes;

	(void)state;
	kw_bytes_init(&bytes, 1000);
	for (int i = 0; i < 100; i++)
		kw_bytes_append_format(&bytes, "%010d", i);
	assert_int_equal(kw_bytes_error(&bytes), 0);
	assert_int_equal(bytes.length, 1000);
	kw_bytes_append_char(&bytes, 'x');
	assert_int_equal(kw_bytes_error(&bytes), -EMSGSIZE);
	kw_bytes_append_string(&bytes, ""); /* sticky */
	assert_int_equal(kw_bytes_error(&bytes), -EMSGSIZE);
	assert_int_equal(bytes.length, 1000);
	kw_bytes_clear(&bytes);
	kw_bytes_append_string(&bytes, "again");
	assert_string_equal(bytes.data, "again");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(replace_is_whole),
		support_test(read_refuses_what_is_no_plain_file),
		support_test(directories_are_made),
		support_test(buffers_have_a_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
