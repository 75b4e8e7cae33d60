/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The first byte chooses the file, the rest is its text. What is taken is what the other reader of the same
 * text takes; what is refused changes nothing; no counter of another file is touched.
 */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/capture/capture.h"

static void compare(enum kw_counts_file file, const struct kw_flat *flat, const uint64_t *values,
		    uint32_t known)
{
	for (int counter = 0; counter < KW_COUNTER_COUNT_; counter++) {
		const char *key, *name = kw_counter_source((enum kw_counter)counter, &key);
		uint64_t value;

		if (strcmp(name, kw_counts_file_name(file)) != 0)
			continue;
		fuzz_assert(kw_counters_get(flat, key, &value) == ((known & 1U << counter) != 0));
		fuzz_assert(!(known & 1U << counter) || value == values[counter]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kw_flat flat;
	uint64_t values[KW_COUNTER_COUNT_];
	uint32_t known = UINT32_MAX;
	enum kw_counts_file file;
	const char *text = (const char *)data + 1;
	int r, other;

	if (size == 0)
		return 0;
	file = (enum kw_counts_file)(data[0] % KW_COUNTS_FILE_COUNT_);
	memset(values, 0xa5, sizeof(values));
	r = kw_counts_parse(file, text, size - 1, values, &known);
	other = kw_counters_parse(text, size - 1, &flat);
	/* The other one keeps keys, and so refuses too many or too long ones as well. */
	fuzz_assert(r == 0 || r == -EBADMSG);
	if (r < 0)
		fuzz_assert(other < 0);
	if (other == 0) {
		fuzz_assert(r == 0);
		compare(file, &flat, values, known);
	}
	for (int counter = 0; counter < KW_COUNTER_COUNT_; counter++) {
		bool own = kw_counts_mask(file) & 1U << counter;

		if (r < 0 || !own || !(known & 1U << counter))
			fuzz_assert(values[counter] == 0xa5a5a5a5a5a5a5a5);
		fuzz_assert((r == 0 && own) || known & 1U << counter);
	}
	return 0;
}
