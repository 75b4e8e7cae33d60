/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writing an index file, in one reading of its segment. Records go to the file as they come; what can be placed
 * only behind them is held: 16 bytes a line, and little else. The file gets its name when all of it is on disk,
 * so one that has a name is whole. It goes on from the one before it, or from where retention ended.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <kwitness/limits.h>
#include <kwitness/names.h>

#include "user/base/file.h"
#include "user/deliver/index.h"
#include "user/deliver/lines.h"
#include "user/deliver/segments.h"

#define TEMPORARY ".making"
#define RECORDS_HELD 1024U
/* What it leaves to those who write evidence. */
#define SPARE_BYTES (16U * 1024U * 1024U)

/* A line's last member is its type: canonical order. */
#define CHECKPOINT_END ",\"type\":\"" KW_TYPE_CHECKPOINT "\"}"
#define ID_BEGIN ",\"id\":\""

struct making {
	const atomic_bool *stop;
	int fd;
	struct kw_index index;
	struct kw_tree tree;
	size_t held;
	struct kw_index_record records[RECORDS_HELD];
	struct kw_bytes nodes;
	struct kw_bytes checkpoints;
	struct kw_bytes ids;
};

static int flush(struct making *making)
{
	int r = kw_file_write_all(making->fd, making->records,
				  making->held * sizeof(making->records[0]));

	making->held = 0;
	return r;
}

/* kw_tree_append(), and every larger subtree that this leaf completes is kept. */
static void grow(struct making *making, const unsigned char *leaf)
{
	struct kw_tree *tree = &making->tree;
	unsigned char node[KW_TREE_HASH_BYTES];
	unsigned int level = 0;

	memcpy(node, leaf, sizeof(node));
	for (;; level++) {
		if (level >= KW_INDEX_LEVEL)
			kw_bytes_append(&making->nodes, node, sizeof(node));
		if (!(tree->size >> level & 1))
			break;
		kw_tree_join(tree->hash, tree->peaks[level], node, node);
	}
	memcpy(tree->peaks[level], node, sizeof(node));
	tree->size++;
}

/* The last such name is the event's own: what follows it has no quotation mark within, but escaped. */
static void add_id(struct making *making, const char *text, size_t length)
{
	struct kw_index_id id = { .position = htole64(making->index.count) };
	const char *begin = NULL, *at = text, *end = text + length, *quote;

	while ((at = memmem(at, (size_t)(end - at), ID_BEGIN, strlen(ID_BEGIN)))) {
		at += strlen(ID_BEGIN);
		begin = at;
	}
	quote = begin ? memchr(begin, '"', (size_t)(end - begin)) : NULL;
	if (quote)
		id.key = htole64(kw_index_key(begin, (size_t)(quote - begin)));
	kw_bytes_append(&making->ids, &id, sizeof(id));
}

static void add_checkpoint(struct making *making, const char *text, size_t length)
{
	struct kw_index_checkpoint checkpoint = {
		.sequence = htole64(making->index.first + making->index.count),
	};
	json_t *line = json_loadb(text, length, 0, NULL);
	json_int_t size =
		json_integer_value(json_object_get(json_object_get(line, "data"), "size"));

	json_decref(line);
	if (size <= 0)
		return;
	checkpoint.size = htole64((uint64_t)size);
	kw_bytes_append(&making->checkpoints, &checkpoint, sizeof(checkpoint));
	making->index.checkpoints++;
}

/* A kw_lines_fn. */
static int add_line(void *context, const char *text, size_t length)
{
	struct making *making = context;
	struct kw_index_record *record = &making->records[making->held++];
	size_t end = strlen(CHECKPOINT_END);

	if (!text)
		return -EBADMSG;
	if (making->stop && atomic_load(making->stop))
		return -ECANCELED;
	if (making->index.count == KW_INDEX_LINES_MAX)
		return -EFBIG;
	record->offset = htole64(making->index.text_bytes);
	kw_tree_leaf(making->tree.hash, text, length, record->leaf);
	grow(making, record->leaf);
	add_id(making, text, length);
	if (length > end && memcmp(text + length - end, CHECKPOINT_END, end) == 0)
		add_checkpoint(making, text, length);
	making->index.text_bytes += length + 1;
	making->index.count++;
	return making->held == RECORDS_HELD ? flush(making) : 0;
}

static int compare(const void *left, const void *right)
{
	const struct kw_index_id *a = left, *b = right;
	uint64_t x = le64toh(a->key), y = le64toh(b->key);

	if (x != y)
		return (x > y) - (x < y);
	x = le64toh(a->position);
	y = le64toh(b->position);
	return (x > y) - (x < y);
}

/* Header, and the peaks of what stands before; the number of lines is filled in when it is known. */
static int write_begin(const struct making *making)
{
	struct kw_index_header header = {
		.first = htole64(making->index.first),
		.count = htole64(making->index.count),
		.text_bytes = htole64(making->index.text_bytes),
		.checkpoints = htole64(making->index.checkpoints),
	};

	memcpy(header.magic, KW_INDEX_MAGIC, sizeof(header.magic));
	return kw_file_write_all(making->fd, &header, sizeof(header));
}

