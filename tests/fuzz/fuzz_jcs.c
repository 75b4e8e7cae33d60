/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Any JSON text: refused with a reason, or a canonical form that is its own canonical form. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/base/bytes.h"
#include "user/verify/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_bytes struct kw_bytes once = { 0 };
	cleanup_bytes struct kw_bytes twice = { 0 };
	const char *reason = NULL;

	kw_bytes_init(&once, 1 << 20);
	kw_bytes_init(&twice, 1 << 20);
	if (kw_jcs_append(&once, (const char *)data, size, &reason) < 0)
		return 0;
	fuzz_assert(kw_jcs_append(&twice, once.data, once.length, &reason) == 0);
	fuzz_assert(once.length == twice.length && memcmp(once.data, twice.data, once.length) == 0);
	return 0;
}
