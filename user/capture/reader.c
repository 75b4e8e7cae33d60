/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Since when nobody reads. The time at which the evidence ring was last known to be read to its end is
 * kept in a map beside it, so that the next daemon can say from when to when nobody read, and how many
 * records wait, however the last one ended. It is moved on at each turn and once a second.
 */
#include "user/capture/hooks.h"

#include <errno.h>
#include <stdio.h>

#include <bpf/bpf.h>

void kw_reader_mark(struct kw_hooks *hooks)
{
	struct kw_reader_state state = { .read_boot_ns = kw_clock_boot_ns(hooks->clock) };
	uint32_t zero = 0;

	/* the time first: what comes after it is not said to be read */
	if (hooks->maps.reader < 0 || kw_hooks_backlog(hooks) > 0)
		return;
	(void)bpf_map_update_elem(hooks->maps.reader, &zero, &state, BPF_ANY);
}

static int open_pin(const char *pin_path, const char *name)
{
	char path[KW_PATH_MAX];
	int r = snprintf(path, sizeof(path), "%s/%s", pin_path, name);

	if (r < 0 || (size_t)r >= sizeof(path))
		return -ENAMETOOLONG;
	r = bpf_obj_get(path);
	return r < 0 ? -errno : r;
}

/* 0 when it is not there, or not what this build takes it for. */
static uint64_t read_time(const char *pin_path)
{
	cleanup_close int fd = open_pin(pin_path, "reader");
	struct kw_reader_state state = { .read_boot_ns = 0 };
	struct bpf_map_info info = {};
	uint32_t info_bytes = sizeof(info);
	uint32_t zero = 0;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &info_bytes) < 0 ||
	    info.key_size != sizeof(zero) || info.value_size != sizeof(state) ||
	    bpf_map_lookup_elem(fd, &zero, &state) < 0)
		return 0;
	return state.read_boot_ns;
}

int kw_hooks_unread(const char *pin_path, struct kw_unread *ret_unread)
{
	cleanup_close int fd = open_pin(pin_path, "evidence");
	struct kw_ring ring;
	int r;

	if (fd < 0)
		return fd;
	r = kw_ring_open(fd, &ring);
	if (r < 0)
		return r;
	*ret_unread = (struct kw_unread){
		.read_boot_ns = read_time(pin_path),
		.records = kw_ring_count(&ring),
	};
	kw_ring_close(&ring);
	return 0;
}
