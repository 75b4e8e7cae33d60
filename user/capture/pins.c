/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pins in bpffs: what lets programs outlive the daemon, and the next daemon find them. Directory and
 * entries are root's (0700, set by us; the mount's own mode is the distribution's). Facts: bpffs knows
 * mkdir, unlink, rename of pins and flock of a directory (kernel/bpf/inode.c, 6.1 to 6.18), but no
 * files, so the loader's notes are in a map, "meta".
 */
#include "user/capture/pins.h"

#include "user/capture/capture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define META "meta"

void kw_pins_close_maps(struct kw_pins_maps *maps)
{
	kw_cleanup_close_fd(&maps->evidence);
	kw_cleanup_close_fd(&maps->losses);
	kw_cleanup_close_fd(&maps->losses_told);
	kw_cleanup_close_fd(&maps->counts);
	kw_cleanup_close_fd(&maps->bulk);
	kw_cleanup_close_fd(&maps->throttles);
	kw_cleanup_close_fd(&maps->throttles_told);
	kw_cleanup_close_fd(&maps->refusals);
	kw_cleanup_close_fd(&maps->refusals_told);
	kw_cleanup_close_fd(&maps->cgroup_losses);
	kw_cleanup_close_fd(&maps->cgroup_losses_told);
	kw_cleanup_close_fd(&maps->reader);
	kw_cleanup_close_fd(&maps->highs);
	kw_cleanup_close_fd(&maps->highs_told);
	kw_cleanup_close_fd(&maps->lifecycle);
	kw_cleanup_close_fd(&maps->killers);
	*maps = KW_PINS_MAPS_NONE;
}

bool kw_pins_has_all_maps(const struct kw_pins_maps *maps)
{
	return maps->evidence >= 0 && maps->losses >= 0 && maps->losses_told >= 0 &&
	       maps->counts >= 0 && maps->bulk >= 0 && maps->throttles >= 0 &&
	       maps->throttles_told >= 0 && maps->refusals >= 0 && maps->refusals_told >= 0 &&
	       maps->cgroup_losses >= 0 && maps->cgroup_losses_told >= 0 && maps->reader >= 0 &&
	       maps->highs >= 0 && maps->highs_told >= 0 && maps->lifecycle >= 0 &&
	       maps->killers >= 0;
}

static int pin_name(const char *path, const char *prefix, const char *name, char *ret_name,
		    size_t size)
{
	int length = snprintf(ret_name, size, "%s/%s%s", path, prefix, name);

	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : 0;
}

static int open_pin(const char *path, const char *prefix, const char *name)
{
	char pin[KW_PATH_MAX];
	int r = pin_name(path, prefix, name, pin, sizeof(pin));

	if (r < 0)
		return r;
	r = bpf_obj_get(pin);
	return r < 0 ? -errno : r;
}

/* A directory of ours on a bpffs: its entries may be unlinked without asking what they are. */
static int open_directory(const char *path, bool *ret_is_ours)
{
	cleanup_close int fd = -1;
	struct statfs file_system;
	struct stat status;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &file_system) < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (file_system.f_type != BPF_FS_MAGIC)
		return -EOPNOTSUPP;
	/* a bpffs may be mounted for all to write: then the name can have been taken before us */
	*ret_is_ours = status.st_uid == geteuid();
	return take_fd(fd);
}

int kw_pins_open(const char *path)
{
	cleanup_close int fd = -1;
	bool is_new = mkdir(path, 0700) == 0;
	bool is_ours = false;

	if (!is_new && errno != EEXIST)
		return -errno;
	fd = open_directory(path, &is_ours);
	if (fd < 0) {
		if (is_new)
			(void)rmdir(path);
		return take_fd(fd);
	}
	if (!is_ours)
		return -EPERM;
	if (fchmod(fd, 0700) < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EEXIST : -errno;
	return take_fd(fd);
}

static int read_meta(const char *path, struct kw_pin_meta *ret_meta)
{
	cleanup_close int fd = open_pin(path, "", META);
	struct bpf_map_info info = {};
	uint32_t info_bytes = sizeof(info);
	uint32_t zero = 0;

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_bytes) < 0)
		return -errno;
	/* the kernel copies value_size bytes: an older or newer meta must not overrun ours */
	if (info.type != BPF_MAP_TYPE_ARRAY || info.key_size != sizeof(zero) ||
	    info.value_size != sizeof(*ret_meta))
		return -ENOENT;
	return bpf_map_lookup_elem(fd, &zero, ret_meta) < 0 ? -errno : 0;
}

