/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flat key-value text: refused with a line of its own, or pairs whose keys are unique and terminated. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/capture/capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kw_flat flat;
	uint64_t value;

	memset(&flat, 0, sizeof(flat));
	if (kw_counters_parse((const char *)data, size, &flat) < 0)
		return 0;
	fuzz_assert(flat.count <= KW_FLAT_KEYS_MAX);
	for (uint32_t i = 0; i < flat.count; i++) {
		fuzz_assert(memchr(flat.pairs[i].key, 0, sizeof(flat.pairs[i].key)));
		flat.present = true;
		fuzz_assert(kw_counters_get(&flat, flat.pairs[i].key, &value));
		fuzz_assert(value == flat.pairs[i].value);
	}
	return 0;
}