static int write_all(int directory, struct making *making)
{
	uint64_t before = making->index.first - 1;
	int r = write_begin(making);

	for (unsigned int i = 0; r == 0 && before >> i; i++) {
		if (before >> i & 1)
			r = kw_file_write_all(making->fd, making->tree.peaks[i],
					      KW_TREE_HASH_BYTES);
	}
	if (r == 0)
		r = kw_lines_each(directory, making->index.first, add_line, making);
	if (r == 0)
		r = flush(making);
	if (r < 0)
		return r;
	r = kw_bytes_error(&making->nodes);
	if (r == 0)
		r = kw_bytes_error(&making->checkpoints);
	if (r == 0)
		r = kw_bytes_error(&making->ids);
	if (r == 0 && making->index.count == 0)
		r = -EBADMSG;
	if (r < 0)
		return r;
	qsort(making->ids.data, making->index.count, sizeof(struct kw_index_id), compare);
	r = kw_file_write_all(making->fd, making->nodes.data, making->nodes.length);
	if (r == 0)
		r = kw_file_write_all(making->fd, making->checkpoints.data,
				      making->checkpoints.length);
	if (r == 0)
		r = kw_file_write_all(making->fd, making->ids.data, making->ids.length);
	if (r == 0 && lseek(making->fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = write_begin(making);
	return r == 0 && fsync(making->fd) < 0 ? -errno : r;
}

/* The tree over all lines before this one. */
static int tree_before(int directory, uint64_t first, struct kw_tree *ret_tree)
{
	cleanup(kw_indexes_freep) struct kw_indexes *indexes = NULL;
	struct kw_attest_tree tree;
	int r;

	kw_attest_tree_init(&tree);
	if (first == 1) {
		*ret_tree = tree.tree;
		return 0;
	}
	r = kw_indexes_open(directory, &indexes);
	if (r == 0)
		r = kw_indexes_tree(indexes, first - 1, ret_tree, NULL);
	if (r != -ENOENT && r != -EBADMSG)
		return r;
	r = kw_archive_read_base(directory, &tree);
	if (r == -ENOENT || (r == 0 && tree.tree.size != first - 1))
		return -ENODATA;
	if (r == 0)
		*ret_tree = tree.tree;
	return r;
}

static int has_room(int directory)
{
	struct statvfs system;

	if (fstatvfs(directory, &system) < 0)
		return -errno;
	return (uint64_t)system.f_bavail * system.f_frsize < SPARE_BYTES ? -ENOSPC : 0;
}

static int make(int directory, int indexes, const char *name, struct making *making)
{
	char temporary[KW_INDEX_NAME_BYTES + sizeof(TEMPORARY)];
	int r;

	(void)snprintf(temporary, sizeof(temporary), "%s" TEMPORARY, name);
	/* What a crash left under this name is of no use to anybody. */
	if (unlinkat(indexes, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	making->fd = openat(indexes, temporary,
			    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (making->fd < 0)
		return -errno;
	r = write_all(directory, making);
	if (r == 0 && renameat(indexes, temporary, indexes, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(indexes, temporary, 0);
	(void)close(making->fd);
	return r;
}

int kw_index_make(int directory, uint64_t segment, const atomic_bool *stop)
{
	cleanup_free struct making *making = calloc(1, sizeof(*making));
	cleanup_close int indexes = -1;
	char name[KW_INDEX_NAME_BYTES];
	int r;

	if (!making)
		return -ENOMEM;
	if (mkdirat(directory, KW_INDEX_DIRECTORY, 0700) < 0 && errno != EEXIST)
		return -errno;
	indexes = openat(directory, KW_INDEX_DIRECTORY,
			 O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (indexes < 0)
		return -errno;
	kw_index_name(segment, name);
	if (faccessat(indexes, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	r = has_room(directory);
	if (r == 0)
		r = tree_before(directory, segment, &making->tree);
	if (r < 0)
		return r;
	making->stop = stop;
	making->index.first = segment;
	kw_bytes_init(&making->nodes, (size_t)KW_INDEX_LINES_MAX * KW_TREE_HASH_BYTES);
	kw_bytes_init(&making->checkpoints,
		      (size_t)KW_INDEX_LINES_MAX * sizeof(struct kw_index_checkpoint));
	kw_bytes_init(&making->ids, (size_t)KW_INDEX_LINES_MAX * sizeof(struct kw_index_id));
	r = make(directory, indexes, name, making);
	kw_bytes_done(&making->nodes);
	kw_bytes_done(&making->checkpoints);
	kw_bytes_done(&making->ids);
	return r < 0 ? r : 1;
}

int kw_index_make_closed(int directory, uint64_t *above, uint64_t current, const atomic_bool *stop,
			 uint64_t *ret_made)
{
	uint64_t segment;
	int r;

	for (;;) {
		r = kw_segments_above(directory, *above, &segment);
		if (r < 0 || segment >= current)
			return r == -ENOENT ? 0 : r;
		r = kw_index_make(directory, segment, stop);
		/* What cannot be indexed today cannot be tomorrow: it was cut, or is too large. */
		if (r < 0 && r != -ENODATA && r != -EBADMSG && r != -EFBIG)
			return r;
		*above = segment;
		if (r < 0)
			return r;
		*ret_made += (uint64_t)r;
	}
}

int kw_index_last(int directory, uint64_t *ret_segment)
{
	return kw_segments_at_most(directory, UINT64_MAX, ret_segment);
}
