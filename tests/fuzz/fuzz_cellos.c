/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lines in CellOS envelopes: what is taken apart is made again, to the same bytes; the verifier's verdict is the
 * same however they are cut; and what is damaged is not taken for what a key has signed. */
#include <errno.h>
#include <string.h>

#include <kwitness/verify.h>

#include "tests/fuzz/fuzz.h"
#include "user/base/cellos.h"

/* RFC 8032, section 7.1, test 1: no seed is signed by it. */
static const char keyring_text[] = "{\"sample-1\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";

static void count(void *context, const struct kw_fault_report *report)
{
	fuzz_assert(kw_fault_name(report->fault) && report->detail);
	(*(unsigned long *)context)++;
}

static unsigned long faults_of(const struct kw_keyring *keyring, const uint8_t *data, size_t size,
			       size_t step)
{
	struct kw_verifier *verifier = NULL;
	unsigned long faults = 0;

	fuzz_assert(kw_verifier_new(keyring, true, count, &faults, &verifier) == 0);
	for (size_t at = 0; at < size; at += step)
		fuzz_assert(kw_verifier_feed(verifier, "-", (const char *)data + at,
					     size - at < step ? size - at : step) == 0);
	fuzz_assert(kw_verifier_end_of_file(verifier) == 0);
	kw_verifier_free(verifier);
	return faults;
}

static void take_apart(const char *line, size_t length)
{
	struct kw_cellos_envelope envelope;
	const char *inner = line;
	size_t inner_length = length;
	int r = kw_cellos_open(line, length, &envelope);

	fuzz_assert(r == 0 || r == 1 || r == -EBADMSG);
	kw_cellos_strip(&inner, &inner_length);
	fuzz_assert(inner >= line && inner + inner_length <= line + length);
	if (r == 0)
		fuzz_assert(inner == line && inner_length == length);
	if (r != 1)
		return;
	fuzz_assert(inner == envelope.event && inner_length == envelope.event_length);
	{
		cleanup_bytes struct kw_bytes made;

		kw_bytes_init(&made, length + 1);
		fuzz_assert(kw_cellos_append(&made, &envelope) == 0);
		fuzz_assert(made.length == length && memcmp(made.data, line, length) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kw_keyring *keyring;
	const char *text = (const char *)data, *newline = memchr(text, '\n', size), *reason;
	unsigned long faults;

	if (!keyring)
		fuzz_assert(kw_keyring_parse(keyring_text, strlen(keyring_text), &keyring,
					     &reason) == 0);
	take_apart(text, newline ? (size_t)(newline - text) : size);
	faults = faults_of(keyring, data, size, size + 1);
	fuzz_assert(faults > 0 || size == 0);
	fuzz_assert(faults == faults_of(keyring, data, size, 7));
	return 0;
}
