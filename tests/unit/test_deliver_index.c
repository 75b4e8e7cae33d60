/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The index: every path it gives is that of the tree that grew over the lines, whatever the segments; and whatever
 * becomes of its files, it is an error or an answer, and never more than that. */
#include "deliver_lines.h"

#include <stdatomic.h>

#include "user/attest/digest.h"
#include "user/deliver/archive.h"
#include "user/deliver/index.h"
#include "user/deliver/segments.h"

static int open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void write_lines(const char *directory, uint64_t last, uint64_t lines_per_segment)
{
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);

	for (uint64_t sequence = 1; sequence <= last; sequence++) {
		append_plain(ledger, sequence);
		if (sequence % lines_per_segment == 0)
			kw_ledger_close_segment(ledger);
	}
	kw_ledger_free(ledger);
}

static uint64_t make_all(int directory)
{
	uint64_t above = 0, made = 0, last;

	assert_int_equal(kw_index_last(directory, &last), 0);
	assert_int_equal(kw_index_make_closed(directory, &above, last, NULL, &made), 0);
	return made;
}

static void leaf_of(uint64_t sequence, unsigned char *ret_leaf)
{
	char text[LINE_BYTES];
	size_t length = make_line(text, sequence, KW_TYPE_CGROUP, "\"n\":18446744073709551615");

	kw_tree_leaf(kw_digest_pieces, text, length - 1, ret_leaf);
}

/* Of line index + 1 among size lines: by the index, and by growing over all of them. */
static void compare_proof(struct kw_indexes *indexes, uint64_t index, uint64_t size)
{
	unsigned char leaf[KW_TREE_HASH_BYTES], root[2][KW_TREE_HASH_BYTES],
		proof[2][KW_TREE_LEVELS][KW_TREE_HASH_BYTES];
	struct kw_tree_path path[2] = { { .index = index }, { .index = index } };
	struct kw_tree tree[2];
	size_t count;

	kw_tree_init(&tree[0], kw_digest_pieces);
	for (uint64_t i = 0; i < size; i++) {
		leaf_of(i + 1, leaf);
		kw_tree_append(&tree[0], leaf, &path[0]);
	}
	assert_int_equal(kw_indexes_tree(indexes, size, &tree[1], &path[1]), 0);
	kw_tree_root(&tree[0], root[0]);
	kw_tree_root(&tree[1], root[1]);
	assert_memory_equal(root[0], root[1], KW_TREE_HASH_BYTES);
	count = kw_tree_prove(&tree[0], &path[0], proof[0]);
	assert_int_equal(kw_tree_prove(&tree[1], &path[1], proof[1]), count);
	assert_memory_equal(proof[0], proof[1], count * KW_TREE_HASH_BYTES);
	leaf_of(index + 1, leaf);
	assert_true(
		kw_tree_includes(kw_digest_pieces, index, size, leaf, proof[1], count, root[0]));
}

static void compare_line(struct kw_indexes *indexes, uint64_t sequence)
{
	cleanup_bytes struct kw_bytes line;
	char text[LINE_BYTES], id[32];
	uint64_t found = 0;
	size_t length = make_line(text, sequence, KW_TYPE_CGROUP, "\"n\":18446744073709551615");

	kw_bytes_init(&line, LINE_BYTES);
	assert_int_equal(kw_indexes_read_line(indexes, sequence, &line), 0);
	assert_int_equal(line.length, length - 1);
	assert_memory_equal(line.data, text, length - 1);
	(void)snprintf(id, sizeof(id), "id-%llu", (unsigned long long)sequence);
	assert_int_equal(kw_indexes_find_id(indexes, id, &found), 1);
	assert_int_equal(found, sequence);
}

/* Every leaf at every size up to 70, in segments of 1, 3, 7, 64 and 71 lines, plain and compressed. */
static void test_every_path(void **state)
{
	static const uint64_t per_segment[] = { 1, 3, 7, 64, 71 };

	(void)state;
	for (size_t i = 0; i < kw_array_size(per_segment); i++) {
		cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
		char *directory = support_directory();
		uint64_t end, found;
		int fd;

		write_lines(directory, 72, per_segment[i]);
		fd = open_directory(directory);
		assert_int_equal(make_all(fd), 71 / per_segment[i]);
		assert_int_equal(make_all(fd), 0);
		assert_int_equal(kw_indexes_open(fd, &indexes), 0);
		assert_int_equal(kw_indexes_end(indexes, &end), 0);
		assert_int_equal(end, 71 / per_segment[i] * per_segment[i]);
		for (uint64_t size = 1; size <= end; size++) {
			for (uint64_t index = 0; index < size; index++)
				compare_proof(indexes, index, size);
			compare_line(indexes, size);
		}
		assert_int_equal(kw_indexes_find_id(indexes, "id-72", &found), 0);
		assert_int_equal(kw_indexes_find_id(indexes, "id-", &found), 0);
		(void)close(fd);
		support_remove(directory);
	}
}

