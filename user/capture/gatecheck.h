/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Whether a message may have come from a gate of ours; private to capture. In: one message of the right
 * length, what the link knows, the time. Out: yes or no. Pure.
 */
#include <stdbool.h>
#include <stdint.h>

#include <kwitness/gate.h>

struct kw_gatecheck {
	bool is_ready;		  /* READY was received */
	bool has_vsock;		  /* the gate was given the AF_VSOCK listener */
	uint32_t highest_handle;  /* ever given: handles are counted up and not used again */
	uint64_t drained_boot_ns; /* when the link was last seen empty */
};

bool kw_gatecheck_is_valid(const struct kw_gatecheck *check, const struct kw_gate_message *message,
			   uint64_t now_boot_ns);
