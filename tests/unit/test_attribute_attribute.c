/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* attribute.c: each kind of observation, and what must stay unknown. */
#include "tests/unit/support.h"

#include <stdio.h>
#include <string.h>

#include "user/attribute/attribute.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct world {
	char *directory;
	struct kw_cells *cells;
	struct kw_attribute *attribute;
	uint32_t handle;
};

static void note(void *context, enum kw_cell_change change, const struct kw_cell *cell,
		 const char *file, const char *refusal)
{
	struct world *world = context;

	(void)file;
	(void)refusal;
	assert_int_equal(change, KW_CELL_ADDED);
	world->handle = cell->handle;
}

static int open_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	world->directory = support_directory();
	support_write(world->directory, "vm-1.json",
		      "{\"cellId\":\"vm-1\",\"runId\":\"run-7\",\"cgroupPath\":\"/cells/vm-1\"}");
	assert_int_equal(kw_cells_open(world->directory, "/sys/fs/cgroup", &world->cells), 0);
	assert_int_equal(kw_cells_refresh(world->cells, note, world), 0);
	assert_int_equal(kw_attribute_open(world->cells, &world->attribute), 0);
	*state = world;
	return 0;
}

static int close_world(void **state)
{
	struct world *world = *state;

	kw_attribute_free(world->attribute);
	kw_cells_free(world->cells);
	support_remove(world->directory);
	free(world);
	return 0;
}

/* A reference as a hook fills it: components from the leaf to the root, each with its NUL. */
static struct kw_cgroup_ref ref(uint64_t id, uint32_t flags, const char *path)
{
	struct kw_cgroup_ref cgroup = { .id = id, .serial = 10 * id, .flags = flags };
	size_t end = strlen(path);

	while (end > 0) {
		size_t start = end;

		while (path[start - 1] != '/')
			start--;
		memcpy(cgroup.path + cgroup.path_bytes, path + start, end - start);
		cgroup.path_bytes = (uint16_t)(cgroup.path_bytes + (end - start) + 1);
		cgroup.level++;
		end = start - 1;
	}
	return cgroup;
}

static struct kw_attributed attribute_kill(struct world *world, struct kw_record_oom_kill *kill)
{
	const struct kw_observation observation = { .kind = KW_OBSERVATION_OOM_KILL, .kill = kill };
	struct kw_attributed attributed;

	memset(&attributed, 0xaa, sizeof(attributed));
	kw_attribute_observation(world->attribute, &observation, &attributed);
	assert_ptr_equal(attributed.observation, &observation);
	attributed.observation = NULL;
	return attributed;
}

static void a_kill_in_a_cell(void **state)
{
	struct world *world = *state;
	static struct kw_record_oom_kill kill;
	struct kw_attributed attributed;

	kill.oom.flags = KW_OOM_OWNER_KNOWN;
	kill.victim_cgroup = ref(5, KW_CGROUP_KNOWN, "/cells/vm-1/docker/" ID);
	kill.oom.owner = ref(4, KW_CGROUP_KNOWN, "/cells/vm-1");
	kill.oom.trigger_cgroup = ref(3, KW_CGROUP_KNOWN, "/system.slice/nginx.service");
	attributed = attribute_kill(world, &kill);
	assert_true(attributed.victim.known);
	assert_int_equal(attributed.victim.id, 5);
	assert_string_equal(attributed.victim.path, "/cells/vm-1/docker/" ID);
	assert_string_equal(attributed.victim.container_id, ID);
	assert_string_equal(attributed.victim.cell_id, "vm-1");
	assert_string_equal(attributed.owner.path, "/cells/vm-1");
	assert_string_equal(attributed.owner.cell_id, "vm-1");
	assert_string_equal(attributed.trigger.unit, "nginx.service");
	assert_string_equal(attributed.trigger.cell_id, "");
	assert_true(attributed.has_cell);
	assert_string_equal(attributed.cell.run_id, "run-7");
}

static void what_is_unknown_stays_absent(void **state)
{
	struct world *world = *state;
	static struct kw_record_oom_kill kill;
	struct kw_attributed attributed;

	/* The owner is there, and not known to be it; the victim is not known at all. */
	kill.oom.owner = ref(4, KW_CGROUP_KNOWN, "/cells/vm-1");
	kill.victim_cgroup = ref(5, 0, "/cells/vm-1");
	attributed = attribute_kill(world, &kill);
	assert_false(attributed.owner.known);
	assert_string_equal(attributed.owner.path, "");
	assert_false(attributed.victim.known);
	assert_string_equal(attributed.victim.path, "");
	assert_false(attributed.has_cell);
	/* A path of another hierarchy names no cell. */
	kill.victim_cgroup = ref(6, KW_CGROUP_KNOWN | KW_CGROUP_V1, "/cells/vm-1");
	attributed = attribute_kill(world, &kill);
	assert_true(attributed.victim.known && attributed.victim.v1);
	assert_string_equal(attributed.victim.path, "/cells/vm-1");
	assert_string_equal(attributed.victim.cell_id, "");
	assert_false(attributed.has_cell);
}

