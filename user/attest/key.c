/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The private key: read once, kept read-only in memory that libsodium locks (mlock, MADV_DONTDUMP)
 * between guard pages, wiped when it is freed. Only this file holds a pointer to it. Checks are made on the opened descriptor, so that a path that changes meanwhile
 * changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "user/attest/attest.h"
#include "user/base/file.h"

#define KEY_FILE_MAX 4096
#define SEED_BYTES crypto_sign_SEEDBYTES
#define SEED_TEXT_BYTES                                                                            \
	sodium_base64_ENCODED_LEN(SEED_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)

struct kw_key {
	unsigned char *secret; /* crypto_sign_SECRETKEYBYTES, sodium_malloc()ed, read-only */
	unsigned char public[crypto_sign_PUBLICKEYBYTES];
	char id[KW_KID_MAX + 1];
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
	if ((status.st_mode & 077) != 0 || (status.st_uid != geteuid() && status.st_uid != 0))
		return -EPERM;
	if (status.st_size <= 0 || status.st_size > KEY_FILE_MAX)
		return -EBADMSG;
	*ret_size = (size_t)status.st_size;
	return take_fd(fd);
}

/* "seed" NL [ "kid: NAME" NL ], and nothing else. ret_kid: empty when there is none. */
static int parse_file(const char *text, size_t length, unsigned char *ret_seed,
		      char ret_kid[static KW_KID_MAX + 1])
{
	const char *end = text + length, *line_end = memchr(text, '\n', length), *next;
	size_t seed_length = (size_t)((line_end ? line_end : end) - text), decoded, kid_length;

	/* Padding is tolerated; 43 characters are the seed. */
	while (seed_length > 0 && text[seed_length - 1] == '=')
		seed_length--;
	if (seed_length != SEED_TEXT_BYTES - 1 ||
	    sodium_base642bin(ret_seed, SEED_BYTES, text, seed_length, NULL, &decoded, NULL,
			      sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
	    decoded != SEED_BYTES)
		return -EBADMSG;
	ret_kid[0] = '\0';
	if (!line_end || line_end + 1 == end)
		return 0;
	next = line_end + 1;
	if ((size_t)(end - next) < 5 || memcmp(next, "kid: ", 5) != 0)
		return -EBADMSG;
	next += 5;
	line_end = memchr(next, '\n', (size_t)(end - next));
	if (line_end && line_end + 1 != end)
		return -EBADMSG;
	kid_length = (size_t)((line_end ? line_end : end) - next);
	if (kid_length > KW_KID_MAX || memchr(next, '\0', kid_length))
		return -EBADMSG;
	memcpy(ret_kid, next, kid_length);
	ret_kid[kid_length] = '\0';
	return is_key_id(ret_kid) ? 0 : -EBADMSG;
}

int kw_key_load(const char *path, const char *kid_default, struct kw_key **ret_key)
{
	cleanup_secret char *text = NULL;
	cleanup_secret unsigned char *seed = NULL;
	cleanup_close int fd = -1;
	char kid[KW_KID_MAX + 1];
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
	r = parse_file(text, (size_t)length, seed, kid);
	if (r < 0)
		return r;
	return kw_key_from_seed(seed, kid[0] ? kid : kid_default, ret_key);
}

/* Writes seed and id to the new file fd. */
static int write_file(int fd, const unsigned char *seed, const char *kid)
{
	cleanup_secret char *text = sodium_malloc(SEED_TEXT_BYTES);
	int r;

	if (!text)
		return -ENOMEM;
	sodium_bin2base64(text, SEED_TEXT_BYTES, seed, SEED_BYTES,
			  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	text[SEED_TEXT_BYTES - 1] = '\n'; /* in place of the NUL */
	r = kw_file_write_all(fd, text, SEED_TEXT_BYTES);
	if (r == 0)
		r = kw_file_write_all(fd, "kid: ", 5);
	if (r == 0) /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): not NULL here */
		r = kw_file_write_all(fd, kid, strlen(kid));
	if (r == 0)
		r = kw_file_write_all(fd, "\n", 1);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r;
}

int kw_key_generate(const char *path, const char *kid, struct kw_key **ret_key)
{
	cleanup(kw_key_freep) struct kw_key *key = NULL;
	cleanup_secret unsigned char *seed = NULL;
	cleanup_close int fd = -1;
	int r;

	if (sodium_init() < 0)
		return -EIO;
	seed = sodium_malloc(SEED_BYTES);
	if (!seed)
		return -ENOMEM;
	randombytes_buf(seed, SEED_BYTES);
	r = kw_key_from_seed(seed, kid, &key);
	if (r < 0)
		return r;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_file(fd, seed, key->id);
	if (r < 0) {
		(void)unlink(path); /* ours: O_EXCL made it */
		return r;
	}
	*ret_key = take_ptr(key);
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
