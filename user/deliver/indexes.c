/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * All index files of a ledger together: any subtree of the tree over its lines, from the one file that has it.
 * A subtree is kept where its last line is. What retention removed is there as the peaks before the first file's
 * first line: the siblings of a leaf behind them are among these peaks, or end behind them as well (RFC 6962 2.1:
 * what is no peak has a parent that is complete, and the leaf would lie in it).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/base/text.h"
#include "user/deliver/frames.h"
#include "user/deliver/index.h"
#include "user/deliver/segments.h"

struct kw_indexes {
	int ledger; /* borrowed */
	int directory;
	size_t count;
	uint64_t *firsts;     /* owned, sorted */
	struct kw_index open; /* the one that was used last; fd -1: none */
	kw_tree_hash_fn hash;
};

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static bool parse_name(const char *name, uint64_t *ret_first)
{
	char again[KW_INDEX_NAME_BYTES];

	if (strlen(name) != KW_INDEX_NAME_BYTES - 1 || kw_text_parse_u64(name, 20, ret_first) < 0)
		return false;
	kw_index_name(*ret_first, again);
	return strcmp(name, again) == 0;
}

static int add(struct kw_indexes *indexes, uint64_t first)
{
	/* Doubled whenever it is full: at a power of two. */
	if ((indexes->count & (indexes->count - 1)) == 0) {
		size_t room = indexes->count ? 2 * indexes->count : 1;
		uint64_t *firsts;

		if (indexes->count >= KW_INDEX_FILES_MAX)
			return -E2BIG;
		firsts = reallocarray(indexes->firsts, room, sizeof(*firsts));
		if (!firsts)
			return -ENOMEM;
		indexes->firsts = firsts;
	}
	indexes->firsts[indexes->count++] = first;
	return 0;
}

static void close_directory(DIR **directory)
{
	if (*directory)
		(void)closedir(*directory);
}

