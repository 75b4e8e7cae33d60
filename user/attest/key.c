/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The private key: read once, kept read-only in memory that libsodium locks (mlock, MADV_DONTDUMP)
 * between guard pages, wiped when it is freed. Only this file holds a pointer to it. Checks are made on the opened descriptor, so that a path that changes meanwhile
 * changes nothing.
 *
 * Epochs: the next key's seed is BLAKE2b, keyed with this one's seed, over fresh random bytes
 * (crypto_generichash(3)). Nobody comes back from it to this one; and because of the random bytes nobody
 * who has an older seed, from a backup perhaps, comes forward to it either.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/attest/attest.h"
#include "user/attest/key.h"
#include "user/base/file.h"
#include "user/base/text.h"

#define KEY_FILE_MAX 4096
#define SEED_BYTES crypto_sign_SEEDBYTES
#define SEED_TEXT_BYTES                                                                            \
	sodium_base64_ENCODED_LEN(SEED_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)

struct kw_key {
	unsigned char *secret; /* crypto_sign_SECRETKEYBYTES, sodium_malloc()ed, read-only */
	unsigned char public[crypto_sign_PUBLICKEYBYTES];
	char id[KW_KID_MAX + 1];
	uint64_t epoch; /* 0: no epoch was begun; else the id ends with ".<epoch>" */
};

static void wipe_free(void *pointer)
{
	/* Wipes, unlocks, unmaps; takes NULL. */
	sodium_free(*(void **)pointer);
}
#define cleanup_secret cleanup(wipe_free)

/* Printable ASCII without what JSON escapes: an id stands in envelopes and keyrings as it is. */
static bool is_key_id(const char *id)
{
	size_t length = strlen(id);

	if (length == 0 || length > KW_KID_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (id[i] <= ' ' || id[i] > '~' || id[i] == '"' || id[i] == '\\')
			return false;
	}
	return true;
}

int kw_key_from_seed(const unsigned char seed[static 32], const char *kid, struct kw_key **ret_key)
{
	cleanup(kw_key_freep) struct kw_key *key = NULL;
	char hex[9];

	if (sodium_init() < 0)
		return -EIO;
	if (kid && !is_key_id(kid))
		return -EINVAL;
	key = calloc(1, sizeof(*key));
	if (!key)
		return -ENOMEM;
	key->secret = sodium_malloc(crypto_sign_SECRETKEYBYTES);
	if (!key->secret)
		return -ENOMEM;
	(void)crypto_sign_seed_keypair(key->public, key->secret, seed);
	/* Read-only between guard pages from here on. Taking reading away between signatures as well
	 * would cost two system calls a line, about a tenth of the signature. */
	if (sodium_mprotect_readonly(key->secret) < 0)
		return -errno;
	if (kid) {
		memcpy(key->id, kid, strlen(kid) + 1);
	} else {
		sodium_bin2hex(hex, sizeof(hex), key->public, 4);
		memcpy(key->id, "kwitness-", 9);
		memcpy(key->id + 9, hex, sizeof(hex));
	}
	*ret_key = take_ptr(key);
	return 0;
}

void kw_key_free(struct kw_key *key)
{
	if (!key)
		return;
	sodium_free(key->secret); /* makes it accessible again, then wipes it */
	free(key);
}

/* Opens path and checks who may read it. Returns the descriptor and its size, or -errno. */
static int open_checked(const char *path, size_t *ret_size)
{
	cleanup_close int fd = -1;
	struct stat status;

	/* O_NONBLOCK: a FIFO put there must not hold us up; it is refused below. */
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EBADMSG;
	if (kw_key_check_access(fd, &status) < 0)
		return -EPERM;
	if (status.st_size <= 0 || status.st_size > KEY_FILE_MAX)
		return -EBADMSG;
	*ret_size = (size_t)status.st_size;
	return take_fd(fd);
}

