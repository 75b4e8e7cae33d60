/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A message that the daemon takes from the gate has nothing in it that could be read as anything else. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/capture/gatecheck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct kw_gatecheck check = { .is_ready = size % 2,
					    .has_vsock = size % 3 == 0,
					    .highest_handle = 7,
					    .drained_boot_ns = 70000000000 };
	struct kw_gate_message message;

	if (size < sizeof(message))
		return 0;
	memcpy(&message, data, sizeof(message));
	if (!kw_gatecheck_is_valid(&check, &message, 80000000000))
		return 0;
	fuzz_assert(message.kind >= KW_GATE_READY && message.kind <= KW_GATE_CLOSED);
	fuzz_assert(message.handle <= 7 ||
		    (size % 3 == 0 && message.handle == KW_GATE_HANDLE_VSOCK));
	fuzz_assert(message.received_boot_ns <= 80000000000);
	fuzz_assert(message.comm_bytes <= sizeof(message.comm));
	fuzz_assert(message.probe_bytes <= sizeof(message.probe_source));
	fuzz_assert(kw_gate_comm_is_valid(message.comm, message.comm_bytes));
	fuzz_assert(message.claim_count <= KW_CLAIM_PAIRS_MAX);
	for (size_t i = 0; i < message.claim_count; i++)
		fuzz_assert(kw_gate_key_is_valid(message.claim[i].key, message.claim[i].key_bytes));
	fuzz_assert(kw_gate_reason_name(message.reason));
	return 0;
}
