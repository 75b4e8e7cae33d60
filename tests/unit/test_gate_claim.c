/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* claim.c and the words both ends share: each vector gives its own reason; each byte flip of the sample
 * gives a claim within its ranges or a refusal. */
#include "tests/unit/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "user/base/file.h"
#include "user/gate/claim.h"
#include "user/gate/frame.h"

#define VECTORS "tests/vectors/frames"

static size_t read_vector(const char *name, unsigned char *ret_bytes, size_t size)
{
	char path[512];
	struct kw_bytes bytes;
	size_t length;

	(void)snprintf(path, sizeof(path), VECTORS "/%s", name);
	kw_bytes_init(&bytes, size);
	assert_int_equal(kw_file_read(AT_FDCWD, path, &bytes), 0);
	length = bytes.length;
	memcpy(ret_bytes, bytes.data, length);
	kw_bytes_done(&bytes);
	return length;
}

/* The reason a whole file leads to, as the gate would find it. */
static enum kw_gate_reason reason_of(const unsigned char *bytes, size_t length,
				     struct kw_gate_message *message)
{
	struct kw_frame_buffer buffer;
	const unsigned char *body = NULL;
	unsigned char *space;
	size_t size;

	kw_frame_init(&buffer);
	space = kw_frame_space(&buffer, &size);
	assert_true(length <= size);
	memcpy(space, bytes, length);
	kw_frame_filled(&buffer, length);
	switch (kw_frame_next(&buffer, &body, &size)) {
	case KW_FRAME_TOO_LONG:
		return KW_GATE_TOO_LONG;
	case KW_FRAME_EMPTY:
		return KW_GATE_EMPTY;
	case KW_FRAME_PARTIAL:
		return KW_GATE_CUT_SHORT;
	default:
		assert_false(kw_frame_is_partial(&buffer));
		return kw_claim_decode(body, size, message);
	}
}

static void decodes_the_sample(void **state)
{
	unsigned char bytes[256];
	size_t length = read_vector("good-sample.bin", bytes, sizeof(bytes));
	struct kw_gate_message message;

	(void)state;
	memset(&message, 0xee, sizeof(message));
	assert_int_equal(length, 103);
	assert_int_equal(reason_of(bytes, length, &message), KW_GATE_REASON_NONE);
	assert_int_equal(message.content_version, 0x0100);
	assert_int_equal(message.guest_pid, 42);
	assert_int_equal(message.guest_monotonic_ns, 123456789);
	assert_int_equal(message.probe_bytes, strlen("process.spawned"));
	assert_memory_equal(message.probe_source, "process.spawned\0", 16);
	assert_int_equal(message.comm_bytes, 2);
	assert_memory_equal(message.comm, "sh\0", 3);
	/* No byte of what was there before is handed on. */
	assert_int_equal(message.comm[KW_GUEST_COMM_MAX - 1], 0);
	assert_int_equal(message.probe_source[KW_PROBE_SOURCE_MAX - 1], 0);
}

static void decodes_extremes(void **state)
{
	unsigned char bytes[1024];
	size_t length = read_vector("good-extremes.bin", bytes, sizeof(bytes));
	struct kw_gate_message message = { 0 };

	(void)state;
	assert_int_equal(reason_of(bytes, length, &message), KW_GATE_REASON_NONE);
	assert_int_equal(message.content_version, 0x01ff);
	assert_int_equal(message.guest_pid, UINT32_MAX);
	assert_true(message.guest_monotonic_ns == UINT64_MAX);
	assert_int_equal(message.probe_bytes, KW_PROBE_SOURCE_MAX);
	assert_int_equal(message.comm_bytes, KW_GUEST_COMM_MAX);
}

