/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* However many threads check the lines, and however they are cut: the same reports in the same order. */
#include "test_attest_findings.h"

#include <errno.h>
#include <inttypes.h>

#include <kwitness/limits.h>
#include <kwitness/verify.h>

#define LINES 400 /* a few batches */
#define KEYRING "{\"" SAMPLE_KID "\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\"}"

static struct kw_keyring *keyring;
static struct kw_bytes whole, tampered;

static void append_tampered(int number, const struct kw_bytes *line)
{
	size_t middle = line->length / 2;

	switch (number % 50) {
	case 7: /* deleted */
		return;
	case 13: /* cut in two by a newline */
		kw_bytes_append(&tampered, line->data, middle);
		kw_bytes_append_char(&tampered, '\n');
		kw_bytes_append(&tampered, line->data + middle, line->length - middle);
		return;
	case 19: /* repeated */
		kw_bytes_append(&tampered, line->data, line->length);
		break;
	case 29: /* the number of another */
		kw_bytes_append(&tampered, line->data, line->length);
		tampered.data[tampered.length - middle] ^= 1;
		return;
	case 37: /* before a line that is too long */
		for (size_t i = 0; number < 100 && i <= KW_LINE_MAX; i++)
			kw_bytes_append_char(&tampered, 'x');
		kw_bytes_append_char(&tampered, '\n');
		break;
	default:
		break;
	}
	kw_bytes_append(&tampered, line->data, line->length);
}

static int setup(void **state)
{
	static struct kw_bytes lines[LINES];
	const char *reason;

	(void)state;
	sample_ledger(LINES, lines);
	kw_bytes_init(&whole, 16 << 20);
	kw_bytes_init(&tampered, 16 << 20);
	for (int i = 0; i < LINES; i++) {
		kw_bytes_append(&whole, lines[i].data, lines[i].length);
		append_tampered(i, &lines[i]);
		kw_bytes_done(&lines[i]);
	}
	if (kw_bytes_error(&whole) < 0 || kw_bytes_error(&tampered) < 0)
		return -1;
	return kw_keyring_parse(KEYRING, strlen(KEYRING), &keyring, &reason);
}

static int teardown(void **state)
{
	(void)state;
	kw_bytes_done(&whole);
	kw_bytes_done(&tampered);
	kw_keyring_free(keyring);
	return 0;
}

static void on_fault(void *context, const struct kw_fault_report *report)
{
	kw_bytes_append_format(context, "%" PRIu64 " %" PRIu64 " %s %s\n", report->line,
			       report->sequence, kw_fault_name(report->fault), report->detail);
}

/* What is said of text when threads check it, fed in pieces of step bytes. */
static void verify(const struct kw_bytes *text, unsigned int threads, size_t step,
		   struct kw_bytes *ret_said, struct kw_verify_result *ret_result)
{
	struct kw_verifier *verifier = NULL;

	kw_bytes_init(ret_said, 1 << 20);
	assert_int_equal(kw_verifier_new(keyring, false, on_fault, ret_said, &verifier), 0);
	assert_int_equal(kw_verifier_set_threads(verifier, threads), 0);
	for (size_t at = 0; at < text->length; at += step) {
		size_t piece = step < text->length - at ? step : text->length - at;

		assert_int_equal(kw_verifier_feed(verifier, "file", text->data + at, piece), 0);
	}
	assert_int_equal(kw_verifier_end_of_file(verifier), 0);
	assert_int_equal(kw_verifier_finish(verifier), 0);
	kw_verifier_result(verifier, ret_result);
	kw_verifier_free(verifier);
	assert_int_equal(kw_bytes_error(ret_said), 0);
}

static void threads_say_what_one_says(void **state)
{
	static const unsigned int threads[] = { 1, 2, 3, 8 };
	static const size_t steps[] = { 777, 65536, 16 << 20 };
	struct kw_verify_result expected_result, result;
	struct kw_bytes expected, said;

	(void)state;
	verify(&tampered, 1, 16 << 20, &expected, &expected_result);
	assert_int_equal(expected_result.faults[KW_FAULT_TOO_LONG], 2);
	assert_int_equal(expected_result.faults[KW_FAULT_SEQUENCE_REPEATED], LINES / 50);
	assert_int_equal(expected_result.faults[KW_FAULT_SEQUENCE_MISSING], LINES / 50);
	assert_true(expected_result.faults[KW_FAULT_MALFORMED] >= 2 * LINES / 50);
	for (size_t i = 0; i < kw_array_size(threads); i++) {
		for (size_t j = 0; j < kw_array_size(steps); j++) {
			verify(&tampered, threads[i], steps[j], &said, &result);
			assert_string_equal(said.data, expected.data);
			assert_memory_equal(&result, &expected_result, sizeof(result));
			kw_bytes_done(&said);
		}
	}
	kw_bytes_done(&expected);
}

static void a_sound_ledger_is_sound_for_many(void **state)
{
	struct kw_verify_result result;
	struct kw_bytes said;

	(void)state;
	verify(&whole, 4, 65536, &said, &result);
	assert_int_equal(said.length, 0);
	assert_int_equal(result.lines, LINES);
	assert_int_equal(result.last_sequence, LINES);
	kw_bytes_done(&said);
}

static void numbers_of_threads_are_bounded(void **state)
{
	struct kw_verifier *verifier = NULL;

	(void)state;
	assert_int_equal(kw_verifier_new(keyring, false, NULL, NULL, &verifier), 0);
	assert_int_equal(kw_verifier_set_threads(verifier, 0), -EINVAL);
	assert_int_equal(kw_verifier_set_threads(verifier, KW_VERIFY_THREADS_MAX + 1), -EINVAL);
	assert_int_equal(kw_verifier_set_threads(verifier, KW_VERIFY_THREADS_MAX), 0);
	assert_int_equal(kw_verifier_set_threads(verifier, 1), 0);
	/* And it still verifies. */
	assert_int_equal(kw_verifier_feed(verifier, "f", "x\n", 2), 0);
	kw_verifier_free(verifier);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_say_what_one_says),
		cmocka_unit_test(a_sound_ledger_is_sound_for_many),
		cmocka_unit_test(numbers_of_threads_are_bounded),
	};

	return cmocka_run_group_tests_name("verify_batch", tests, setup, teardown);
}
