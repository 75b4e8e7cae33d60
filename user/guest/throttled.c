/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CPU throttling inside the guest: cpu.stat of its cgroups (Documentation/admin-guide/cgroup-v2.rst),
 * looked at every few seconds. Bounded in depth and number. A cgroup that was not there at the last look
 * begins at 0; what was there at the first one, with what it has: that was before our time.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/guest/guest.h"

#define DEPTH_MAX 5
#define CGROUPS_MAX 512
#define PATH_BYTES 512

struct known {
	uint64_t inode;
	uint64_t look; /* when it was seen last */
	uint64_t periods, throttled, usec;
};

struct kw_throttled {
	int root_fd;
	uint64_t look;
	unsigned int count;
	struct known known[CGROUPS_MAX];
};

static struct known *find(struct kw_throttled *throttled, uint64_t inode)
{
	struct known *oldest = &throttled->known[0];

	for (unsigned int i = 0; i < throttled->count; i++) {
		if (throttled->known[i].inode == inode)
			return &throttled->known[i];
		if (throttled->known[i].look < oldest->look)
			oldest = &throttled->known[i];
	}
	/* One that was there at the last look may be there still, and must not be taken for a new one
	 * later: when there are so many, the rest is not followed. */
	if (throttled->count < CGROUPS_MAX)
		oldest = &throttled->known[throttled->count++];
	else if (oldest->look + 1 >= throttled->look)
		return NULL;
	*oldest = (struct known){ .inode = inode };
	return oldest;
}

static void tell(const struct known *before, const struct known *now, const char *path,
		 struct kw_queue *queue, uint64_t now_ns)
{
	size_t length = strlen(path);
	struct kw_report report = { .probe = "cpu.throttled", .comm = "", .monotonic_ns = now_ns };

	if (now->throttled <= before->throttled)
		return;
	/* The end of a long path says more than its beginning. */
	kw_report_add_text(&report, "cgroup",
			   length > KW_CLAIM_TEXT_MAX ? path + length - KW_CLAIM_TEXT_MAX : path);
	kw_report_add_number(&report, "periods", now->periods - before->periods);
	kw_report_add_number(&report, "throttled_periods", now->throttled - before->throttled);
	kw_report_add_number(&report, "throttled_usec", now->usec - before->usec);
	kw_queue_put(queue, &report);
}

static void look_at(struct kw_throttled *throttled, int fd, const char *path,
		    struct kw_queue *queue, uint64_t now_ns)
{
	struct known now = { .look = throttled->look };
	struct known *known;
	struct stat status;
	char text[2048];

	/* The root's and those without the controller have no nr_throttled. */
	if (fstat(fd, &status) < 0 || kw_pressure_slurp(fd, "cpu.stat", text, sizeof(text)) <= 0 ||
	    !kw_pressure_value(text, "nr_throttled", &now.throttled) ||
	    !kw_pressure_value(text, "nr_periods", &now.periods) ||
	    !kw_pressure_value(text, "throttled_usec", &now.usec) || now.periods == 0)
		return;
	now.inode = status.st_ino;
	known = find(throttled, now.inode);
	if (!known)
		return;
	if (throttled->look > 1)
		tell(known, &now, path, queue, now_ns);
	*known = now;
}

static void walk(struct kw_throttled *throttled, int parent_fd, const char *name, const char *path,
		 unsigned int depth, struct kw_queue *queue, uint64_t now_ns)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!directory) {
		kw_cleanup_close_fd(&fd);
		return;
	}
	look_at(throttled, fd, path, queue, now_ns);
	while (depth < DEPTH_MAX && (entry = readdir(directory))) {
		char child[PATH_BYTES];
		int length;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		length = snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);
		if (length > 0 && (size_t)length < sizeof(child))
			walk(throttled, fd, entry->d_name, child, depth + 1, queue, now_ns);
	}
	(void)closedir(directory);
}

void kw_throttled_turn(struct kw_throttled *throttled, struct kw_queue *queue, uint64_t now_ns)
{
	throttled->look++;
	walk(throttled, throttled->root_fd, ".", "", 0, queue, now_ns);
}

int kw_throttled_open(const char *cgroup_root, struct kw_throttled **ret_throttled)
{
	struct kw_throttled *throttled = calloc(1, sizeof(*throttled));

	if (!throttled)
		return -ENOMEM;
	throttled->root_fd = open(cgroup_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (throttled->root_fd < 0) {
		int r = -errno;

		free(throttled);
		return r;
	}
	*ret_throttled = throttled;
	return 0;
}

void kw_throttled_free(struct kw_throttled *throttled)
{
	if (!throttled)
		return;
	kw_cleanup_close_fd(&throttled->root_fd);
	free(throttled);
}
