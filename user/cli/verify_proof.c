/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* kwitness verify --proof: the verdict over one event and its proof, without the ledger it is from. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include <kwitness/limits.h>
#include <kwitness/verify.h>

#include "user/base/file.h"
#include "user/cli/cli.h"

#define PROOF_MAX (2 * KW_LINE_MAX)

KW_DEFINE_CLEANUP(struct kw_keyring *, kw_keyring_free)

int kw_cli_load_keyring(const char *path, struct kw_keyring **ret_keyring)
{
	const char *reason = NULL;
	int r = kw_keyring_load(path, ret_keyring, &reason);

	if (r == -EBADMSG)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "keyring %s: %s", path, reason);
	if (r == -ELOOP)
		return kw_cli_fail(KW_EXIT_FAIL, "verify",
				   "keyring %s: a symbolic link; name the file itself", path);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "keyring %s: %s", path, strerror(-r));
	return KW_EXIT_OK;
}

int kw_cli_load(const char *command, const char *path, struct kw_bytes *bytes)
{
	int r = kw_file_read(AT_FDCWD, path, bytes);

	return r < 0 ? kw_cli_fail(KW_EXIT_FAIL, command, "%s: %s", path, strerror(-r))
		     : KW_EXIT_OK;
}

int kw_cli_verify_proof(const char *keyring_path, const char *path)
{
	cleanup(kw_keyring_freep) struct kw_keyring *keyring = NULL;
	cleanup_bytes struct kw_bytes proof, words;
	struct kw_proof_result result;
	const char *reason = NULL;
	int r, code;

	kw_bytes_init(&proof, PROOF_MAX);
	kw_bytes_init(&words, 8192);
	code = kw_cli_load_keyring(keyring_path, &keyring);
	if (code == KW_EXIT_OK)
		code = kw_cli_load("verify", path, &proof);
	if (code != KW_EXIT_OK)
		return code;
	r = kw_proof_verify(keyring, proof.data ? proof.data : "", proof.length, &result, &reason);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "%s: %s", path, strerror(-r));
	if (r > 0)
		kw_bytes_append_format(&words, "NOT proved: %s\n", reason);
	else
		kw_bytes_append_format(&words,
				       "proved: %s of %s, id %s, is line %" PRIu64
				       " of the ledger %s; checkpoint over %" PRIu64
				       " lines, signed by %s\n",
				       result.type, result.time, result.id, result.sequence,
				       result.origin, result.size, result.key_id);
	code = kw_cli_output("verify", words.data, words.length);
	return code == KW_EXIT_OK && r > 0 ? KW_EXIT_NO : code;
}
