/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * record.c: a sound record of each kind is taken; then each rule is broken alone, from that same
 * record, and must be what refuses it. Cgroup paths: from the kernel's leaf-first bytes to text.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "user/capture/capture.h"

/* Leaf-first components, written as the kernel side writes them. */
static void set_path(struct kw_cgroup_ref *cgroup, const char *bytes, size_t length, uint16_t level)
{
	*cgroup = (struct kw_cgroup_ref){
		.id = 4711,
		.serial = 12,
		.flags = KW_CGROUP_KNOWN,
		.level = level,
		.path_bytes = (uint16_t)length,
	};
	memcpy(cgroup->path, bytes, length);
}
#define PATH(cgroup, bytes, level) set_path(cgroup, bytes, sizeof(bytes) - 1, level)

static void set_context(struct kw_oom_context *oom)
{
	oom->incident = 999;
	oom->flags = KW_OOM_OWNER_KNOWN | KW_OOM_COUNTED_KNOWN;
	oom->constraint = 3;
	oom->points = 5345;
	oom->limit_pages = 5120;
	oom->gfp_flags = 0xcc0;
	oom->trigger = (struct kw_task_ref){ .tgid = 8, .tid = 9, .comm = "trigger" };
	oom->owner_state = (struct kw_memcg_state){
		.flags = KW_MEMCG_KNOWN | KW_MEMCG_SWAP_KNOWN,
		.max_bytes = 20 << 20,
		.swap_max_bytes = KW_UNLIMITED,
	};
	PATH(&oom->owner, "n\0", 1);
	PATH(&oom->trigger_cgroup, "kid\0n\0", 2);
}

static struct kw_record_oom_kill sound_kill(void)
{
	struct kw_record_oom_kill kill;

	memset(&kill, 0, sizeof(kill));
	kill.header = (struct kw_record_header){
		.version = KW_RECORD_VERSION,
		.kind = KW_RECORD_OOM_KILL,
		.size = sizeof(kill),
		.number = 1000,
		.boot_ns = 123456789,
		.hook = KW_HOOK_RAW_TP_MARK_VICTIM,
		.cpu = 1,
	};
	set_context(&kill.oom);
	kill.victim.task = (struct kw_task_ref){ .tgid = 42, .tid = 43, .comm = "hog" };
	kill.victim.flags = KW_VICTIM_MM_KNOWN | KW_VICTIM_EVENTS_KNOWN;
	kill.victim.anon_rss_kb = 20480;
	strcpy(kill.victim.parent_comm, "sh");
	PATH(&kill.victim_cgroup, "leaf\0kid\0n\0", 3);
	kill.victim_events_local.oom_kill = 1;
	kill.member = 1;
	return kill;
}

static struct kw_record_oom_end sound_end(void)
{
	struct kw_record_oom_end end;

	memset(&end, 0, sizeof(end));
	end.header = (struct kw_record_header){
		.version = KW_RECORD_VERSION,
		.kind = KW_RECORD_OOM_END,
		.size = sizeof(end),
		.number = 1001,
		.boot_ns = 123456999,
		.hook = KW_HOOK_FENTRY_OOM_KILL_PROCESS,
	};
	set_context(&end.oom);
	end.begin_boot_ns = 123450000;
	end.marked = 4;
	end.entered = 5;
	end.counted = 5;
	end.lost = 1;
	end.counters_known = 1;
	end.owner_after.oom_kill = 5;
	return end;
}

static void test_sound_records_are_taken(void **state)
{
	struct kw_record_oom_kill kill = sound_kill();
	struct kw_record_oom_end end = sound_end();
	struct kw_observation seen = {};

	(void)state;
	assert_int_equal(kw_record_decode(&kill, sizeof(kill), &seen), 0);
	assert_int_equal(seen.kind, KW_OBSERVATION_OOM_KILL);
	assert_ptr_equal(seen.kill, &kill);
	assert_int_equal(seen.number, 1000);
	assert_int_equal(seen.boot_ns, 123456789);
	assert_int_equal(seen.hook, KW_HOOK_RAW_TP_MARK_VICTIM);
	assert_int_equal(kw_record_decode(&end, sizeof(end), &seen), 0);
	assert_int_equal(seen.kind, KW_OBSERVATION_OOM_END);
	assert_ptr_equal(seen.end, &end);
}

