/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * What the host's administrator should see at once, in the journal: a sentence, with fields to select by. A copy for
 * people; the ledger is the record. Catalogue: user/dist/kwitness.catalog.
 */
#include "user/reconcile/reconcile.h"

/* 128-bit message ids, as journalctl and catalogues write them. They never change. */
#define KW_JOURNAL_OOM "66d2bdf924fb4174a86e46b339a4431d"
#define KW_JOURNAL_UNEXPLAINED "7c876b7e8f44469fae413594671eee2f"
#define KW_JOURNAL_PARITY "9dc2fe3ecad249d28d15c8a0e37b04ce"
#define KW_JOURNAL_CONTRADICTED "c2aed2ab9190475fa7986ab263db3a32"
#define KW_JOURNAL_USERSPACE_KILL "3b1f0d6a7e5c4f2b9a8d6c1e0f4a7b52"

struct kw_journal;

/* path: the journal's socket, KW_JOURNAL_SOCKET but in tests. Needs no journal to be there. 0 or -errno. */
#define KW_JOURNAL_SOCKET "/run/systemd/journal/socket"
int kw_journal_new(const char *path, struct kw_journal **ret_journal) kw_must_check;
void kw_journal_free(struct kw_journal *journal);
KW_DEFINE_CLEANUP(struct kw_journal *, kw_journal_free)

/* Tells what is worth telling about a finding that is in the ledger; most are not. Never waits: what the
 * journal does not take at once is not told. journal: may be NULL. */
void kw_journal_finding(struct kw_journal *journal, const struct kw_finding *finding);

/* "hog[77] in hungry.service was killed: it reached its own limit of 16 MiB …". Pure. */
void kw_journal_sentence(const struct kw_incident *incident, struct kw_bytes *out);
