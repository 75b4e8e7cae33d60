/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A claim is within its ranges, or refused without a trace. The first four bytes are left out, so that
 * tests/vectors/frames serves as seeds. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/capture/gatecheck.h"
#include "user/gate/claim.h"
#include "user/gate/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct kw_gatecheck check = { .is_ready = true, .highest_handle = 1 };
	struct kw_gate_message message;
	struct kw_gate_message before;
	enum kw_gate_reason reason;

	if (size < KW_FRAME_PREFIX || size > KW_FRAME_PREFIX + KW_FRAME_BODY_MAX)
		return 0;
	memset(&message, 0xa5, sizeof(message));
	before = message;
	reason = kw_claim_decode(data + KW_FRAME_PREFIX, size - KW_FRAME_PREFIX, &message);
	fuzz_assert(kw_gate_reason_name(reason));
	if (reason != KW_GATE_REASON_NONE) {
		fuzz_assert(memcmp(&message, &before, sizeof(message)) == 0);
		return 0;
	}
	fuzz_assert(message.content_version >> 8 == 1);
	fuzz_assert(kw_gate_probe_is_valid(message.probe_source, message.probe_bytes));
	fuzz_assert(kw_gate_comm_is_valid(message.comm, message.comm_bytes));
	/* What is decoded here is taken at the other end of the link. */
	message.version = KW_GATE_VERSION;
	message.kind = KW_GATE_FRAME;
	message.size = sizeof(message);
	message.handle = message.connection = 1;
	message.reason = message.count = 0;
	message.received_boot_ns = 1;
	message.peer_cid = 0;
	memset(message.pad, 0, sizeof(message.pad));
	fuzz_assert(kw_gatecheck_is_valid(&check, &message, 1));
	return 0;
}
