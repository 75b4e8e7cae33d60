/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How a cgroup stands now: limits, usage and pressure, read when somebody asks and not kept. What a file
 * means: Documentation/admin-guide/cgroup-v2.rst and Documentation/accounting/psi.rst.
 */
#include "user/capture/swept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "user/base/file.h"
#include "user/base/text.h"

#define TEXT_BYTES 512

/* The file's text, terminated. 0 or -errno. */
static int read_text(int directory, const char *name, char ret_text[static TEXT_BYTES])
{
	cleanup_close int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = kw_file_pread_all(fd, ret_text, TEXT_BYTES - 1);
	if (length < 0)
		return (int)length;
	ret_text[length] = '\0';
	return 0;
}

/* "max" is UINT64_MAX: no limit. Takes one word off *at. */
static bool take_limit(const char **at, uint64_t *ret_value)
{
	size_t length = strcspn(*at, " \n");
	const char *word = *at;

	*at += length + strspn(*at + length, " \n");
	if (length == 3 && memcmp(word, "max", 3) == 0) {
		*ret_value = UINT64_MAX;
		return true;
	}
	return kw_text_parse_u64(word, length, ret_value) == 0;
}

/* One line: "some avg10=0.12 avg60=0.00 avg300=0.00 total=4711". */
static bool take_pressure(const char *line, const char *which, uint32_t *ret_avg10,
			  uint64_t *ret_usec)
{
	const char *at = line + strlen(which), *total = strstr(line, "total=");
	uint64_t whole, hundredths, usec;
	size_t digits;

	if (strncmp(line, which, strlen(which)) != 0 || strncmp(at, " avg10=", 7) != 0 || !total)
		return false;
	at += 7;
	digits = strspn(at, "0123456789");
	if (kw_text_parse_u64(at, digits, &whole) < 0 || whole > 100 || at[digits] != '.' ||
	    kw_text_parse_u64(at + digits + 1, 2, &hundredths) < 0)
		return false;
	total += 6;
	if (kw_text_parse_u64(total, strspn(total, "0123456789"), &usec) < 0)
		return false;
	*ret_avg10 = (uint32_t)(whole * 100 + hundredths);
	*ret_usec = usec;
	return true;
}

static bool read_pressure(int directory, const char *name, struct kw_pressure *ret_pressure)
{
	struct kw_pressure pressure = { 0 };
	char text[TEXT_BYTES];
	char *full;

	if (read_text(directory, name, text) < 0)
		return false;
	full = strchr(text, '\n');
	if (full)
		*full++ = '\0';
	if (!take_pressure(text, "some", &pressure.some_avg10, &pressure.some_usec))
		return false;
	/* cpu.pressure has no such line before 5.13. */
	if (full)
		(void)take_pressure(full, "full", &pressure.full_avg10, &pressure.full_usec);
	*ret_pressure = pressure;
	return true;
}

static void read_numbers(int directory, struct kw_cgroup_context *context)
{
	const struct {
		const char *name;
		enum kw_context_bit bit;
		uint64_t *value;
	} files[] = {
		{ "memory.current", KW_CONTEXT_MEMORY_CURRENT, &context->memory_current_bytes },
		{ "memory.peak", KW_CONTEXT_MEMORY_PEAK, &context->memory_peak_bytes },
		{ "memory.max", KW_CONTEXT_MEMORY_MAX, &context->memory_max_bytes },
		{ "memory.high", KW_CONTEXT_MEMORY_HIGH, &context->memory_high_bytes },
		{ "memory.swap.current", KW_CONTEXT_SWAP_CURRENT, &context->swap_current_bytes },
		{ "memory.swap.max", KW_CONTEXT_SWAP_MAX, &context->swap_max_bytes },
		{ "memory.swap.high", KW_CONTEXT_SWAP_HIGH, &context->swap_high_bytes },
		{ "memory.swap.peak", KW_CONTEXT_SWAP_PEAK, &context->swap_peak_bytes },
	};
	char text[TEXT_BYTES];
	const char *at = text;

	for (size_t i = 0; i < kw_array_size(files); i++) {
		at = text;
		if (read_text(directory, files[i].name, text) == 0 &&
		    take_limit(&at, files[i].value))
			context->known |= files[i].bit;
	}
	at = text;
	if (read_text(directory, "cpu.max", text) == 0 &&
	    take_limit(&at, &context->cpu_quota_usec) && take_limit(&at, &context->cpu_period_usec))
		context->known |= KW_CONTEXT_CPU_MAX;
}

int kw_sweep_context(const struct kw_sweep *sweep, const char *path,
		     struct kw_cgroup_context *ret_context)
{
	struct kw_cgroup_context context = { .boot_ns = kw_clock_boot_ns(sweep->options.clock) };
	const char *below = path + strspn(path, "/");
	cleanup_close int directory = -1;

	if (sweep->root_fd < 0)
		return -ENOENT;
	directory = openat(sweep->root_fd, below[0] ? below : ".",
			   O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (directory < 0)
		return -errno;
	read_numbers(directory, &context);
	if (read_pressure(directory, "memory.pressure", &context.memory_pressure))
		context.known |= KW_CONTEXT_MEMORY_PRESSURE;
	if (read_pressure(directory, "cpu.pressure", &context.cpu_pressure))
		context.known |= KW_CONTEXT_CPU_PRESSURE;
	*ret_context = context;
	return 0;
}
