/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Replays recordings of real kernels through the pipeline that kwitnessd runs, with a public key and a
 * clock of its own. Ed25519 is deterministic (RFC 8032, 5.1.6), so the ledger must be the recorded one,
 * byte for byte; variants.c has what must hold when the recording is tampered with. TAP on stdout.
 */
#include "tests/replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "user/base/file.h"
#include "user/base/log.h"

#define EXPECTED_MAX (16U * 1024U * 1024U)

static const char usage[] =
	"usage: replay [--update] VECTORS [KERNEL/NAME]...\n"
	"  VECTORS   tests/vectors: records/, cgroupfs/ and replay/ lie in it\n"
	"  --update  writes the expected ledgers anew; look at the difference before keeping them\n";

static const struct {
	const char *name;
	replay_variant_fn check;
} variants[] = {
	{ "those who died are recorded, each once, and explained", replay_truth },
	{ "every record twice: the same kills, none twice", replay_twice },
	{ "one record missing: noticed, and nothing else changes", replay_dropped },
	{ "killed in between: all kills once, the chain whole", replay_restarted },
	{ "changed bytes: the ledger verifies all the same", replay_forged },
};

static struct {
	bool update;
	unsigned int number;
	unsigned int failed;
} tap;

static void report(const struct replay_case *test, const char *name, const char *why)
{
	if (why)
		tap.failed++;
	printf("%sok %u - %s/%s: %s\n", why ? "not " : "", ++tap.number, test->kernel, test->name,
	       name);
	if (why)
		printf("# %s\n# reproduce: make replay T=%s/%s\n", why, test->kernel, test->name);
	(void)fflush(stdout);
}

/* Length of the line at text, without its newline. */
static int line_length(const char *text, const char *end)
{
	const char *newline = text < end ? memchr(text, '\n', (size_t)(end - text)) : NULL;

	return (int)((newline ? newline : end) - text);
}

/* The first line that differs, of both. */
static void show_difference(const struct kw_bytes *expected, const struct kw_bytes *got)
{
	const char *left = expected->length ? expected->data : "";
	const char *right = got->length ? got->data : "";
	const char *left_end = left + expected->length, *right_end = right + got->length;
	unsigned int number = 1;
	int column = 0, length;

	while (left < left_end && right < right_end) {
		length = line_length(left, left_end);
		if (length != line_length(right, right_end) ||
		    memcmp(left, right, (size_t)length) != 0)
			break;
		left += left + length < left_end ? length + 1 : length;
		right += right + length < right_end ? length + 1 : length;
		number++;
	}
	while (left + column < left_end && right + column < right_end &&
	       left[column] == right[column])
		column++;
	printf("# line %u differs from byte %d on\n", number, column + 1);
	printf("# recorded: %.*s\n", line_length(left, left_end), left);
	printf("# now:      %.*s\n", line_length(right, right_end), right);
}

static int replay(const struct replay_case *test, struct replay_told *told)
{
	cleanup(replay_done) struct replay_run run;
	int r = replay_begin(&run, test);

	for (size_t i = 0; r == 0 && i < test->record_count; i++)
		r = replay_take(&run, &test->records[i]);
	if (r == 0)
		r = replay_finish(&run);
	return r < 0 ? r : replay_told_read(told);
}

static int write_file(const char *path, const struct kw_bytes *text)
{
	cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd < 0 ? -errno : kw_file_write_all(fd, text->data, text->length);
}

static int compare(const struct replay_case *test)
{
	cleanup(replay_told_done) struct replay_told told = { .lines = 0 };
	cleanup_bytes struct kw_bytes expected;
	char path[KW_PATH_MAX];
	int r = replay(test, &told);

	kw_bytes_init(&expected, EXPECTED_MAX);
	if (r < 0)
		return r;
	replay_case_expected(test, path, sizeof(path));
	if (tap.update)
		return write_file(path, &told.text);
	r = kw_file_read(AT_FDCWD, path, &expected);
	if (r < 0)
		return kw_log_error(r, "cannot read %s", path);
	if (told.text.length != expected.length ||
	    memcmp(told.text.data, expected.data, expected.length) != 0) {
		report(test, "the ledger is the recorded one", "it is another");
		show_difference(&expected, &told.text);
		return 0;
	}
	report(test, "the ledger is the recorded one", NULL);
	return 0;
}

