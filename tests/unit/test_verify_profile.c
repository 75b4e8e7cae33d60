/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A ledger in CellOS envelopes, then tampered with: within the envelopes, on them, and by taking them off. */
#include "test_attest_findings.h"

#include <kwitness/verify.h>

#include "user/base/cellos.h"

#define LINES 8
#define KEYRING                                                                                    \
	"{\"" SAMPLE_KID "\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\","                     \
	"\"test\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"

/* RFC 8032, section 7.1, test 1: "test" in the keyring. */
static const unsigned char other_seed[32] = { 0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60,
					      0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
					      0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19,
					      0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60 };

static struct kw_bytes lines[LINES];
static struct kw_bytes sealed[LINES];
static struct kw_keyring *keyring;
static struct kw_key *key, *other, *unknown, *namesake;

struct outcome {
	struct kw_verify_result result;
	uint64_t reports;
	enum kw_fault fault[32];
	uint64_t line[32];
};

static void seal(const struct kw_key *by, const struct kw_bytes *line, struct kw_bytes *ret_sealed)
{
	kw_bytes_init(ret_sealed, KW_EVENT_MAX + KW_ENVELOPE_EXTRA_MAX);
	assert_int_equal(kw_cellos_seal(by, line->data, line->length - 1, ret_sealed), 0);
}

static int setup(void **state)
{
	const char *reason;

	(void)state;
	assert_int_equal(kw_key_from_seed(sample_seed(), SAMPLE_KID, &key), 0);
	assert_int_equal(kw_key_from_seed(other_seed, "test", &other), 0);
	assert_int_equal(kw_key_from_seed(other_seed, "nobody", &unknown), 0);
	assert_int_equal(kw_key_from_seed(other_seed, SAMPLE_KID, &namesake), 0);
	sample_ledger(LINES, lines);
	for (int i = 0; i < LINES; i++)
		seal(key, &lines[i], &sealed[i]);
	return kw_keyring_parse(KEYRING, strlen(KEYRING), &keyring, &reason);
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < LINES; i++) {
		kw_bytes_done(&lines[i]);
		kw_bytes_done(&sealed[i]);
	}
	kw_key_free(key);
	kw_key_free(other);
	kw_key_free(unknown);
	kw_key_free(namesake);
	kw_keyring_free(keyring);
	return 0;
}

static void on_fault(void *context, const struct kw_fault_report *report)
{
	struct outcome *outcome = context;

	assert_true(outcome->reports < kw_array_size(outcome->fault));
	assert_non_null(kw_fault_name(report->fault));
	outcome->fault[outcome->reports] = report->fault;
	outcome->line[outcome->reports++] = report->line;
}

/* Verifies these lines as one file, or each as a file of its own. */
static void verify_as(const struct kw_bytes *const *texts, size_t count, bool separate,
		      unsigned int threads, struct outcome *ret_outcome)
{
	struct kw_verifier *verifier = NULL;

	memset(ret_outcome, 0, sizeof(*ret_outcome));
	assert_int_equal(kw_verifier_new(keyring, false, on_fault, ret_outcome, &verifier), 0);
	assert_int_equal(kw_verifier_set_threads(verifier, threads), 0);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(
			kw_verifier_feed(verifier, "file", texts[i]->data, texts[i]->length), 0);
		if (separate)
			assert_int_equal(kw_verifier_end_of_file(verifier), 0);
	}
	assert_int_equal(kw_verifier_end_of_file(verifier), 0);
	assert_int_equal(kw_verifier_finish(verifier), 0);
	kw_verifier_result(verifier, &ret_outcome->result);
	kw_verifier_free(verifier);
}

/* The sealed ledger with line n (from 0) being another. */
static void verify_with(size_t n, const struct kw_bytes *line, struct outcome *ret_outcome)
{
	const struct kw_bytes *texts[LINES];

	for (size_t i = 0; i < LINES; i++)
		texts[i] = i == n ? line : &sealed[i];
	verify_as(texts, LINES, false, 1, ret_outcome);
}

static void expect_one(const struct outcome *outcome, enum kw_fault fault, uint64_t line)
{
	for (uint64_t i = 0; i < outcome->reports; i++)
		print_message("%s line %d\n", kw_fault_name(outcome->fault[i]),
			      (int)outcome->line[i]);
	assert_int_equal(outcome->reports, 1);
	assert_int_equal(outcome->fault[0], fault);
	assert_int_equal(outcome->line[0], line);
	assert_int_equal(outcome->result.bad_lines, 1);
}

static void the_same_is_proved_with_envelopes(void **state)
{
	const struct kw_bytes *plain[LINES], *enveloped[LINES];
	struct outcome outcome, expected;

	(void)state;
	for (size_t i = 0; i < LINES; i++) {
		plain[i] = &lines[i];
		enveloped[i] = &sealed[i];
	}
	verify_as(plain, LINES, false, 1, &expected);
	assert_int_equal(expected.result.plain, LINES);
	assert_int_equal(expected.result.enveloped, 0);
	for (unsigned int threads = 1; threads <= 2; threads++) {
		verify_as(enveloped, LINES, false, threads, &outcome);
		assert_int_equal(outcome.reports, 0);
		assert_int_equal(outcome.result.enveloped, LINES);
		assert_int_equal(outcome.result.plain, 0);
		outcome.result.enveloped = 0;
		outcome.result.plain = LINES;
		assert_memory_equal(&outcome.result, &expected.result, sizeof(expected.result));
	}
}

