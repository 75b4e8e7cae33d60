/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * What peers.c (listeners) and connection.c share; private to the gate. A function that may have freed
 * its connection says so.
 */
#include <sys/queue.h>

/* Adding may fail for want of memory; then the listener has no table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "user/gate/frame.h"
#include "user/gate/peers.h"
#include "user/gate/quota.h"

enum source_type { SOURCE_LISTENER, SOURCE_CONNECTION };

/* What epoll gives back; first member of both. */
struct source {
	enum source_type type;
	int fd;
};

struct listener;

struct connection {
	struct source source;
	struct listener *listener;
	uint32_t number;
	uint32_t peer_cid; /* 0: not AF_VSOCK */
	bool is_half;	   /* holds a part of a frame, and is in peers->halves */
	uint64_t half_boot_ns;
	uint64_t received_boot_ns;
	LIST_ENTRY(connection) of_listener;
	TAILQ_ENTRY(connection) of_halves;
	struct kw_frame_buffer buffer;
};

/* A cell: its own socket, its CID on the shared one, or both; or the shared one itself. */
struct listener {
	struct source source; /* fd -1: its guest comes in on the shared one */
	uint32_t handle;      /* KW_GATE_HANDLE_VSOCK: the shared one */
	uint32_t cid;	      /* 0: none */
	uint32_t refused_cid; /* shared: the last that no cell has */
	uint32_t last_number;
	uint32_t connection_count;
	uint64_t resume_boot_ns; /* 0: not paused */
	bool is_all_paused;	 /* connections as well, not accepting only */
	struct kw_quota quota;
	LIST_HEAD(, connection) connections;
	LIST_ENTRY(listener) of_peers;
	UT_hash_handle by_cid;
};

struct kw_peers {
	const struct kw_clock *clock;
	struct kw_outbox *outbox;
	int epoll_fd;
	unsigned int held;   /* reasons with refusals not told yet, over all listeners */
	unsigned int paused; /* listeners */
	uint64_t resumed_boot_ns;
	uint64_t swept_boot_ns;
	struct connection *backlog; /* was cut off by a full outbox; has frames left, maybe */
	LIST_HEAD(, listener) listeners;
	struct listener *cids;
	TAILQ_HEAD(half_list, connection) halves; /* oldest first */
};

/* Registers a source for reading, and takes it out again. */
int kw_source_watch(struct kw_peers *peers, struct source *source) kw_must_check;
void kw_source_unwatch(struct kw_peers *peers, const struct source *source);

/* Counts one refusal and tells the daemon what may be told now. */
int kw_listener_refuse(struct kw_peers *peers, struct listener *listener,
		       enum kw_gate_reason reason, uint32_t connection) kw_must_check;
/* Tells the daemon the refusals that are due. */
int kw_listener_tell(struct kw_peers *peers, struct listener *listener) kw_must_check;
/* Counts one frame (connection 0: one accept) above the budget; may pause the listener. */
int kw_listener_over_budget(struct kw_peers *peers, struct listener *listener, uint32_t connection)
	kw_must_check;

/* Takes over an accepted descriptor. peer_cid: whose CID it came from; 0: from the listener's own. */
int kw_connection_new(struct kw_peers *peers, struct listener *listener, int fd, uint32_t peer_cid)
	kw_must_check;
/* One recv() and the frames that it completed; may free connection. */
int kw_connection_turn(struct kw_peers *peers, struct connection *connection) kw_must_check;
/* Hands on the whole frames that the buffer has, until the outbox is blocked; may free connection. */
int kw_connection_take_frames(struct kw_peers *peers, struct connection *connection) kw_must_check;
/* Ends and frees a connection; the frame that went with it, if any, is counted for the same reason. */
int kw_connection_end(struct kw_peers *peers, struct connection *connection,
		      enum kw_gate_reason reason) kw_must_check;
/* Frees a connection without a word. */
void kw_connection_free(struct kw_peers *peers, struct connection *connection);
/* A frame has begun that is not whole (its deadline runs from now), or there is none any more. */
void kw_connection_half_begin(struct kw_peers *peers, struct connection *connection,
			      uint64_t now_boot_ns);
void kw_connection_half_end(struct kw_peers *peers, struct connection *connection);
