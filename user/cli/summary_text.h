/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Texts of a ledger's lines for the summary; private to it. */
#include "user/cli/summary.h"
#include "user/verify/verify.h"

/* What the JSON string means, harmless for a terminal, cut to size with an ellipsis; "" when it is no string.
 * 0 or -ENOMEM. */
int kw_summary_text(struct kw_summary *summary, struct kw_span string, char *ret_text, size_t size)
	kw_must_check;