static void a_missing_or_moved_envelope_is_told(void **state)
{
	const struct kw_bytes *texts[LINES];
	struct outcome outcome;

	(void)state;
	for (size_t i = 0; i < LINES; i++)
		texts[i] = &sealed[i];
	memmove(&texts[2], &texts[3], 5 * sizeof(texts[0]));
	verify_as(texts, LINES - 1, false, 1, &outcome);
	assert_int_equal(outcome.reports, 2);
	assert_int_equal(outcome.result.faults[KW_FAULT_SEQUENCE_MISSING], 1);
	assert_int_equal(outcome.result.faults[KW_FAULT_CHAIN], 1);
	for (size_t i = 0; i < LINES; i++)
		texts[i] = &sealed[i];
	texts[2] = &sealed[3];
	texts[3] = &sealed[2];
	verify_as(texts, LINES, false, 1, &outcome);
	assert_int_equal(outcome.result.faults[KW_FAULT_SEQUENCE_ORDER], 1);
}

static void a_foreign_seal_is_told(void **state)
{
	const struct {
		const struct kw_key *by;
		enum kw_fault fault;
	} seals[] = {
		{ other, KW_FAULT_SIGNATURE }, /* of the keyring, but it did not sign the line */
		{ unknown, KW_FAULT_UNKNOWN_KEY }, /* of nobody's */
		{ namesake, KW_FAULT_SIGNATURE },  /* another key of the same name */
	};

	(void)state;
	for (size_t i = 0; i < kw_array_size(seals); i++) {
		struct outcome outcome;
		struct kw_bytes line;

		seal(seals[i].by, &lines[4], &line);
		verify_with(4, &line, &outcome);
		expect_one(&outcome, seals[i].fault, 5);
		kw_bytes_done(&line);
	}
}

/* The envelope of n around line m, with the signature given: made by the one who has no key. */
static void forge(const struct kw_bytes *event, const unsigned char *signature,
		  struct kw_bytes *ret_line)
{
	struct kw_cellos_envelope envelope = { .event = event->data,
					       .event_length = event->length - 1,
					       .key_id = SAMPLE_KID,
					       .key_id_length = strlen(SAMPLE_KID) };

	memcpy(envelope.signature, signature, sizeof(envelope.signature));
	kw_bytes_init(ret_line, KW_EVENT_MAX + KW_ENVELOPE_EXTRA_MAX);
	assert_int_equal(kw_cellos_append(ret_line, &envelope), 0);
	kw_bytes_append_char(ret_line, '\n');
}

static void signatures_that_do_not_fit_are_told(void **state)
{
	/* The order of the group, little-endian (RFC 8032, section 5.1): S + L verifies with those who do
	 * not look (section 5.1.7). */
	static const unsigned char order[32] = { 0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
						 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
						 0,    0,    0,	   0,	 0,    0,    0,	   0,
						 0,    0,    0,	   0,	 0,    0,    0,	   0x10 };
	struct kw_cellos_envelope third, fifth;
	unsigned char signature[3][KW_CELLOS_SIGNATURE_BYTES];
	unsigned int carry = 0;

	(void)state;
	assert_int_equal(kw_cellos_open(sealed[2].data, sealed[2].length - 1, &third), 1);
	assert_int_equal(kw_cellos_open(sealed[4].data, sealed[4].length - 1, &fifth), 1);
	memcpy(signature[0], third.signature, 64); /* swapped */
	memcpy(signature[1], fifth.signature, 64); /* not canonical */
	for (int i = 0; i < 32; i++) {
		carry += signature[1][32 + i] + (unsigned int)order[i];
		signature[1][32 + i] = (unsigned char)carry;
		carry >>= 8;
	}
	memset(signature[2], 0, 64); /* R is the neutral element: small order, S = 0 */
	signature[2][0] = 1;
	for (size_t i = 0; i < kw_array_size(signature); i++) {
		struct outcome outcome;
		struct kw_bytes line;

		forge(&lines[4], signature[i], &line);
		verify_with(4, &line, &outcome);
		expect_one(&outcome, KW_FAULT_SIGNATURE, 5);
		kw_bytes_done(&line);
	}
}

static void a_mixture_is_told(void **state)
{
	const struct kw_bytes *texts[LINES];
	struct outcome outcome;

	(void)state;
	verify_with(4, &lines[4], &outcome); /* taken off */
	expect_one(&outcome, KW_FAULT_PROFILE, 5);
	for (size_t i = 0; i < LINES; i++)
		texts[i] = i == 4 ? &sealed[i] : &lines[i];
	verify_as(texts, LINES, false, 1, &outcome); /* put on */
	expect_one(&outcome, KW_FAULT_PROFILE, 5);
	verify_as(texts, LINES, true, 1,
		  &outcome); /* a file of its own each: the profile was changed */
	assert_int_equal(outcome.reports, 0);
	assert_int_equal(outcome.result.enveloped, 1);
	assert_int_equal(outcome.result.plain, LINES - 1);
}

/* Each byte around the event, one after the other. */
static void what_stands_around_the_event_is_held_fast(void **state)
{
	size_t event = strlen("{\"data\":{\"algorithm\":\"ed25519\",\"event\":");
	struct kw_bytes line;

	(void)state;
	seal(key, &lines[4], &line);
	for (size_t i = 0; i + 1 < line.length; i++) {
		struct outcome outcome;

		if (i == event)
			i += lines[4].length - 1;
		line.data[i] ^= 1;
		verify_with(4, &line, &outcome);
		assert_true(outcome.reports > 0);
		assert_int_equal(outcome.line[0], 5);
		line.data[i] ^= 1;
	}
	kw_bytes_done(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(the_same_is_proved_with_envelopes),
		support_test(a_missing_or_moved_envelope_is_told),
		support_test(a_foreign_seal_is_told),
		support_test(signatures_that_do_not_fit_are_told),
		support_test(a_mixture_is_told),
		support_test(what_stands_around_the_event_is_held_fast),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
