/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters of what was told. A unit's name is whatever a user of the host calls it, so names are labels only up
 * to a cap: a monitoring system must not drown because somebody starts a transient unit a second.
 */
#include "user/daemon/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct label {
	char name[256];
	uint64_t number; /* of kills, of lost records */
	UT_hash_handle hh;
};

struct labels {
	struct label *hash;
	uint64_t other; /* of names beyond the cap */
};

struct kw_tally {
	uint64_t count[KW_FINDING_KIND_COUNT_];
	uint64_t last_real_ns[KW_FINDING_KIND_COUNT_];
	struct labels labels[KW_TALLY_LABEL_COUNT_];
};

int kw_tally_new(struct kw_tally **ret_tally)
{
	struct kw_tally *tally = calloc(1, sizeof(*tally));

	if (!tally)
		return -ENOMEM;
	*ret_tally = tally;
	return 0;
}

void kw_tally_free(struct kw_tally *tally)
{
	if (!tally)
		return;
	for (int i = 0; i < KW_TALLY_LABEL_COUNT_; i++) {
		struct label *label, *next;

		HASH_ITER (hh, tally->labels[i].hash, label, next) {
			HASH_DEL(tally->labels[i].hash, label);
			free(label);
		}
	}
	free(tally);
}

static void count(struct labels *labels, const char *name, uint64_t number)
{
	struct label *label = NULL;
	size_t length = strnlen(name, sizeof(label->name) - 1);

	if (length == 0)
		return;
	HASH_FIND(hh, labels->hash, name, length, label);
	if (!label && HASH_COUNT(labels->hash) < KW_TALLY_LABELS_MAX)
		label = calloc(1, sizeof(*label));
	else if (label) {
		label->number += number;
		return;
	}
	if (!label) {
		labels->other += number;
		return;
	}
	memcpy(label->name, name, length);
	label->number = number;
	HASH_ADD(hh, labels->hash, name[0], length, label);
}

void kw_tally_finding(struct kw_tally *tally, const struct kw_finding *finding, uint64_t real_ns)
{
	const struct kw_attributed *attributed = finding->attributed;

	if (!tally || (unsigned int)finding->kind >= KW_FINDING_KIND_COUNT_)
		return;
	tally->count[finding->kind]++;
	tally->last_real_ns[finding->kind] = real_ns;
	if (finding->kind == KW_FINDING_GAP && finding->gap->lost_known)
		count(&tally->labels[KW_TALLY_STAGE], finding->gap->stage, finding->gap->lost);
	if (finding->kind != KW_FINDING_OOM_KILL || !attributed)
		return;
	count(&tally->labels[KW_TALLY_UNIT], attributed->victim.unit, 1);
	if (attributed->has_cell)
		count(&tally->labels[KW_TALLY_CELL], attributed->cell.cell_id, 1);
}

uint64_t kw_tally_count(const struct kw_tally *tally, enum kw_finding_kind kind,
			uint64_t *ret_last_real_ns)
{
	*ret_last_real_ns = tally->last_real_ns[kind];
	return tally->count[kind];
}

const char *kw_tally_kind_name(enum kw_finding_kind kind)
{
	switch (kind) {
	case KW_FINDING_OOM_KILL:
		return "oom_kill";
	case KW_FINDING_OOM_INCIDENT:
		return "oom_incident";
	case KW_FINDING_CGROUP:
		return "cgroup";
	case KW_FINDING_GUEST:
		return "guest";
	case KW_FINDING_GAP:
		return "gap";
	case KW_FINDING_THROTTLE:
		return "cpu_throttled";
	case KW_FINDING_PIDS:
		return "pids_max";
	case KW_FINDING_HIGH:
		return "memory_high";
	case KW_FINDING_COUNTER_KILL:
		return "counter_kill"; /* of type oom_kill; kills that no hook has told */
	case KW_FINDING_PARITY:
		return "parity";
	case KW_FINDING_ACCOUNT:
		return "account";
	case KW_FINDING_CROSSCHECK:
		return "crosscheck";
	case KW_FINDING_SILENCE:
		return "silence";
	case KW_FINDING_USERSPACE_KILL:
		return "userspace_kill"; /* of type oom_kill, constraint userspace */
	case KW_FINDING_KIND_COUNT_:
		break;
	}
	return NULL;
}

void kw_tally_each(const struct kw_tally *tally, enum kw_tally_label label, kw_tally_fn callback,
		   void *context)
{
	const struct labels *labels = &tally->labels[label];

	for (const struct label *at = labels->hash; at; at = at->hh.next)
		callback(context, at->name, at->number);
	if (labels->other > 0)
		callback(context, NULL, labels->other);
}
