/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* The end of a ledger as its last writer left it; private to deliver. */
#include "user/deliver/deliver.h"

struct kw_recovered {
	struct kw_ledger_found found;
	uint64_t segment; /* first sequence of the last segment; 0: the ledger is empty */
	int64_t offset;	  /* behind its last line */
	char (*ids)[40];  /* owned: of the last lines, sorted */
	size_t id_count;
	struct kw_ledger_open_kill *kills; /* owned */
	size_t kill_count;
};

/* Finds the end; sets a torn tail aside and cuts it off. 0, -EBADMSG, or -errno. */
int kw_recover(int directory, struct kw_recovered *ret_recovered);
void kw_recover_done(struct kw_recovered *recovered);
