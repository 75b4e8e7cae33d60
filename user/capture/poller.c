/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The poller keeps a descriptor per counter file and reads it again with pread: kernfs makes the text
 * anew for each read at offset 0, and a kept descriptor saves the path walk (about 8 times cheaper
 * than open/read/close). A descriptor outlives its cgroup: reading it then gives ENODEV, and the
 * cgroup is looked up again by path, because a supervisor may have made it anew.
 */
#include "user/capture/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "user/base/file.h"

struct polled {
	LIST_ENTRY(polled) link;
	uint32_t handle;
	bool due;
	int files[KW_FLAT_FILE_COUNT_];
	char path[KW_PATH_MAX];
};

struct kw_poller {
	int root_fd; /* -1: no such directory */
	char root_path[KW_PATH_MAX];
	const struct kw_clock *clock;
	LIST_HEAD(, polled) cgroups;
};

int kw_poller_open(const char *root_path, const struct kw_clock *clock,
		   struct kw_poller **ret_poller)
{
	cleanup(kw_poller_freep) struct kw_poller *poller = calloc(1, sizeof(*poller));
	int r;

	if (!poller)
		return -ENOMEM;
	LIST_INIT(&poller->cgroups);
	poller->clock = clock;
	poller->root_fd = -1;
	r = snprintf(poller->root_path, sizeof(poller->root_path), "%s", root_path);
	if (r < 0 || (size_t)r >= sizeof(poller->root_path))
		return -ENAMETOOLONG;
	poller->root_fd = open(root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*ret_poller = take_ptr(poller);
	return 0;
}

static void close_files(struct polled *cgroup)
{
	for (int i = 0; i < KW_FLAT_FILE_COUNT_; i++) {
		if (cgroup->files[i] >= 0)
			(void)close(cgroup->files[i]);
		cgroup->files[i] = -1;
	}
}

static void forget(struct polled *cgroup)
{
	LIST_REMOVE(cgroup, link);
	close_files(cgroup);
	free(cgroup);
}

void kw_poller_free(struct kw_poller *poller)
{
	if (!poller)
		return;
	while (!LIST_EMPTY(&poller->cgroups))
		forget(LIST_FIRST(&poller->cgroups));
	if (poller->root_fd >= 0)
		(void)close(poller->root_fd);
	free(poller);
}

int kw_poller_add(struct kw_poller *poller, uint32_t handle, const char *path)
{
	struct polled *cgroup;

	if (strlen(path) >= sizeof(cgroup->path))
		return -ENAMETOOLONG;
	LIST_FOREACH (cgroup, &poller->cgroups, link) {
		if (cgroup->handle == handle)
			return -EEXIST;
	}
	cgroup = calloc(1, sizeof(*cgroup));
	if (!cgroup)
		return -ENOMEM;
	cgroup->handle = handle;
	cgroup->due = true;
	for (int i = 0; i < KW_FLAT_FILE_COUNT_; i++)
		cgroup->files[i] = -1;
	(void)snprintf(cgroup->path, sizeof(cgroup->path), "%s", path);
	LIST_INSERT_HEAD(&poller->cgroups, cgroup, link);
	return 0;
}

void kw_poller_remove(struct kw_poller *poller, uint32_t handle)
{
	struct polled *cgroup;

	LIST_FOREACH (cgroup, &poller->cgroups, link) {
		if (cgroup->handle == handle) {
			forget(cgroup);
			return;
		}
	}
}

void kw_poller_begin_round(struct kw_poller *poller)
{
	struct polled *cgroup;

	LIST_FOREACH (cgroup, &poller->cgroups, link)
		cgroup->due = true;
}

/* Opens what is not open yet. -ENOENT when the directory itself is not there. */
static int open_files(struct kw_poller *poller, struct polled *cgroup)
{
	const char *below = cgroup->path[0] == '/' ? cgroup->path + 1 : cgroup->path;
	cleanup_close int directory =
		openat(poller->root_fd, below[0] ? below : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0)
		return -errno;
	for (int i = 0; i < KW_FLAT_FILE_COUNT_; i++) {
		if (cgroup->files[i] < 0)
			cgroup->files[i] = openat(directory,
						  kw_flat_file_name((enum kw_flat_file)i),
						  O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	return 0;
}

static int read_kept(struct polled *cgroup, struct kw_reading *ret_reading)
{
	char text[KW_FLAT_FILE_MAX];

	for (int i = 0; i < KW_FLAT_FILE_COUNT_; i++) {
		struct kw_flat *flat = &ret_reading->files[i];
		ssize_t length;

		if (cgroup->files[i] < 0) {
			*flat = (struct kw_flat){ .error = -ENOENT };
			continue;
		}
		length = kw_file_pread_all(cgroup->files[i], text, sizeof(text));
		if (length == -ENODEV)
			return -ENODEV;
		if (length < 0)
			*flat = (struct kw_flat){ .error = (int)length };
		else
			(void)kw_counters_parse(text, (size_t)length,
						flat); /* error stands in flat */
	}
	return 0;
}

static int read_cgroup(struct kw_poller *poller, struct polled *cgroup,
		       struct kw_reading *ret_reading)
{
	const char *below = cgroup->path[0] == '/' ? cgroup->path + 1 : cgroup->path;
	int r;

	(void)snprintf(ret_reading->cgroup, sizeof(ret_reading->cgroup), "%s", cgroup->path);
	r = snprintf(ret_reading->leaf, sizeof(ret_reading->leaf), "%s%s%s", poller->root_path,
		     below[0] ? "/" : "", below);
	if (r < 0 || (size_t)r >= sizeof(ret_reading->leaf))
		return -ENAMETOOLONG;
	/* Twice: kept descriptors may be those of a cgroup that was removed and made again. */
	for (int attempt = 0; attempt < 2; attempt++) {
		r = open_files(poller, cgroup);
		if (r < 0) {
			close_files(cgroup);
			return r;
		}
		ret_reading->boot_ns = kw_clock_boot_ns(poller->clock);
		r = read_kept(cgroup, ret_reading);
		if (r == 0)
			return 0;
		close_files(cgroup);
	}
	return r;
}

int kw_poller_read_due(struct kw_poller *poller, unsigned int limit, kw_observation_fn callback,
		       void *context)
{
	struct kw_reading reading;
	struct polled *cgroup;
	int left = 0;

	LIST_FOREACH (cgroup, &poller->cgroups, link) {
		struct kw_observation observation = { .kind = KW_OBSERVATION_READING };
		int r;

		if (!cgroup->due)
			continue;
		if (limit == 0) {
			left++;
			continue;
		}
		limit--;
		cgroup->due = false;
		if (read_cgroup(poller, cgroup, &reading) < 0)
			continue; /* gone, or not there yet: a fact, told by the next round */
		observation.boot_ns = reading.boot_ns;
		observation.received_boot_ns = reading.boot_ns;
		observation.received_real_ns =
			kw_clock_real_of_boot(poller->clock, reading.boot_ns);
		observation.reading = &reading;
		r = callback(context, &observation);
		if (r < 0)
			return r;
	}
	return left;
}

int kw_poller_read_now(struct kw_poller *poller, const char *path, struct kw_reading *ret_reading)
{
	if (poller->root_fd < 0)
		return -ENOENT;
	return kw_counters_read(poller->root_fd, poller->root_path, path, poller->clock,
				ret_reading);
}
