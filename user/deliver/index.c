/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading an index file, some tens of bytes at a time: nothing is allocated, whatever the file says. Its header
 * must fit its size to the byte; what else it says is found out to be true or not by the proof that is made of
 * it, so no more is checked here than that nothing outside is read.
 */
#include "user/deliver/index.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <kwitness/limits.h>

#define IDS_READ 512U

void kw_index_name(uint64_t first, char ret_name[static KW_INDEX_NAME_BYTES])
{
	(void)snprintf(ret_name, KW_INDEX_NAME_BYTES, "%020" PRIu64 ".idx", first);
}

uint64_t kw_index_nodes(uint64_t size)
{
	uint64_t nodes = 0;

	for (unsigned int level = KW_INDEX_LEVEL; size >> level; level++)
		nodes += size >> level;
	return nodes;
}

uint64_t kw_index_key(const char *id, size_t length)
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	uint64_t key;

	(void)crypto_hash_sha256(digest, (const unsigned char *)id, length);
	memcpy(&key, digest, sizeof(key));
	return be64toh(key);
}

bool kw_index_layout(struct kw_index *index)
{
	uint64_t before = index->first - 1;

	/* With both bounded no sum below can overflow. */
	if (index->first == 0 || index->first > UINT64_MAX / 4 || index->count == 0 ||
	    index->count > KW_INDEX_LINES_MAX || index->checkpoints > index->count)
		return false;
	index->at_peaks = sizeof(struct kw_index_header);
	index->at_records =
		index->at_peaks + (uint64_t)__builtin_popcountll(before) * KW_TREE_HASH_BYTES;
	index->at_nodes = index->at_records + index->count * sizeof(struct kw_index_record);
	index->at_checkpoints =
		index->at_nodes + (kw_index_nodes(before + index->count) - kw_index_nodes(before)) *
					  KW_TREE_HASH_BYTES;
	index->at_ids =
		index->at_checkpoints + index->checkpoints * sizeof(struct kw_index_checkpoint);
	index->size_bytes = index->at_ids + index->count * sizeof(struct kw_index_id);
	return true;
}

