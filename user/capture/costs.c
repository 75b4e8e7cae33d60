/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the attached programs cost, as the kernel counts it: run_cnt and run_time_ns of struct
 * bpf_prog_info, while statistics are switched on (BPF_ENABLE_STATS, 5.8); verified_insns since 5.16.
 * Each program is held open from the start: those that were taken over are found by their pins, which
 * takes no more than the right to look there.
 */
#include "user/capture/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "user/base/file.h"

static int open_program(const struct kw_hooks *hooks, const char *name)
{
	struct bpf_program *program;
	int fd;

	if (!hooks->loaded.skeleton)
		return hooks->pin_path ? kw_pins_open_program(hooks->pin_path, name) : -ENOENT;
	program = bpf_object__find_program_by_name(kw_load_object(&hooks->loaded), name);
	fd = program ? bpf_program__fd(program) : -ENOENT;
	if (fd < 0)
		return fd;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

void kw_costs_open(struct kw_hooks *hooks)
{
	struct kw_costs *costs = &hooks->costs;

	for (size_t i = 0;
	     i < kw_load_program_count() && costs->count < kw_array_size(costs->programs); i++) {
		const char *name = kw_load_program(&hooks->combination, i);
		int fd = name ? open_program(hooks, name) : -ENOENT;

		if (fd >= 0) {
			costs->programs[costs->count].name = name;
			costs->programs[costs->count++].fd = fd;
		} else if (name) {
			costs->error = fd;
		}
	}
}

void kw_costs_close(struct kw_costs *costs)
{
	for (size_t i = 0; i < costs->count; i++)
		(void)close(costs->programs[i].fd);
	*costs = (struct kw_costs){};
}

static int read_cost(const char *name, int fd, struct kw_hook_cost *ret_cost)
{
	struct bpf_prog_info info = {};
	uint32_t info_bytes = sizeof(info);

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
	const struct kw_costs *costs = &hooks->costs;
	size_t count = 0;

	if (costs->error < 0)
		return costs->error;
	for (; count < costs->count && count < max; count++) {
		int r = read_cost(costs->programs[count].name, costs->programs[count].fd,
				  &ret_costs[count]);

		if (r < 0)
			return r;
	}
	return (int)count;
}

int kw_hooks_stats_enabled(void)
{
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, 32);
	r = kw_file_read(AT_FDCWD, "/proc/sys/kernel/bpf_stats_enabled", &text);
	if (r < 0)
		return r;
	return text.length > 0 && text.data[0] == '1';
}

int kw_hooks_enable_stats(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	return fd < 0 ? -errno : fd;
}
