/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Retention, one whole segment at a time, from the oldest. What is removed must be told from what was deleted
 * by others, for ever: so the tree over all lines that were removed is kept as the file "base" and goes into
 * the event that declares it. The order is: the event is durable, then "base" is, then the files go. A crash
 * in between leaves the segment; when "base" covers it, it was declared, and only has to go.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/file.h"
#include "user/deliver/archive.h"
#include "user/deliver/lines.h"
#include "user/deliver/segments.h"

#define BASE "base"
#define BASE_MAX 8192

int kw_archive_read_base(int directory, struct kw_attest_tree *ret_tree)
{
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, BASE_MAX);
	r = kw_file_read(directory, BASE, &text);
	return r < 0 ? r : kw_attest_tree_read(text.data ? text.data : "", text.length, ret_tree);
}

static int size_of(int directory, const char *name, uint64_t *total)
{
	struct stat status;

	if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	*total += (uint64_t)status.st_size;
	return 0;
}

static int measure_in(int directory, uint64_t segment, uint64_t *total)
{
	char name[KW_SEGMENT_NAME_BYTES];
	int r;

	kw_segments_name(segment, name);
	r = size_of(directory, name, total);
	kw_segments_packed_name(segment, name);
	return r < 0 ? r : size_of(directory, name, total);
}

/* Bytes of a segment's files, its envelopes beside it too. */
static int measure(int directory, uint64_t segment, uint64_t *total)
{
	cleanup_close int beside = kw_segments_open_beside(directory);
	int r = measure_in(directory, segment, total);

	if (r < 0 || beside == -ENOENT)
		return r;
	return beside < 0 ? beside : measure_in(beside, segment, total);
}

static int measure_all(int directory, uint64_t *ret_total)
{
	uint64_t segment = 0, total = 0;
	int r = 0;

	while (r == 0 && kw_segments_above(directory, segment, &segment) == 0)
		r = measure(directory, segment, &total);
	*ret_total = total;
	return r;
}

/* Whether the segment before next is too old, or all together too large. 1, 0, or -errno. */
static int is_surplus(int directory, const struct kw_archive_policy *policy, uint64_t next,
		      uint64_t real_ns)
{
	uint64_t total, begun;
	int r;

	if (policy->retain_bytes) {
		r = measure_all(directory, &total);
		if (r < 0 || total > policy->retain_bytes)
			return r < 0 ? r : 1;
	}
	if (!policy->retain_age_ns)
		return 0;
	/* All its lines are older than the next one's first. */
	r = kw_lines_begun(directory, next, &begun);
	return r < 0 ? r : begun < real_ns && real_ns - begun > policy->retain_age_ns;
}

/* A kw_lines_fn. */
static int add_line(void *context, const char *text, size_t length)
{
	if (!text)
		return -EBADMSG;
	kw_attest_tree_add(context, text, length);
	return 0;
}

/* The tree over everything up to the segment's end. */
static int grow_tree(int directory, struct kw_archive_removal *removal)
{
	int r = kw_archive_read_base(directory, &removal->tree);

	if (r == -ENOENT) {
		kw_attest_tree_init(&removal->tree);
		r = 0;
	}
	if (r < 0)
		return r;
	if (removal->tree.tree.size >= removal->last)
		return 1;
	if (removal->tree.tree.size != removal->first - 1)
		return -ENODATA;
	r = kw_lines_each(directory, removal->first, add_line, &removal->tree);
	return r == 0 && removal->tree.tree.size != removal->last ? -EBADMSG : r;
}

static int unlink_in(int directory, uint64_t segment)
{
	char name[KW_SEGMENT_NAME_BYTES];
	int r = kw_index_remove(directory, segment);

	if (r < 0)
		return r;
	/* The compressed one last: as long as any is there, the segment is. */
	kw_segments_name(segment, name);
	if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
		return -errno;
	kw_segments_packed_name(segment, name);
	if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
		return -errno;
	return fsync(directory) < 0 ? -errno : 0;
}

/* The envelopes go first: as long as the segment is there it can be done once more. */
static int unlink_segment(int directory, uint64_t segment)
{
	cleanup_close int beside = kw_segments_open_beside(directory);
	int r = beside < 0 ? beside : unlink_in(beside, segment);

	return r < 0 && r != -ENOENT ? r : unlink_in(directory, segment);
}

int kw_archive_propose(int directory, const struct kw_archive_policy *policy, uint64_t current,
		       uint64_t real_ns, struct kw_archive_removal *ret_removal)
{
	struct kw_archive_removal removal = { 0 };
	uint64_t next = 0, lowest;
	int r = kw_segments_above(directory, 0, &removal.first);

	if (r == 0)
		r = kw_segments_above(directory, removal.first, &next);
	if (r < 0 || next > current)
		return r == -ENOENT ? 0 : r < 0 ? r : 0;
	removal.last = next - 1;
	r = is_surplus(directory, policy, next, real_ns);
	if (r <= 0)
		return r;
	r = kw_readers_lowest(directory, &lowest, removal.reader);
	if (r < 0 || (lowest < removal.last && !policy->force))
		return r;
	if (lowest < removal.last)
		removal.unread =
			removal.last - (lowest < removal.first ? removal.first - 1 : lowest);
	else
		removal.reader[0] = '\0';
	r = measure(directory, removal.first, &removal.bytes);
	if (r == 0)
		r = grow_tree(directory, &removal);
	if (r == 1)
		return unlink_segment(directory, removal.first); /* declared before a crash */
	if (r < 0)
		return r;
	*ret_removal = removal;
	return 1;
}

int kw_archive_remove_now(int directory, const struct kw_archive_removal *removal)
{
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, BASE_MAX);
	kw_attest_tree_write(&removal->tree, &text);
	r = kw_bytes_error(&text);
	if (r == 0)
		r = kw_file_replace(directory, BASE, text.data, text.length, 0600);
	return r < 0 ? r : unlink_segment(directory, removal->first);
}