static void decodes_claims(void **state)
{
	unsigned char bytes[1024];
	size_t length = read_vector("good-claims.bin", bytes, sizeof(bytes));
	struct kw_gate_message message;
	const struct kw_claim_pair *pair = message.claim;

	(void)state;
	memset(&message, 0xee, sizeof(message));
	assert_int_equal(reason_of(bytes, length, &message), KW_GATE_REASON_NONE);
	assert_int_equal(message.content_version, 0x0101);
	assert_int_equal(message.has, KW_CLAIM_HAS_ALL_);
	assert_int_equal(message.seq, 7);
	assert_int_equal(message.dropped, 2);
	assert_int_equal(message.boot_id_bytes, 36);
	assert_memory_equal(message.boot_id, "d2719cbb-0c3c-4b5e-9d3b-0d6a2a0a4b1c\0", 37);
	assert_int_equal(message.claim_count, 4);
	assert_string_equal(pair[0].key, "a.b_1");
	assert_true(pair[0].is_text && pair[0].text_bytes == 0);
	assert_string_equal(pair[1].key, "kills");
	assert_true(!pair[1].is_text && pair[1].number == 3);
	assert_string_equal(pair[2].key, "rss_kb");
	assert_true(pair[2].number == UINT64_MAX);
	assert_string_equal(pair[3].key, "source");
	assert_int_equal(pair[3].key_bytes, 6);
	assert_memory_equal(pair[3].text, "kmsg\0", 5);
	assert_int_equal(pair[4].key[0], 0);
	assert_int_equal(pair[15].number, 0);
}

static void decodes_the_longest_claims(void **state)
{
	unsigned char bytes[4096];
	size_t length = read_vector("good-claims-extremes.bin", bytes, sizeof(bytes));
	struct kw_gate_message message = { 0 };

	(void)state;
	assert_int_equal(reason_of(bytes, length, &message), KW_GATE_REASON_NONE);
	assert_int_equal(message.claim_count, 16);
	for (size_t i = 0; i < 16; i++) {
		assert_int_equal(message.claim[i].key[1], '0' + i % 10);
		assert_int_equal(message.claim[i].key_bytes, 32);
		assert_int_equal(message.claim[i].text_bytes, 64);
	}
	assert_true(message.seq == UINT64_MAX && message.dropped == UINT64_MAX);
	assert_int_equal(message.boot_id_bytes, 64);
}

/* What 0x0101 adds means nothing in a frame of 0x0100. */
static void an_older_minor_has_no_claims(void **state)
{
	unsigned char bytes[1024];
	size_t length = read_vector("good-claims-major.bin", bytes, sizeof(bytes));
	struct kw_gate_message message;

	(void)state;
	memset(&message, 0xee, sizeof(message));
	assert_int_equal(reason_of(bytes, length, &message), KW_GATE_REASON_NONE);
	assert_int_equal(message.has, 0);
	assert_int_equal(message.seq, 0);
	assert_int_equal(message.claim_count, 0);
	assert_int_equal(message.boot_id[63], 0);
}

static void every_vector_gives_its_reason(void **state)
{
	DIR *directory = opendir(VECTORS);
	const struct dirent *file;
	bool seen[KW_GATE_REASON_COUNT_] = { false };
	unsigned int files = 0;

	(void)state;
	assert_non_null(directory);
	while ((file = readdir(directory))) {
		unsigned char bytes[KW_FRAME_PREFIX + KW_FRAME_BODY_MAX];
		struct kw_gate_message message;
		struct kw_gate_message before;
		enum kw_gate_reason reason;
		char expected[64] = "none";
		size_t length;

		if (!strstr(file->d_name, ".bin"))
			continue;
		memset(&message, 0x5a, sizeof(message));
		before = message;
		if (strncmp(file->d_name, "bad-", 4) == 0)
			(void)snprintf(expected, sizeof(expected), "%.*s",
				       (int)strcspn(file->d_name + 4, "-."), file->d_name + 4);
		length = read_vector(file->d_name, bytes, sizeof(bytes));
		reason = reason_of(bytes, length, &message);
		if (strcmp(kw_gate_reason_name(reason), expected) != 0)
			fail_msg("%s: %s", file->d_name, kw_gate_reason_name(reason));
		if (reason != KW_GATE_REASON_NONE)
			assert_memory_equal(&message, &before, sizeof(message));
		seen[reason] = true;
		files++;
	}
	(void)closedir(directory);
	assert_true(files >= 30);
	/* Every reason that bytes alone can have has a vector. */
	for (uint32_t reason = 0; reason < KW_GATE_TOO_MANY_CONNECTIONS; reason++)
		if (!seen[reason])
			fail_msg("no vector for %s", kw_gate_reason_name(reason));
}