/* What the tracepoint alone gives: no owner, no incident, a thread id at least. */
static void test_tracepoint_record_is_taken(void **state)
{
	struct kw_record_oom_kill kill = sound_kill();
	struct kw_observation seen;

	(void)state;
	memset(&kill.oom, 0, sizeof(kill.oom));
	kill.member = 0;
	assert_int_equal(kw_record_decode(&kill, sizeof(kill), &seen), 0);
	kill.oom.flags = KW_OOM_GROUP_KILL; /* read from the victim's own cgroups */
	assert_int_equal(kw_record_decode(&kill, sizeof(kill), &seen), 0);
	memset(&kill.victim, 0, sizeof(kill.victim));
	memset(&kill.victim_cgroup, 0, sizeof(kill.victim_cgroup));
	memset(&kill.victim_events_local, 0, sizeof(kill.victim_events_local));
	kill.victim.task.tid = 43;
	assert_int_equal(kw_record_decode(&kill, sizeof(kill), &seen), 0);
}

static void test_global_oom_is_taken(void **state)
{
	struct kw_record_oom_end end = sound_end();
	struct kw_observation seen;

	(void)state;
	end.oom.flags |= KW_OOM_GLOBAL;
	end.oom.constraint = 0;
	end.oom.order = -1; /* sysrq-f */
	memset(&end.oom.owner, 0, sizeof(end.oom.owner));
	memset(&end.oom.owner_state, 0, sizeof(end.oom.owner_state));
	memset(&end.owner_after, 0, sizeof(end.owner_after));
	end.counters_known = 0;
	assert_int_equal(kw_record_decode(&end, sizeof(end), &seen), 0);
}

static void test_every_other_length_is_refused(void **state)
{
	struct kw_record_oom_kill kill = sound_kill();
	struct kw_observation seen;
	size_t refused = 0;

	(void)state;
	for (size_t length = 0; length < sizeof(kill); length++) {
		/* exactly so long, so that reading past it is caught */
		void *copy = malloc(length ? length : 1);

		assert_non_null(copy);
		kill.header.size = (uint32_t)length; /* as if it were meant so */
		memcpy(copy, &kill, length);
		refused += kw_record_decode(copy, length, &seen) == -EBADMSG;
		free(copy);
	}
	assert_int_equal(refused, sizeof(kill));
	kill.header.size = sizeof(kill);
	assert_int_equal(kw_record_decode(&kill, sizeof(kill) + 8, &seen), -EBADMSG);
}

static void test_unaligned_is_refused(void **state)
{
	struct kw_record_oom_kill kill = sound_kill();
	_Alignas(8) char bytes[sizeof(kill) + 8];
	struct kw_observation seen;

	(void)state;
	memcpy(bytes + 4, &kill, sizeof(kill));
	assert_int_equal(kw_record_decode(bytes + 4, sizeof(kill), &seen), -EBADMSG);
}

/* Breaks one rule of a sound kill; the observation must stay as it was. */
#define refuse_kill(...)                                                                           \
	do {                                                                                       \
		struct kw_record_oom_kill kill = sound_kill();                                     \
		struct kw_observation seen = { .number = 77 };                                     \
		assert_int_equal(kw_record_decode(&kill, sizeof(kill), &seen), 0);                 \
		seen.number = 77;                                                                  \
		__VA_ARGS__;                                                                       \
		assert_int_equal(kw_record_decode(&kill, sizeof(kill), &seen), -EBADMSG);          \
		assert_int_equal(seen.number, 77);                                                 \
	} while (0)

#define refuse_end(...)                                                                            \
	do {                                                                                       \
		struct kw_record_oom_end end = sound_end();                                        \
		struct kw_observation seen;                                                        \
		assert_int_equal(kw_record_decode(&end, sizeof(end), &seen), 0);                   \
		__VA_ARGS__;                                                                       \
		assert_int_equal(kw_record_decode(&end, sizeof(end), &seen), -EBADMSG);            \
	} while (0)

static void test_header_rules(void **state)
{
	(void)state;
	refuse_kill(kill.header.version++);
	refuse_kill(kill.header.version = 0);
	refuse_kill(kill.header.kind = 0);
	refuse_kill(kill.header.kind = KW_RECORD_OOM_END);
	refuse_kill(kill.header.kind = KW_RECORD_KIND_COUNT_);
	refuse_kill(kill.header.kind = 0xffff);
	refuse_kill(kill.header.size--);
	refuse_kill(kill.header.number = 0);
	refuse_kill(kill.header.number = 1ULL << 53);
	refuse_kill(kill.header.hook = KW_HOOK_NONE);
	refuse_kill(kill.header.hook = KW_HOOK_FENTRY_OOM_KILL_PROCESS);
	refuse_kill(kill.header.hook = KW_HOOK_COUNT_);
	refuse_kill(kill.header.hook = 32 + KW_HOOK_RAW_TP_MARK_VICTIM);
	refuse_end(end.header.hook = KW_HOOK_RAW_TP_MARK_VICTIM);
}

