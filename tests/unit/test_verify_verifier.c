/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A ledger made by attest, then tampered with in every way that docs/threats.md names. */
#include "test_attest_findings.h"

#include <kwitness/verify.h>

#define LINES 8
#define KEYRING "{\"" SAMPLE_KID "\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\"}"

static struct kw_bytes lines[LINES];
static struct kw_keyring *keyring;

/* What a verification found. */
struct outcome {
	struct kw_verify_result result;
	uint64_t reports;
	struct {
		enum kw_fault fault;
		uint64_t line, sequence;
		char detail[200];
	} report[32];
};

static int setup(void **state)
{
	const char *reason;

	(void)state;
	sample_ledger(LINES, lines);
	return kw_keyring_parse(KEYRING, strlen(KEYRING), &keyring, &reason);
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < LINES; i++)
		kw_bytes_done(&lines[i]);
	kw_keyring_free(keyring);
	return 0;
}

static void on_fault(void *context, const struct kw_fault_report *report)
{
	struct outcome *outcome = context;
	size_t at = outcome->reports++;

	assert_true(at < kw_array_size(outcome->report));
	assert_non_null(kw_fault_name(report->fault));
	outcome->report[at].fault = report->fault;
	outcome->report[at].line = report->line;
	outcome->report[at].sequence = report->sequence;
	(void)snprintf(outcome->report[at].detail, sizeof(outcome->report[at].detail), "%s",
		       report->detail);
}

/* Verifies text, fed in pieces of step bytes (0: in one). */
static void verify_text(const char *text, size_t length, bool partial, size_t step,
			struct outcome *ret_outcome)
{
	struct kw_verifier *verifier = NULL;

	memset(ret_outcome, 0, sizeof(*ret_outcome));
	assert_int_equal(kw_verifier_new(keyring, partial, on_fault, ret_outcome, &verifier), 0);
	for (size_t at = 0; at < length; at += step ? step : length) {
		size_t piece = step && step < length - at ? step : length - at;

		assert_int_equal(kw_verifier_feed(verifier, "file", text + at, piece), 0);
	}
	assert_int_equal(kw_verifier_end_of_file(verifier), 0);
	assert_int_equal(kw_verifier_finish(verifier), 0);
	kw_verifier_result(verifier, &ret_outcome->result);
	kw_verifier_free(verifier);
}

/* The lines of these numbers (1 to LINES, 0 ends), one after the other. */
static void gather(const int *numbers, struct kw_bytes *out)
{
	kw_bytes_init(out, 1 << 20);
	for (; *numbers; numbers++)
		kw_bytes_append(out, lines[*numbers - 1].data, lines[*numbers - 1].length);
}

static void verify_lines(const int *numbers, bool partial, struct outcome *ret_outcome)
{
	struct kw_bytes text;

	gather(numbers, &text);
	verify_text(text.data, text.length, partial, 0, ret_outcome);
	kw_bytes_done(&text);
}
#define verify_these(partial, outcome, ...)                                                        \
	verify_lines((const int[]){ __VA_ARGS__, 0 }, partial, outcome)

/* Exactly these faults, in this order: {fault, line, sequence}, …, ends with KW_FAULT_COUNT_. */
struct expected {
	enum kw_fault fault;
	uint64_t line, sequence;
};

static void expect_these(const struct outcome *outcome, const struct expected *expected)
{
	size_t count = 0;

	for (; expected[count].fault != KW_FAULT_COUNT_; count++) {
		if (count >= outcome->reports ||
		    outcome->report[count].fault != expected[count].fault ||
		    outcome->report[count].line != expected[count].line ||
		    outcome->report[count].sequence != expected[count].sequence) {
			for (size_t i = 0; i < outcome->reports; i++)
				print_message("%s line %d sequence %d: %s\n",
					      kw_fault_name(outcome->report[i].fault),
					      (int)outcome->report[i].line,
					      (int)outcome->report[i].sequence,
					      outcome->report[i].detail);
			fail_msg("fault %d is another", (int)count);
		}
	}
	assert_int_equal(outcome->reports, count);
}
#define expect(outcome, ...)                                                                       \
	expect_these(outcome, (const struct expected[]){ __VA_ARGS__{ KW_FAULT_COUNT_, 0, 0 } })

