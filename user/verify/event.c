/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One event alone, whoever wrote it: any CloudEvent in the JSON format with a dssematerial. It need
 * not be canonical; `data` is hashed in its canonical form (docs/ledger.md says why).
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "user/verify/signed.h"

int kw_verify_event(const struct kw_keyring *keyring, const char *json, size_t length,
		    const char **ret_reason)
{
	cleanup_bytes struct kw_bytes canonical, scratch;
	struct kw_line line = { .sequence = 0 };
	enum kw_fault fault;
	uint64_t serial;
	int r;

	kw_bytes_init(&canonical, 2 * KW_LINE_MAX);
	kw_bytes_init(&scratch, 2 * KW_LINE_MAX);
	if (sodium_init() < 0)
		return -EIO;
	if (length > KW_LINE_MAX) {
		*ret_reason = "longer than 1 MiB";
		return 1 + KW_FAULT_TOO_LONG;
	}
	r = kw_jcs_append(&canonical, json, length, ret_reason);
	if (r == 0) {
		r = kw_read_members((struct kw_span){ canonical.data, canonical.length },
				    &line.members);
		if (r < 0)
			*ret_reason = "not a CloudEvent: no object, or too many attributes";
	}
	if (r == -EBADMSG || r == -E2BIG)
		return 1 + KW_FAULT_MALFORMED;
	if (r < 0)
		return r;
	r = kw_line_verify(&line, keyring, false, &scratch, &serial, &fault, ret_reason);
	return r > 0 ? 1 + (int)fault : r;
}
