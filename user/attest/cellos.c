/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A ledger's line once more, in the envelope that CellOS signs events in (docs/cellos.md). What is signed is
 * the whole line, its own signature and its place in the chain with it: so whoever has the envelopes alone can
 * prove that none is missing. Canonical JSON is what CellOS signs (compact, members sorted), so the line's
 * bytes are signed as they stand.
 */
#include <errno.h>
#include <string.h>

#include "user/attest/attest.h"
#include "user/base/cellos.h"

static const char *const names[KW_PROFILE_COUNT_] = {
	[KW_PROFILE_DSSE] = "dsse",
	[KW_PROFILE_CELLOS] = "cellos",
	[KW_PROFILE_BOTH] = "both",
};

const char *kw_profile_name(enum kw_profile profile)
{
	return (unsigned int)profile < KW_PROFILE_COUNT_ ? names[profile] : NULL;
}

int kw_profile_parse(const char *name, enum kw_profile *ret_profile)
{
	for (int i = 0; i < KW_PROFILE_COUNT_; i++) {
		if (strcmp(name, names[i]) == 0) {
			*ret_profile = (enum kw_profile)i;
			return 0;
		}
	}
	return -EINVAL;
}

int kw_cellos_seal(const struct kw_key *key, const char *line, size_t length, struct kw_bytes *out)
{
	struct kw_cellos_envelope envelope = {
		.event = line,
		.event_length = length,
		.key_id = kw_key_id(key),
		.key_id_length = strlen(kw_key_id(key)),
	};
	int r = kw_key_sign(key, line, length, envelope.signature);

	if (r < 0)
		return r;
	kw_bytes_clear(out);
	r = kw_cellos_append(out, &envelope);
	if (r < 0)
		return r;
	kw_bytes_append_char(out, '\n');
	return kw_bytes_error(out);
}