/* The line at *at if it begins with name: its value. NULL: another line, or none. */
static const char *take_line(const char **at, const char *end, const char *name, size_t *ret_length)
{
	const char *value = *at + strlen(name), *newline;

	if ((size_t)(end - *at) <= strlen(name) || memcmp(*at, name, strlen(name)) != 0)
		return NULL;
	newline = memchr(value, '\n', (size_t)(end - value));
	*ret_length = (size_t)((newline ? newline : end) - value);
	*at = newline ? newline + 1 : end;
	return value;
}

/* Length of id without the ".<epoch>" that it must end with; 0: it does not. */
static size_t base_length(const char *id, uint64_t epoch)
{
	char suffix[24];
	size_t length = strlen(id);
	int size = snprintf(suffix, sizeof(suffix), ".%" PRIu64, epoch);

	if (size < 0 || length <= (size_t)size || strcmp(id + length - (size_t)size, suffix) != 0)
		return 0;
	return length - (size_t)size;
}

/* "seed" NL [ "kid: NAME" NL [ "epoch: N" NL ] ], and nothing else. ret_kid: empty when there is none. */
static int parse_file(const char *text, size_t length, unsigned char *ret_seed,
		      char ret_kid[static KW_KID_MAX + 1], uint64_t *ret_epoch)
{
	const char *at = text, *end = text + length, *value;
	size_t value_length, decoded;

	*ret_epoch = 0;
	ret_kid[0] = '\0';
	value = take_line(&at, end, "", &value_length);
	/* Padding is tolerated; 43 characters are the seed. */
	while (value && value_length > 0 && value[value_length - 1] == '=')
		value_length--;
	if (!value || value_length != SEED_TEXT_BYTES - 1 ||
	    sodium_base642bin(ret_seed, SEED_BYTES, value, value_length, NULL, &decoded, NULL,
			      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    decoded != SEED_BYTES)
		return -EBADMSG;
	if (at == end)
		return 0;
	value = take_line(&at, end, "kid: ", &value_length);
	if (!value || value_length > KW_KID_MAX || memchr(value, '\0', value_length))
		return -EBADMSG;
	memcpy(ret_kid, value, value_length);
	ret_kid[value_length] = '\0';
	if (!is_key_id(ret_kid))
		return -EBADMSG;
	if (at == end)
		return 0;
	value = take_line(&at, end, "epoch: ", &value_length);
	if (!value || at != end || kw_text_parse_u64(value, value_length, ret_epoch) < 0 ||
	    *ret_epoch == 0 || base_length(ret_kid, *ret_epoch) == 0)
		return -EBADMSG;
	return 0;
}

int kw_key_load(const char *path, const char *kid_default, struct kw_key **ret_key)
{
	cleanup_secret char *text = NULL;
	cleanup_secret unsigned char *seed = NULL;
	cleanup_close int fd = -1;
	char kid[KW_KID_MAX + 1];
	uint64_t epoch;
	ssize_t length;
	size_t size;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	fd = open_checked(path, &size);
	if (fd < 0)
		return fd;
	text = sodium_malloc(KEY_FILE_MAX + 1);
	seed = sodium_malloc(SEED_BYTES);
	if (!text || !seed)
		return -ENOMEM;
	length = kw_file_pread_all(fd, text, KEY_FILE_MAX + 1);
	if (length < 0)
		return length == -EFBIG ? -EBADMSG : (int)length;
	r = parse_file(text, (size_t)length, seed, kid, &epoch);
	if (r == 0)
		r = kw_key_from_seed(seed, kid[0] ? kid : kid_default, ret_key);
	if (r == 0)
		(*ret_key)->epoch = epoch;
	return r;
}

/* Writes seed and id to the new file fd. */
static int write_file(int fd, const unsigned char *seed, const struct kw_key *key)
{
	cleanup_secret char *text = sodium_malloc(SEED_TEXT_BYTES);
	char more[KW_KID_MAX + 64]; /* not secret */
	int r;

	if (!text)
		return -ENOMEM;
	sodium_bin2base64(text, SEED_TEXT_BYTES, seed, SEED_BYTES,
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	text[SEED_TEXT_BYTES - 1] = '\n'; /* in place of the NUL */
	r = kw_file_write_all(fd, text, SEED_TEXT_BYTES);
	(void)snprintf(more, sizeof(more), "kid: %s\n", key->id);
	if (key->epoch)
		(void)snprintf(more + strlen(more), sizeof(more) - strlen(more),
			       "epoch: %" PRIu64 "\n", key->epoch);
	if (r == 0)
		r = kw_file_write_all(fd, more, strlen(more));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

/* Makes the key's new file. */
static int create_file(const char *path, const unsigned char *seed, const struct kw_key *key)
{
	cleanup_close int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return -errno;
	r = write_file(fd, seed, key);
	if (r < 0)
		(void)unlink(path); /* ours: O_EXCL made it */
	return r;
}

int kw_key_generate(const char *path, const char *kid, struct kw_key **ret_key)
{
	cleanup(kw_key_freep) struct kw_key *key = NULL;
	cleanup_secret unsigned char *seed = NULL;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	seed = sodium_malloc(SEED_BYTES);
	if (!seed)
		return -ENOMEM;
	randombytes_buf(seed, SEED_BYTES);
	r = kw_key_from_seed(seed, kid, &key);
	if (r == 0)
		r = create_file(path, seed, key);
	if (r < 0)
		return r;
	*ret_key = take_ptr(key);
	return 0;
}

int kw_key_next_epoch(const struct kw_key *key, const char *path, struct kw_key **ret_next)
{
	static const char context[] = "kwitness epoch key v1";
	cleanup(kw_key_freep) struct kw_key *next = NULL;
	cleanup_secret unsigned char *seeds = NULL; /* this key's, the next one's */
	unsigned char input[sizeof(context) + 32];
	uint64_t epoch = key->epoch ? key->epoch + 1 : 2; /* the first key's epoch is 1 */
	size_t base = key->epoch ? base_length(key->id, key->epoch) : strlen(key->id);
	char id[KW_KID_MAX + 1];
	int r;

	r = snprintf(id, sizeof(id), "%.*s.%" PRIu64, (int)base, key->id, epoch);
	if (r < 0 || (size_t)r >= sizeof(id))
		return -ENAMETOOLONG;
	seeds = sodium_malloc((size_t)2 * SEED_BYTES);
	if (!seeds)
		return -ENOMEM;
	memcpy(input, context, sizeof(context));
	randombytes_buf(input + sizeof(context), 32);
	(void)crypto_sign_ed25519_sk_to_seed(seeds, key->secret);
	(void)crypto_generichash(seeds + SEED_BYTES, SEED_BYTES, input, sizeof(input), seeds,
				 SEED_BYTES);
	sodium_memzero(input, sizeof(input));
	r = kw_key_from_seed(seeds + SEED_BYTES, id, &next);
	if (r < 0)
		return r;
	next->epoch = epoch;
	r = create_file(path, seeds + SEED_BYTES, next);
	if (r < 0)
		return r;
	*ret_next = take_ptr(next);
	return 0;
}

const char *kw_key_id(const struct kw_key *key)
{
	return key->id;
}

const unsigned char *kw_key_public(const struct kw_key *key)
{
	return key->public;
}

int kw_key_sign(const struct kw_key *key, const void *data, size_t length,
		unsigned char ret_signature[static 64])
{
	return crypto_sign_detached(ret_signature, NULL, data, length, key->secret) == 0 ? 0 : -EIO;
}

void kw_key_append_keyring(const struct kw_key *key, struct kw_bytes *out)
{
	char text[SEED_TEXT_BYTES]; /* public keys are as long as seeds */

	sodium_bin2base64(text, sizeof(text), key->public, sizeof(key->public),
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	kw_bytes_append_format(out, "{\"%s\":\"%s\"}\n", key->id, text);
}
