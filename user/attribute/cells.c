/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The registry of cells: one file a cell, watched with inotify(7). Events only say which names to look
 * at again; what counts is what the file says when it is read. Who may write here decides to whom
 * kernel facts are ascribed, so the directory and each file must be writable by their owner alone, and
 * the owner root or this process. Two cells never share a socket, CID or cgroup: the later is refused,
 * and tried again when the first has gone.
 */
#include "user/attribute/attribute.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/text.h"

/* Adding may fail for want of memory; then the entry has no table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define SUFFIX ".json"
#define REFUSAL_BYTES 256

/* Files remembered, refused ones included: each stays refused in silence until it changes. */
#define ENTRIES_MAX (2 * KW_CELLS_MAX)

#define WATCH_MASK                                                                                 \
	(IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |        \
	 IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW)

/* One file. */
struct entry {
	char name[NAME_MAX + 1];
	bool is_registered;
	bool is_conflict; /* refused for another cell's sake */
	bool is_seen;	  /* by the scan that is going on */
	struct kw_cell cell;
	char refusal[REFUSAL_BYTES];
	UT_hash_handle by_name;
	UT_hash_handle by_handle;
	UT_hash_handle by_cgroup;
};

struct kw_cells {
	char *directory;
	char *cgroup_root;
	int directory_fd; /* of the refresh that is going on */
	int inotify_fd;
	int watch; /* -1: none, or its directory has gone */
	bool needs_scan;
	bool was_removed; /* a cell: refused ones may have their turn */
	uint32_t last_handle;
	struct entry *names, *handles, *cgroups; /* heads of hash tables */
	kw_cell_fn callback;			 /* of the refresh that is going on */
	void *context;
};