static void test_string_rules(void **state)
{
	(void)state;
	refuse_kill(memset(kill.victim.task.comm, 'a', KW_COMM_BYTES));
	refuse_kill(memset(kill.victim.parent_comm, 'a', KW_COMM_BYTES));
	refuse_kill(memset(kill.oom.trigger.comm, 'a', KW_COMM_BYTES));
	refuse_kill(kill.victim.task.comm[KW_COMM_BYTES - 1] = 'x');
}

/* A name that goes on behind the path, and from there to the record's end only zeros. */
static void run_into_next_field(struct kw_record_oom_kill *kill)
{
	memset(&kill->oom, 0, sizeof(kill->oom));
	PATH(&kill->victim_cgroup, "", 1);
	memset(kill->victim_cgroup.path, 'y', KW_CGROUP_PATH_BYTES);
	kill->victim_cgroup.path_bytes = KW_CGROUP_PATH_BYTES + 1;
	memset(&kill->victim_events_local, 0, sizeof(kill->victim_events_local));
	kill->member = 0;
}

static void go_too_deep(struct kw_cgroup_ref *cgroup)
{
	PATH(cgroup, "", KW_CGROUP_DEPTH_MAX + 1);
	for (size_t i = 0; i <= KW_CGROUP_DEPTH_MAX; i++)
		cgroup->path[2 * i] = 'a';
	cgroup->path_bytes = 2 * (KW_CGROUP_DEPTH_MAX + 1);
}

static void forget_owner(struct kw_record_oom_end *end)
{
	memset(&end->oom, 0, sizeof(end->oom));
	end->entered = 0;
	end->counted = 0;
}

static void test_cgroup_rules(void **state)
{
	(void)state;
	refuse_kill(kill.victim_cgroup.flags |= 1 << 3);
	refuse_kill(kill.victim_cgroup.flags = 0);
	refuse_kill(kill.victim_cgroup.path_bytes = KW_CGROUP_PATH_BYTES + 1);
	refuse_kill(kill.victim_cgroup.path_bytes = 0xffff);
	refuse_kill(kill.victim_cgroup.path_bytes--); /* last NUL cut off */
	refuse_kill(kill.victim_cgroup.path_bytes++); /* an empty name */
	refuse_kill(kill.victim_cgroup.path[0] = '\0');
	refuse_kill(PATH(&kill.victim_cgroup, "a\0\0n\0", 3));
	refuse_kill(run_into_next_field(&kill));
	refuse_kill(kill.victim_cgroup.path[1] = '/');
	refuse_kill(kill.victim_cgroup.path[KW_CGROUP_PATH_BYTES - 1] = 'x');
	refuse_kill(kill.victim_cgroup.level = 2);
	refuse_kill(kill.victim_cgroup.level = 4);
	refuse_kill(kill.victim_cgroup.flags |= KW_CGROUP_TRUNCATED); /* but nothing is missing */
	refuse_kill(kill.oom.owner.path[0] = '/');
	refuse_kill(kill.oom.trigger_cgroup.flags |= 1 << 7);
	refuse_end(end.oom.owner.level = 0);
	refuse_kill(go_too_deep(&kill.victim_cgroup));
}

static void test_context_rules(void **state)
{
	(void)state;
	refuse_kill(kill.oom.flags |= 1 << 4);
	refuse_kill(kill.oom.flags |= KW_OOM_GLOBAL); /* with an owner */
	refuse_kill(kill.oom.flags &= ~(__u32)KW_OOM_OWNER_KNOWN);
	refuse_kill(kill.oom.incident = 0);
	refuse_kill(kill.oom.incident = 0, kill.member = 0);
	refuse_kill(kill.oom.incident = 1ULL << 53);
	refuse_kill(kill.oom.constraint = 4);
	refuse_kill(kill.oom.order = -2);
	refuse_kill(kill.oom.order = 65);
	refuse_kill(kill.oom.owner_state.flags |= 1 << 4);
	refuse_kill(kill.oom.owner_state.flags = 0);
	refuse_kill(kill.oom.owner_state.pad = 1);
	refuse_kill(kill.oom.owner_state.flags = KW_MEMCG_KNOWN); /* yet swap figures */
}

static void test_kill_rules(void **state)
{
	(void)state;
	refuse_kill(kill.victim.flags |= 1 << 2);
	refuse_kill(kill.victim.flags = KW_VICTIM_EVENTS_KNOWN);
	refuse_kill(kill.victim.flags = KW_VICTIM_MM_KNOWN);
	refuse_kill(kill.victim.pad = 1);
	refuse_kill(kill.victim.task.tid = 0);
	refuse_kill(kill.pad = 1);
	refuse_kill(kill.member = 0);
}

static void test_end_rules(void **state)
{
	(void)state;
	refuse_end(end.oom.flags |= KW_OOM_GROUP_KILL);
	refuse_end(forget_owner(&end));
	refuse_end(end.lost = end.marked + 1);
	refuse_end(end.counted = end.entered + 1);
	refuse_end(end.oom.flags = KW_OOM_OWNER_KNOWN); /* yet counted */
	refuse_end(end.counters_known = 2);
	refuse_end(end.counters_known = 0);
	refuse_end(end.pad = 1);
}