/* Larger subtrees, which are kept and not hashed anew, within segments and over their borders. */
static void test_larger(void **state)
{
	cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
	char *directory = support_directory();
	int fd;

	(void)state;
	write_lines(directory, 4001, 777);
	fd = open_directory(directory);
	assert_int_equal(make_all(fd), 5);
	assert_int_equal(kw_indexes_open(fd, &indexes), 0);
	srand(1);
	for (int i = 0; i < 60; i++) {
		uint64_t size = (uint64_t)rand() % 3885 + 1, index = (uint64_t)rand() % size;

		compare_proof(indexes, index, size);
		compare_line(indexes, index + 1);
	}
	compare_proof(indexes, 0, 2048);
	compare_proof(indexes, 2047, 2048);
	compare_proof(indexes, 3884, 3885);
	(void)close(fd);
	support_remove(directory);
}

/* What a tree at the index's end has of a path goes on while it grows. */
static void test_goes_on(void **state)
{
	struct kw_tree_path path[2] = { { .index = 5 }, { .index = 5 } };
	unsigned char leaf[KW_TREE_HASH_BYTES], proof[2][KW_TREE_LEVELS][KW_TREE_HASH_BYTES];
	cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
	char *directory = support_directory();
	struct kw_tree tree[2];
	size_t count;
	int fd;

	(void)state;
	write_lines(directory, 22, 3);
	fd = open_directory(directory);
	assert_int_equal(make_all(fd), 7);
	assert_int_equal(kw_indexes_open(fd, &indexes), 0);
	for (uint64_t from = 6; from <= 21; from++) {
		kw_tree_init(&tree[0], kw_digest_pieces);
		assert_int_equal(kw_indexes_tree(indexes, from, &tree[1], &path[1]), 0);
		for (uint64_t i = 0; i < 70; i++) {
			leaf_of(i + 1, leaf);
			kw_tree_append(&tree[0], leaf, &path[0]);
			if (i >= from)
				kw_tree_append(&tree[1], leaf, &path[1]);
		}
		count = kw_tree_prove(&tree[0], &path[0], proof[0]);
		assert_int_equal(kw_tree_prove(&tree[1], &path[1], proof[1]), count);
		assert_memory_equal(proof[0], proof[1], count * KW_TREE_HASH_BYTES);
	}
	(void)close(fd);
	support_remove(directory);
}

static void remove_first(int fd)
{
	struct kw_archive_policy policy = { .retain_bytes = 1 };
	struct kw_archive_removal removal;
	uint64_t last;

	assert_int_equal(kw_index_last(fd, &last), 0);
	assert_int_equal(kw_archive_propose(fd, &policy, last, 0, &removal), 1);
	assert_int_equal(kw_archive_remove_now(fd, &removal), 0);
}

/* Retention takes a segment's index with it; what is left proves every line that is left, and can be made again
 * from "base". */
static void test_retention(void **state)
{
	char *directory = support_directory(), name[64];
	int fd;

	(void)state;
	write_lines(directory, 801, 100);
	fd = open_directory(directory);
	assert_int_equal(make_all(fd), 8);
	for (uint64_t first = 101; first <= 601; first += 100) {
		(void)snprintf(name, sizeof(name), "index/%020llu.idx",
			       (unsigned long long)first - 100);
		assert_true(size_of(directory, name) > 0);
		remove_first(fd);
		assert_int_equal(size_of(directory, name), -1);
		for (int anew = 0; anew < 2; anew++) {
			cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
			struct kw_tree_path path = { .index = 0 };
			struct kw_bytes line;
			struct kw_tree tree;

			if (anew) {
				assert_int_equal(kw_index_remove_all(fd), 0);
				assert_int_equal(make_all(fd), (801 - first) / 100);
			}
			assert_int_equal(kw_indexes_open(fd, &indexes), 0);
			for (uint64_t index = first - 1; index < 800; index += 33) {
				compare_proof(indexes, index, 800);
				compare_proof(indexes, index, index + 1);
				compare_line(indexes, index + 1);
			}
			/* Of those that are gone nothing is told. */
			kw_bytes_init(&line, LINE_BYTES);
			assert_int_equal(kw_indexes_read_line(indexes, first - 1, &line), -ENOENT);
			assert_int_equal(kw_indexes_tree(indexes, 800, &tree, &path), -ENOENT);
		}
	}
	(void)close(fd);
	support_remove(directory);
}