/* Whether only root or this process could have written it. */
static bool is_trusted(const struct stat *status)
{
	return (status->st_uid == 0 || status->st_uid == geteuid()) &&
	       (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Opens the directory for one refresh, makes it when it is missing, and watches it. It is not kept
 * open: that would hold back the event that says it was removed. */
static int open_directory(struct kw_cells *cells, int *ret_fd)
{
	cleanup_close int fd = kw_file_open_directory(cells->directory, 0700);
	struct stat status;

	if (fd < 0)
		return take_fd(fd);
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!is_trusted(&status))
		return -EPERM;
	if (cells->watch < 0) {
		cells->watch = inotify_add_watch(cells->inotify_fd, cells->directory, WATCH_MASK);
		/* No watch to be had (fs.inotify.max_user_watches): each refresh looks at all names. */
		if (cells->watch < 0 && errno != ENOSPC)
			return -errno;
		cells->needs_scan = true;
	}
	*ret_fd = take_fd(fd);
	return 0;
}

static void say(const struct kw_cells *cells, enum kw_cell_change change, const char *name,
		const struct kw_cell *cell, const char *refusal)
{
	cleanup_bytes struct kw_bytes shown = { 0 };

	kw_bytes_init(&shown, 4 * NAME_MAX);
	kw_text_append_printable(&shown, name, strlen(name));
	cells->callback(cells->context, change, cell,
			kw_bytes_error(&shown) == 0 && shown.data ? shown.data : "", refusal);
}

static struct entry *entry_find(const struct kw_cells *cells, const char *name)
{
	struct entry *entry;

	HASH_FIND(by_name, cells->names, name, strlen(name), entry);
	return entry;
}

/* NULL: too many, or out of memory. */
static struct entry *entry_new(struct kw_cells *cells, const char *name)
{
	struct entry *entry;

	if (HASH_CNT(by_name, cells->names) >= ENTRIES_MAX)
		return NULL;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	(void)snprintf(entry->name, sizeof(entry->name), "%s", name);
	HASH_ADD(by_name, cells->names, name, strlen(entry->name), entry);
	if (!entry->by_name.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

static void unlink_cell(struct kw_cells *cells, struct entry *entry)
{
	if (entry->by_handle.tbl)
		HASH_DELETE(by_handle, cells->handles, entry);
	if (entry->by_cgroup.tbl)
		HASH_DELETE(by_cgroup, cells->cgroups, entry);
	entry->by_handle.tbl = NULL;
	entry->by_cgroup.tbl = NULL;
	entry->is_registered = false;
}

static void unregister(struct kw_cells *cells, struct entry *entry)
{
	if (!entry->is_registered)
		return;
	unlink_cell(cells, entry);
	cells->was_removed = true;
	say(cells, KW_CELL_REMOVED, entry->name, &entry->cell, NULL);
}

static void forget(struct kw_cells *cells, struct entry *entry)
{
	unregister(cells, entry);
	HASH_DELETE(by_name, cells->names, entry);
	free(entry);
}

static void refuse(struct kw_cells *cells, struct entry *entry, bool is_conflict,
		   const char *refusal)
{
	unregister(cells, entry);
	entry->is_conflict = is_conflict;
	if (strcmp(entry->refusal, refusal) == 0)
		return;
	(void)snprintf(entry->refusal, sizeof(entry->refusal), "%s", refusal);
	say(cells, KW_CELL_REFUSED, entry->name, NULL, entry->refusal);
}

/* What cell claims that another one has already; NULL: nothing. */
static const char *find_conflict(const struct kw_cells *cells, const struct kw_cell *cell)
{
	const struct entry *entry;

	HASH_FIND(by_cgroup, cells->cgroups, cell->cgroup_path, strlen(cell->cgroup_path), entry);
	if (cell->cgroup_path[0] != '\0' && entry)
		return "cgroupPath is another cell's already";
	if (cell->vsock_uds_base[0] == '\0' && cell->vsock_cid == 0)
		return NULL;
	for (entry = cells->handles; entry; entry = entry->by_handle.next) {
		if (cell->vsock_uds_base[0] != '\0' &&
		    strcmp(cell->vsock_uds_base, entry->cell.vsock_uds_base) == 0)
			return "vsockUdsBase is another cell's already";
		if (cell->vsock_cid != 0 && cell->vsock_cid == entry->cell.vsock_cid)
			return "vsockCid is another cell's already";
	}
	return NULL;
}

static bool is_same(const struct kw_cell *a, const struct kw_cell *b)
{
	return strcmp(a->cell_id, b->cell_id) == 0 && strcmp(a->run_id, b->run_id) == 0 &&
	       strcmp(a->spec_signature_hash, b->spec_signature_hash) == 0 &&
	       strcmp(a->cgroup_path, b->cgroup_path) == 0 &&
	       strcmp(a->vsock_uds_base, b->vsock_uds_base) == 0 && a->vsock_cid == b->vsock_cid &&
	       a->silence_seconds == b->silence_seconds && a->kernel == b->kernel &&
	       a->has_uds_uid == b->has_uds_uid && a->has_uds_gid == b->has_uds_gid &&
	       a->vsock_uds_uid == b->vsock_uds_uid && a->vsock_uds_gid == b->vsock_uds_gid;
}

static void register_cell(struct kw_cells *cells, struct entry *entry, const struct kw_cell *cell)
{
	const char *conflict;

	if (entry->is_registered && is_same(&entry->cell, cell))
		return;
	unregister(cells, entry);
	conflict = find_conflict(cells, cell);
	if (!conflict && HASH_CNT(by_handle, cells->handles) >= KW_CELLS_MAX)
		conflict = "too many cells are registered";
	if (conflict) {
		refuse(cells, entry, true, conflict);
		return;
	}
	entry->cell = *cell;
	entry->cell.handle = cells->last_handle + 1;
	HASH_ADD(by_handle, cells->handles, cell.handle, sizeof(entry->cell.handle), entry);
	if (entry->cell.cgroup_path[0] != '\0')
		HASH_ADD(by_cgroup, cells->cgroups, cell.cgroup_path[0],
			 strlen(entry->cell.cgroup_path), entry);
	if (!entry->by_handle.tbl ||
	    (entry->cell.cgroup_path[0] != '\0' && !entry->by_cgroup.tbl)) {
		unlink_cell(cells, entry);
		refuse(cells, entry, true, "out of memory");
		return;
	}
	cells->last_handle++;
	entry->is_registered = true;
	entry->is_conflict = false;
	entry->refusal[0] = '\0';
	say(cells, KW_CELL_ADDED, entry->name, &entry->cell, NULL);
}

static bool is_cell_name(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > strlen(SUFFIX) && length <= NAME_MAX &&
	       strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

/* 0; -ENOENT: no such file; -EBADMSG with the reason. */
static int read_cell(const struct kw_cells *cells, const char *name, struct kw_cell *ret_cell,
		     char *ret_refusal, size_t size)
{
	cleanup_bytes struct kw_bytes text = { 0 };
	struct kw_cell cell;
	struct stat status;
	int r;

	kw_bytes_init(&text, KW_CELL_FILE_MAX);
	r = fstatat(cells->directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	if (r == 0 && !S_ISREG(status.st_mode))
		r = -EINVAL;
	if (r == 0 && !is_trusted(&status)) {
		(void)snprintf(ret_refusal, size,
			       "others can write it: root or kwitness must own it, mode go-w");
		return -EBADMSG;
	}
	if (r == 0)
		r = kw_file_read(cells->directory_fd, name, &text);
	if (r == -ENOENT)
		return r;
	if (r < 0) {
		(void)snprintf(ret_refusal, size, "cannot be read: %s",
			       r == -EFBIG    ? "too long"
			       : r == -EINVAL ? "not a regular file"
					      : strerror(-r));
		return -EBADMSG;
	}
	r = kw_cells_parse(text.data ? text.data : "", text.length, cells->cgroup_root, &cell,
			   ret_refusal, size);
	if (r < 0)
		return r;
	if (strlen(cell.cell_id) != strlen(name) - strlen(SUFFIX) ||
	    strncmp(cell.cell_id, name, strlen(cell.cell_id)) != 0) {
		(void)snprintf(ret_refusal, size, "cellId is not the file's name");
		return -EBADMSG;
	}
	*ret_cell = cell;
	return 0;
}

/* Looks at one name again. is_new: it has just come to be, and may not be written yet; then only a good
 * one counts (one made by link(2) is whole), and a bad one is judged when its writer closes it. */
static void check_name(struct kw_cells *cells, const char *name, bool is_new)
{
	struct entry *entry = entry_find(cells, name);
	char refusal[REFUSAL_BYTES] = "";
	struct kw_cell cell;
	int r;

	if (!is_cell_name(name))
		return;
	r = read_cell(cells, name, &cell, refusal, sizeof(refusal));
	if (r == -ENOENT) {
		if (entry)
			forget(cells, entry);
		return;
	}
	if (r < 0 && is_new)
		return;
	if (!entry && !(entry = entry_new(cells, name))) {
		/* Not remembered, so said again whenever the file is looked at. */
		say(cells, KW_CELL_REFUSED, name, NULL,
		    "no room: too many cell files, or no memory");
		return;
	}
	entry->is_seen = true;
	if (r < 0)
		refuse(cells, entry, false, refusal);
	else
		register_cell(cells, entry, &cell);
}

static int filter_name(const struct dirent *file)
{
	return is_cell_name(file->d_name);
}

/* Looks at every name, in their order, so that the same of two rivals wins after each restart. */
static int scan(struct kw_cells *cells)
{
	struct dirent **files = NULL;
	struct entry *entry, *next;
	int count;

	cells->needs_scan = false;
	for (entry = cells->names; entry; entry = entry->by_name.next)
		entry->is_seen = false;
	count = scandirat(cells->directory_fd, ".", &files, filter_name, alphasort);
	if (count < 0)
		return -errno;
	for (int i = 0; i < count; i++) {
		check_name(cells, files[i]->d_name, false);
		free(files[i]);
	}
	free(files);
	for (entry = cells->names; entry; entry = next) {
		next = entry->by_name.next;
		if (!entry->is_seen)
			forget(cells, entry);
	}
	return 0;
}

/* Refused for another cell's sake, which may have gone. */
static void retry_conflicts(struct kw_cells *cells)
{
	struct entry *entry, *next;

	cells->was_removed = false;
	for (entry = cells->names; entry; entry = next) {
		next = entry->by_name.next;
		if (entry->is_conflict)
			check_name(cells, entry->name, false);
	}
}

int kw_cells_open(const char *directory, const char *cgroup_root, struct kw_cells **ret_cells)
{
	cleanup(kw_cells_freep) struct kw_cells *cells = calloc(1, sizeof(*cells));
	cleanup_close int directory_fd = -1;
	int r;

	if (!cells)
		return -ENOMEM;
	cells->watch = -1;
	cells->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (cells->inotify_fd < 0)
		return -errno;
	cells->directory = strdup(directory);
	cells->cgroup_root = strdup(cgroup_root);
	if (!cells->directory || !cells->cgroup_root)
		return -ENOMEM;
	r = open_directory(cells, &directory_fd);
	if (r < 0)
		return r;
	*ret_cells = take_ptr(cells);
	return 0;
}

void kw_cells_free(struct kw_cells *cells)
{
	struct entry *entry, *next;

	if (!cells)
		return;
	HASH_CLEAR(by_handle, cells->handles);
	HASH_CLEAR(by_cgroup, cells->cgroups);
	HASH_ITER (by_name, cells->names, entry, next) {
		HASH_DELETE(by_name, cells->names, entry);
		free(entry);
	}
	if (cells->inotify_fd >= 0)
		(void)close(cells->inotify_fd);
	free(cells->directory);
	free(cells->cgroup_root);
	free(cells);
}

int kw_cells_fd(const struct kw_cells *cells)
{
	return cells->inotify_fd;
}

bool kw_cells_is_watched(const struct kw_cells *cells)
{
	return cells->watch >= 0;
}

/* What inotify has. 0 when it is drained, or -errno. */
static int read_events(struct kw_cells *cells)
{
	char buffer[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)]
		__attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *event;
	ssize_t n;

	while ((n = read(cells->inotify_fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t at = 0; at < n; at += (ssize_t)(sizeof(*event) + event->len)) {
			event = (const void *)(buffer + at);
			if (event->mask & IN_Q_OVERFLOW)
				cells->needs_scan = true;
			if (event->wd != cells->watch)
				continue;
			if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF))
				cells->watch = -1;
			else if (event->len > 0 && !cells->needs_scan)
				check_name(cells, event->name, event->mask & IN_CREATE);
		}
	}
	return n < 0 && errno != EAGAIN && errno != EINTR ? -errno : 0;
}

int kw_cells_refresh(struct kw_cells *cells, kw_cell_fn callback, void *context)
{
	cleanup_close int directory_fd = -1, new_directory_fd = -1;
	bool was_watched;
	int r;

	cells->callback = callback;
	cells->context = context;
	r = open_directory(cells, &directory_fd);
	if (r < 0)
		return r;
	cells->directory_fd = directory_fd;
	was_watched = cells->watch >= 0;
	r = read_events(cells);
	/* It was removed or moved away: its cells go, and the one in its place is read. */
	if (r == 0 && was_watched && cells->watch < 0) {
		r = open_directory(cells, &new_directory_fd);
		cells->directory_fd = new_directory_fd;
	}
	if (r == 0 && cells->needs_scan)
		r = scan(cells);
	if (r == 0 && cells->was_removed)
		retry_conflicts(cells);
	return r;
}

const struct kw_cell *kw_cells_by_handle(const struct kw_cells *cells, uint32_t handle)
{
	const struct entry *entry;

	HASH_FIND(by_handle, cells->handles, &handle, sizeof(handle), entry);
	return entry ? &entry->cell : NULL;
}

const struct kw_cell *kw_cells_by_cgroup(const struct kw_cells *cells, const char *path)
{
	size_t length = strlen(path);

	/* "//…" lacks components near the root: no ancestor can be named. */
	if (path[0] != '/' || path[1] == '/')
		return NULL;
	while (length > 1) {
		const struct entry *entry;

		HASH_FIND(by_cgroup, cells->cgroups, path, length, entry);
		if (entry)
			return &entry->cell;
		while (path[--length] != '/')
			continue;
	}
	return NULL;
}

size_t kw_cells_count(const struct kw_cells *cells)
{
	return HASH_CNT(by_handle, cells->handles);
}

void kw_cells_each(const struct kw_cells *cells, kw_cell_fn callback, void *context)
{
	for (const struct entry *entry = cells->handles; entry; entry = entry->by_handle.next)
		callback(context, KW_CELL_ADDED, &entry->cell, entry->name, NULL);
}
