/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A wall clock that is set under a pipeline: what the ledger says of it, and that its order stays. */
#include "support.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/file.h"
#include "user/daemon/pipeline.h"

#define HOUR_NS (3600 * KW_NSEC_PER_SEC)
#define SEGMENT "00000000000000000001.jsonl"
#define LINES_MAX 32

struct world {
	struct kw_clock_reading now;
	struct kw_clock clock;
	struct kw_key *key;
	char *directory;
	struct kw_pipeline pipeline;
	json_t *lines[LINES_MAX];
	size_t count;
};

static uint64_t world_boot(void *context)
{
	return ((struct world *)context)->now.boot_ns;
}

static uint64_t world_real(void *context)
{
	return ((struct world *)context)->now.real_ns;
}

static void world_read(void *context, struct kw_clock_reading *ret_reading)
{
	*ret_reading = ((struct world *)context)->now;
}

static void pass(struct world *world, uint64_t ns)
{
	world->now.boot_ns += ns;
	world->now.real_ns += ns;
	world->now.monotonic_ns += ns;
}

static void open_world(struct world *world, uint64_t checkpoint_events)
{
	static const unsigned char seed[32] = { 7 };
	char ledger[256], cells[256], root[256];
	struct kw_pipeline_options options = {
		.ledger = ledger,
		.segment_bytes = 1U << 20,
		.cells = cells,
		.cgroup_root = root,
		.settle_ns = KW_NSEC_PER_SEC,
		.poll_interval_ns = KW_NSEC_PER_SEC,
		.boot_id = "6f1b2c3d-0000-4000-8000-000000000001",
		.source = "/kwitness/0123456789abcdef0123456789abcdef",
		.clock = &world->clock,
		.checkpoint_ns = 10 * KW_NSEC_PER_SEC,
		.checkpoint_events = checkpoint_events,
	};

	*world = (struct world){ .now = { .boot_ns = HOUR_NS,
					  .real_ns = 400000 * HOUR_NS,
					  .monotonic_ns = HOUR_NS,
					  .sync = { KW_CLOCK_UNSYNCHRONISED, 16000000 } } };
	world->clock = (struct kw_clock){
		.boot_ns = world_boot, .real_ns = world_real, .context = world, .read = world_read
	};
	world->directory = support_directory();
	(void)snprintf(ledger, sizeof(ledger), "%s/ledger", world->directory);
	(void)snprintf(cells, sizeof(cells), "%s/cells", world->directory);
	(void)snprintf(root, sizeof(root), "%s", world->directory);
	assert_int_equal(kw_key_from_seed(seed, "test", &world->key), 0);
	options.key = world->key;
	assert_int_equal(kw_pipeline_open(&world->pipeline, &options), 0);
	world->pipeline.ledger_path = "ledger";
	world->pipeline.cgroup_root = "/";
}

static void say(struct world *world, const char *words)
{
	assert_int_equal(kw_pipeline_gap(&world->pipeline, KW_GAP_FILE, "daemon", 0, "%s", words),
			 0);
}

