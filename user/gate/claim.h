/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * One frame's body to a checked claim. In: bytes that a guest chose. Out: the five fields and those
 * of minor version 0x0101, each within its range and alphabet, or the reason for which the frame is
 * refused. Nothing else of the body leaves: keys that a later minor version adds are checked for form
 * and dropped.
 */
#include <stddef.h>

#include <kwitness/gate.h>

/*
 * Decodes length bytes at body. On KW_GATE_REASON_NONE the claim's fields of ret_message are set
 * (guest_monotonic_ns, guest_pid, content_version, comm, probe_source and their lengths; has, seq,
 * dropped, boot_id, and claim with its keys ascending; unused bytes zero); otherwise it is untouched. Of several faults the one found first in this order is returned:
 * BAD_VERSION before anything else is read, MALFORMED and BAD_TEXT in the order of the bytes,
 * TRAILING, DUPLICATE_KEY, MISSING_KEY, KEY_ORDER, then the fields in their order,
 * then the minor ones.
 */
enum kw_gate_reason kw_claim_decode(const unsigned char *body, size_t length,
				    struct kw_gate_message *ret_message);
