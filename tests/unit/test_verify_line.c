/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every bit of a line counts: flipped in turn, in the first, a middle and the last line. Each line is
 * verified alone, so that it has to tell by itself, without its successor's prevhash. */
#include "test_attest_findings.h"

#include <kwitness/verify.h>

#define KEYRING "{\"" SAMPLE_KID "\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\"}"

static struct kw_bytes text; /* three lines: a gap, a guest's frame, a gap */
static size_t begins[4];
static struct kw_keyring *keyring;

static int setup(void **state)
{
	static const unsigned int findings[] = { 0, 4, 7 };
	struct kw_attest_options options = { .source = SAMPLE_SOURCE };
	struct kw_attest *attest = NULL;
	struct kw_key *key = NULL;
	struct sample sample;
	struct kw_bytes line;
	const char *reason;

	(void)state;
	kw_bytes_init(&text, 1 << 16);
	kw_bytes_init(&line, KW_EVENT_MAX);
	sample_init(&sample);
	assert_int_equal(kw_key_from_seed(sample_seed(), SAMPLE_KID, &key), 0);
	options.key = key;
	options.clock = &sample.clock;
	assert_int_equal(kw_attest_open(&options, &attest), 0);
	for (int i = 0; i < 3; i++) {
		struct kw_finding finding = sample_finding(&sample, findings[i]);

		assert_int_equal(kw_attest_finding(attest, &finding, &line), 0);
		kw_attest_commit(attest);
		begins[i] = text.length;
		kw_bytes_append(&text, line.data, line.length);
	}
	begins[3] = text.length;
	kw_attest_free(attest);
	kw_key_free(key);
	kw_bytes_done(&line);
	return kw_keyring_parse(KEYRING, strlen(KEYRING), &keyring, &reason);
}

static int teardown(void **state)
{
	(void)state;
	kw_bytes_done(&text);
	kw_keyring_free(keyring);
	return 0;
}

static void count_fault(void *context, const struct kw_fault_report *report)
{
	(void)report;
	(*(uint64_t *)context)++;
}

/* Faults in length bytes from offset on, as a part of a ledger. */
static uint64_t faults(size_t offset, size_t length)
{
	struct kw_verifier *verifier = NULL;
	uint64_t count = 0;

	assert_int_equal(kw_verifier_new(keyring, true, count_fault, &count, &verifier), 0);
	assert_int_equal(kw_verifier_feed(verifier, "-", text.data + offset, length), 0);
	assert_int_equal(kw_verifier_end_of_file(verifier), 0);
	kw_verifier_free(verifier);
	return count;
}

static void flip_all(unsigned int line)
{
	size_t length = begins[line + 1] - begins[line];

	assert_int_equal(faults(0, text.length), 0);
	assert_int_equal(faults(begins[line], length), 0);
	for (size_t at = begins[line]; at < begins[line + 1]; at++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			text.data[at] = (char)(text.data[at] ^ (1 << bit));
			if (faults(begins[line], length) == 0)
				fail_msg("byte %d bit %u of line %u was changed unseen",
					 (int)(at - begins[line]), bit, line + 1);
			text.data[at] = (char)(text.data[at] ^ (1 << bit));
		}
	}
}

static void every_bit_of_the_first_line_counts(void **state)
{
	(void)state;
	flip_all(0);
}

static void every_bit_of_a_middle_line_counts(void **state)
{
	(void)state;
	flip_all(1);
}

static void every_bit_of_the_last_line_counts(void **state)
{
	(void)state;
	flip_all(2);
}

/* A byte less, anywhere in the last line. */
static void every_byte_of_the_last_line_counts(void **state)
{
	char *last = text.data + begins[2];
	size_t length = begins[3] - begins[2];
	char whole[4096];

	(void)state;
	assert_true(length < sizeof(whole));
	memcpy(whole, last, length);
	for (size_t at = 0; at < length; at++) {
		memmove(last + at, last + at + 1, length - at - 1);
		if (faults(begins[2], length - 1) == 0)
			fail_msg("byte %d was removed unseen", (int)at);
		memcpy(last, whole, length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_bit_of_the_first_line_counts),
		cmocka_unit_test(every_bit_of_a_middle_line_counts),
		cmocka_unit_test(every_bit_of_the_last_line_counts),
		cmocka_unit_test(every_byte_of_the_last_line_counts),
	};

	return cmocka_run_group_tests_name("verify_line", tests, setup, teardown);
}
