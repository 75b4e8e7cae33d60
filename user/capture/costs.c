/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the attached programs cost, as the kernel counts it: run_cnt and run_time_ns of struct
 * bpf_prog_info, while statistics are switched on (BPF_ENABLE_STATS, 5.8); verified_insns since 5.16.
 * Programs that were taken over are found through their links' pins.
 */
#include "user/capture/hooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* Descriptor of the program behind a pinned link. */
static int open_pinned(const char *pin_path, const char *program)
{
	cleanup_close int fd = -1;
	struct bpf_link_info info = {};
	uint32_t info_bytes = sizeof(info);
	char path[KW_PATH_MAX];
	int r = snprintf(path, sizeof(path), "%s/link_%s", pin_path, program);

	if (r < 0 || (size_t)r >= sizeof(path))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &info_bytes) < 0)
		return -errno;
	r = bpf_prog_get_fd_by_id(info.prog_id);
	return r < 0 ? -errno : r;
}

static int open_program(const struct kw_hooks *hooks, const char *name)
{
	struct bpf_program *program;
	int fd;

	if (!hooks->loaded.skeleton)
		return hooks->pin_path ? open_pinned(hooks->pin_path, name) : -ENOENT;
	program = bpf_object__find_program_by_name(kw_load_object(&hooks->loaded), name);
	fd = program ? bpf_program__fd(program) : -ENOENT;
	if (fd < 0)
		return fd;
	fd = dup(fd);
	return fd < 0 ? -errno : fd;
}

static int read_cost(const struct kw_hooks *hooks, const char *name, struct kw_hook_cost *ret_cost)
{
	cleanup_close int fd = open_program(hooks, name);
	struct bpf_prog_info info = {};
	uint32_t info_bytes = sizeof(info);

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_bytes) < 0)
		return -errno;
	*ret_cost = (struct kw_hook_cost){
		.verified_insns = info.verified_insns,
		.run_count = info.run_cnt,
		.run_time_ns = info.run_time_ns,
	};
	(void)snprintf(ret_cost->program, sizeof(ret_cost->program), "%s", name);
	return 0;
}

int kw_hooks_costs(const struct kw_hooks *hooks, struct kw_hook_cost *ret_costs, size_t max)
{
	size_t count = 0;

	for (size_t i = 0; i < kw_load_program_count() && count < max; i++) {
		const char *name = kw_load_program(&hooks->combination, i);
		int r = name ? read_cost(hooks, name, &ret_costs[count]) : -ENOENT;

		if (r < 0 && name)
			return r;
		count += r == 0;
	}
	return (int)count;
}

int kw_hooks_enable_stats(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	return fd < 0 ? -errno : fd;
}