static void a_whole_ledger_is_sound(void **state)
{
	static const size_t steps[] = { 0, 1, 7, 1000, 4096 };
	struct kw_bytes text;
	struct outcome outcome;
	unsigned char hash[32];

	(void)state;
	gather((const int[]){ 1, 2, 3, 4, 5, 6, 7, 8, 0 }, &text);
	for (size_t i = 0; i < kw_array_size(steps); i++) {
		verify_text(text.data, text.length, false, steps[i], &outcome);
		expect(&outcome, );
		assert_int_equal(outcome.result.lines, 8);
		assert_int_equal(outcome.result.bad_lines, 0);
		assert_int_equal(outcome.result.first_sequence, 1);
		assert_int_equal(outcome.result.last_sequence, 8);
		assert_int_equal(outcome.result.gaps, 3);
		assert_int_equal(outcome.result.gaps_lost, 7);
		assert_string_equal(outcome.result.first_time, "2026-11-23T03:31:32.123456789Z");
		assert_string_equal(outcome.result.last_time, "2026-11-23T03:31:32.123456789Z");
		(void)crypto_hash_sha256(hash, (unsigned char *)lines[7].data, lines[7].length - 1);
		assert_memory_equal(outcome.result.last_hash, hash, 32);
	}
	kw_bytes_done(&text);
}

static void segments_are_one_ledger(void **state)
{
	struct kw_verifier *verifier = NULL;
	struct outcome outcome = { .reports = 0 };
	struct kw_verify_result result;

	(void)state;
	assert_int_equal(kw_verifier_new(keyring, false, on_fault, &outcome, &verifier), 0);
	for (int i = 0; i < LINES; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "segment%d", i);
		assert_int_equal(kw_verifier_feed(verifier, name, lines[i].data, lines[i].length),
				 0);
		assert_int_equal(kw_verifier_end_of_file(verifier), 0);
	}
	kw_verifier_result(verifier, &result);
	assert_int_equal(result.lines, 8);
	assert_int_equal(outcome.reports, 0);
	/* The same segment once more: a replay. */
	assert_int_equal(kw_verifier_feed(verifier, "segment2", lines[2].data, lines[2].length), 0);
	assert_int_equal(kw_verifier_end_of_file(verifier), 0);
	expect(&outcome, { KW_FAULT_SEQUENCE_REPEATED, 1, 3 }, { KW_FAULT_CHAIN, 1, 3 }, );
	kw_verifier_free(verifier);
}

static void deleted_lines_are_missing(void **state)
{
	struct outcome outcome;

	(void)state;
	verify_these(false, &outcome, 1, 2, 4, 5, 6, 7, 8);
	expect(&outcome, { KW_FAULT_CHAIN, 3, 4 }, { KW_FAULT_SEQUENCE_MISSING, 3, 3 }, );
	assert_non_null(strstr(outcome.report[1].detail, "one line is missing"));
	verify_these(false, &outcome, 1, 5, 6, 7, 8);
	expect(&outcome, { KW_FAULT_CHAIN, 2, 5 }, { KW_FAULT_SEQUENCE_MISSING, 2, 2 }, );
	assert_non_null(strstr(outcome.report[1].detail,
			       "3 lines are missing before this one: sequence 2 to 4"));
}

static void a_deleted_beginning_is_no_start(void **state)
{
	struct outcome outcome;

	(void)state;
	verify_these(false, &outcome, 3, 4, 5);
	expect(&outcome, { KW_FAULT_START, 1, 3 }, );
	verify_these(true, &outcome, 3, 4, 5); /* as asked */
	expect(&outcome, );
	assert_int_equal(outcome.result.first_sequence, 3);
	verify_these(true, &outcome, 3, 5);
	expect(&outcome, { KW_FAULT_CHAIN, 2, 5 }, { KW_FAULT_SEQUENCE_MISSING, 2, 4 }, );
}

static void swapped_lines_are_out_of_order(void **state)
{
	struct outcome outcome;

	(void)state;
	verify_these(false, &outcome, 1, 3, 2, 4, 5);
	/* 3 before 2, and nothing is missing in the end. */
	expect(&outcome, { KW_FAULT_CHAIN, 2, 3 }, { KW_FAULT_SEQUENCE_ORDER, 3, 2 },
	       { KW_FAULT_CHAIN, 3, 2 }, { KW_FAULT_CHAIN, 4, 4 }, );
	verify_these(false, &outcome, 1, 2, 4, 5, 6, 3, 7);
	expect(&outcome, { KW_FAULT_CHAIN, 3, 4 }, { KW_FAULT_SEQUENCE_ORDER, 6, 3 },
	       { KW_FAULT_CHAIN, 6, 3 }, { KW_FAULT_CHAIN, 7, 7 }, );
	/* One of three moved, the others gone. */
	verify_these(false, &outcome, 1, 6, 3);
	expect(&outcome, { KW_FAULT_CHAIN, 2, 6 }, { KW_FAULT_SEQUENCE_ORDER, 3, 3 },
	       { KW_FAULT_CHAIN, 3, 3 }, { KW_FAULT_SEQUENCE_MISSING, 2, 2 },
	       { KW_FAULT_SEQUENCE_MISSING, 2, 4 }, );
}

