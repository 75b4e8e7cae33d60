/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *support_directory(void)
{
	char template[] = "/tmp/kwitness-test-XXXXXX";
	char *made = mkdtemp(template);

	assert_non_null(made);
	return strdup(made);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status, (void)type, (void)walk;
	return remove(path);
}

void support_remove(char *path)
{
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(path);
}

void support_write(const char *directory, const char *name, const char *text)
{
	char path[4096];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fputs(text, file) < 0, 0);
	assert_int_equal(fclose(file), 0);
}

static uint64_t fake_boot(void *context)
{
	return ((struct support_time *)context)->boot_ns;
}

static uint64_t fake_real(void *context)
{
	return ((struct support_time *)context)->real_ns;
}

struct kw_clock support_clock(struct support_time *time)
{
	return (struct kw_clock){ .boot_ns = fake_boot, .real_ns = fake_real, .context = time };
}

static int descriptors_before;

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	if (!directory)
		return -1;
	while (readdir(directory))
		count++;
	(void)closedir(directory);
	return count;
}

int support_count_descriptors(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	return 0;
}

int support_check_descriptors(void **state)
{
	int now = count_descriptors();

	(void)state;
	if (now != descriptors_before)
		print_error("descriptors: %d before, %d after\n", descriptors_before, now);
	return now == descriptors_before ? 0 : -1;
}
