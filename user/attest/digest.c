/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SHA-256 by libgcrypt, which uses the processor's own instructions where it has them: a line takes
 * some 15 digests, and libsodium's portable C needs 4 to 6 times as long for each (docs/dependencies.md
 * has the figures). libsystemd has loaded it into the daemon already. Keys and signatures are
 * libsodium's alone.
 */
#include "user/attest/digest.h"

#include <gcrypt.h>

#define PIECES_MAX 4U

static void initialise(void)
{
	/* libsystemd, or an earlier call, may have done it; libgcrypt itself remembers. */
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return;
	(void)gcry_check_version(NULL);
	(void)gcry_control(GCRYCTL_DISABLE_SECMEM, 0); /* no secrets are hashed here */
	(void)gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

void kw_digest_sha256(const void *data, size_t length,
		      unsigned char ret_digest[static KW_DIGEST_BYTES])
{
	initialise();
	gcry_md_hash_buffer(GCRY_MD_SHA256, ret_digest, data, length);
}

void kw_digest_pieces(const struct kw_tree_piece *pieces, size_t count,
		      unsigned char ret_digest[static KW_DIGEST_BYTES])
{
	gcry_buffer_t buffers[PIECES_MAX] = { { 0 } };

	initialise();
	for (size_t i = 0; i < count && i < PIECES_MAX; i++) {
		buffers[i].len = pieces[i].length;
		/* Read only; the interface has no const. */
		buffers[i].data = (void *)(uintptr_t)pieces[i].data;
	}
	if (count == 0)
		gcry_md_hash_buffer(GCRY_MD_SHA256, ret_digest, "", 0);
	else
		(void)gcry_md_hash_buffers(GCRY_MD_SHA256, 0, ret_digest, buffers, (int)count);
}
