/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* frame.c: a stream cut at every place gives the same frames. */
#include "tests/unit/support.h"

#include <string.h>

#include "user/gate/frame.h"

static void put(struct kw_frame_buffer *buffer, const void *bytes, size_t length)
{
	size_t size;
	unsigned char *space = kw_frame_space(buffer, &size);

	assert_true(length <= size);
	memcpy(space, bytes, length);
	kw_frame_filled(buffer, length);
}

static void gives_frames_cut_anywhere(void **state)
{
	static const char stream[] = "\3\0\0\0abc\0\0\0\0\1\0\0\0x\2\0\0\0yz";
	const size_t length = sizeof(stream) - 1;

	(void)state;
	for (size_t step = 1; step <= length; step++) {
		struct kw_frame_buffer buffer;
		char seen[64] = "";

		kw_frame_init(&buffer);
		for (size_t at = 0; at < length; at += step) {
			const unsigned char *body = NULL;
			size_t size = 0;
			enum kw_frame_outcome outcome;

			put(&buffer, stream + at, at + step > length ? length - at : step);
			while ((outcome = kw_frame_next(&buffer, &body, &size)) !=
			       KW_FRAME_PARTIAL) {
				assert_int_not_equal(outcome, KW_FRAME_TOO_LONG);
				if (outcome == KW_FRAME_WHOLE)
					strncat(seen, (const char *)body, size);
				strcat(seen, outcome == KW_FRAME_EMPTY ? "-" : "|");
			}
		}
		assert_string_equal(seen, "abc|-x|yz|");
		assert_false(kw_frame_is_partial(&buffer));
	}
}

static void takes_the_largest_and_refuses_more(void **state)
{
	struct kw_frame_buffer buffer;
	unsigned char frame[KW_FRAME_PREFIX + KW_FRAME_BODY_MAX] = { 0, 0x10, 0, 0, 'a' };
	const unsigned char *body = NULL;
	size_t size = 0;

	(void)state;
	kw_frame_init(&buffer);
	put(&buffer, frame, sizeof(frame) - 1);
	assert_int_equal(kw_frame_next(&buffer, &body, &size), KW_FRAME_PARTIAL);
	assert_true(kw_frame_is_partial(&buffer));
	put(&buffer, frame, 1);
	assert_int_equal(kw_frame_next(&buffer, &body, &size), KW_FRAME_WHOLE);
	assert_int_equal(size, KW_FRAME_BODY_MAX);
	assert_int_equal(body[0], 'a');

	/* 4097, and lengths whose upper bytes alone are set. */
	static const unsigned char longer[][4] = {
		{ 1, 0x10, 0, 0 }, { 0, 0, 1, 0 }, { 0, 0, 0, 1 }, { 0xff, 0xff, 0xff, 0xff }
	};
	for (size_t i = 0; i < 4; i++) {
		kw_frame_init(&buffer);
		put(&buffer, longer[i], 4);
		assert_int_equal(kw_frame_next(&buffer, &body, &size), KW_FRAME_TOO_LONG);
		/* It stays so: there is no way back to where a frame begins. */
		put(&buffer, "\1\0\0\0a", 5);
		assert_int_equal(kw_frame_next(&buffer, &body, &size), KW_FRAME_TOO_LONG);
	}
}

static void always_has_room_for_a_partial_frame(void **state)
{
	struct kw_frame_buffer buffer;
	const unsigned char *body = NULL;
	unsigned char chunk[KW_FRAME_PREFIX + KW_FRAME_BODY_MAX];
	size_t size = 0;
	size_t length = 0;
	unsigned int frames = 0;

	(void)state;
	/* Frames of 3000 bytes: the second never fits behind the first. */
	memset(chunk, 0, sizeof(chunk));
	kw_frame_init(&buffer);
	for (size_t i = 0, at = 0; i < 30 * 3004; i++) {
		unsigned char byte = at == 0 ? 0xb8 : at == 1 ? 0x0b : 0;

		at = (at + 1) % 3004;
		(void)kw_frame_space(&buffer, &size);
		assert_true(size > 0);
		put(&buffer, &byte, 1);
		while (kw_frame_next(&buffer, &body, &length) == KW_FRAME_WHOLE) {
			assert_int_equal(length, 3000);
			frames++;
		}
	}
	assert_int_equal(frames, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(gives_frames_cut_anywhere),
		support_test(takes_the_largest_and_refuses_more),
		support_test(always_has_room_for_a_partial_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