int kw_pins_read(const char *path, struct kw_pins_maps *ret_maps, struct kw_pin_meta *ret_meta)
{
	cleanup(kw_pins_close_maps) struct kw_pins_maps maps = KW_PINS_MAPS_NONE;
	struct kw_pin_meta meta = {};
	int r;

	r = read_meta(path, &meta);
	if (r < 0)
		return r;
	maps.evidence = open_pin(path, "", "evidence");
	maps.losses = open_pin(path, "", "losses");
	maps.losses_told = open_pin(path, "", "losses_told");
	maps.counts = open_pin(path, "", "counts");
	maps.bulk = open_pin(path, "", "bulk");
	maps.throttles = open_pin(path, "", "throttles");
	maps.throttles_told = open_pin(path, "", "throttles_told");
	maps.refusals = open_pin(path, "", "refusals");
	maps.refusals_told = open_pin(path, "", "refusals_told");
	maps.cgroup_losses = open_pin(path, "", "cgroup_losses");
	maps.cgroup_losses_told = open_pin(path, "", "cgroup_losses_told");
	maps.reader = open_pin(path, "", "reader");
	maps.highs = open_pin(path, "", "highs");
	maps.highs_told = open_pin(path, "", "highs_told");
	maps.lifecycle = open_pin(path, "", "lifecycle");
	maps.killers = open_pin(path, "", "killers");
	if (maps.evidence < 0 || maps.losses < 0 || maps.losses_told < 0 || maps.counts < 0)
		return -ENOENT;
	*ret_maps = maps;
	*ret_meta = meta;
	maps = KW_PINS_MAPS_NONE;
	return 0;
}

bool kw_pins_has_link(const char *path, const char *program)
{
	cleanup_close int fd = open_pin(path, "link_", program);

	return fd >= 0;
}

int kw_pins_open_program(const char *path, const char *name)
{
	cleanup_close int link = -1;
	struct bpf_link_info info = {};
	uint32_t info_bytes = sizeof(info);
	int fd = open_pin(path, "prog_", name);

	if (fd != -ENOENT)
		return fd;
	link = open_pin(path, "link_", name);
	if (link < 0)
		return link;
	if (bpf_obj_get_info_by_fd(link, &info, &info_bytes) < 0)
		return -errno;
	fd = bpf_prog_get_fd_by_id(info.prog_id);
	return fd < 0 ? -errno : fd;
}

static int pin_programs(const char *path, struct bpf_object *object,
			const struct kw_pins_link *links, size_t count)
{
	char pin[KW_PATH_MAX];
	int r;

	for (size_t i = 0; i < count; i++) {
		struct bpf_program *program =
			bpf_object__find_program_by_name(object, links[i].name);

		r = program ? pin_name(path, "prog_", links[i].name, pin, sizeof(pin)) : -ENOENT;
		if (r < 0)
			return r;
		if (bpf_obj_pin(bpf_program__fd(program), pin) < 0)
			return -errno;
	}
	return 0;
}

static int pin_links(const char *path, const struct kw_pins_link *links, size_t count)
{
	char pin[KW_PATH_MAX];
	int r;

	for (size_t i = 0; i < count; i++) {
		r = pin_name(path, "link_", links[i].name, pin, sizeof(pin));
		if (r < 0)
			return r;
		r = bpf_link__pin(links[i].link, pin);
		if (r < 0)
			return r;
	}
	return 0;
}

static int pin_maps(const char *path, struct bpf_object *object)
{
	struct bpf_map *map, *meta = NULL;
	char pin[KW_PATH_MAX];
	int r;

	bpf_object__for_each_map(map, object)
	{
		if (strcmp(bpf_map__name(map), META) == 0) {
			meta = map;
			continue;
		}
		r = pin_name(path, "", bpf_map__name(map), pin, sizeof(pin));
		if (r < 0)
			return r;
		if (bpf_obj_pin(bpf_map__fd(map), pin) < 0)
			return -errno;
	}
	r = meta ? pin_name(path, "", META, pin, sizeof(pin)) : -ENOENT;
	if (r < 0)
		return r;
	return bpf_obj_pin(bpf_map__fd(meta), pin) < 0 ? -errno : 0;
}

int kw_pins_save(const char *path, struct bpf_object *object, const struct kw_pins_link *links,
		 size_t count)
{
	int r = pin_links(path, links, count);

	if (r == 0)
		r = pin_programs(path, object, links, count);
	if (r == 0)
		r = pin_maps(path, object);
	if (r < 0)
		(void)kw_pins_remove(path);
	return r;
}

int kw_pins_remove(const char *path)
{
	bool is_ours = false;
	cleanup_close int fd = open_directory(path, &is_ours);
	struct dirent *entry;
	DIR *directory;
	int failed = 0;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	/* root may end what another user's daemon left behind, though it would never adopt it */
	if (!is_ours && geteuid() != 0)
		return -EPERM;
	directory = fdopendir(fd);
	if (!directory)
		return -errno;
	(void)take_fd(fd); /* the directory's now */
	/* whoever dies halfway leaves no meta: leftovers, not pins to adopt */
	if (unlinkat(dirfd(directory), META, 0) < 0 && errno != ENOENT)
		failed = -errno;
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(directory), entry->d_name, 0) < 0 && errno != ENOENT)
			failed = -errno;
	}
	(void)closedir(directory);
	return failed;
}