static void flipped_bits_stay_within_ranges(void **state)
{
	unsigned char bytes[1024];
	unsigned int taken = 0;
	size_t length;

	(void)state;
	length = read_vector("good-claims.bin", bytes, sizeof(bytes));
	for (size_t bit = 0; bit < (length - KW_FRAME_PREFIX) * 8; bit++) {
		unsigned char *byte = &bytes[KW_FRAME_PREFIX + bit / 8];
		struct kw_gate_message message = { 0 };

		*byte = (unsigned char)(*byte ^ 1U << bit % 8);
		if (kw_claim_decode(bytes + KW_FRAME_PREFIX, length - KW_FRAME_PREFIX, &message) ==
		    KW_GATE_REASON_NONE) {
			taken++;
			assert_int_equal(message.content_version >> 8, 1);
			assert_true(
				kw_gate_probe_is_valid(message.probe_source, message.probe_bytes));
			assert_true(kw_gate_comm_is_valid(message.comm, message.comm_bytes));
		}
		*byte = (unsigned char)(*byte ^ 1U << bit % 8);
	}
	/* Letters that became other letters, digits of numbers. */
	assert_true(taken > 20);
}

static void every_cut_is_refused(void **state)
{
	unsigned char bytes[256];
	struct kw_gate_message message;
	size_t length = read_vector("good-sample.bin", bytes, sizeof(bytes)) - KW_FRAME_PREFIX;

	(void)state;
	for (size_t cut = 0; cut < length; cut++) {
		/* A copy of its own, so that a read past the end is seen. */
		unsigned char *copy = malloc(cut + !cut);

		memcpy(copy, bytes + KW_FRAME_PREFIX, cut);
		assert_int_equal(kw_claim_decode(copy, cut, &message), KW_GATE_MALFORMED);
		free(copy);
	}
}

static void names_and_alphabets(void **state)
{
	(void)state;
	for (uint32_t reason = 0; reason < KW_GATE_REASON_COUNT_; reason++) {
		assert_non_null(kw_gate_reason_name(reason));
		for (uint32_t other = 0; other < reason; other++)
			assert_string_not_equal(kw_gate_reason_name(reason),
						kw_gate_reason_name(other));
	}
	assert_null(kw_gate_reason_name(KW_GATE_REASON_COUNT_));
	assert_null(kw_gate_reason_name(UINT32_MAX));

	assert_true(kw_gate_probe_is_valid("net.connect_attempted", 21));
	assert_false(kw_gate_probe_is_valid("", 0));
	assert_false(kw_gate_probe_is_valid("a\0b", 3));
	assert_false(kw_gate_probe_is_valid("a-b", 3));
	assert_false(kw_gate_probe_is_valid("\xc3\xa4", 2));
	assert_false(kw_gate_probe_is_valid("agent.silenced", 14));
	assert_true(kw_gate_probe_is_valid("agent.silence", 13));
	assert_false(kw_gate_key_is_valid("", 0));
	assert_false(kw_gate_claim_text_is_valid("a\n", 2));

	assert_true(kw_gate_comm_is_valid("", 0));
	assert_true(kw_gate_comm_is_valid("kworker/0:1-events", 18));
	assert_true(kw_gate_comm_is_valid("\xc2\xa0", 2));  /* U+00A0 is none any more */
	assert_false(kw_gate_comm_is_valid("\xc2\x9f", 2)); /* U+009F is one */
	assert_false(kw_gate_comm_is_valid("a\x7f", 2));
	assert_false(kw_gate_comm_is_valid("a\0", 2));
	assert_false(kw_gate_comm_is_valid("\xed\xa0\x80", 3)); /* a surrogate */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(decodes_the_sample),
		support_test(decodes_extremes),
		support_test(decodes_claims),
		support_test(decodes_the_longest_claims),
		support_test(an_older_minor_has_no_claims),
		support_test(every_vector_gives_its_reason),
		support_test(flipped_bits_stay_within_ranges),
		support_test(every_cut_is_refused),
		support_test(names_and_alphabets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