static void test_checkpoints(void **state)
{
	char *directory = support_directory();
	cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);
	uint64_t sequence, size;
	int fd;

	(void)state;
	/* Two in the first segment, none in the second, one at the begin of the third; one that has no size. */
	for (uint64_t i = 1; i <= 40; i++) {
		if (i == 5 || i == 9)
			append_typed(ledger, i, KW_TYPE_CHECKPOINT,
				     i == 5 ? "\"size\":3" : "\"size\":8");
		else if (i == 7)
			append_typed(ledger, i, KW_TYPE_CHECKPOINT, "\"note\":{\"size\":6}");
		else if (i == 22)
			append_typed(ledger, i, KW_TYPE_CHECKPOINT, "\"size\":20");
		else
			append_typed(ledger, i, KW_TYPE_CGROUP, "\"size\":2");
		if (i % 10 == 0)
			kw_ledger_close_segment(ledger);
	}
	kw_ledger_free(ledger);
	fd = open_directory(directory);
	assert_int_equal(make_all(fd), 3);
	assert_int_equal(kw_indexes_open(fd, &indexes), 0);
	for (uint64_t i = 1; i <= 20; i++) {
		assert_int_equal(kw_indexes_find_checkpoint(indexes, i, &sequence, &size), 1);
		assert_int_equal(sequence, i <= 3 ? 5 : i <= 8 ? 9 : 22);
		assert_int_equal(size, i <= 3 ? 3 : i <= 8 ? 8 : 20);
	}
	assert_int_equal(kw_indexes_find_checkpoint(indexes, 21, &sequence, &size), 0);
	assert_int_equal(kw_indexes_find_checkpoint(indexes, 31, &sequence, &size), 0);
	(void)close(fd);
	support_remove(directory);
}

/* One id twice: the first line that has it. And one that data only speaks of. */
static void test_ids(void **state)
{
	static const char text[] =
		"{\"data\":{\"a\":1,\"id\":\"inner\"},\"id\":\"outer\",\"subject\":\"\\\",\\\"id\\\":\\\"x\"}\n"
		"{\"data\":{},\"id\":\"outer\",\"type\":\"t\"}\n"
		"no id at all\n";
	char *directory = support_directory();
	cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
	uint64_t sequence = 0;
	int fd;

	(void)state;
	append_raw(directory, FIRST_SEGMENT, text, strlen(text));
	append_raw(directory, "00000000000000000004.jsonl", "{}\n", 3);
	fd = open_directory(directory);
	assert_int_equal(make_all(fd), 1);
	assert_int_equal(kw_indexes_open(fd, &indexes), 0);
	assert_int_equal(kw_indexes_find_id(indexes, "outer", &sequence), 1);
	assert_int_equal(sequence, 1);
	assert_int_equal(kw_indexes_find_id(indexes, "inner", &sequence), 0);
	(void)close(fd);
	support_remove(directory);
}

static void test_what_gets_none(void **state)
{
	char *directory = support_directory();
	atomic_bool stop = true;
	uint64_t above = 0, made = 0;
	int fd;

	(void)state;
	write_lines(directory, 10, 3);
	fd = open_directory(directory);
	assert_int_equal(kw_index_make(fd, 1, &stop), -ECANCELED);
	assert_int_equal(size_of(directory, "index/00000000000000000001.idx"), -1);
	assert_int_equal(size_of(directory, "index/00000000000000000001.idx.making"), -1);
	assert_int_equal(kw_index_make(fd, 4, NULL), -ENODATA); /* nothing is known of 1 to 3 */
	assert_int_equal(kw_index_make(fd, 2, NULL), -ENODATA);
	stop = false;
	/* A crash left something. */
	append_raw(directory, "index/00000000000000000001.idx.making", "half", 4);
	assert_int_equal(kw_index_make(fd, 1, &stop), 1);
	assert_int_equal(size_of(directory, "index/00000000000000000001.idx.making"), -1);
	/* A last line that is torn: none, and what stands behind it has none either. */
	append_raw(directory, "00000000000000000004.jsonl", "{", 1);
	assert_int_equal(kw_index_make_closed(fd, &above, 10, &stop, &made), -EBADMSG);
	assert_int_equal(above, 4);
	assert_int_equal(kw_index_make_closed(fd, &above, 10, &stop, &made), -ENODATA);
	assert_int_equal(above, 7);
	assert_int_equal(kw_index_make_closed(fd, &above, 10, &stop, &made), 0);
	assert_int_equal(made, 0);
	(void)close(fd);
	support_remove(directory);
}