static int list(struct kw_indexes *indexes)
{
	int fd = openat(indexes->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup(close_directory) DIR *entries = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	uint64_t first;
	int r = 0;

	if (!entries) {
		r = -errno;
		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	for (errno = 0; r == 0 && (entry = readdir(entries)); errno = 0) {
		if (parse_name(entry->d_name, &first))
			r = add(indexes, first);
	}
	if (r == 0 && errno != 0)
		r = -errno;
	if (r == 0 && indexes->count == 0)
		r = -ENOENT;
	if (r == 0)
		qsort(indexes->firsts, indexes->count, sizeof(*indexes->firsts), compare);
	return r;
}

int kw_indexes_open(int ledger, struct kw_indexes **ret_indexes)
{
	cleanup(kw_indexes_freep) struct kw_indexes *indexes = calloc(1, sizeof(*indexes));
	struct kw_attest_tree tree;
	int r;

	if (!indexes)
		return -ENOMEM;
	kw_attest_tree_init(&tree);
	indexes->hash = tree.tree.hash;
	indexes->ledger = ledger;
	indexes->open.fd = -1;
	indexes->directory =
		openat(ledger, KW_INDEX_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (indexes->directory < 0)
		return -errno;
	r = list(indexes);
	if (r < 0)
		return r;
	*ret_indexes = take_ptr(indexes);
	return 0;
}

void kw_indexes_free(struct kw_indexes *indexes)
{
	if (!indexes)
		return;
	kw_index_close(&indexes->open);
	if (indexes->directory >= 0)
		(void)close(indexes->directory);
	free(indexes->firsts);
	free(indexes);
}

static int use(struct kw_indexes *indexes, uint64_t first)
{
	struct kw_index index;
	int r;

	if (indexes->open.fd >= 0 && indexes->open.first == first)
		return 0;
	r = kw_index_open(indexes->directory, first, &index);
	if (r < 0)
		return r;
	kw_index_close(&indexes->open);
	indexes->open = index;
	return 0;
}

/* Opens the one that has the line of this sequence. 0; -ENOENT: none has; -EBADMSG; -errno. */
static int use_for(struct kw_indexes *indexes, uint64_t sequence)
{
	const struct kw_index *open = &indexes->open;
	size_t low = 0, high = indexes->count;
	int r;

	if (open->fd < 0 || sequence < open->first || sequence - open->first >= open->count) {
		while (low < high) {
			size_t middle = low + (high - low) / 2;

			if (indexes->firsts[middle] <= sequence)
				low = middle + 1;
			else
				high = middle;
		}
		if (low == 0)
			return -ENOENT;
		r = use(indexes, indexes->firsts[low - 1]);
		if (r < 0)
			return r;
	}
	return sequence - open->first < open->count ? 0 : -ENOENT;
}

int kw_indexes_end(struct kw_indexes *indexes, uint64_t *ret_sequence)
{
	int r = use(indexes, indexes->firsts[indexes->count - 1]);

	if (r == 0)
		*ret_sequence = indexes->open.first + indexes->open.count - 1;
	return r;
}

int kw_indexes_find_id(struct kw_indexes *indexes, const char *id, uint64_t *ret_sequence)
{
	uint64_t key = kw_index_key(id, strlen(id));
	int r = 0;

	for (size_t i = 0; r == 0 && i < indexes->count; i++) {
		r = use(indexes, indexes->firsts[i]);
		if (r == 0)
			r = kw_index_find_id(&indexes->open, key, ret_sequence);
	}
	return r;
}

int kw_indexes_find_checkpoint(struct kw_indexes *indexes, uint64_t size, uint64_t *ret_sequence,
			       uint64_t *ret_size)
{
	struct kw_index_checkpoint checkpoint;
	uint64_t next = size;
	int r;

	for (;;) {
		r = use_for(indexes, next);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		r = kw_index_find_checkpoint(&indexes->open, size, &checkpoint);
		if (r != 0)
			break;
		next = indexes->open.first + indexes->open.count;
	}
	if (r == 1) {
		*ret_sequence = checkpoint.sequence;
		*ret_size = checkpoint.size;
	}
	return r;
}

/* What stands in a segment's text at this place; of a compressed one the frame is read up to there. */
static int read_text(int fd, bool packed, uint64_t offset, size_t length, struct kw_bytes *out)
{
	cleanup(kw_unpack_freep) struct kw_unpack *unpack = NULL;
	uint64_t start = offset, skip;
	char buffer[16384];
	int r;

	if (!packed && lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	r = packed ? kw_frames_seek(fd, offset, &start) : 0;
	if (r == 0)
		r = kw_unpack_new(fd, &unpack);
	for (skip = offset - start; r == 0 && length > 0;) {
		size_t want = skip ? skip < sizeof(buffer) ? (size_t)skip : sizeof(buffer)
			      : length < sizeof(buffer) ? length
							: sizeof(buffer);
		ssize_t got = kw_unpack_read(unpack, buffer, want);

		if (got <= 0)
			return got < 0 ? (int)got : -EBADMSG;
		if (skip) {
			skip -= (uint64_t)got;
			continue;
		}
		kw_bytes_append(out, buffer, (size_t)got);
		length -= (size_t)got;
	}
	return r < 0 ? r : kw_bytes_error(out);
}

int kw_indexes_read_line(struct kw_indexes *indexes, uint64_t sequence, struct kw_bytes *out)
{
	uint64_t offset, length;
	cleanup_close int fd = -1;
	bool packed;
	int r = use_for(indexes, sequence);

	if (r == 0)
		r = kw_index_place(&indexes->open, sequence, &offset, &length);
	if (r < 0)
		return r;
	fd = kw_segments_open_any(indexes->ledger, indexes->open.first, &packed);
	if (fd < 0)
		return fd;
	kw_bytes_clear(out);
	r = read_text(fd, packed, offset, (size_t)length, out);
	if (r < 0)
		return r;
	if (out->data[out->length - 1] != '\n' ||
	    memchr(out->data, '\n', out->length) != out->data + out->length - 1)
		return -EBADMSG;
	out->length--;
	return 0;
}

/* The root over the 2^level leaves from number * 2^level on. They end where the tree does, or before. */
static int find_node(struct kw_indexes *indexes, unsigned int level, uint64_t number,
		     unsigned char *ret_node)
{
	uint64_t end = (number + 1) << level, begin = end - (1ULL << level);
	unsigned char halves[2][KW_TREE_HASH_BYTES];
	int r;

	if (end < indexes->firsts[0]) {
		/* Removed: one of the peaks, or it cannot be had. */
		r = use(indexes, indexes->firsts[0]);
		if (r < 0)
			return r;
		if (((indexes->firsts[0] - 1) >> level) != number + 1 || (number & 1))
			return -ENOENT;
		return kw_index_peak(&indexes->open, level, ret_node);
	}
	r = use_for(indexes, end);
	if (r < 0)
		return r;
	if (level >= KW_INDEX_LEVEL || begin >= indexes->open.first - 1)
		return kw_index_node(&indexes->open, indexes->hash, level, number, ret_node);
	/* A small one over the border of two segments. */
	r = find_node(indexes, level - 1, 2 * number, halves[0]);
	if (r == 0)
		r = find_node(indexes, level - 1, 2 * number + 1, halves[1]);
	if (r == 0)
		kw_tree_join(indexes->hash, halves[0], halves[1], ret_node);
	return r;
}

int kw_indexes_tree(struct kw_indexes *indexes, uint64_t size, struct kw_tree *ret_tree,
		    struct kw_tree_path *path)
{
	struct kw_tree tree;
	int r = 0;

	kw_tree_init(&tree, indexes->hash);
	tree.size = size;
	for (unsigned int level = 0; r == 0 && size >> level; level++) {
		uint64_t sibling;

		if (size >> level & 1)
			r = find_node(indexes, level, (size >> level) - 1, tree.peaks[level]);
		if (r < 0 || !path)
			continue;
		sibling = (path->index >> level) ^ 1;
		/* On the left it is complete; on the right when it ends before the tree does. */
		if (sibling + 1 <= size >> level)
			r = find_node(indexes, level, sibling, path->siblings[level]);
	}
	if (r == 0)
		*ret_tree = tree;
	return r;
}

int kw_index_remove_all(int directory)
{
	cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
	int r = kw_indexes_open(directory, &indexes);

	for (size_t i = 0; r == 0 && i < indexes->count; i++)
		r = kw_index_remove(directory, indexes->firsts[i]);
	return r == -ENOENT ? 0 : r;
}