static void repeated_lines_are_replayed(void **state)
{
	struct outcome outcome;

	(void)state;
	verify_these(false, &outcome, 1, 2, 2, 3);
	expect(&outcome, { KW_FAULT_SEQUENCE_REPEATED, 3, 2 }, { KW_FAULT_CHAIN, 3, 2 }, );
	verify_these(false, &outcome, 1, 2, 3, 1, 4);
	expect(&outcome, { KW_FAULT_SEQUENCE_REPEATED, 4, 1 }, { KW_FAULT_CHAIN, 4, 1 },
	       { KW_FAULT_CHAIN, 5, 4 }, );
}

static void a_cut_last_line_is_torn(void **state)
{
	struct outcome outcome;
	struct kw_bytes text;

	(void)state;
	gather((const int[]){ 1, 2, 3, 0 }, &text);
	verify_text(text.data, text.length - 1, false, 0, &outcome);
	expect(&outcome, { KW_FAULT_TORN, 3, 0 }, );
	assert_int_equal(outcome.result.last_sequence, 2);
	verify_text(text.data, text.length - 500, false, 64, &outcome);
	expect(&outcome, { KW_FAULT_TORN, 3, 0 }, );
	kw_bytes_done(&text);
}

/* text with one replacement of the same or another length in line number. */
static void verify_replaced(int number, const char *from, const char *to, struct outcome *outcome)
{
	struct kw_bytes text;

	kw_bytes_init(&text, 1 << 20);
	for (int i = 0; i < LINES; i++) {
		const char *found = i + 1 == number ? strstr(lines[i].data, from) : NULL;

		if (i + 1 == number)
			assert_non_null(found);
		if (!found) {
			kw_bytes_append(&text, lines[i].data, lines[i].length);
			continue;
		}
		kw_bytes_append(&text, lines[i].data, (size_t)(found - lines[i].data));
		kw_bytes_append_string(&text, to);
		kw_bytes_append_string(&text, found + strlen(from));
	}
	verify_text(text.data, text.length, false, 0, outcome);
	kw_bytes_done(&text);
}

static void changed_lines_show_as_such_and_go_on(void **state)
{
	struct outcome outcome;

	(void)state;
	verify_replaced(2, "\"uid\":1000", "\"uid\":1001", &outcome);
	expect(&outcome, { KW_FAULT_DIGEST, 2, 2 }, { KW_FAULT_CHAIN, 3, 3 }, );
	assert_non_null(strstr(outcome.report[1].detail, "the line before was changed"));
	/* The last line has no successor to tell on it. */
	verify_replaced(8, "stopped in order", "stopped in ordeR", &outcome);
	expect(&outcome, { KW_FAULT_DIGEST, 8, 8 }, );
	/* Whitespace alone. */
	verify_replaced(8, "\",\"id\"", "\", \"id\"", &outcome);
	expect(&outcome, { KW_FAULT_MALFORMED, 8, 8 }, );
	/* A number that is changed says nothing about its neighbours. */
	verify_replaced(3, "\"sequence\":\"00000000000000000003\"",
			"\"sequence\":\"00000000000000000007\"", &outcome);
	expect(&outcome, { KW_FAULT_DIGEST, 3, 7 }, { KW_FAULT_CHAIN, 4, 4 }, );
}