/* All that the index is asked; the answers only have to be within bounds. */
static void ask_all(int fd)
{
	cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
	cleanup_bytes struct kw_bytes line;
	struct kw_tree_path path = { .index = 2 };
	struct kw_tree tree;
	uint64_t sequence, size;
	int r;

	kw_bytes_init(&line, KW_LINE_MAX);
	assert_int_equal(kw_indexes_open(fd, &indexes), 0);
	r = kw_indexes_end(indexes, &sequence);
	assert_true(r == 0 || r == -EBADMSG);
	for (uint64_t i = 1; i <= 9; i++) {
		r = kw_indexes_read_line(indexes, i, &line);
		assert_true(r == -EBADMSG || r == -ENOENT ||
			    (r == 0 && !memchr(line.data, '\n', line.length)));
		r = kw_indexes_find_checkpoint(indexes, i, &sequence, &size);
		assert_true(r == 0 || r == -EBADMSG || (r == 1 && size >= i && sequence > size));
	}
	r = kw_indexes_find_id(indexes, "id-5", &sequence);
	assert_true(r == 0 || r == -EBADMSG || (r == 1 && sequence >= 1 && sequence <= 9));
	r = kw_indexes_tree(indexes, 9, &tree, &path);
	assert_true(r == 0 || r == -EBADMSG || r == -ENOENT);
}

static void test_damaged(void **state)
{
	static const char name[] = "index/00000000000000000004.idx";
	char *directory = support_directory(), path[512];
	struct kw_bytes whole;
	int fd, file;

	(void)state;
	write_lines(directory, 10, 3);
	fd = open_directory(directory);
	assert_int_equal(make_all(fd), 3);
	whole = slurp(directory, name);
	path_of(path, directory, name);
	file = open(path, O_RDWR | O_CLOEXEC);
	assert_true(file >= 0);
	for (size_t i = 0; i < whole.length; i++) {
		for (int bit = 0; bit < 8; bit += 7) {
			char changed = (char)(whole.data[i] ^ (1 << bit));

			assert_int_equal(pwrite(file, &changed, 1, (off_t)i), 1);
			ask_all(fd);
		}
		assert_int_equal(pwrite(file, whole.data + i, 1, (off_t)i), 1);
	}
	/* Cut off at each place, and longer: it is not whole, which is known at once. */
	for (size_t i = 0; i <= whole.length + 1; i++) {
		struct kw_index index;
		int indexes = openat(fd, "index", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_int_equal(ftruncate(file, (off_t)i), 0);
		if (i <= whole.length)
			assert_int_equal(pwrite(file, whole.data, i, 0), i);
		if (i == whole.length) {
			assert_int_equal(kw_index_open(indexes, 4, &index), 0);
			kw_index_close(&index);
		} else {
			assert_int_equal(kw_index_open(indexes, 4, &index), -EBADMSG);
		}
		(void)close(indexes);
		ask_all(fd);
	}
	(void)close(file);
	assert_int_equal(unlink(path), 0);
	ask_all(fd);
	assert_int_equal(mkfifo(path, 0600), 0);
	ask_all(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("00000000000000000001.idx", path), 0);
	ask_all(fd);
	kw_bytes_done(&whole);
	(void)close(fd);
	support_remove(directory);
}

/* The archive's thread makes them before it compresses, and a compressed line is found as well. */
static void test_thread(void **state)
{
	struct kw_archive_policy policy = { .index = true, .compress = true };
	char *directory = support_directory();
	cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
	struct kw_archive *archive = NULL;
	int fd;

	(void)state;
	write_lines(directory, 31, 10);
	assert_int_equal(kw_archive_start(directory, &policy, &archive), 0);
	kw_archive_look(archive, 31, 0);
	kw_archive_wait(archive);
	assert_int_equal(kw_archive_error(archive), 0);
	kw_archive_free(archive);
	assert_int_equal(size_of(directory, FIRST_SEGMENT), -1);
	assert_int_equal(size_of(directory, "index/00000000000000000031.idx"), -1);
	fd = open_directory(directory);
	assert_int_equal(make_all(fd), 0);
	assert_int_equal(kw_indexes_open(fd, &indexes), 0);
	for (uint64_t i = 1; i <= 30; i++) {
		compare_line(indexes, i);
		compare_proof(indexes, i - 1, 30);
	}
	(void)close(fd);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_every_path),	   support_test(test_larger),
		support_test(test_goes_on),	   support_test(test_retention),
		support_test(test_checkpoints),	   support_test(test_ids),
		support_test(test_what_gets_none), support_test(test_damaged),
		support_test(test_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
