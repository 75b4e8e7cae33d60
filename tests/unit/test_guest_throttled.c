/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* throttled.c over a directory that looks like a cgroup hierarchy: each stall is told once, and only
 * what came after the agent. */
#include "tests/unit/support.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/gate/claim.h"
#include "user/guest/guest.h"

static struct kw_queue queue;
static struct kw_throttled *throttled;
static char *root;

static int setup(void **state)
{
	(void)state;
	memset(&queue, 0, sizeof(queue));
	queue.boot_id = "d2719cbb-0c3c-4b5e-9d3b-0d6a2a0a4b1c";
	root = support_directory();
	return kw_throttled_open(root, &throttled);
}

static int teardown(void **state)
{
	(void)state;
	kw_throttled_free(throttled);
	support_remove(root);
	return 0;
}

static void set(const char *cgroup, unsigned int periods)
{
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", root, cgroup);
	(void)mkdir(path, 0700);
	(void)snprintf(path, sizeof(path), "%s/%s/cpu.stat", root, cgroup);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "usage_usec 9\nnr_periods %u\nnr_throttled %u\nthrottled_usec %u\n",
		2 * periods, periods, 1000 * periods);
	assert_int_equal(fclose(file), 0);
}

static void remove_cgroup(unsigned int generation, int i)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/g%u-%d/cpu.stat", root, generation, i);
	assert_int_equal(unlink(path), 0);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
}

/* The throttled periods that a turn tells, of so many cgroups. */
static uint64_t turn(unsigned int cgroups)
{
	uint64_t periods = 0;

	kw_throttled_turn(throttled, &queue, 1);
	assert_int_equal(queue.count, cgroups);
	while (queue.count > 0) {
		struct kw_gate_message message;
		size_t length = 0;
		unsigned char *frame = kw_queue_first(&queue, &length);

		length = kw_writer_finish(frame, length, 1, 0);
		assert_int_equal(kw_claim_decode(frame + 4, length - 4, &message),
				 KW_GATE_REASON_NONE);
		assert_string_equal(message.probe_source, "cpu.throttled");
		for (size_t i = 0; i < message.claim_count; i++)
			if (strcmp(message.claim[i].key, "throttled_periods") == 0)
				periods += message.claim[i].number;
		kw_queue_remove(&queue);
	}
	return periods;
}

static void what_was_before_is_no_news(void **state)
{
	(void)state;
	set("old", 7);
	assert_int_equal(turn(0), 0);
	assert_int_equal(turn(0), 0);
	set("old", 9);
	assert_int_equal(turn(1), 2);
	/* Made since the last look: all of it is. */
	set("old/new", 5);
	assert_int_equal(turn(1), 5);
	assert_int_equal(turn(0), 0);
}

static void one_that_is_too_many_is_never_told_twice(void **state)
{
	char name[16];

	(void)state;
	/* As many as there is room for, then more, which come in between. */
	for (int i = 0; i < 512; i++) {
		(void)snprintf(name, sizeof(name), "c%d", i);
		set(name, 3);
	}
	(void)turn(0);
	for (int i = 512; i < 600; i++) {
		(void)snprintf(name, sizeof(name), "c%d", i);
		set(name, 3);
	}
	for (int i = 0; i < 4; i++)
		(void)turn(0);
}

/* Those that have gone make room. A directory may get an inode that was there before, as no cgroup does:
 * so each generation has more than the last. */
static void a_place_is_used_again(void **state)
{
	enum { CGROUPS = 300 };
	char name[32];

	(void)state;
	for (unsigned int generation = 1; generation <= 4; generation++) {
		(void)turn(0);
		(void)turn(0);
		for (int i = 0; i < CGROUPS; i++) {
			(void)snprintf(name, sizeof(name), "g%u-%d", generation, i);
			set(name, generation);
		}
		(void)turn(CGROUPS);
		for (int i = 0; i < CGROUPS; i++)
			remove_cgroup(generation, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_before_is_no_news, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_is_too_many_is_never_told_twice, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_place_is_used_again, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