/* What the digest does not tell apart must not have two forms: each of these leaves it as it is. */
static void what_the_digest_misses_is_refused(void **state)
{
	struct outcome outcome;

	(void)state;
	/* an empty subject hashes as none */
	verify_replaced(8, "\"specversion\":\"1.0\",", "\"specversion\":\"1.0\",\"subject\":\"\",",
			&outcome);
	expect(&outcome, { KW_FAULT_MALFORMED, 8, 8 }, );
	/* the fraction of time is not hashed, timenanos is */
	verify_replaced(8, "\"time\":\"2026-11-23T03:31:32.123456789Z\"",
			"\"time\":\"2026-11-23T03:31:32.123456788Z\"", &outcome);
	expect(&outcome, { KW_FAULT_MALFORMED, 8, 8 }, );
	/* the same moment in another zone */
	verify_replaced(8, "\"time\":\"2026-11-23T03:31:32.123456789Z\"",
			"\"time\":\"2026-11-23T04:31:32.123456789+01:00\"", &outcome);
	expect(&outcome, { KW_FAULT_MALFORMED, 8, 8 }, );
	/* attributes that nobody signed */
	verify_replaced(8, "\"type\":", "\"traceparent\":\"x\",\"type\":", &outcome);
	expect(&outcome, { KW_FAULT_MALFORMED, 8, 8 }, );
	verify_replaced(8, "\"datacontenttype\":\"application/json\",",
			"\"datacontenttype\":\"application/json\",\"dataschema\":\"\",", &outcome);
	expect(&outcome, { KW_FAULT_MALFORMED, 8, 8 }, );
	verify_replaced(8, "host.v1.gap\"", "host.v1.gap\",\"zone\":\"x\"", &outcome);
	expect(&outcome, { KW_FAULT_MALFORMED, 8, 8 }, );
	/* escapes that mean the same */
	verify_replaced(8, "stopped in order", "stopped\\u0020in order", &outcome);
	expect(&outcome, { KW_FAULT_MALFORMED, 8, 8 }, );
	/* a signature list that says less is signed than is */
	verify_replaced(8, "prevhash,recordedtime,sequence,timenanos",
			"prevhash,recordedtime,sequence", &outcome);
	expect(&outcome, { KW_FAULT_MALFORMED, 8, 8 }, );
}

/* The signature covers what the envelope says, not how it says it. */
static void an_envelope_has_one_form(void **state)
{
	static const char *const changes[][2] = {
		{ "{\"payload\"", "{ \"payload\"" },
		{ "\"keyid\"", "\"key\\u0069d\"" },
		{ "\"signatures\"", "\"more\":1,\"signatures\"" },
	};
	char *begin = strstr(lines[7].data, "\"dssematerial\":\"") + 16, *end = strchr(begin, '"');
	char old[1024], text[1024], changed[2048], base64[4096];
	struct outcome outcome;
	size_t length;

	(void)state;
	(void)snprintf(old, sizeof(old), "%.*s", (int)(end - begin), begin);
	assert_int_equal(sodium_base642bin((unsigned char *)text, sizeof(text) - 1, old,
					   strlen(old), NULL, &length, NULL,
					   sodium_base64_VARIANT_ORIGINAL),
			 0);
	text[length] = '\0';
	for (size_t i = 0; i < kw_array_size(changes); i++) {
		const char *found = strstr(text, changes[i][0]);

		assert_non_null(found);
		(void)snprintf(changed, sizeof(changed), "%.*s%s%s", (int)(found - text), text,
			       changes[i][1], found + strlen(changes[i][0]));
		sodium_bin2base64(base64, sizeof(base64), (unsigned char *)changed, strlen(changed),
				  sodium_base64_VARIANT_ORIGINAL);
		verify_replaced(8, old, base64, &outcome);
		expect(&outcome, { KW_FAULT_MALFORMED, 8, 8 }, );
	}
}

static void an_unsigned_line_is_unsigned(void **state)
{
	const char *begin = strstr(lines[3].data, "\"dssematerial\""), *end;
	struct outcome outcome;
	char attribute[1024];

	(void)state;
	end = strstr(begin, "\"id\"");
	(void)snprintf(attribute, sizeof(attribute), "%.*s", (int)(end - begin), begin);
	verify_replaced(4, attribute, "", &outcome);
	expect(&outcome, { KW_FAULT_UNSIGNED, 4, 4 }, { KW_FAULT_CHAIN, 5, 5 }, );
}

/* A line by another key, by another host, of another ledger. */
static void foreign_lines_are_told_apart(void **state)
{
	struct kw_attest_options options = { .source =
						     "/kwitness/0123456789abcdef0123456789abcdee" };
	struct kw_attest *attest = NULL;
	struct outcome outcome;
	struct kw_bytes text, line;
	struct kw_key *key = NULL;
	struct sample sample;
	struct kw_finding finding = sample_finding(&sample, 0);

	(void)state;
	kw_bytes_init(&line, KW_EVENT_MAX);
	options.clock = &sample.clock;
	options.head.sequence = 2;
	(void)crypto_hash_sha256(options.head.hash, (unsigned char *)lines[1].data,
				 lines[1].length - 1);
	for (int round = 0; round < 3; round++) {
		unsigned char seed[32] = { 7 };

		/* the right key for another host; a key that is unknown; one that took our key's name */
		assert_int_equal(kw_key_from_seed(round == 0 ? sample_seed() : seed,
						  round == 1 ? "other" : SAMPLE_KID, &key),
				 0);
		options.key = key;
		assert_int_equal(kw_attest_open(&options, &attest), 0);
		assert_int_equal(kw_attest_finding(attest, &finding, &line), 0);
		gather((const int[]){ 1, 2, 0 }, &text);
		kw_bytes_append(&text, line.data, line.length);
		kw_bytes_append(&text, lines[2].data, lines[2].length); /* the real third line */
		verify_text(text.data, text.length, false, 0, &outcome);
		if (round == 0)
			expect(&outcome, { KW_FAULT_SOURCE, 3, 3 },
			       { KW_FAULT_SEQUENCE_REPEATED, 4, 3 }, { KW_FAULT_CHAIN, 4, 3 }, );
		else
			/* A line that nobody vouches for takes no number away from the real one. */
			expect(&outcome,
			       { round == 1 ? KW_FAULT_UNKNOWN_KEY : KW_FAULT_SIGNATURE, 3, 3 },
			       { KW_FAULT_CHAIN, 4, 3 }, );
		kw_bytes_done(&text);
		kw_attest_free(attest);
		kw_key_free(key);
		attest = NULL;
		key = NULL;
	}
	kw_bytes_done(&line);
}

