/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/capture/capture.h"

static int parse(const char *text, struct kw_flat *ret_flat)
{
	return kw_counters_parse(text, strlen(text), ret_flat);
}

static uint64_t value_of(const struct kw_flat *flat, const char *key)
{
	uint64_t value = 0;

	assert_true(kw_counters_get(flat, key, &value));
	return value;
}

static void documented_good_inputs(void **state)
{
	struct kw_flat flat;
	uint64_t value;

	(void)state;
	assert_int_equal(parse("low 0\nhigh 1\nmax 18446744073709551615\noom_kill 5\n", &flat), 0);
	assert_int_equal(flat.count, 4);
	assert_true(value_of(&flat, "max") == UINT64_MAX);
	assert_int_equal(value_of(&flat, "oom_kill"), 5);
	assert_false(kw_counters_get(&flat, "oom", &value));
	assert_int_equal(parse("", &flat), 0);
	assert_int_equal(flat.count, 0);
	assert_true(flat.present);
	/* Blank lines, blanks around, further tokens, a repeated key (the last wins), no last newline. */
	assert_int_equal(parse("\n  a\t 1 more tokens \r\n\n a 2", &flat), 0);
	assert_int_equal(flat.count, 1);
	assert_int_equal(value_of(&flat, "a"), 2);
}

static void check_bad(const char *text, int error, uint32_t line)
{
	struct kw_flat flat;

	assert_int_equal(parse(text, &flat), error);
	assert_int_equal(flat.bad_line, line);
	assert_int_equal(flat.count, 0); /* the whole document is refused */
	assert_false(flat.present);
}

static void documented_bad_inputs(void **state)
{
	(void)state;
	check_bad("a 1\nb x\n", -EBADMSG, 2);
	check_bad("a 1\n\nb\n", -EBADMSG, 3);
	check_bad("a -1\n", -EBADMSG, 1);
	check_bad("a 18446744073709551616\n", -EBADMSG, 1);
	check_bad("a 1.5\n", -EBADMSG, 1);
	check_bad("a max\n", -EBADMSG, 1);
	check_bad("this_key_is_longer_than_any_key_that_the_kernel_has_ever_written 1\n",
		  -ENAMETOOLONG, 1);
}

static void hostile_inputs(void **state)
{
	struct kw_flat flat;
	char text[4096];
	size_t used = 0;

	(void)state;
	assert_int_equal(kw_counters_parse("a\0b 1\n", 6, &flat), -EBADMSG);
	for (int i = 0; i < KW_FLAT_KEYS_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "k%d 1\n", i);
	assert_int_equal(parse(text, &flat), 0);
	assert_int_equal(flat.count, KW_FLAT_KEYS_MAX);
	(void)snprintf(text + used, sizeof(text) - used, "one_more 1\n");
	assert_int_equal(parse(text, &flat), -E2BIG);
}

static void a_missing_file_is_named_and_not_fatal(void **state)
{
	struct support_time time = { .boot_ns = 7, .real_ns = 9 };
	struct kw_clock clock = support_clock(&time);
	char *directory = support_directory();
	cleanup_close int root = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	static struct kw_reading reading;

	(void)state;
	assert_int_equal(mkdirat(root, "cell", 0700), 0);
	support_write(directory, "cell/memory.events", "oom_kill 3\n");
	support_write(directory, "cell/pids.events", "max nonsense\n");
	assert_int_equal(kw_counters_read(root, directory, "/cell", &clock, &reading), 0);
	assert_int_equal(reading.boot_ns, 7);
	assert_string_equal(reading.cgroup, "/cell");
	assert_int_equal(value_of(&reading.files[KW_FLAT_MEMORY_EVENTS], "oom_kill"), 3);
	assert_false(reading.files[KW_FLAT_CPU_STAT].present);
	assert_int_equal(reading.files[KW_FLAT_CPU_STAT].error, -ENOENT);
	assert_int_equal(reading.files[KW_FLAT_PIDS_EVENTS].error, -EBADMSG);
	assert_int_equal(kw_counters_read(root, directory, "/gone", &clock, &reading), -ENOENT);
	support_remove(directory);
}

/* ---- poller ---- */

struct seen {
	unsigned int readings;
	uint64_t oom_kill;
};

static int on_reading(void *context, const struct kw_observation *observation)
{
	struct seen *seen = context;

	assert_int_equal(observation->kind, KW_OBSERVATION_READING);
	seen->readings++;
	seen->oom_kill = value_of(&observation->reading->files[KW_FLAT_MEMORY_EVENTS], "oom_kill");
	return 0;
}

static void poller_rereads_and_survives_removal(void **state)
{
	struct support_time time = { .boot_ns = 7, .real_ns = 9 };
	struct kw_clock clock = support_clock(&time);
	char *directory = support_directory();
	cleanup(kw_poller_freep) struct kw_poller *poller = NULL;
	struct seen seen = { 0, 0 };
	char path[256];

	(void)state;
	assert_int_equal(kw_poller_open(directory, &clock, &poller), 0);
	assert_int_equal(kw_poller_add(poller, 1, "/cell"), 0);
	assert_int_equal(kw_poller_add(poller, 1, "/cell"), -EEXIST);
	/* Not there yet: no observation, no error. */
	assert_int_equal(kw_poller_read_due(poller, 10, on_reading, &seen), 0);
	assert_int_equal(seen.readings, 0);
	(void)snprintf(path, sizeof(path), "%s/cell", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	support_write(directory, "cell/memory.events", "oom_kill 3\n");
	kw_poller_begin_round(poller);
	assert_int_equal(kw_poller_read_due(poller, 10, on_reading, &seen), 0);
	assert_int_equal(seen.readings, 1);
	assert_int_equal(seen.oom_kill, 3);
	/* Once a round. */
	assert_int_equal(kw_poller_read_due(poller, 10, on_reading, &seen), 0);
	assert_int_equal(seen.readings, 1);
	/* The kept descriptor sees the new text (same file, written in place). */
	support_write(directory, "cell/memory.events", "oom_kill 4\n");
	kw_poller_begin_round(poller);
	assert_int_equal(kw_poller_read_due(poller, 0, on_reading, &seen),
			 1); /* sliced: one is due */
	assert_int_equal(kw_poller_read_due(poller, 1, on_reading, &seen), 0);
	assert_int_equal(seen.oom_kill, 4);
	kw_poller_remove(poller, 1);
	kw_poller_begin_round(poller);
	assert_int_equal(kw_poller_read_due(poller, 10, on_reading, &seen), 0);
	assert_int_equal(seen.readings, 2);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(documented_good_inputs),
		support_test(documented_bad_inputs),
		support_test(hostile_inputs),
		support_test(a_missing_file_is_named_and_not_fatal),
		support_test(poller_rereads_and_survives_removal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
