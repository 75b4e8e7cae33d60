/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A ledger of any bytes gives the same verdict however it is cut; and what no key signed is bad. */
#include <string.h>

#include <kwitness/verify.h>

#include "tests/fuzz/fuzz.h"

/* RFC 8032, section 7.1, test 1. Nobody feeds lines signed by it but the corpus. */
static const char keyring_text[] = "{\"test\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";

static void count(void *context, const struct kw_fault_report *report)
{
	unsigned long *faults = context;

	fuzz_assert(kw_fault_name(report->fault) && report->detail);
	(*faults)++;
}

static struct kw_verify_result feed(const struct kw_keyring *keyring, const uint8_t *data,
				    size_t size, size_t step, unsigned long *faults)
{
	struct kw_verifier *verifier = NULL;
	struct kw_verify_result result = { 0 };

	fuzz_assert(kw_verifier_new(keyring, true, count, faults, &verifier) == 0);
	for (size_t at = 0; at < size; at += step)
		fuzz_assert(kw_verifier_feed(verifier, "-", (const char *)data + at,
					     size - at < step ? size - at : step) == 0);
	fuzz_assert(kw_verifier_end_of_file(verifier) == 0);
	kw_verifier_result(verifier, &result);
	kw_verifier_free(verifier);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kw_keyring *keyring;
	struct kw_verify_result whole;
	struct kw_verify_result cut;
	const char *reason;
	unsigned long faults[2] = { 0, 0 };

	if (!keyring)
		fuzz_assert(kw_keyring_parse(keyring_text, strlen(keyring_text), &keyring,
					     &reason) == 0);
	whole = feed(keyring, data, size, size + 1, &faults[0]);
	cut = feed(keyring, data, size, 7, &faults[1]);
	fuzz_assert(whole.lines == cut.lines && whole.bad_lines == cut.bad_lines);
	fuzz_assert(faults[0] == faults[1]);
	fuzz_assert(memcmp(whole.last_hash, cut.last_hash, sizeof(whole.last_hash)) == 0);
	return 0;
}
