/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Findings made by hand, one of each kind with every field set that its event can carry, and the
 * ledger that they make: for the tests of attest and of verify. The seed and the clock are fixed, so
 * the ledger is the same bytes on every machine (tests/vectors/ledgers/README.md).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "support.h"
#include "user/attest/attest.h"

#define SAMPLE_SOURCE "/kwitness/0123456789abcdef0123456789abcdef"
#define SAMPLE_KID "sample-1"
#define SAMPLE_LINES 8

/* 2026-11-23T03:31:32.123456789Z, 1000 s after boot. */
#define SAMPLE_REAL_NS 1795404692123456789ULL
#define SAMPLE_BOOT_NS 1000000000000ULL

struct sample {
	struct support_time time;
	struct kw_clock clock;
	struct kw_record_oom_kill kill;
	struct kw_reading reading;
	struct kw_gate_message frame;
	struct kw_observation observation;
	struct kw_attributed attributed;
	struct kw_incident_victim victims[2];
	struct kw_incident incident;
	struct kw_gap gap;
};

static inline const unsigned char *sample_seed(void)
{
	static unsigned char seed[32];

	for (unsigned char i = 0; i < sizeof(seed); i++)
		seed[i] = i;
	return seed;
}

static inline void sample_text(char *field, size_t size, const char *text)
{
	assert_true(strlen(text) < size);
	memcpy(field, text, strlen(text) + 1);
}
#define SAMPLE_SET(field, text) sample_text(field, sizeof(field), text)

static inline struct kw_identity sample_identity(const char *path, uint64_t id)
{
	struct kw_identity identity = { .known = true, .id = id };

	SAMPLE_SET(identity.path, path);
	return identity;
}

static inline struct kw_cell sample_cell(void)
{
	struct kw_cell cell = { .handle = 1 };

	SAMPLE_SET(cell.cell_id, "cell-7");
	SAMPLE_SET(cell.run_id, "run-42");
	SAMPLE_SET(cell.spec_signature_hash, "sha256:abcd");
	SAMPLE_SET(cell.cgroup_path, "/cells/cell-7");
	SAMPLE_SET(cell.vsock_uds_base, "/run/cell-7/v.sock");
	return cell;
}

static inline void sample_init(struct sample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->time = (struct support_time){ SAMPLE_BOOT_NS, SAMPLE_REAL_NS };
	sample->clock = support_clock(&sample->time);
	sample->observation.boot_ns = SAMPLE_BOOT_NS - 300000;
	sample->observation.received_boot_ns = SAMPLE_BOOT_NS;
	sample->observation.received_real_ns = SAMPLE_REAL_NS;
	sample->attributed.observation = &sample->observation;
}

static inline void sample_oom_context(struct kw_oom_context *oom)
{
	*oom = (struct kw_oom_context){
		.incident = 9007199254740991ULL,
		.flags = KW_OOM_OWNER_KNOWN | KW_OOM_GROUP_KILL | KW_OOM_COUNTED_KNOWN,
		.constraint = 3,
		.points = -17,
		.limit_pages = 16384,
		.gfp_flags = 0xcc0,
		.order = 0,
		.trigger = { .tgid = 4711, .tid = 4712, .uid = 1000, .ns_tgid = 3, .comm = "hog" },
		.owner_state = { .flags = KW_MEMCG_KNOWN | KW_MEMCG_SWAP_KNOWN | KW_MEMCG_OOM_GROUP,
				 .usage_bytes = 67108864,
				 .max_bytes = 67108864,
				 .high_bytes = KW_UNLIMITED,
				 .swap_usage_bytes = 0,
				 .swap_max_bytes = 0 },
	};
}

