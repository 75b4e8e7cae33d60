/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What the ledger itself wants to know of one of its lines; private to deliver. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/reconcile/reconcile.h"

enum kw_line_type {
	KW_LINE_OTHER,
	KW_LINE_OOM_KILL,
	KW_LINE_OOM_INCIDENT,
	KW_LINE_GAP,
	KW_LINE_CHECKPOINT,
};

struct kw_line {
	uint64_t sequence;
	uint64_t recorded_real_ns;
	char id[40];
	enum kw_line_type type;
	char incident_id[40];	   /* oom_kill, oom_incident; empty: not there */
	enum kw_gap_kind gap_kind; /* gap; KW_GAP_KIND_COUNT_: not one that is known */
	char boot_id[40];	   /* gap; empty: not there */
	bool is_closing;	   /* checkpoint: made at an orderly stop */
};

/* 0; -EBADMSG: not JSON at all, as a crash leaves it; -EPROTO: JSON, but no line of a ledger; -ENOMEM. */
int kw_line_facts(const char *text, size_t length, struct kw_line *ret_line);