/* Closes it and reads what it wrote. */
static void read_lines(struct world *world)
{
	cleanup_bytes struct kw_bytes text;
	cleanup_close int directory = -1;
	char path[256], *line, *rest = NULL;

	kw_pipeline_close(&world->pipeline);
	(void)snprintf(path, sizeof(path), "%s/ledger", world->directory);
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(directory >= 0);
	kw_bytes_init(&text, 1U << 20);
	assert_int_equal(kw_file_read(directory, SEGMENT, &text), 0);
	kw_bytes_append_char(&text, '\0');
	for (line = strtok_r(text.data, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		assert_true(world->count < LINES_MAX);
		world->lines[world->count] = json_loads(line, 0, NULL);
		assert_non_null(world->lines[world->count]);
		world->count++;
	}
}

static void close_world(struct world *world)
{
	for (size_t i = 0; i < world->count; i++)
		json_decref(world->lines[i]);
	kw_key_free(world->key);
	support_remove(world->directory);
}

static const char *text_at(const json_t *line, const char *member)
{
	return json_string_value(json_object_get(line, member));
}

static const json_t *clock_of(const json_t *line)
{
	return json_object_get(json_object_get(line, "data"), "clock");
}

static void a_step_backwards_is_declared_and_the_order_stays(void **state)
{
	struct world world;
	const json_t *clock;
	uint64_t before;

	(void)state;
	open_world(&world, 0);
	pass(&world, 5 * KW_NSEC_PER_SEC);
	assert_int_equal(kw_pipeline_ready(&world.pipeline), 0);
	say(&world, "before");
	before = world.now.boot_ns;
	pass(&world, KW_NSEC_PER_SEC);
	world.now.real_ns -= HOUR_NS;
	assert_int_equal(kw_pipeline_ready(&world.pipeline), 0);
	assert_int_equal(kw_pipeline_ready(&world.pipeline), 0); /* once */
	say(&world, "behind");
	assert_int_equal(kw_clock_real_of_boot(world.pipeline.clock, before),
			 400000 * HOUR_NS + 5 * KW_NSEC_PER_SEC);
	read_lines(&world);
	assert_int_equal(world.count, 4);
	for (size_t i = 0; i < world.count; i++) {
		char sequence[24];

		(void)snprintf(sequence, sizeof(sequence), "%020zu", i + 1);
		assert_string_equal(text_at(world.lines[i], "sequence"), sequence);
	}
	/* The start says how it stands, the step by how much. */
	assert_string_equal(text_at(clock_of(world.lines[0]), "state"), "unsynchronised");
	assert_int_equal(
		json_integer_value(json_object_get(clock_of(world.lines[0]), "maxErrorUsec")),
		16000000);
	clock = clock_of(world.lines[2]);
	assert_string_equal(text_at(json_object_get(world.lines[2], "data"), "kind"), "clock");
	assert_true(json_integer_value(json_object_get(clock, "stepNs")) == -(int64_t)HOUR_NS);
	assert_string_equal(text_at(clock, "before"), "2015-08-19T16:00:06.000000000Z");
	assert_string_equal(text_at(clock, "after"), "2015-08-19T15:00:06.000000000Z");
	assert_null(clock_of(world.lines[1]));
	/* The wall clock of the lines goes back; nothing else does. */
	assert_true(strcmp(text_at(world.lines[3], "time"), text_at(world.lines[1], "time")) < 0);
	close_world(&world);
}

static void a_suspend_and_a_state_are_declared(void **state)
{
	struct world world;

	(void)state;
	open_world(&world, 0);
	pass(&world, 5 * KW_NSEC_PER_SEC);
	world.now.boot_ns += HOUR_NS;
	world.now.real_ns += HOUR_NS;
	world.now.sync = (struct kw_clock_sync){ KW_CLOCK_SYNCHRONISED, 1234 };
	assert_int_equal(kw_pipeline_ready(&world.pipeline), 0);
	read_lines(&world);
	assert_int_equal(world.count, 2);
	assert_int_equal(
		json_integer_value(json_object_get(clock_of(world.lines[1]), "suspendedNs")),
		HOUR_NS);
	assert_null(json_object_get(clock_of(world.lines[1]), "stepNs"));
	assert_string_equal(text_at(clock_of(world.lines[1]), "state"), "synchronised");
	assert_string_equal(
		text_at(json_object_get(world.lines[1], "data"), "reason"),
		"the host was suspended for 3600.000000000 s; the wall clock is synchronised now");
	close_world(&world);
}

static void a_step_forwards_makes_nothing_old_at_once(void **state)
{
	struct world world;
	uint64_t real;

	(void)state;
	open_world(&world, 0);
	pass(&world, 5 * KW_NSEC_PER_SEC);
	real = world.now.real_ns;
	world.now.real_ns += 9000 * HOUR_NS;
	assert_int_equal(kw_pipeline_ready(&world.pipeline), 0);
	assert_int_equal(kw_pipeline_clock_settled_ns(&world.pipeline), real);
	pass(&world, HOUR_NS + KW_NSEC_PER_SEC);
	assert_int_equal(kw_pipeline_clock_settled_ns(&world.pipeline), world.now.real_ns);
	read_lines(&world);
	close_world(&world);
}

static void many_lines_make_a_checkpoint_without_waiting(void **state)
{
	struct world world;
	const json_t *data;

	(void)state;
	open_world(&world, 3);
	for (int i = 0; i < 2; i++) {
		kw_pipeline_checkpoint_early(&world.pipeline); /* one line, two lines: too few */
		assert_false(world.pipeline.checkpoint_pending);
		say(&world, "a line");
	}
	kw_pipeline_checkpoint_early(&world.pipeline);
	assert_true(world.pipeline.checkpoint_pending);
	kw_ledger_wait(world.pipeline.ledger);
	kw_pipeline_checkpoint_early(&world.pipeline);
	assert_false(world.pipeline.checkpoint_pending);
	say(&world, "a line");
	kw_pipeline_checkpoint_early(&world.pipeline);
	assert_false(world.pipeline.checkpoint_pending);
	read_lines(&world);
	assert_int_equal(world.count, 5);
	data = json_object_get(world.lines[3], "data");
	assert_string_equal(text_at(data, "reason"), "events");
	assert_int_equal(json_integer_value(json_object_get(data, "size")), 3);
	assert_true(json_is_integer(json_object_get(data, "openLosses")));
	assert_int_equal(json_integer_value(json_object_get(data, "openLosses")), 0);
	assert_string_equal(text_at(clock_of(world.lines[3]), "state"), "unsynchronised");
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_backwards_is_declared_and_the_order_stays),
		cmocka_unit_test(a_suspend_and_a_state_are_declared),
		cmocka_unit_test(a_step_forwards_makes_nothing_old_at_once),
		cmocka_unit_test(many_lines_make_a_checkpoint_without_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
