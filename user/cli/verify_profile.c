/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* kwitness verify: in what form the lines were, for the verdict. */
#include <inttypes.h>
#include <stdio.h>

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

void kw_cli_print_profile(const struct kw_verify_result *result)
{
	if (result->enveloped && result->plain)
		(void)printf(", %" PRIu64 " of them in CellOS envelopes", result->enveloped);
	else if (result->enveloped)
		(void)printf(", each in its CellOS envelope");
}
