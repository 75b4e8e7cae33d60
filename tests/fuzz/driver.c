/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Runs a fuzz target without libFuzzer, so that each run of the tests takes its corpus under gcc's
 * sanitisers: every file of the directories given, then each file cut at many places, and with single
 * bits turned over. Always the same inputs in the same order.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (1 << 20)

/* Of one file, at most so many cuts and so many flips, spread over its length. */
#define VARIANTS_MAX 1024

static unsigned long inputs;

/* In an allocation of its exact size, so that a read past the end is seen. */
static void run_one(const unsigned char *bytes, size_t length)
{
	unsigned char *copy = malloc(length > 0 ? length : 1);

	fuzz_assert(copy);
	memcpy(copy, bytes, length);
	(void)LLVMFuzzerTestOneInput(copy, length);
	free(copy);
	inputs++;
}

static void run_variants(unsigned char *bytes, size_t length)
{
	size_t bits = length * 8;
	size_t cut_step = length / VARIANTS_MAX + 1;
	size_t bit_step = bits / VARIANTS_MAX + 1;

	run_one(bytes, length);
	for (size_t cut = 0; cut < length; cut += cut_step)
		run_one(bytes, cut);
	/* A step that shares no factor with 8 takes every bit of a byte in turn. */
	for (size_t bit = 0; bit < bits; bit += bit_step | 1) {
		bytes[bit / 8] = (unsigned char)(bytes[bit / 8] ^ 1U << bit % 8);
		run_one(bytes, length);
		bytes[bit / 8] = (unsigned char)(bytes[bit / 8] ^ 1U << bit % 8);
	}
}

static int run_file(int directory, const char *name, unsigned char *buffer)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t n = -1;

	if (fd >= 0) {
		while (length < INPUT_MAX &&
		       (n = read(fd, buffer + length, INPUT_MAX - length)) > 0)
			length += (size_t)n;
		(void)close(fd);
	}
	if (n < 0) {
		perror(name);
		return -1;
	}
	run_variants(buffer, length);
	return 0;
}

static int filter(const struct dirent *file)
{
	return file->d_name[0] != '.' && strcmp(file->d_name, "README.md") != 0;
}

static int run_directory(const char *path, unsigned char *buffer)
{
	struct dirent **files = NULL;
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int count = directory < 0 ? -1 : scandirat(directory, ".", &files, filter, alphasort);
	int r = 0;

	if (count < 0) {
		perror(path);
		return -1;
	}
	for (int i = 0; i < count; i++) {
		if (r == 0)
			r = run_file(directory, files[i]->d_name, buffer);
		free(files[i]);
	}
	free(files);
	(void)close(directory);
	return r;
}

int main(int argc, char **argv)
{
	unsigned char *buffer = malloc(INPUT_MAX);

	fuzz_assert(buffer);
	for (int i = 1; i < argc; i++)
		if (run_directory(argv[i], buffer) < 0)
			return 1;
	free(buffer);
	printf("%lu\n", inputs);
	/* A corpus that is not there is a failure, not a success without work. */
	return inputs > 1 ? 0 : 1;
}
