/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A place in a compressed segment is found without what stands before its frame. */
#include "deliver_lines.h"

#include <fcntl.h>
#include <zstd.h>

#include "user/deliver/frames.h"
#include "user/deliver/pack.h"

#define TEXT_BYTES (3U * KW_SEGMENT_FRAME_BYTES + 12345U)
#define PACKED FIRST_SEGMENT ".zst"

/* Text that compresses no better than a ledger does. */
static char *make_text(void)
{
	char *text = malloc(TEXT_BYTES);
	uint64_t state = 88172645463325252ULL;

	assert_non_null(text);
	for (size_t i = 0; i < TEXT_BYTES; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		text[i] = i % 1500 == 1499 ? '\n' : (char)('a' + state % 16);
	}
	text[TEXT_BYTES - 1] = '\n';
	/* A block that repeats one byte. */
	memset(text + KW_SEGMENT_FRAME_BYTES + 1000, 'x', 300000);
	return text;
}

static int open_in(const char *directory, const char *name)
{
	char path[512];

	path_of(path, directory, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void assert_text(int fd, uint64_t skip, const char *expected, size_t length)
{
	cleanup(kw_unpack_freep) struct kw_unpack *unpack = NULL;
	char buffer[4096];

	assert_int_equal(kw_unpack_new(fd, &unpack), 0);
	while (skip > 0) {
		ssize_t got = kw_unpack_read(unpack, buffer, skip < 4096 ? skip : 4096);

		assert_true(got > 0);
		skip -= (uint64_t)got;
	}
	for (size_t done = 0; done < length;) {
		ssize_t got = kw_unpack_read(unpack, buffer + done, length - done);

		assert_true(got > 0);
		done += (size_t)got;
	}
	assert_memory_equal(buffer, expected, length);
}

static void test_seek(void **state)
{
	char *directory = support_directory(), *text = make_text();
	int at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	atomic_bool stop = false;
	uint64_t start;

	(void)state;
	append_raw(directory, FIRST_SEGMENT, text, TEXT_BYTES);
	assert_int_equal(kw_pack_segment(at, 1, &stop), 0);
	fd = open_in(directory, PACKED);
	assert_true(fd >= 0);
	for (uint64_t offset = 0; offset + 100 < TEXT_BYTES; offset += 98765) {
		assert_int_equal(kw_frames_seek(fd, offset, &start), 0);
		assert_int_equal(start, offset - offset % KW_SEGMENT_FRAME_BYTES);
		assert_text(fd, offset - start, text + offset, 100);
	}
	/* Over the border of two frames. */
	assert_int_equal(kw_frames_seek(fd, KW_SEGMENT_FRAME_BYTES - 10, &start), 0);
	assert_int_equal(start, 0);
	assert_text(fd, KW_SEGMENT_FRAME_BYTES - 10, text + KW_SEGMENT_FRAME_BYTES - 10, 100);
	assert_int_equal(kw_frames_seek(fd, TEXT_BYTES, &start), -EBADMSG);
	(void)close(fd);
	(void)close(at);
	free(text);
	support_remove(directory);
}

/* Frames as others make them, and bytes that are none. */
static void test_foreign(void **state)
{
	char *directory = support_directory(), packed[256], path[512];
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_outBuffer out = { packed, sizeof(packed), 0 };
	ZSTD_inBuffer in = { "four\n", 5, 0 };
	uint64_t start = 0;
	size_t length;
	int fd;

	(void)state;
	length = ZSTD_compress(packed, sizeof(packed), "one\n", 4, 3);
	/* Behind it one that does not say how long it is. */
	out.pos = length;
	assert_int_equal(ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush), 0);
	assert_int_equal(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0);
	(void)ZSTD_freeCCtx(context);
	append_raw(directory, PACKED, packed, out.pos);
	fd = open_in(directory, PACKED);
	assert_int_equal(kw_frames_seek(fd, 3, &start), 0);
	assert_int_equal(start, 0);
	for (uint64_t offset = 4; offset < 1000; offset += 333) {
		assert_int_equal(kw_frames_seek(fd, offset, &start), 0);
		assert_int_equal(start, 4);
	}
	assert_text(fd, 0, "four\n", 5);
	(void)close(fd);
	/* Cut within the first frame: there is no second one to be found. */
	for (size_t cut = 0; cut < length; cut++) {
		append_raw(directory, "cut", packed, cut);
		fd = open_in(directory, "cut");
		assert_int_equal(kw_frames_seek(fd, 4, &start), -EBADMSG);
		(void)close(fd);
		path_of(path, directory, "cut");
		assert_int_equal(unlink(path), 0);
	}
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_seek),
		support_test(test_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