/* A long line is no reason to take memory, and the chain goes on behind it. */
static void a_long_line_is_skipped(void **state)
{
	struct kw_bytes text;
	struct outcome outcome;

	(void)state;
	kw_bytes_init(&text, 4 << 20);
	kw_bytes_append(&text, lines[0].data, lines[0].length);
	for (int i = 0; i < (3 << 20) / 16; i++)
		kw_bytes_append_string(&text, "0123456789abcdef");
	kw_bytes_append_char(&text, '\n');
	kw_bytes_append(&text, lines[1].data, lines[1].length);
	kw_bytes_append(&text, lines[2].data, lines[2].length);
	for (size_t step = 0; step <= 65536; step += 65536) {
		verify_text(text.data, text.length, false, step, &outcome);
		/* The inserted line took the place of the second, and gave it back. */
		expect(&outcome, { KW_FAULT_TOO_LONG, 2, 0 }, { KW_FAULT_CHAIN, 3, 2 }, );
	}
	kw_bytes_done(&text);
}

static void nonsense_is_malformed(void **state)
{
	static const char text[] = "\n\n{}\n[1]\nx\n\xff\xfe\n{\"sequence\":\"1\"}\n";
	struct outcome outcome;

	(void)state;
	verify_text(text, sizeof(text) - 1, false, 0, &outcome);
	assert_int_equal(outcome.result.faults[KW_FAULT_MALFORMED], 7);
	assert_int_equal(outcome.reports, 7);
}

/* More holes than are remembered: all reported, none twice. */
static void many_holes_are_all_reported(void **state)
{
	enum { COUNT = 400 };
	static struct kw_bytes many[COUNT];
	struct kw_verifier *verifier = NULL;
	struct kw_verify_result result;

	(void)state;
	sample_ledger(COUNT, many);
	assert_int_equal(kw_verifier_new(keyring, false, NULL, NULL, &verifier), 0);
	for (int i = 0; i < COUNT; i += 2)
		assert_int_equal(kw_verifier_feed(verifier, "f", many[i].data, many[i].length), 0);
	assert_int_equal(kw_verifier_end_of_file(verifier), 0);
	assert_int_equal(kw_verifier_end_of_file(verifier), 0); /* said once, not again */
	kw_verifier_result(verifier, &result);
	assert_int_equal(result.faults[KW_FAULT_SEQUENCE_MISSING], COUNT / 2 - 1);
	assert_int_equal(result.faults[KW_FAULT_CHAIN], COUNT / 2 - 1);
	assert_int_equal(result.lines, COUNT / 2);
	kw_verifier_free(verifier);
	for (int i = 0; i < COUNT; i++)
		kw_bytes_done(&many[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_ledger_is_sound),
		cmocka_unit_test(segments_are_one_ledger),
		cmocka_unit_test(deleted_lines_are_missing),
		cmocka_unit_test(a_deleted_beginning_is_no_start),
		cmocka_unit_test(swapped_lines_are_out_of_order),
		cmocka_unit_test(repeated_lines_are_replayed),
		cmocka_unit_test(a_cut_last_line_is_torn),
		cmocka_unit_test(changed_lines_show_as_such_and_go_on),
		cmocka_unit_test(what_the_digest_misses_is_refused),
		cmocka_unit_test(an_envelope_has_one_form),
		cmocka_unit_test(an_unsigned_line_is_unsigned),
		cmocka_unit_test(foreign_lines_are_told_apart),
		cmocka_unit_test(a_long_line_is_skipped),
		cmocka_unit_test(nonsense_is_malformed),
		cmocka_unit_test(many_holes_are_all_reported),
	};

	return cmocka_run_group_tests_name("verify_verifier", tests, setup, teardown);
}
