/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How the poller comes to know cgroups. A directory is watched first and listed then, so that none made in
 * between is missed. Its inode tells it from another of the same name; the link count of a kernfs directory
 * is the number of its children plus two (fs/kernfs/inode.c kernfs_refresh_inode(), 6.12), so that a
 * directory need only be listed again when that is not what we know. Elsewhere it may mean nothing, and
 * the directory is listed once more than needed.
 */
#include "user/capture/swept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/text.h"

static bool is_wanted(const struct kw_sweep *sweep, const char *path)
{
	for (size_t i = 0; i < sweep->globs_count; i++) {
		if (kw_text_matches_glob(sweep->globs[i], path))
			return true;
	}
	return false;
}

struct swept *kw_walk_child(struct kw_sweep *sweep, struct swept *parent, const char *name,
			    bool is_news)
{
	struct swept *swept = kw_swept_find(&sweep->table, parent, name);
	int r;

	if (swept) {
		if (is_news)
			kw_sweep_hurry(sweep, swept, 0, true);
		return swept;
	}
	r = kw_swept_new(&sweep->table, parent, name, &swept);
	if (r < 0) {
		sweep->totals.refused++;
		return NULL;
	}
	r = kw_swept_path(swept, sweep->path, sizeof(sweep->path));
	if (r < 0) {
		sweep->totals.too_long++;
		kw_swept_unname(&sweep->table, swept);
		kw_swept_free(&sweep->table, swept);
		return NULL;
	}
	swept->is_wanted = is_wanted(sweep, sweep->path);
	swept->round = sweep->round - 1;
	swept->walk = sweep->walk;
	TAILQ_INSERT_HEAD(&sweep->due, swept, link);
	if (is_news || !sweep->in_round)
		kw_sweep_hurry(sweep, swept, 0, false);
	return swept;
}

static int open_directory(struct kw_sweep *sweep, const struct swept *swept)
{
	int fd, r = kw_swept_path(swept, sweep->path, sizeof(sweep->path));

	if (r < 0)
		return r;
	fd = openat(sweep->root_fd, sweep->path[1] ? sweep->path + 1 : ".",
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOTDIR || errno == ENODEV ? -ENOENT : -errno;
	return fd;
}

static void open_rest(struct kw_sweep *sweep, struct swept *swept, int directory)
{
	kw_watch_add(sweep, swept, directory);
	if (!swept->is_wanted)
		return;
	kw_sampling_keep(sweep, swept, directory);
	kw_history_decide(sweep, swept, directory);
}

int kw_walk_meet(struct kw_sweep *sweep, struct swept *swept)
{
	cleanup_close int directory = open_directory(sweep, swept);
	struct stat status;

	if (directory < 0)
		return directory;
	if (fstat(directory, &status) < 0)
		return -errno;
	swept->id = status.st_ino;
	swept->is_met = true;
	swept->is_suspect = false;
	open_rest(sweep, swept, directory);
	return 0;
}

void kw_walk_renew(struct kw_sweep *sweep, struct swept *swept)
{
	cleanup_close int directory = open_directory(sweep, swept);
	struct stat status;

	/* What is wrong with it, its reading or the next look will tell. */
	if (directory >= 0 && fstat(directory, &status) == 0 && status.st_ino == swept->id)
		open_rest(sweep, swept, directory);
}

int kw_walk_check(struct kw_sweep *sweep, struct swept *swept)
{
	struct stat status;
	int r = kw_swept_path(swept, sweep->path, sizeof(sweep->path));

	if (r < 0)
		return r;
	if (fstatat(sweep->root_fd, sweep->path[1] ? sweep->path + 1 : ".", &status,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOTDIR || errno == ENODEV ? -ENOENT : -errno;
	if (status.st_ino != swept->id)
		return -ESTALE;
	swept->walk = sweep->walk;
	swept->is_suspect = false;
	if (status.st_nlink != swept->named + 2ULL)
		swept->is_listed = false;
	return 0;
}

void kw_walk_list(struct kw_sweep *sweep, struct swept *swept)
{
	swept->is_listed = true; /* once: what is not readable now is looked at in the next walk */
	sweep->listing_fd = open_directory(sweep, swept);
	if (sweep->listing_fd >= 0)
		sweep->listing = swept;
}

void kw_walk_list_end(struct kw_sweep *sweep)
{
	if (sweep->listing_fd >= 0)
		(void)close(sweep->listing_fd);
	sweep->listing_fd = -1;
	sweep->listing = NULL;
}

static bool is_directory(const struct kw_sweep *sweep, const struct dirent64 *entry)
{
	struct stat status;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return fstatat(sweep->listing_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(status.st_mode);
}

void kw_walk_list_more(struct kw_sweep *sweep)
{
	ssize_t got = getdents64(sweep->listing_fd, sweep->buffer, sizeof(sweep->buffer));
	const char *at = sweep->buffer;

	if (got <= 0) {
		kw_walk_list_end(sweep);
		return;
	}
	while (got > 0) {
		const struct dirent64 *entry = (const void *)at;

		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    is_directory(sweep, entry))
			(void)kw_walk_child(sweep, sweep->listing, entry->d_name, false);
		at += entry->d_reclen;
		got -= entry->d_reclen;
	}
}
