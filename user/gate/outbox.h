/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Messages to the daemon. A message that the link does not take at once waits here; while one waits
 * the gate reads no guest, so that a slow daemon slows the guests down and nothing is dropped.
 */
#include <stdbool.h>

#include <kwitness/gate.h>

#include "user/base/cleanup.h"

/* One step of the gate (one frame, one accept, one close) makes two messages at most, and none is
 * begun while the outbox is blocked. */
#define KW_OUTBOX_MAX 8

struct kw_outbox {
	int fd; /* the link; borrowed */
	unsigned int count;
	struct kw_gate_message messages[KW_OUTBOX_MAX];
};

void kw_outbox_init(struct kw_outbox *outbox, int fd);
/* Sends a copy of message, or keeps it. version and size are set here. 0, or -errno when the daemon
 * is gone (-ENOBUFS: more than KW_OUTBOX_MAX kept, a bug of the caller). */
int kw_outbox_send(struct kw_outbox *outbox, const struct kw_gate_message *message) kw_must_check;
/* Sends what is kept, as far as the link takes it. 0 or -errno. */
int kw_outbox_flush(struct kw_outbox *outbox) kw_must_check;
bool kw_outbox_is_blocked(const struct kw_outbox *outbox);
