/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A stream cut at any place gives the same frames. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/gate/frame.h"

struct sum {
	size_t frames;
	size_t empties;
	uint32_t hash; /* over lengths and bytes, FNV-1a */
	int is_lost;
	int is_partial;
};

static void add(struct sum *sum, const void *bytes, size_t length)
{
	const unsigned char *at = bytes;

	for (size_t i = 0; i < length; i++)
		sum->hash = (sum->hash ^ at[i]) * 16777619U;
}

static struct sum feed(const uint8_t *data, size_t size, size_t step)
{
	static struct kw_frame_buffer buffer;
	struct sum sum = { .hash = 2166136261U };

	kw_frame_init(&buffer);
	while (size > 0 && !sum.is_lost) {
		enum kw_frame_outcome outcome;
		const unsigned char *body = NULL;
		size_t length = 0;
		size_t room;
		unsigned char *space = kw_frame_space(&buffer, &room);
		size_t take = size < step ? size : step;

		fuzz_assert(room > 0);
		take = take < room ? take : room;
		memcpy(space, data, take);
		kw_frame_filled(&buffer, take);
		data += take;
		size -= take;
		while ((outcome = kw_frame_next(&buffer, &body, &length)) != KW_FRAME_PARTIAL) {
			if (outcome == KW_FRAME_TOO_LONG) {
				sum.is_lost = 1;
				break;
			}
			if (outcome == KW_FRAME_EMPTY) {
				sum.empties++;
				continue;
			}
			fuzz_assert(length > 0 && length <= KW_FRAME_BODY_MAX);
			sum.frames++;
			add(&sum, &length, sizeof(length));
			add(&sum, body, length);
		}
	}
	sum.is_partial = !sum.is_lost && kw_frame_is_partial(&buffer);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 3, 4096 };
	struct sum whole = feed(data, size, SIZE_MAX);

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct sum cut = feed(data, size, steps[i]);

		fuzz_assert(cut.frames == whole.frames && cut.empties == whole.empties &&
			    cut.hash == whole.hash && cut.is_lost == whole.is_lost &&
			    cut.is_partial == whole.is_partial);
	}
	return 0;
}
