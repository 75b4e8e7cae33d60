/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A token bucket kept as time, and counters of refusals; pure, so that time is the test's. A quota
 * belongs to a listener, that is to a cell, not to a connection: more connections buy nothing.
 */
#include "user/gate/quota.h"

#include <string.h>

#include "user/base/clock.h"

#define FRAME_COST_NS (KW_NSEC_PER_SEC / KW_GATE_FRAMES_PER_SEC)
#define CREDIT_MAX_NS (FRAME_COST_NS * KW_GATE_FRAMES_BURST)

void kw_quota_init(struct kw_quota *quota, uint64_t now_boot_ns)
{
	memset(quota, 0, sizeof(*quota));
	quota->credit_ns = CREDIT_MAX_NS;
	quota->credit_boot_ns = now_boot_ns;
	quota->drops_boot_ns = now_boot_ns;
}

bool kw_quota_take(struct kw_quota *quota, uint64_t now_boot_ns)
{
	if (now_boot_ns > quota->credit_boot_ns) {
		uint64_t elapsed_ns = now_boot_ns - quota->credit_boot_ns;
		uint64_t room_ns = CREDIT_MAX_NS - quota->credit_ns;

		quota->credit_ns += elapsed_ns < room_ns ? elapsed_ns : room_ns;
		quota->credit_boot_ns = now_boot_ns;
	}
	if (quota->credit_ns < FRAME_COST_NS)
		return false;
	quota->credit_ns -= FRAME_COST_NS;
	return true;
}

bool kw_quota_drop(struct kw_quota *quota, uint64_t now_boot_ns, uint64_t *ret_until_boot_ns)
{
	if (now_boot_ns - quota->drops_boot_ns >= KW_NSEC_PER_SEC) {
		quota->drops_boot_ns = now_boot_ns;
		quota->drops = 0;
	}
	if (++quota->drops < KW_GATE_DROPS_PER_SEC)
		return false;
	*ret_until_boot_ns = quota->drops_boot_ns + KW_NSEC_PER_SEC;
	return true;
}

bool kw_quota_refuse(struct kw_quota *quota, enum kw_gate_reason reason, uint32_t connection)
{
	struct kw_quota_refusals *refusals = &quota->refusals[reason];
	bool is_first = refusals->count == 0;

	if (refusals->count < UINT32_MAX)
		refusals->count++;
	refusals->connection = connection;
	return is_first;
}

bool kw_quota_tell(struct kw_quota *quota, uint64_t now_boot_ns,
		   struct kw_gate_message *ret_message)
{
	for (uint32_t reason = 1; reason < KW_GATE_REASON_COUNT_; reason++) {
		struct kw_quota_refusals *refusals = &quota->refusals[reason];

		if (refusals->count == 0 || now_boot_ns < refusals->next_boot_ns)
			continue;
		*ret_message = (struct kw_gate_message){
			.kind = KW_GATE_REFUSED,
			.connection = refusals->connection,
			.reason = reason,
			.count = refusals->count,
			.received_boot_ns = now_boot_ns,
		};
		refusals->count = 0;
		refusals->next_boot_ns = now_boot_ns + KW_NSEC_PER_SEC;
		return true;
	}
	return false;
}

unsigned int kw_quota_held(const struct kw_quota *quota)
{
	unsigned int held = 0;

	for (uint32_t reason = 1; reason < KW_GATE_REASON_COUNT_; reason++)
		held += quota->refusals[reason].count > 0;
	return held;
}
