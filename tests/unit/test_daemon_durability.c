/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which lines the disk is asked to keep, and when: of a pipeline that is opened as the daemon opens it. */
#include "support.h"

#include <stdio.h>
#include <time.h>

#include "user/daemon/pipeline.h"

static const unsigned char seed[32] = "kwitness tests: a public seed";

struct world {
	struct support_time time;
	struct kw_clock clock;
	char *directory;
	char ledger[256];
	struct kw_key *key;
	struct kw_pipeline pipeline;
};

static void open_world(struct world *world, enum kw_durability durability)
{
	struct kw_pipeline_options options = {
		.durability = durability,
		.segment_bytes = 1024U * 1024U,
		.settle_ns = KW_NSEC_PER_MSEC,
		.boot_id = "22222222-2222-4222-8222-222222222222",
		.source = "/kwitness/00000000000000000000000000000000",
		.checkpoint_ns = 10 * KW_NSEC_PER_SEC,
	};

	world->time = (struct support_time){ .boot_ns = 1000, .real_ns = 1700000000000000000 };
	world->clock = support_clock(&world->time);
	world->directory = support_directory();
	(void)snprintf(world->ledger, sizeof(world->ledger), "%s/ledger", world->directory);
	assert_int_equal(kw_key_from_seed(seed, "test", &world->key), 0);
	options.ledger = world->ledger;
	options.cells = world->directory;
	options.cgroup_root = world->directory;
	options.key = world->key;
	options.clock = &world->clock;
	assert_int_equal(kw_pipeline_open(&world->pipeline, &options), 0);
}

static void close_world(struct world *world)
{
	kw_pipeline_close(&world->pipeline);
	kw_key_free(world->key);
	support_remove(world->directory);
}

static uint64_t last(const struct world *world)
{
	return kw_attest_head(world->pipeline.attest).sequence;
}

/* What was asked for has been carried out. */
static uint64_t durable(const struct world *world)
{
	kw_ledger_wait(world->pipeline.ledger);
	return kw_ledger_durable(world->pipeline.ledger);
}

static void say(struct world *world)
{
	assert_int_equal(kw_pipeline_gap(&world->pipeline, KW_GAP_FILE, "test", 0, "said"), 0);
}

static void evidence_is_synced_at_once_and_the_rest_each_second(void **state)
{
	struct world world = { .directory = NULL };

	(void)state;
	open_world(&world, KW_DURABILITY_EVIDENCE);
	say(&world);
	assert_int_equal(durable(&world), 0);
	kw_pipeline_sync_observed(&world.pipeline, KW_OBSERVATION_LIFECYCLE);
	assert_int_equal(durable(&world), 0);
	kw_pipeline_sync_observed(&world.pipeline, KW_OBSERVATION_OOM_KILL);
	assert_int_equal(durable(&world), last(&world));
	say(&world);
	kw_pipeline_sync(&world.pipeline); /* housekeeping */
	assert_int_equal(durable(&world), last(&world));
	close_world(&world);
}

static void always_is_each_line(void **state)
{
	struct world world = { .directory = NULL };

	(void)state;
	open_world(&world, KW_DURABILITY_ALWAYS);
	assert_int_equal(durable(&world), last(&world)); /* of the start */
	for (int i = 0; i < 5; i++) {
		say(&world);
		assert_int_equal(durable(&world), last(&world));
	}
	close_world(&world);
}

static void relaxed_waits_for_a_checkpoint(void **state)
{
	struct world world = { .directory = NULL };
	uint64_t covered;

	(void)state;
	open_world(&world, KW_DURABILITY_RELAXED);
	say(&world);
	kw_pipeline_sync_observed(&world.pipeline, KW_OBSERVATION_OOM_KILL);
	kw_pipeline_sync(&world.pipeline);
	kw_pipeline_due(&world.pipeline);
	assert_int_equal(durable(&world), 0);
	world.time.boot_ns += 11 * KW_NSEC_PER_SEC;
	kw_pipeline_checkpoint(&world.pipeline); /* hands its head to the disk */
	covered = last(&world);
	assert_int_equal(durable(&world), covered);
	kw_pipeline_checkpoint(&world.pipeline); /* and is signed */
	assert_int_equal(last(&world), covered + 1);
	assert_int_equal(durable(&world), covered);
	/* From the next line on it is another. */
	world.pipeline.durability = KW_DURABILITY_ALWAYS;
	say(&world);
	assert_int_equal(durable(&world), last(&world));
	close_world(&world);
}

static void the_end_in_order_is_on_disk(void **state)
{
	struct world world = { .directory = NULL };
	uint64_t end;

	(void)state;
	open_world(&world, KW_DURABILITY_RELAXED);
	say(&world);
	assert_int_equal(kw_pipeline_stop(&world.pipeline), 0);
	end = last(&world);
	assert_true(durable(&world) + 1 >= end); /* the last is the checkpoint itself */
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(evidence_is_synced_at_once_and_the_rest_each_second),
		support_test(always_is_each_line),
		support_test(relaxed_waits_for_a_checkpoint),
		support_test(the_end_in_order_is_on_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
