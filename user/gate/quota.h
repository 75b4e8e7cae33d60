/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * What one cell may cost: frames a second, drops a second, and refusals told to the daemon at most once
 * a second for each reason. In: the time and what happened. Out: yes or no, and REFUSED messages. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include <kwitness/gate.h>

struct kw_quota_refusals {
	uint32_t count;	       /* not told yet; stays at its maximum */
	uint32_t connection;   /* the last one */
	uint64_t next_boot_ns; /* not before this is the daemon told again */
};

struct kw_quota {
	uint64_t credit_ns; /* what is left, in time: a frame costs 1 s / KW_GATE_FRAMES_PER_SEC */
	uint64_t credit_boot_ns;
	uint64_t drops_boot_ns; /* when the current second of drops began */
	uint32_t drops;
	struct kw_quota_refusals refusals[KW_GATE_REASON_COUNT_];
};

/* A full budget at now. */
void kw_quota_init(struct kw_quota *quota, uint64_t now_boot_ns);
/* Takes one frame's cost; false: it is not there. */
bool kw_quota_take(struct kw_quota *quota, uint64_t now_boot_ns);
/* Counts one over-budget frame; true: enough for this second, leave the cell alone until
 * *ret_until_boot_ns. */
bool kw_quota_drop(struct kw_quota *quota, uint64_t now_boot_ns, uint64_t *ret_until_boot_ns);
/* Counts one refusal; true when none of this reason was held before. */
bool kw_quota_refuse(struct kw_quota *quota, enum kw_gate_reason reason, uint32_t connection);
/* The next REFUSED message that may be told at now (handle is the caller's to set); false: none. */
bool kw_quota_tell(struct kw_quota *quota, uint64_t now_boot_ns,
		   struct kw_gate_message *ret_message);
/* Reasons with refusals that were not told yet. */
unsigned int kw_quota_held(const struct kw_quota *quota);
