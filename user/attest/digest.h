/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* SHA-256: the one place through which the room hashes, so that an implementation can be exchanged. */
#include <stddef.h>

#include "user/base/tree.h"

#define KW_DIGEST_BYTES 32

void kw_digest_sha256(const void *data, size_t length,
		      unsigned char ret_digest[static KW_DIGEST_BYTES]);
/* The same over several pieces; a kw_tree_hash_fn. */
void kw_digest_pieces(const struct kw_tree_piece *pieces, size_t count,
		      unsigned char ret_digest[static KW_DIGEST_BYTES]);
