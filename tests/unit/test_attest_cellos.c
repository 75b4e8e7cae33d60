/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The sample ledger in CellOS envelopes, byte for byte; tests/vectors checks the same file with other code. */
#include "test_attest_findings.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "user/base/file.h"

#define GOLDEN_DIRECTORY "tests/vectors/ledgers/cellos"
#define GOLDEN "00000000000000000001.jsonl"

static struct kw_key *key;

static int setup(void **state)
{
	(void)state;
	return kw_key_from_seed(sample_seed(), SAMPLE_KID, &key);
}

static int teardown(void **state)
{
	(void)state;
	kw_key_free(key);
	return 0;
}

/* KW_RECORD=1 writes it anew; review the difference. */
static void the_envelopes_are_the_golden_ones(void **state)
{
	cleanup_bytes struct kw_bytes golden, made, envelope;
	struct kw_bytes lines[SAMPLE_LINES];
	cleanup_close int directory = -1;

	(void)state;
	kw_bytes_init(&golden, 1 << 20);
	kw_bytes_init(&made, 1 << 20);
	kw_bytes_init(&envelope, KW_EVENT_MAX + KW_ENVELOPE_EXTRA_MAX);
	sample_ledger(SAMPLE_LINES, lines);
	for (int i = 0; i < SAMPLE_LINES; i++) {
		assert_int_equal(kw_cellos_seal(key, lines[i].data, lines[i].length - 1, &envelope),
				 0);
		kw_bytes_append(&made, envelope.data, envelope.length);
		kw_bytes_done(&lines[i]);
	}
	directory = open(GOLDEN_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(directory >= 0);
	if (getenv("KW_RECORD"))
		assert_int_equal(kw_file_replace(directory, GOLDEN, made.data, made.length, 0644),
				 0);
	assert_int_equal(kw_file_read(directory, GOLDEN, &golden), 0);
	assert_string_equal(made.data, golden.data);
}

static void what_is_no_line_is_not_sealed(void **state)
{
	cleanup_bytes struct kw_bytes envelope;

	(void)state;
	kw_bytes_init(&envelope, KW_EVENT_MAX);
	assert_int_equal(kw_cellos_seal(key, "{}", 2, &envelope), -EBADMSG);
}

static void an_envelope_that_does_not_fit_is_an_error(void **state)
{
	cleanup_bytes struct kw_bytes envelope;
	struct kw_bytes line;

	(void)state;
	kw_bytes_init(&envelope, 1024);
	sample_ledger(1, &line);
	assert_int_equal(kw_cellos_seal(key, line.data, line.length - 1, &envelope), -EMSGSIZE);
	kw_bytes_done(&line);
}

static void profiles_have_names(void **state)
{
	enum kw_profile profile = KW_PROFILE_DSSE;

	(void)state;
	for (int i = 0; i < KW_PROFILE_COUNT_; i++) {
		const char *name = kw_profile_name((enum kw_profile)i);

		assert_non_null(name);
		assert_int_equal(kw_profile_parse(name, &profile), 0);
		assert_int_equal(profile, i);
	}
	assert_null(kw_profile_name(KW_PROFILE_COUNT_));
	assert_int_equal(kw_profile_parse("", &profile), -EINVAL);
	assert_int_equal(kw_profile_parse("Both", &profile), -EINVAL);
	assert_int_equal(profile, KW_PROFILE_BOTH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(the_envelopes_are_the_golden_ones),
		support_test(what_is_no_line_is_not_sealed),
		support_test(an_envelope_that_does_not_fit_is_an_error),
		support_test(profiles_have_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