static void a_cut_path_names_nobody_unless_remembered(void **state)
{
	struct world *world = *state;
	static struct kw_record_oom_kill kill;
	struct kw_attributed attributed;

	kill.victim_cgroup =
		ref(9, KW_CGROUP_KNOWN | KW_CGROUP_TRUNCATED, "/docker/" ID "/sshd.service");
	attributed = attribute_kill(world, &kill);
	assert_true(attributed.victim.truncated);
	assert_memory_equal(attributed.victim.path, "//", 2);
	assert_string_equal(attributed.victim.unit, "");
	assert_string_equal(attributed.victim.container_id, "");
	assert_string_equal(attributed.victim.cell_id, "");
	/* Another record, of the same cgroup, had room for the whole. */
	kill.oom.trigger_cgroup = ref(9, KW_CGROUP_KNOWN, "/cells/vm-1/x.service");
	(void)attribute_kill(world, &kill);
	attributed = attribute_kill(world, &kill);
	assert_false(attributed.victim.truncated);
	assert_string_equal(attributed.victim.path, "/cells/vm-1/x.service");
	assert_string_equal(attributed.victim.unit, "x.service");
	assert_true(attributed.has_cell);
	/* The same id, another cgroup. */
	kill.victim_cgroup.serial++;
	attributed = attribute_kill(world, &kill);
	assert_true(attributed.victim.truncated);
}

static void the_other_kinds(void **state)
{
	struct world *world = *state;
	static struct kw_record_oom_end end;
	static struct kw_reading reading = { .cgroup = "/cells/vm-1/sub" };
	struct kw_gate_message message = { .handle = world->handle };
	struct kw_lost lost = { 0 };
	struct kw_observation observation = { .kind = KW_OBSERVATION_OOM_END, .end = &end };
	static struct kw_attributed attributed;

	end.oom.flags = KW_OOM_OWNER_KNOWN;
	end.oom.owner = ref(4, KW_CGROUP_KNOWN, "/cells/vm-1");
	kw_attribute_observation(world->attribute, &observation, &attributed);
	assert_true(attributed.owner.known && attributed.has_cell);
	assert_false(attributed.victim.known);

	observation =
		(struct kw_observation){ .kind = KW_OBSERVATION_READING, .reading = &reading };
	kw_attribute_observation(world->attribute, &observation, &attributed);
	assert_true(attributed.has_cell);
	assert_false(attributed.owner.known);

	observation = (struct kw_observation){ .kind = KW_OBSERVATION_GUEST, .guest = &message };
	kw_attribute_observation(world->attribute, &observation, &attributed);
	assert_true(attributed.has_cell);
	assert_string_equal(attributed.cell.cell_id, "vm-1");
	message.handle++;
	kw_attribute_observation(world->attribute, &observation, &attributed);
	assert_false(attributed.has_cell);

	observation = (struct kw_observation){ .kind = KW_OBSERVATION_LOST, .lost = &lost };
	kw_attribute_observation(world->attribute, &observation, &attributed);
	assert_false(attributed.has_cell);
}

static void a_path_alone(void **state)
{
	struct world *world = *state;
	struct kw_identity identity;

	kw_attribute_path(world->attribute, "/cells/vm-1", &identity);
	assert_true(identity.known);
	assert_int_equal(identity.id, 0);
	assert_string_equal(identity.cell_id, "vm-1");
	kw_attribute_path(world->attribute, "//cells/vm-1", &identity);
	assert_false(identity.known);
	kw_attribute_path(world->attribute, "cells", &identity);
	assert_false(identity.known);
	kw_attribute_path(world->attribute, "/", &identity);
	assert_true(identity.known);
}

static void without_a_registry(void **state)
{
	struct kw_attribute *attribute = NULL;
	struct kw_identity identity;

	(void)state;
	assert_int_equal(kw_attribute_open(NULL, &attribute), 0);
	kw_attribute_path(attribute, "/cells/vm-1/a.service", &identity);
	assert_string_equal(identity.unit, "a.service");
	assert_string_equal(identity.cell_id, "");
	kw_attribute_free(attribute);
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_kill_in_a_cell),
		world_test(what_is_unknown_stays_absent),
		world_test(a_cut_path_names_nobody_unless_remembered),
		world_test(the_other_kinds),
		world_test(a_path_alone),
		support_test(without_a_registry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
