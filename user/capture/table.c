/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The cgroups that the poller knows. Two sorted arrays of 4 and 8 bytes an element instead of hash tables,
 * whose handles alone would take 56: inotify numbers its watches upwards (fs/notify/inotify, idr_alloc_cyclic),
 * so those are nearly always appended; a name is put in by moving at most KW_SWEEP_CGROUPS_MAX numbers.
 */
#include "user/capture/swept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GROW 64U

/* Room for one more element of an array of a known size. */
static int make_room(void *array, uint32_t used, uint32_t *size, size_t element)
{
	uint32_t wanted = *size + *size / 4 + GROW;
	void *larger;

	if (used < *size)
		return 0;
	larger = reallocarray(*(void **)array, wanted, element);
	if (!larger)
		return -ENOMEM;
	*(void **)array = larger;
	*size = wanted;
	return 0;
}

static int compare(const struct swept *swept, const struct swept *parent, const char *name)
{
	/* Slots, because two pointers that are not into one array have no order. The root has none. */
	uint64_t left = swept->parent ? swept->parent->slot + 1ULL : 0;
	uint64_t right = parent ? parent->slot + 1ULL : 0;

	if (left != right)
		return left < right ? -1 : 1;
	return strcmp(swept->name, name);
}

/* Where (parent, name) stands, or would. */
static uint32_t find_name(const struct swept_table *table, const struct swept *parent,
			  const char *name, bool *ret_found)
{
	uint32_t low = 0, high = table->names_count;

	*ret_found = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = compare(table->slots[table->names[middle]], parent, name);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct swept *kw_swept_find(const struct swept_table *table, const struct swept *parent,
			    const char *name)
{
	bool found;
	uint32_t at = find_name(table, parent, name, &found);

	return found ? table->slots[table->names[at]] : NULL;
}

static int take_slot(struct swept_table *table, uint32_t *ret_slot)
{
	int r;

	if (table->count >= KW_SWEEP_CGROUPS_MAX)
		return -ENOSPC;
	/* A free one is looked for only when there must be some. */
	for (uint32_t i = 0; table->count < table->slots_used && i < table->slots_used; i++) {
		if (!table->slots[i]) {
			*ret_slot = i;
			return 0;
		}
	}
	r = make_room(&table->slots, table->slots_used, &table->slots_size, sizeof(struct swept *));
	if (r < 0)
		return r;
	table->slots[table->slots_used] = NULL;
	*ret_slot = table->slots_used++;
	return 0;
}

int kw_swept_new(struct swept_table *table, struct swept *parent, const char *name,
		 struct swept **ret_swept)
{
	size_t size = strlen(name) + 1;
	struct swept *swept;
	uint32_t slot = 0, at;
	bool found;
	int r = take_slot(table, &slot);

	if (r == 0)
		r = make_room(&table->names, table->names_count, &table->names_size,
			      sizeof(uint32_t));
	if (r < 0)
		return r;
	swept = calloc(1, sizeof(*swept) + size);
	if (!swept)
		return -ENOMEM;
	memcpy(swept->name, name, size);
	swept->parent = parent;
	swept->slot = slot;
	for (int i = 0; i < KW_COUNTS_FILE_COUNT_; i++)
		swept->files[i] = -1;
	for (int i = 0; i < SWEPT_WATCH_COUNT_; i++)
		swept->watches[i] = -1;
	at = find_name(table, parent, name, &found);
	memmove(&table->names[at + 1], &table->names[at],
		(table->names_count - at) * sizeof(uint32_t));
	table->names[at] = slot;
	table->names_count++;
	table->slots[slot] = swept;
	table->count++;
	if (parent) {
		parent->children++;
		parent->named++;
	}
	*ret_swept = swept;
	return 0;
}

void kw_swept_unname(struct swept_table *table, struct swept *swept)
{
	bool found;
	uint32_t at = find_name(table, swept->parent, swept->name, &found);

	if (!found || table->slots[table->names[at]] != swept)
		return;
	table->names_count--;
	memmove(&table->names[at], &table->names[at + 1],
		(table->names_count - at) * sizeof(uint32_t));
	if (swept->parent)
		swept->parent->named--;
}

void kw_swept_free(struct swept_table *table, struct swept *swept)
{
	if (swept->parent)
		swept->parent->children--;
	table->slots[swept->slot] = NULL;
	table->count--;
	while (table->slots_used > 0 && !table->slots[table->slots_used - 1])
		table->slots_used--;
	free(swept);
}

struct swept *kw_swept_by_path(const struct swept_table *table, const char *path)
{
	struct swept *swept = kw_swept_find(table, NULL, "");
	char name[NAME_MAX + 1];

	while (swept && *path) {
		size_t length;

		path += strspn(path, "/");
		length = strcspn(path, "/");
		if (length == 0)
			break;
		if (length >= sizeof(name))
			return NULL;
		memcpy(name, path, length);
		name[length] = '\0';
		swept = kw_swept_find(table, swept, name);
		path += length;
	}
	return swept;
}

int kw_swept_path(const struct swept *swept, char *ret_path, size_t size)
{
	size_t length = 0, at;

	for (const struct swept *up = swept; up->parent; up = up->parent)
		length += strlen(up->name) + 1;
	if (length + 2 > size)
		return -ENAMETOOLONG;
	if (length == 0)
		length = 1;
	ret_path[0] = '/';
	ret_path[length] = '\0';
	at = length;
	for (const struct swept *up = swept; up->parent; up = up->parent) {
		size_t part = strlen(up->name);

		at -= part;
		memcpy(ret_path + at, up->name, part);
		ret_path[--at] = '/';
	}
	return 0;
}

/* ---- watches ---- */

static uint32_t find_mark(const struct swept_table *table, int watch)
{
	uint32_t low = 0, high = table->marks_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (table->marks[middle].watch < watch)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_mark(const struct swept_table *table, uint32_t at, int watch)
{
	return at < table->marks_count && table->marks[at].watch == watch;
}

int kw_swept_mark(struct swept_table *table, struct swept *swept, enum swept_watch which, int watch)
{
	uint32_t at = find_mark(table, watch);
	int r;

	/* inotify gives a watch that it has of the same inode: ours already, or a hard link. */
	if (is_mark(table, at, watch))
		return -EEXIST;
	r = make_room(&table->marks, table->marks_count, &table->marks_size,
		      sizeof(struct swept_mark));
	if (r < 0)
		return r;
	memmove(&table->marks[at + 1], &table->marks[at],
		(table->marks_count - at) * sizeof(struct swept_mark));
	table->marks[at] = (struct swept_mark){ watch, swept->slot * SWEPT_WATCH_COUNT_ + which };
	table->marks_count++;
	swept->watches[which] = watch;
	return 0;
}

void kw_swept_unmark(struct swept_table *table, struct swept *swept, enum swept_watch which)
{
	uint32_t at = find_mark(table, swept->watches[which]);

	if (is_mark(table, at, swept->watches[which])) {
		table->marks_count--;
		memmove(&table->marks[at], &table->marks[at + 1],
			(table->marks_count - at) * sizeof(struct swept_mark));
	}
	swept->watches[which] = -1;
}

struct swept *kw_swept_by_watch(const struct swept_table *table, int watch,
				enum swept_watch *ret_which)
{
	uint32_t at = find_mark(table, watch);

	if (!is_mark(table, at, watch))
		return NULL;
	*ret_which = (enum swept_watch)(table->marks[at].slot % SWEPT_WATCH_COUNT_);
	return table->slots[table->marks[at].slot / SWEPT_WATCH_COUNT_];
}

void kw_swept_table_done(struct swept_table *table)
{
	for (uint32_t i = 0; i < table->slots_used; i++)
		free(table->slots[i]);
	free(table->slots);
	free(table->names);
	free(table->marks);
	*table = (struct swept_table){ .count = 0 };
}
