/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* kwitness verify: in what form the lines were, for the verdict. */
#include <inttypes.h>

#include <kwitness/verify.h>

#include "user/cli/cli.h"

const char *kw_cli_profile(const struct kw_verify_result *result)
{
	if (result->enveloped && result->plain)
		return "mixed";
	if (result->enveloped)
		return "cellos";
	return result->plain ? "dsse" : "none";
}

void kw_cli_append_profile(struct kw_bytes *out, const struct kw_verify_result *result)
{
	if (result->enveloped && result->plain)
		kw_bytes_append_format(out, "%" PRIu64 " of its lines stand in CellOS envelopes.\n",
				       result->enveloped);
	else if (result->enveloped)
		kw_bytes_append_string(out, "Each line stands in its CellOS envelope.\n");
}
