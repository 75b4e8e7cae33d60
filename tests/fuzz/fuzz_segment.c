/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A segment of any bytes, compressed or not: the same text however much is asked for at a time, in bounded
 * memory, and whatever it is the verifier takes it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <kwitness/verify.h>

#include "tests/fuzz/fuzz.h"
#include "user/deliver/deliver.h"
#include "user/deliver/frames.h"

/* A few bytes mean any number of them: enough is read to go round every buffer. */
#define TEXT_MAX (3U * 1024U * 1024U)

static const char ring[] = "{\"test\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}";

struct outcome {
	size_t length;
	uint32_t sum;
	ssize_t end;
};

static struct outcome read_all(int fd, size_t step, struct kw_verifier *verifier)
{
	struct outcome outcome = { .sum = 1 };
	struct kw_unpack *unpack = NULL;
	char *buffer = malloc(step);

	fuzz_assert(buffer && lseek(fd, 0, SEEK_SET) == 0 && kw_unpack_new(fd, &unpack) == 0);
	while (outcome.length < TEXT_MAX) {
		size_t want = TEXT_MAX - outcome.length;

		outcome.end = kw_unpack_read(unpack, buffer, want < step ? want : step);
		if (outcome.end <= 0)
			break;
		fuzz_assert((size_t)outcome.end <= step);
		for (ssize_t i = 0; i < outcome.end; i++)
			outcome.sum = outcome.sum * 31 + (unsigned char)buffer[i];
		outcome.length += (size_t)outcome.end;
		if (verifier)
			fuzz_assert(kw_verifier_feed(verifier, "-", buffer, (size_t)outcome.end) ==
				    0);
	}
	if (outcome.end > 0)
		outcome.end = 1;
	fuzz_assert(outcome.end >= 0 || (outcome.end == -EBADMSG && kw_unpack_reason(unpack)));
	if (verifier && outcome.end == -EBADMSG)
		fuzz_assert(kw_verifier_damaged(verifier, "-", kw_unpack_reason(unpack)) == 0);
	kw_unpack_free(unpack);
	free(buffer);
	return outcome;
}

/* A place is found or not, and never behind where it is. */
static void seek(int fd)
{
	static const uint64_t offsets[] = { 0, 5, 4096, 1ULL << 21, UINT64_MAX };

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		uint64_t start = 0;
		int r = kw_frames_seek(fd, offsets[i], &start);

		fuzz_assert(r == -EBADMSG || (r == 0 && start <= offsets[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kw_verify_result result;
	struct kw_verifier *verifier = NULL;
	struct kw_keyring *keyring = NULL;
	struct outcome whole, pieces;
	const char *reason;
	int fd = memfd_create("segment", MFD_CLOEXEC);

	fuzz_assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	fuzz_assert(kw_keyring_parse(ring, strlen(ring), &keyring, &reason) == 0);
	fuzz_assert(kw_verifier_new(keyring, false, NULL, NULL, &verifier) == 0);
	whole = read_all(fd, 256U * 1024U, verifier);
	pieces = read_all(fd, 4093, NULL);
	/* How far a damaged frame is given out depends on the room that there was. */
	fuzz_assert(whole.end == pieces.end);
	fuzz_assert(whole.end < 0 || (whole.length == pieces.length && whole.sum == pieces.sum));
	seek(fd);
	fuzz_assert(kw_verifier_end_of_file(verifier) == 0 && kw_verifier_finish(verifier) == 0);
	kw_verifier_result(verifier, &result);
	fuzz_assert((result.faults[KW_FAULT_COMPRESSED] == 1) == (whole.end < 0));
	kw_verifier_free(verifier);
	kw_keyring_free(keyring);
	(void)close(fd);
	return 0;
}
