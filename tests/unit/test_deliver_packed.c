/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Compressed segments are read as if they were not, and damaged ones are told. */
#include "deliver_lines.h"

#include <zstd.h>

#define THIRD "00000000000000000007.jsonl"

/* Compresses a segment as anybody's zstd would; the plain one goes, unless it is to be kept. */
static void pack(const char *directory, const char *name, bool keep)
{
	cleanup_bytes struct kw_bytes text = slurp(directory, name);
	size_t bound = ZSTD_compressBound(text.length), size;
	char packed[512], path[512];
	char *out = malloc(bound);

	size = ZSTD_compress(out, bound, text.data, text.length, 19);
	assert_false(ZSTD_isError(size));
	assert_in_range(snprintf(packed, sizeof(packed), "%s.zst", name), 1, 511);
	append_raw(directory, packed, out, size);
	free(out);
	path_of(path, directory, name);
	if (!keep)
		assert_int_equal(unlink(path), 0);
}

/* Three lines a segment, sequences 1 to last. */
static void fill(const char *directory, uint64_t last)
{
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, 500, &found);

	for (uint64_t sequence = found.head.sequence + 1; sequence <= last; sequence++)
		append_plain(ledger, sequence);
	kw_ledger_free(ledger);
}

static void assert_lines(struct kw_cursor *cursor, uint64_t first, uint64_t last)
{
	for (uint64_t sequence = first; sequence <= last; sequence++) {
		char expected[LINE_BYTES];
		size_t length, expected_length = make_line(expected, sequence, KW_TYPE_CGROUP,
							   "\"n\":18446744073709551615");
		const char *line;

		assert_int_equal(kw_cursor_next(cursor, &line, &length), 1);
		assert_int_equal(length, expected_length - 1);
		assert_memory_equal(line, expected, length);
	}
}

static void assert_end(struct kw_cursor *cursor)
{
	const char *line;
	size_t length;

	assert_int_equal(kw_cursor_next(cursor, &line, &length), 0);
}

static void test_cursor(void **state)
{
	char *directory = support_directory();
	struct kw_cursor *cursor = NULL;

	(void)state;
	fill(directory, 12);
	assert_true(size_of(directory, THIRD) > 0);
	pack(directory, FIRST_SEGMENT, false);
	pack(directory, THIRD, true); /* both ways: each line once */
	assert_int_equal(kw_cursor_open(directory, 1, &cursor), 0);
	assert_lines(cursor, 1, 12);
	assert_end(cursor);
	kw_cursor_free(cursor);
	pack(directory, "00000000000000000004.jsonl", false);
	for (uint64_t first = 1; first <= 12; first++) {
		assert_int_equal(kw_cursor_open(directory, first, &cursor), 0);
		assert_lines(cursor, first, 12);
		assert_end(cursor);
		kw_cursor_free(cursor);
	}
	for (uint64_t lines = 1; lines <= 13; lines++) {
		assert_int_equal(kw_cursor_open_tail(directory, lines, &cursor), 0);
		assert_lines(cursor, lines > 12 ? 1 : 13 - lines, 12);
		assert_end(cursor);
		kw_cursor_free(cursor);
	}
	support_remove(directory);
}

static void test_damaged(void **state)
{
	static const char name[] = "00000000000000000001.jsonl.zst";
	char *directory = support_directory();
	struct kw_cursor *cursor = NULL;
	const char *line;
	size_t length;
	char path[512];
	int r;

	(void)state;
	fill(directory, 6);
	pack(directory, FIRST_SEGMENT, false);
	path_of(path, directory, name);
	assert_int_equal(truncate(path, size_of(directory, name) - 9), 0);
	assert_int_equal(kw_cursor_open(directory, 1, &cursor), 0);
	do
		r = kw_cursor_next(cursor, &line, &length);
	while (r == 1);
	assert_int_equal(r, -EBADMSG);
	kw_cursor_free(cursor);
	support_remove(directory);
}

