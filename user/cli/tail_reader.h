/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* `kwitness tail --reader NAME`: a reader that the ledger knows, and that it waits for. Private to tail. */
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct kw_tail_reader {
	const char *ledger; /* borrowed */
	const char *name;   /* borrowed; NULL: tail is no reader */
	uint64_t kept;	    /* the ledger knows that so far nothing is needed any more */
	uint64_t read;	    /* the last line that was written out, or passed over */
	uint64_t unkept;    /* lines since */
	bool said_missing;
};

/* Finds where it stands; one that is not known yet is made known, and needs every line. *ret_from: the first
 * sequence it wants. An enum kw_exit, with a message. */
int kw_tail_reader_begin(struct kw_tail_reader *reader, uint64_t *ret_from);
/* Another line. Returns whether so many were read that it ought to be kept now. */
bool kw_tail_reader_take(struct kw_tail_reader *reader, const json_t *event);
/* Everything that was read has been written out: the ledger is to know. 0 or -errno. */
int kw_tail_reader_keep(struct kw_tail_reader *reader);