static int read_at(const struct kw_index *index, uint64_t offset, void *buffer, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t got = pread(index->fd, (char *)buffer + have, size - have,
				    (off_t)(offset + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EBADMSG;
		have += (size_t)got;
	}
	return 0;
}

static int read_header(struct kw_index *index)
{
	struct kw_index_header header;
	struct stat status;
	int r;

	if (fstat(index->fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EBADMSG;
	r = read_at(index, 0, &header, sizeof(header));
	if (r < 0)
		return r;
	if (memcmp(header.magic, KW_INDEX_MAGIC, sizeof(header.magic)) != 0 ||
	    le64toh(header.first) != index->first)
		return -EBADMSG;
	index->count = le64toh(header.count);
	index->text_bytes = le64toh(header.text_bytes);
	index->checkpoints = le64toh(header.checkpoints);
	return kw_index_layout(index) && index->size_bytes == (uint64_t)status.st_size ? 0
										       : -EBADMSG;
}

int kw_index_open(int indexes, uint64_t first, struct kw_index *ret_index)
{
	struct kw_index index = { .first = first };
	char name[KW_INDEX_NAME_BYTES];
	int r;

	kw_index_name(first, name);
	/* O_NONBLOCK: a FIFO of that name must not stop us. */
	index.fd = openat(indexes, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (index.fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	r = read_header(&index);
	if (r < 0) {
		(void)close(index.fd);
		return r;
	}
	*ret_index = index;
	return 0;
}

void kw_index_close(struct kw_index *index)
{
	if (index->fd >= 0)
		(void)close(index->fd);
	index->fd = -1;
}

int kw_index_node(const struct kw_index *index, kw_tree_hash_fn hash, unsigned int level,
		  uint64_t number, unsigned char ret_node[static KW_TREE_HASH_BYTES])
{
	struct kw_index_record leaves[1U << (KW_INDEX_LEVEL - 1)];
	uint64_t before = index->first - 1, end = (number + 1) << level,
		 begin = end - (1ULL << level);
	size_t count = (size_t)1 << level;
	int r;

	if (end <= before || end > before + index->count)
		return -EBADMSG;
	if (level >= KW_INDEX_LEVEL) /* the last line completes several: smaller ones first */
		return read_at(index,
			       index->at_nodes + (kw_index_nodes(end - 1) - kw_index_nodes(before) +
						  level - KW_INDEX_LEVEL) *
							 KW_TREE_HASH_BYTES,
			       ret_node, KW_TREE_HASH_BYTES);
	if (begin < before)
		return -EBADMSG;
	r = read_at(index, index->at_records + (begin - before) * sizeof(leaves[0]), leaves,
		    count * sizeof(leaves[0]));
	if (r < 0)
		return r;
	for (; count > 1; count /= 2) {
		for (size_t i = 0; i < count / 2; i++)
			kw_tree_join(hash, leaves[2 * i].leaf, leaves[2 * i + 1].leaf,
				     leaves[i].leaf);
	}
	memcpy(ret_node, leaves[0].leaf, KW_TREE_HASH_BYTES);
	return 0;
}

int kw_index_peak(const struct kw_index *index, unsigned int level,
		  unsigned char ret_node[static KW_TREE_HASH_BYTES])
{
	uint64_t smaller = (index->first - 1) & ((1ULL << level) - 1);

	return read_at(index,
		       index->at_peaks +
			       (uint64_t)__builtin_popcountll(smaller) * KW_TREE_HASH_BYTES,
		       ret_node, KW_TREE_HASH_BYTES);
}

int kw_index_place(const struct kw_index *index, uint64_t sequence, uint64_t *ret_offset,
		   uint64_t *ret_length)
{
	uint64_t position = sequence - index->first, end = index->text_bytes;
	struct kw_index_record records[2];
	bool is_last = position == index->count - 1;
	int r = read_at(index, index->at_records + position * sizeof(records[0]), records,
			(is_last ? 1 : 2) * sizeof(records[0]));

	if (r < 0)
		return r;
	if (!is_last)
		end = le64toh(records[1].offset);
	*ret_offset = le64toh(records[0].offset);
	if (end > INT64_MAX || *ret_offset >= end || end - *ret_offset > KW_LINE_MAX)
		return -EBADMSG;
	*ret_length = end - *ret_offset;
	return 0;
}

/* Keys are hashes, so one stands where its value says, give or take the root of their number: a guess that is right
 * reads the file once or twice instead of at each halving. A wrong one, as an id that is given to many lines makes
 * it, leaves the halving to what is on its side. */
static int guess(const struct kw_index *index, uint64_t key, uint64_t *low, uint64_t *high)
{
	struct kw_index_id ids[IDS_READ];
	/* Its upper half is exact enough; there are KW_INDEX_LINES_MAX at most. */
	uint64_t begin = ((key >> 32) * index->count) >> 32;
	size_t have = IDS_READ;
	int r;

	begin = begin > IDS_READ / 2 ? begin - IDS_READ / 2 : 0;
	if (have > index->count - begin)
		have = (size_t)(index->count - begin);
	r = read_at(index, index->at_ids + begin * sizeof(ids[0]), ids, have * sizeof(ids[0]));
	if (r < 0)
		return r;
	if (le64toh(ids[0].key) >= key) {
		*high = begin;
	} else if (le64toh(ids[have - 1].key) < key) {
		*low = begin + have;
	} else {
		size_t i = 0;

		while (i < have && le64toh(ids[i].key) < key)
			i++;
		*low = begin + i;
		*high = begin + i;
	}
	return 0;
}

int kw_index_find_id(const struct kw_index *index, uint64_t key, uint64_t *ret_sequence)
{
	uint64_t low = 0, high = index->count;
	struct kw_index_id id;
	int r = guess(index, key, &low, &high);

	if (r < 0)
		return r;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		r = read_at(index, index->at_ids + middle * sizeof(id), &id, sizeof(id));
		if (r < 0)
			return r;
		if (le64toh(id.key) < key)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == index->count)
		return 0;
	r = read_at(index, index->at_ids + low * sizeof(id), &id, sizeof(id));
	if (r < 0 || le64toh(id.key) != key)
		return r;
	if (le64toh(id.position) >= index->count)
		return -EBADMSG;
	*ret_sequence = index->first + le64toh(id.position);
	return 1;
}

int kw_index_find_checkpoint(const struct kw_index *index, uint64_t size,
			     struct kw_index_checkpoint *ret_checkpoint)
{
	uint64_t low = 0, high = index->checkpoints;
	struct kw_index_checkpoint found;
	int r;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		r = read_at(index, index->at_checkpoints + middle * sizeof(found), &found,
			    sizeof(found));
		if (r < 0)
			return r;
		if (le64toh(found.size) < size)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == index->checkpoints)
		return 0;
	r = read_at(index, index->at_checkpoints + low * sizeof(found), &found, sizeof(found));
	if (r < 0)
		return r;
	found.sequence = le64toh(found.sequence);
	found.size = le64toh(found.size);
	if (found.sequence < index->first || found.sequence - index->first >= index->count ||
	    found.size < size || found.size >= found.sequence)
		return -EBADMSG;
	*ret_checkpoint = found;
	return 1;
}

int kw_index_remove(int directory, uint64_t segment)
{
	char name[sizeof(KW_INDEX_DIRECTORY) + KW_INDEX_NAME_BYTES] = KW_INDEX_DIRECTORY "/";

	kw_index_name(segment, name + sizeof(KW_INDEX_DIRECTORY));
	return unlinkat(directory, name, 0) < 0 && errno != ENOENT && errno != ENOTDIR ? -errno : 0;
}
