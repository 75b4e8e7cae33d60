/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Lines of a ledger in the order in which what they say happened, by the host's clock: a bounded window in
 * which later lines overtake earlier ones. Private to cli.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/base/cleanup.h"

struct kw_merge;

struct kw_merged {
	char *line; /* owned by whoever got it */
	size_t length;
	uint64_t real_ns;  /* when it happened, on the wall clock */
	uint64_t error_ns; /* give or take */
	bool is_bound; /* it happened at real_ns or before: a guest's, and its clock is not known */
};

int kw_merge_new(struct kw_merge **ret_merge) kw_must_check;
void kw_merge_free(struct kw_merge *merge);
KW_DEFINE_CLEANUP(struct kw_merge *, kw_merge_free)

/* Any line of the ledger goes by, wanted or not: time passes. */
void kw_merge_note(struct kw_merge *merge, const json_t *event);
/* A line that is wanted; copied. 0 or -ENOMEM. */
int kw_merge_add(struct kw_merge *merge, const json_t *event, const char *line, size_t length)
	kw_must_check;
/* The next one that nothing is to be expected before, or that there is no more room for; all: whatever
 * is held. */
bool kw_merge_next(struct kw_merge *merge, bool all, struct kw_merged *ret_merged);
/* No line came, and it is real_ns now. */
void kw_merge_pass(struct kw_merge *merge, uint64_t real_ns);
bool kw_merge_is_empty(const struct kw_merge *merge);