static void test_recover(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, 500, &found);

	(void)state;
	append_typed(ledger, 1, KW_TYPE_GAP, "\"bootId\":\"boot-one\",\"kind\":\"start\"");
	append_typed(ledger, 2, KW_TYPE_OOM_KILL, "\"incident\":\"incident-one\"");
	for (uint64_t sequence = 3; sequence <= 8; sequence++)
		append_plain(ledger, sequence);
	kw_ledger_free(ledger);
	pack(directory, FIRST_SEGMENT, false);
	ledger = open_ledger(directory, 500, &found);
	assert_int_equal(found.head.sequence, 8);
	assert_string_equal(found.last_boot_id, "boot-one");
	assert_int_equal(found.open_incidents, 1);
	assert_true(kw_ledger_has_id(ledger, "id-1"));
	assert_true(kw_ledger_has_id(ledger, "id-8"));
	assert_false(kw_ledger_has_id(ledger, "id-9"));
	kw_ledger_free(ledger);
	support_remove(directory);
}

/* A ledger whose last segment is compressed was cut or restored by somebody: it is not an empty one. */
static void test_last_is_packed(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = NULL;

	(void)state;
	fill(directory, 2);
	pack(directory, FIRST_SEGMENT, false);
	assert_int_equal(kw_ledger_open(directory, SEGMENT_MAX, &ledger, &found), -EBADMSG);
	support_remove(directory);
}

static ssize_t unpack_all(const void *data, size_t length, char *buffer, size_t size)
{
	struct kw_unpack *unpack = NULL;
	char *directory = support_directory();
	ssize_t got, total = 0;
	char path[512];
	int fd;

	append_raw(directory, "file", data, length);
	path_of(path, directory, "file");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(kw_unpack_new(fd, &unpack), 0);
	while ((got = kw_unpack_read(unpack, buffer + total, size - (size_t)total)) > 0)
		total += got;
	assert_true(got == 0 || kw_unpack_reason(unpack) != NULL);
	kw_unpack_free(unpack);
	(void)close(fd);
	support_remove(directory);
	return got < 0 ? got : total;
}

/* Joined as `cat` joins them: two compressed, one not. And a frame that wants more memory than we give. */
static void test_unpack(void **state)
{
	char joined[1024], text[256], *big;
	ZSTD_CCtx *context = ZSTD_createCCtx();
	ZSTD_outBuffer out = { joined, sizeof(joined), 0 };
	ZSTD_inBuffer in = { "x", 1, 0 };
	size_t length;

	(void)state;
	length = ZSTD_compress(joined, sizeof(joined), "one\n", 4, 3);
	length += ZSTD_compress(joined + length, sizeof(joined) - length, "two\n", 4, 3);
	memcpy(joined + length, "three\n", 6);
	assert_int_equal(unpack_all(joined, length + 6, text, sizeof(text)), 14);
	assert_memory_equal(text, "one\ntwo\nthree\n", 14);
	assert_int_equal(unpack_all("{}\n", 3, text, sizeof(text)), 3);
	assert_int_equal(unpack_all("{", 1, text, sizeof(text)), 1);
	assert_int_equal(unpack_all("", 0, text, sizeof(text)), 0);
	for (size_t cut = 1; cut < 17; cut++)
		assert_int_not_equal(unpack_all(joined, cut, text, sizeof(text)), 14);

	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27)));
	assert_false(ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context, 1U << 28)));
	big = calloc(1, 1U << 20);
	for (int i = 0; i < 4; i++) {
		in = (ZSTD_inBuffer){ big, 1U << 20, 0 };
		(void)ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
	}
	assert_true(out.pos > 0);
	assert_int_equal(unpack_all(joined, out.pos, text, sizeof(text)), -EBADMSG);
	free(big);
	(void)ZSTD_freeCCtx(context);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_cursor),  support_test(test_damaged),
		support_test(test_recover), support_test(test_last_is_packed),
		support_test(test_unpack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