static inline void sample_victim(struct kw_victim *victim)
{
	*victim = (struct kw_victim){
		.task = { .tgid = 4711, .tid = 4711, .uid = 1000, .ns_tgid = 3 },
		.flags = KW_VICTIM_MM_KNOWN,
		.oom_score_adj = -500,
		.parent_tgid = 1,
		.parent_comm = "systemd",
		.start_boot_ns = 999000000000ULL,
		.total_vm_kb = 81920,
		.anon_rss_kb = 65000,
		.file_rss_kb = 4,
		.shmem_rss_kb = 0,
		.swap_kb = 0,
		.pgtables_kb = 176,
	};
	/* A name that needs every kind of care: quotation mark, backslash, control, '%', no UTF-8. */
	memcpy(victim->task.comm, "h\"o\\g\n\x1b%\xff\xc3\xa4", 12);
}

/* A kill in a container of a cell. */
static inline struct kw_finding sample_kill(struct sample *sample)
{
	struct kw_finding finding = { .kind = KW_FINDING_OOM_KILL };
	struct kw_identity *victim = &sample->attributed.victim;

	sample->kill = (struct kw_record_oom_kill){
		.header = { .version = KW_RECORD_VERSION,
			    .kind = KW_RECORD_OOM_KILL,
			    .size = sizeof(sample->kill),
			    .number = 1234567890,
			    .boot_ns = SAMPLE_BOOT_NS - 300000,
			    .hook = KW_HOOK_FENTRY_OOM_KILL_PROCESS },
		.victim_events_local = { .max = 9, .high = 0, .oom = 1, .oom_kill = 1 },
		.member = 1,
	};
	sample_oom_context(&sample->kill.oom);
	sample_victim(&sample->kill.victim);
	sample->observation.kind = KW_OBSERVATION_OOM_KILL;
	sample->observation.hook = KW_HOOK_FENTRY_OOM_KILL_PROCESS;
	sample->observation.kill = &sample->kill;
	*victim = sample_identity("/cells/cell-7/\xff%", 18446744073709551615ULL);
	SAMPLE_SET(victim->cell_id, "cell-7");
	SAMPLE_SET(victim->container_id,
		   "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
	SAMPLE_SET(victim->runtime, "containerd");
	SAMPLE_SET(victim->pod_uid, "01234567-89ab-cdef-0123-456789abcdef");
	SAMPLE_SET(victim->qos, "burstable");
	SAMPLE_SET(victim->unit, "a\\x2db.scope");
	SAMPLE_SET(victim->slice, "kubepods.slice");
	victim->v1 = true;
	victim->truncated = true;
	sample->attributed.owner = sample_identity("/cells/cell-7", 4242);
	sample->attributed.trigger = sample_identity("/cells/cell-7/a", 4243);
	sample->attributed.has_cell = true;
	sample->attributed.cell = sample_cell();
	finding.attributed = &sample->attributed;
	finding.boot_ns = sample->kill.header.boot_ns;
	SAMPLE_SET(finding.event_id, "11111111-2222-8333-8444-555555555555");
	SAMPLE_SET(finding.incident_id, "66666666-7777-8888-9999-aaaaaaaaaaaa");
	return finding;
}

/* A kill seen by the tracepoint alone, on a cgroup that nobody knows. */
static inline struct kw_finding sample_bare_kill(struct sample *sample)
{
	struct kw_finding finding = sample_kill(sample);

	memset(&sample->kill.oom, 0, sizeof(sample->kill.oom));
	memset(&sample->kill.victim, 0, sizeof(sample->kill.victim));
	memset(&sample->kill.victim_events_local, 0, sizeof(sample->kill.victim_events_local));
	sample->kill.header.hook = KW_HOOK_RAW_TP_MARK_VICTIM;
	sample->kill.victim.task.tgid = 99;
	sample->kill.member = 0;
	memset(&sample->attributed.victim, 0, sizeof(sample->attributed.victim));
	memset(&sample->attributed.owner, 0, sizeof(sample->attributed.owner));
	memset(&sample->attributed.trigger, 0, sizeof(sample->attributed.trigger));
	sample->attributed.has_cell = false;
	finding.event_id[0] = '\0';
	finding.incident_id[0] = '\0';
	return finding;
}

static inline struct kw_finding sample_incident(struct sample *sample)
{
	struct kw_finding finding = { .kind = KW_FINDING_OOM_INCIDENT };
	struct kw_incident *incident = &sample->incident;

	*incident = (struct kw_incident){
		.number = 9007199254740991ULL,
		.hook = KW_HOOK_FENTRY_OOM_KILL_PROCESS,
		.begin_boot_ns = SAMPLE_BOOT_NS - 400000,
		.end_boot_ns = SAMPLE_BOOT_NS - 100000,
		.has_cell = true,
		.cell = sample_cell(),
		.kills = 2,
		.victim_count = 2,
		.victims = sample->victims,
		.end_known = true,
		.marked = 2,
		.entered = 3,
		.counted = 3,
		.counters_known = true,
		.before = { .max = 8, .oom = 0, .oom_kill = 0 },
		.after = { .max = 9, .oom = 1, .oom_kill = 3, .oom_group_kill = 1 },
		.file_known = true,
		.file = { .max = 9, .oom = 1, .oom_kill = 3, .oom_group_kill = 1 },
		.file_boot_ns = SAMPLE_BOOT_NS,
		.verdict = KW_VERDICT_EXPLAINED,
		.duplicates = 1,
	};
	SAMPLE_SET(incident->id, "66666666-7777-8888-9999-aaaaaaaaaaaa");
	SAMPLE_SET(incident->words, "oom_kill +3: 2 killed, 1 counted twice in a group kill");
	sample_oom_context(&incident->oom);
	incident->owner = sample_identity("/cells/cell-7", 4242);
	incident->trigger = sample_identity("/cells/cell-7/a", 4243);
	for (int i = 0; i < 2; i++) {
		sample_victim(&sample->victims[i].victim);
		sample->victims[i].cgroup = sample_identity("/cells/cell-7/a", 4243);
		SAMPLE_SET(sample->victims[i].event_id, "11111111-2222-8333-8444-555555555555");
		sample->victims[i].event_id[35] = (char)('5' + i);
	}
	finding.incident = incident;
	finding.boot_ns = incident->end_boot_ns;
	return finding;
}

/* A reading with the pids controller off. */
static inline struct kw_finding sample_reading(struct sample *sample)
{
	struct kw_finding finding = { .kind = KW_FINDING_CGROUP };
	struct kw_reading *reading = &sample->reading;
	static const char *const keys[] = { "low", "high",     "max",
					    "oom", "oom_kill", "oom_group_kill" };

	memset(reading, 0, sizeof(*reading));
	SAMPLE_SET(reading->cgroup, "/cells/cell-7");
	SAMPLE_SET(reading->leaf, "/sys/fs/cgroup/cells/cell-7");
	reading->boot_ns = SAMPLE_BOOT_NS;
	reading->files[KW_FLAT_MEMORY_EVENTS].present = true;
	for (size_t i = 0; i < kw_array_size(keys); i++) {
		struct kw_flat_pair *pair = &reading->files[KW_FLAT_MEMORY_EVENTS].pairs[i];

		SAMPLE_SET(pair->key, keys[i]);
		pair->value = i;
		reading->files[KW_FLAT_MEMORY_EVENTS].count++;
	}
	reading->files[KW_FLAT_CPU_STAT].present = true;
	reading->files[KW_FLAT_CPU_STAT].count = 1;
	SAMPLE_SET(reading->files[KW_FLAT_CPU_STAT].pairs[0].key, "usage_usec");
	reading->files[KW_FLAT_CPU_STAT].pairs[0].value = UINT64_MAX;
	reading->files[KW_FLAT_PIDS_EVENTS].error = -ENOENT;
	sample->observation.kind = KW_OBSERVATION_READING;
	sample->observation.boot_ns = SAMPLE_BOOT_NS;
	sample->observation.reading = reading;
	sample->attributed.has_cell = true;
	sample->attributed.cell = sample_cell();
	finding.attributed = &sample->attributed;
	finding.boot_ns = SAMPLE_BOOT_NS;
	return finding;
}

static inline struct kw_finding sample_guest(struct sample *sample)
{
	struct kw_finding finding = { .kind = KW_FINDING_GUEST };

	sample->frame = (struct kw_gate_message){
		.version = KW_GATE_VERSION,
		.kind = KW_GATE_FRAME,
		.size = sizeof(sample->frame),
		.handle = 1,
		.connection = 1,
		.guest_monotonic_ns = UINT64_MAX,
		.received_boot_ns = SAMPLE_BOOT_NS,
		.guest_pid = 42,
		.content_version = 0x0100,
		.comm_bytes = 2,
		.probe_bytes = 15,
		.probe_source = "process.spawned",
		.comm = "sh",
	};
	sample->observation.kind = KW_OBSERVATION_GUEST;
	sample->observation.boot_ns = SAMPLE_BOOT_NS;
	sample->observation.guest = &sample->frame;
	sample->attributed.has_cell = true;
	sample->attributed.cell = sample_cell();
	finding.attributed = &sample->attributed;
	finding.boot_ns = SAMPLE_BOOT_NS;
	return finding;
}

static inline struct kw_finding sample_gap(struct sample *sample, enum kw_gap_kind kind,
					   const char *reason)
{
	struct kw_finding finding = { .kind = KW_FINDING_GAP };

	sample->gap = (struct kw_gap){ .kind = kind, .stage = "daemon" };
	SAMPLE_SET(sample->gap.reason, reason);
	finding.gap = &sample->gap;
	finding.boot_ns = SAMPLE_BOOT_NS;
	return finding;
}

/* The finding of the nth line of the sample ledger, from 0. */
static inline struct kw_finding sample_finding(struct sample *sample, unsigned int n)
{
	struct kw_finding finding;

	sample_init(sample);
	sample->time.boot_ns += n * 1000000000ULL;
	sample->time.real_ns += n * 1000000000ULL;
	switch (n) {
	case 0:
		return sample_gap(sample, KW_GAP_START, "the ledger begins");
	case 1:
		return sample_kill(sample);
	case 2:
		return sample_incident(sample);
	case 3:
		return sample_reading(sample);
	case 4:
		return sample_guest(sample);
	case 5:
		return sample_bare_kill(sample);
	case 6:
		finding = sample_gap(sample, KW_GAP_LOST, "evidence ring full");
		sample->gap.lost_known = true;
		sample->gap.lost = 7;
		sample->gap.from_boot_ns = SAMPLE_BOOT_NS - 5;
		sample->gap.to_boot_ns = SAMPLE_BOOT_NS;
		return finding;
	default:
		return sample_gap(sample, KW_GAP_STOP, "stopped in order");
	}
}

/* Makes the sample ledger's lines 1 to count; lines[i] are to be done with kw_bytes_done(). */
static inline void sample_ledger(unsigned int count, struct kw_bytes *lines)
{
	struct kw_attest_options options = { .source = SAMPLE_SOURCE };
	struct kw_attest *attest = NULL;
	struct kw_key *key = NULL;
	struct sample sample;

	assert_int_equal(kw_key_from_seed(sample_seed(), SAMPLE_KID, &key), 0);
	sample_init(&sample);
	options.key = key;
	options.clock = &sample.clock;
	assert_int_equal(kw_attest_open(&options, &attest), 0);
	for (unsigned int i = 0; i < count; i++) {
		struct kw_finding finding = sample_finding(&sample, i % SAMPLE_LINES);

		kw_bytes_init(&lines[i], KW_EVENT_MAX);
		assert_int_equal(kw_attest_finding(attest, &finding, &lines[i]), 0);
		kw_attest_commit(attest);
	}
	kw_attest_free(attest);
	kw_key_free(key);
}