static void run_case(const struct replay_case *test)
{
	int r = compare(test);

	if (r < 0)
		report(test, "the ledger is the recorded one", strerror(-r));
	for (size_t i = 0; !tap.update && i < kw_array_size(variants); i++) {
		char why[REPLAY_WHY_BYTES] = "";

		r = variants[i].check(test, why);
		if (r < 0 && !why[0])
			(void)snprintf(why, sizeof(why), "could not be tried: %s", strerror(-r));
		report(test, variants[i].name, r < 0 ? why : NULL);
	}
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status, (void)type, (void)walk;
	return remove(path);
}

/* In memory where there is such a place: the ledger syncs each segment it begins. */
static int run_in_directory(const struct replay_case *test)
{
	char directory[] = "/dev/shm/kwitness-replay-XXXXXX";

	if (!mkdtemp(directory)) {
		(void)snprintf(directory, sizeof(directory), "/tmp/kwitness-replay-XXXXXX");
		if (!mkdtemp(directory))
			return kw_log_error(-errno, "cannot make a directory");
	}
	if (chdir(directory) < 0)
		return kw_log_error(-errno, "cannot go to %s", directory);
	run_case(test);
	if (chdir("/") < 0 || nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		return kw_log_error(-errno, "cannot remove %s", directory);
	return 0;
}

static bool is_wanted(const char *kernel, const char *name, char **wanted)
{
	char label[NAME_MAX];

	(void)snprintf(label, sizeof(label), "%s/%s", kernel, name);
	for (char **word = wanted; *word; word++)
		if (strstr(label, *word))
			return true;
	return !wanted[0];
}

/* path: …/replay/KERNEL/NAME.case */
static int run_file(const char *vectors, char *path, char **wanted)
{
	cleanup(replay_case_freep) struct replay_case *test = NULL;
	char *name = strrchr(path, '/') + 1, *kernel;
	int r;

	name[-1] = '\0';
	kernel = strrchr(path, '/') + 1;
	name[strlen(name) - strlen(".case")] = '\0';
	if (!is_wanted(kernel, name, wanted))
		return 0;
	r = replay_case_load(vectors, kernel, name, &test);
	return r < 0 ? r : run_in_directory(test);
}

static int run_all(const char *vectors, char **wanted)
{
	char absolute[PATH_MAX], pattern[PATH_MAX + 32];
	glob_t found;
	int r = 0;

	if (!realpath(vectors, absolute))
		return kw_log_error(-errno, "cannot find %s", vectors);
	(void)snprintf(pattern, sizeof(pattern), "%s/replay/*/*.case", absolute);
	if (glob(pattern, 0, NULL, &found) != 0)
		return kw_log_error(-ENOENT, "no recordings in %s", vectors);
	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
		r = run_file(absolute, found.gl_pathv[i], wanted);
	globfree(&found);
	return r;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "update", no_argument, NULL, 'u' }, { 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'u') {
			(void)fputs(usage, stderr);
			return 2;
		}
		tap.update = true;
	}
	if (optind == argc) {
		(void)fputs(usage, stderr);
		return 2;
	}
	/* What a room's caller would log of forged records is no news here. */
	kw_log_setup("replay", LOG_ERR);
	if (run_all(argv[optind], argv + optind + 1) < 0)
		return 3;
	if (!tap.update)
		printf("1..%u\n", tap.number);
	return tap.failed > 0 || (!tap.update && tap.number == 0);
}