static void expect_path(const struct kw_cgroup_ref *cgroup, const char *expected)
{
	size_t length = strlen(expected);
	char path[KW_PATH_MAX];

	assert_int_equal(kw_record_cgroup_path(cgroup, path, sizeof(path)), 0);
	assert_string_equal(path, expected);
	/* exactly enough, and one byte too little */
	memset(path, 'x', sizeof(path));
	assert_int_equal(kw_record_cgroup_path(cgroup, path, length + 1), 0);
	assert_string_equal(path, expected);
	assert_int_equal(path[length + 1], 'x');
	memset(path, 'x', sizeof(path));
	assert_int_equal(kw_record_cgroup_path(cgroup, path, length), -ENAMETOOLONG);
	assert_int_equal(path[0], 'x');
}

static void test_paths(void **state)
{
	struct kw_cgroup_ref cgroup;
	char path[8];

	(void)state;
	PATH(&cgroup, "", 0);
	expect_path(&cgroup, "/");
	PATH(&cgroup, "a\0", 1);
	expect_path(&cgroup, "/a");
	PATH(&cgroup, "leaf\0kid\0n\0", 3);
	expect_path(&cgroup, "/n/kid/leaf");
	cgroup.flags |= KW_CGROUP_TRUNCATED;
	expect_path(&cgroup, "//n/kid/leaf");
	PATH(&cgroup, "\xff\n%\0", 1); /* bytes as they are */
	expect_path(&cgroup, "/\xff\n%");
	PATH(&cgroup, "", 3);
	cgroup.flags |=
		KW_CGROUP_TRUNCATED; /* not even the leaf's name: not to be taken for the root */
	expect_path(&cgroup, "//");
	cgroup = (struct kw_cgroup_ref){};
	assert_int_equal(kw_record_cgroup_path(&cgroup, path, sizeof(path)), -ENODATA);
	PATH(&cgroup, "a\0", 1);
	cgroup.path_bytes = 1;
	assert_int_equal(kw_record_cgroup_path(&cgroup, path, sizeof(path)), -EBADMSG);
	cgroup.path_bytes = 0xffff;
	assert_int_equal(kw_record_cgroup_path(&cgroup, path, sizeof(path)), -EBADMSG);
	memset(cgroup.path, 'y', KW_CGROUP_PATH_BYTES);
	assert_int_equal(kw_record_cgroup_path(&cgroup, path, sizeof(path)), -EBADMSG);
}

static void test_longest_path(void **state)
{
	char expected[KW_CGROUP_PATH_BYTES + 2];
	struct kw_cgroup_ref cgroup;

	(void)state;
	memset(expected, 'y', sizeof(expected));
	expected[0] = '/';
	expected[KW_CGROUP_PATH_BYTES] = '\0';
	PATH(&cgroup, "", 1);
	memset(cgroup.path, 'y', KW_CGROUP_PATH_BYTES - 1);
	cgroup.path_bytes = KW_CGROUP_PATH_BYTES;
	expect_path(&cgroup, expected);
}

/* Names are part of the output: each value has one, and nothing beyond them does. */
static void test_names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < KW_TIER_COUNT_; i++)
		assert_non_null(kw_tier_name(i));
	assert_null(kw_tier_name(KW_TIER_COUNT_));
	assert_null(kw_hook_name(KW_HOOK_NONE));
	for (uint32_t i = 1; i < KW_HOOK_COUNT_; i++)
		assert_non_null(strchr(kw_hook_name(i), '/'));
	assert_null(kw_hook_name(KW_HOOK_COUNT_));
	for (unsigned int i = 0; i < KW_LOST_REASON_COUNT_; i++)
		assert_non_null(kw_lost_reason_name(i));
	assert_null(kw_lost_reason_name(KW_LOST_REASON_COUNT_));
	assert_string_equal(kw_hook_name(KW_HOOK_RAW_TP_MARK_VICTIM), "raw_tp/mark_victim");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_sound_records_are_taken),
		support_test(test_tracepoint_record_is_taken),
		support_test(test_global_oom_is_taken),
		support_test(test_every_other_length_is_refused),
		support_test(test_unaligned_is_refused),
		support_test(test_header_rules),
		support_test(test_string_rules),
		support_test(test_cgroup_rules),
		support_test(test_context_rules),
		support_test(test_kill_rules),
		support_test(test_end_rules),
		support_test(test_paths),
		support_test(test_longest_path),
		support_test(test_names),
	};

	return cmocka_run_group_tests_name("capture_record", tests, NULL, NULL);
}
