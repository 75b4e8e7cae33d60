/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Listeners and their connections. In: listening sockets from the daemon, bytes from guests. Out:
 * messages into the outbox. Bounded: connections per listener, bytes per connection, frames per second
 * and listener, one recv() per connection and turn.
 */
#include <stdint.h>

#include "user/base/cleanup.h"
#include "user/base/clock.h"
#include "user/gate/outbox.h"

struct kw_peers;

/* clock and outbox are borrowed and outlive the object. 0 or -errno. */
int kw_peers_new(const struct kw_clock *clock, struct kw_outbox *outbox,
		 struct kw_peers **ret_peers) kw_must_check;
void kw_peers_free(struct kw_peers *peers);
KW_DEFINE_CLEANUP(struct kw_peers *, kw_peers_free)

/* Listens on fd, which becomes the object's even on failure. 0, -EEXIST (handle is taken), -errno. */
int kw_peers_listen(struct kw_peers *peers, uint32_t handle, int fd) kw_must_check;
/* On the listener of KW_GATE_HANDLE_VSOCK, the peer with this CID is handle's guest; handle may have a
 * listener of its own or none. 0, -EEXIST (CID or handle has one), -EINVAL, -errno. */
int kw_peers_admit(struct kw_peers *peers, uint32_t handle, uint32_t cid) kw_must_check;
/* Closes a listener and its connections without a word; unknown handles are ignored. */
void kw_peers_forget(struct kw_peers *peers, uint32_t handle);

/* Polls readable when a listener or a connection has something. */
int kw_peers_fd(const struct kw_peers *peers);
/* Milliseconds until kw_peers_sweep() wants to be called; -1: never. */
int kw_peers_timeout(const struct kw_peers *peers);
/* Serves what is ready, one turn; stops when the outbox is blocked. 0 or -errno (fatal). */
int kw_peers_turn(struct kw_peers *peers) kw_must_check;
/* Read deadlines, refusals that were held back, pauses. Call after the outbox was blocked, too. */
int kw_peers_sweep(struct kw_peers *peers) kw_must_check;
/* The outbox was blocked and is not any more: what was left half done goes on. */
int kw_peers_resume(struct kw_peers *peers) kw_must_check;
