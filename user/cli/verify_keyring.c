/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness verify --keyring-out: the keyring that following a sound ledger's changes of key leads to. A key that
 * was announced is limited to the lines behind its announcement, one that went to the lines up to the one that put
 * another in its place; so whoever has this keyring needs the announcements no more, and retention may remove them
 * (docs/ledger.md, "Keys"). What is written is read back by the keyring's own reader before a file is replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/limits.h>
#include <kwitness/verify.h>

#include "user/base/clock.h"
#include "user/base/file.h"
#include "user/cli/cli.h"

KW_DEFINE_CLEANUP(struct kw_keyring *, kw_keyring_free)

static void append_time(struct kw_bytes *out, const char *name, uint64_t real_ns)
{
	char text[KW_RFC3339_BYTES];

	kw_clock_format(real_ns, text);
	kw_bytes_append_format(out, ", \"%s\": \"%s\"", name, text);
}

/* Key ids have no character that JSON escapes (docs/ledger.md, "The keyring"). */
static void append_key(struct kw_bytes *out, const struct kw_key_use *use)
{
	char key[sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];

	sodium_bin2base64(key, sizeof(key), use->key, 32, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	kw_bytes_append_format(out, "%s\n  \"%s\": {\"key\": \"%s\"", out->length > 1 ? "," : "",
			       use->id, key);
	if (use->first_sequence > 0)
		kw_bytes_append_format(out, ", \"firstSequence\": %" PRIu64, use->first_sequence);
	if (use->last_sequence < UINT64_MAX)
		kw_bytes_append_format(out, ", \"lastSequence\": %" PRIu64, use->last_sequence);
	if (use->not_before_ns > 0)
		append_time(out, "notBefore", use->not_before_ns);
	if (use->not_after_ns < UINT64_MAX)
		append_time(out, "notAfter", use->not_after_ns);
	kw_bytes_append_char(out, '}');
}

/* Keys that may still sign first, then those that went, the latest first: when there is no room for all, those
 * that are left out are the ones that nothing but a proof of old lines needs. */
static int by_need(const void *left, const void *right)
{
	const struct kw_key_use *a = left, *b = right;

	if (a->last_sequence != b->last_sequence)
		return a->last_sequence > b->last_sequence ? -1 : 1;
	return a->first_sequence > b->first_sequence ? -1 : a->first_sequence < b->first_sequence;
}

static int build(struct kw_bytes *out, const struct kw_verifier *verifier)
{
	struct kw_key_use keys[KW_KEYS_MAX + KW_KEYS_ANNOUNCED_MAX];
	size_t count = 0;

	while (count < kw_array_size(keys) && kw_verifier_key(verifier, count, &keys[count]))
		count++;
	qsort(keys, count, sizeof(keys[0]), by_need);
	if (count > KW_KEYS_MAX)
		count = KW_KEYS_MAX;
	kw_bytes_append_char(out, '{');
	for (size_t i = 0; i < count; i++)
		append_key(out, &keys[i]);
	kw_bytes_append_string(out, "\n}\n");
	return kw_bytes_error(out);
}

static int replace(const char *path, const struct kw_bytes *text)
{
	cleanup_free char *above = strdup(path), *name = strdup(path);
	cleanup_close int directory = -1;

	if (!above || !name)
		return -ENOMEM;
	directory = open(dirname(above), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -errno;
	return kw_file_replace(directory, basename(name), text->data, text->length, 0644);
}

int kw_cli_keyring_out(const char *path, const struct kw_verifier *verifier)
{
	cleanup(kw_keyring_freep) struct kw_keyring *again = NULL;
	cleanup_bytes struct kw_bytes text;
	const char *reason = NULL;
	int r;

	kw_bytes_init(&text, KW_KEYRING_MAX);
	r = build(&text, verifier);
	if (r == 0)
		r = kw_keyring_parse(text.data, text.length, &again, &reason);
	if (r == -EBADMSG)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "keyring for %s: %s", path, reason);
	if (r == 0)
		r = replace(path, &text);
	return r < 0 ? kw_cli_fail(KW_EXIT_FAIL, "verify", "%s: %s", path, strerror(-r))
		     : KW_EXIT_OK;
}
