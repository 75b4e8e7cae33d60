/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* The two ways to a proof; of `kwitness prove` alone. */
#include <stdint.h>

#include "user/cli/cli.h"
#include "user/verify/verify.h"

/* Feeds the ledger's lines from that sequence on until the proof is whole. 1: it is, 0: it cannot be, -errno. */
int kw_cli_prove_feed(const char *ledger, uint64_t first, struct kw_prover *prover) kw_must_check;
/* By the index of the ledger, which is the directory. 1: the proof is whole, 0: the line is not there, or no
 * checkpoint covers it; -ENOENT: no index; -errno: it is of no use. */
int kw_cli_prove_indexed(int directory, const char *ledger, const char *wanted,
			 struct kw_prover *prover) kw_must_check;
