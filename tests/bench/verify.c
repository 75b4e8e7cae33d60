/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How much of libsodium's bare verification rate is left when a ledger is verified: form, digests, chain
 * and tree besides the signature. Both sides in turns within one run, so that a busy machine slows both;
 * processor time, so that what others take does not count. Then wall-clock time with one thread and with
 * two: that ratio means something on an idle machine only.
 * usage: verify SEGMENT [ROUNDS]   (a segment that the sign benchmark wrote: it has that key)
 */
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <kwitness/verify.h>

#include "user/base/clock.h"

/* What libsodium verifies in the peer's turn: as long as DSSE's encoding of a 32-byte payload. */
#define PEER_MESSAGE_BYTES 92
#define LINES 20000
#define TEXT_MAX (64U << 20)

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * KW_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "verify: %s\n", what);
	exit(3);
}

/* The first LINES lines, whole; their bytes. */
static size_t load(const char *path, char *text, uint64_t *ret_lines)
{
	FILE *file = fopen(path, "rb");
	size_t length, end = 0;

	if (!file)
		die("cannot open the segment");
	length = fread(text, 1, TEXT_MAX, file);
	(void)fclose(file);
	for (*ret_lines = 0; *ret_lines < LINES; ++*ret_lines) {
		const char *newline = memchr(text + end, '\n', length - end);

		if (!newline)
			break;
		end = (size_t)(newline - text) + 1;
	}
	return end;
}

static void verify(const struct kw_keyring *keyring, const char *text, size_t length,
		   uint64_t lines, unsigned int threads)
{
	struct kw_verifier *verifier = NULL;
	struct kw_verify_result result;
	int r = kw_verifier_new(keyring, false, NULL, NULL, &verifier);

	if (r == 0)
		r = kw_verifier_set_threads(verifier, threads);
	for (size_t at = 0; r == 0 && at < length; at += 256 * 1024)
		r = kw_verifier_feed(verifier, "-", text + at,
				     length - at < 256 * 1024 ? length - at : 256 * 1024);
	if (r < 0)
		die("cannot verify");
	kw_verifier_result(verifier, &result);
	if (result.lines != lines || result.bad_lines)
		die("the segment is not sound: nothing was measured");
	kw_verifier_free(verifier);
}

static void bare(const unsigned char *secret, const unsigned char *public, uint64_t count)
{
	unsigned char message[PEER_MESSAGE_BYTES] = { 0 }, signature[64];

	(void)crypto_sign_detached(signature, NULL, message, sizeof(message), secret);
	for (uint64_t i = 0; i < count; i++) {
		if (crypto_sign_verify_detached(signature, message, sizeof(message), public) != 0)
			die("libsodium refuses its own signature");
	}
}

int main(int argc, char **argv)
{
	unsigned char seed[32] = { 1 }, public[crypto_sign_PUBLICKEYBYTES],
		      secret[crypto_sign_SECRETKEYBYTES];
	uint64_t lines, ours = 0, peer = 0, one = 0, two = 0, start;
	int rounds = argc > 2 ? atoi(argv[2]) : 5;
	char key[64], ring[128], *text = malloc(TEXT_MAX);
	struct kw_keyring *keyring = NULL;
	const char *reason;
	size_t length;

	if (argc < 2 || rounds < 1 || !text || sodium_init() < 0)
		die("usage: verify SEGMENT [ROUNDS]");
	(void)crypto_sign_seed_keypair(public, secret, seed);
	sodium_bin2base64(key, sizeof(key), public, sizeof(public),
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	(void)snprintf(ring, sizeof(ring), "{\"bench\":\"%s\"}", key);
	if (kw_keyring_parse(ring, strlen(ring), &keyring, &reason) < 0)
		die(reason);
	length = load(argv[1], text, &lines);
	if (lines == 0)
		die("no line in the segment");
	for (int i = 0; i < rounds; i++) {
		start = now_ns(CLOCK_PROCESS_CPUTIME_ID);
		verify(keyring, text, length, lines, 1);
		ours += now_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
		start = now_ns(CLOCK_PROCESS_CPUTIME_ID);
		bare(secret, public, lines);
		peer += now_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
		start = now_ns(CLOCK_MONOTONIC);
		verify(keyring, text, length, lines, 1);
		one += now_ns(CLOCK_MONOTONIC) - start;
		start = now_ns(CLOCK_MONOTONIC);
		verify(keyring, text, length, lines, 2);
		two += now_ns(CLOCK_MONOTONIC) - start;
	}
	double count = (double)lines * rounds * 1e9;

	printf("verify %5zu bytes/line: %8.0f lines/s of one core   libsodium bare: %8.0f/s   ratio %.2f\n",
	       length / lines, count / (double)ours, count / (double)peer,
	       (double)peer / (double)ours);
	printf("verify by the wall clock: %8.0f lines/s with one thread   with two: %8.0f/s   ratio %.2f\n",
	       count / (double)one, count / (double)two, (double)one / (double)two);
	kw_keyring_free(keyring);
	free(text);
	return 0;
}
