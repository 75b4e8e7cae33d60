/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Messages between kwitnessd and kwitness-gate, over one SOCK_SEQPACKET pair (the gate's fd 3).
 *
 * The daemon binds the listening sockets and hands each to the gate with KW_GATE_LISTEN and
 * SCM_RIGHTS. The gate accepts, reassembles, decodes, and answers with the messages marked (gate).
 * A listener is a cell's own, or the one AF_VSOCK listener for all cells (KW_GATE_HANDLE_VSOCK): there
 * KW_GATE_ADMIT says whose guest has which CID, and messages carry the cell's handle again.
 * Every message is exactly sizeof(struct kw_gate_message); a message of another size, kind or with
 * a field out of its range is not the gate's, and the daemon drops the link.
 *
 * Who takes over the gate can make up guest claims for the cells whose sockets it holds, and nothing
 * else: cell identity, times and every host field are set by the daemon.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

#define KW_GATE_VERSION 1
#define KW_GATE_FD 3 /* the gate's end of the pair */

/* Handle of the AF_VSOCK listener, which belongs to no cell. Cells' handles stay below it. */
#define KW_GATE_HANDLE_VSOCK UINT32_MAX

enum kw_gate_kind {
	KW_GATE_LISTEN = 1,  /* (daemon) one listening socket comes with it */
	KW_GATE_FORGET = 2,  /* (daemon) close the listener and the connections of a handle */
	KW_GATE_READY = 3,   /* (gate) sandbox entered */
	KW_GATE_FRAME = 4,   /* (gate) one decoded frame */
	KW_GATE_REFUSED = 5, /* (gate) count frames were refused for reason; detail may say more */
	KW_GATE_OPENED = 6,  /* (gate) a connection was accepted */
	KW_GATE_CLOSED = 7,  /* (gate) a connection ended; reason NONE: by the peer, in order */
	KW_GATE_ADMIT = 8,   /* (daemon) on the AF_VSOCK listener, peer_cid is handle's guest */
	KW_GATE_KIND_COUNT_
};

/* Why a frame or a connection was refused. Names: kw_gate_reason_name(). */
enum kw_gate_reason {
	KW_GATE_REASON_NONE = 0,
	KW_GATE_TOO_LONG = 1,	 /* body length above KW_FRAME_BODY_MAX: framing is lost, closed */
	KW_GATE_EMPTY = 2,	 /* body length 0 */
	KW_GATE_CUT_SHORT = 3,	 /* the connection ended inside a frame */
	KW_GATE_MALFORMED = 4,	 /* not the CBOR subset: majors 0, 3, 5, definite lengths */
	KW_GATE_BAD_VERSION = 5, /* content_version's major is not 1, or it is not the first key */
	KW_GATE_MISSING_KEY = 6, /* one of the five keys is not there */
	KW_GATE_DUPLICATE_KEY = 7, /* a key stands twice */
	KW_GATE_WRONG_TYPE = 8,	   /* a known key's value has another type */
	KW_GATE_OUT_OF_RANGE = 9,  /* a value does not fit u16, u32 or u64 as the key demands */
	KW_GATE_BAD_TEXT = 10,	   /* text is not UTF-8, too long, or has control characters */
	KW_GATE_BAD_PROBE = 11,	   /* probe_source outside [a-z0-9._]{1,64} */
	KW_GATE_TRAILING = 12,	   /* bytes after the map */
	KW_GATE_KEY_ORDER = 13,	   /* the five keys are not in the documented order */
	KW_GATE_TOO_MANY_CONNECTIONS = 14,
	KW_GATE_FLOOD = 15,	    /* over the cell's budget: frames dropped, counted */
	KW_GATE_READ_DEADLINE = 16, /* half a frame stood longer than the deadline */
	KW_GATE_NO_MEMORY = 17,
	KW_GATE_UNKNOWN_CID =
		18, /* no cell has this CID: closed unread; handle is the listener's */
	KW_GATE_REASON_COUNT_
};

/* The minor version that adds seq, dropped, boot_id and claim; a frame below it has none of them. */
#define KW_CONTENT_VERSION_CLAIMS 0x0101

/* kw_gate_message.has: what a frame of content_version 0x0101 or later carried. */
enum kw_claim_has {
	KW_CLAIM_HAS_SEQ = 1 << 0,
	KW_CLAIM_HAS_DROPPED = 1 << 1,
	KW_CLAIM_HAS_BOOT_ID = 1 << 2,
	KW_CLAIM_HAS_CLAIM = 1 << 3,
	KW_CLAIM_HAS_ALL_ = (1 << 4) - 1,
};

/* One pair of a frame's claim map. Unused bytes are zero. */
struct kw_claim_pair {
	char key[KW_CLAIM_KEY_MAX];   /* [a-z0-9_.]{1,32} */
	char text[KW_CLAIM_TEXT_MAX]; /* is_text: UTF-8 without control characters */
	uint64_t number;	      /* not is_text */
	uint8_t key_bytes;
	uint8_t text_bytes;
	uint8_t is_text; /* 0 or 1 */
	uint8_t pad[5];
};
_Static_assert(sizeof(struct kw_claim_pair) == 112, "claim pair layout");

struct kw_gate_message {
	uint16_t version; /* KW_GATE_VERSION */
	uint16_t kind;	  /* enum kw_gate_kind */
	uint32_t size;	  /* sizeof(struct kw_gate_message) */
	uint32_t handle; /* which listener: given by the daemon with LISTEN, never 0 but in READY */
	uint32_t connection; /* counted by the gate per handle, from 1 */
	uint32_t reason;     /* enum kw_gate_reason: REFUSED, CLOSED */
	uint32_t count;	     /* REFUSED: how many, at least 1 */
	uint64_t guest_monotonic_ns;
	uint64_t
		received_boot_ns; /* when the last byte was read; checked against the daemon's clock */
	uint32_t guest_pid;
	uint16_t content_version;
	uint16_t comm_bytes;  /* used bytes of comm, no NUL counted */
	uint16_t probe_bytes; /* used bytes of probe_source */
	uint16_t pad[3];
	char probe_source[KW_PROBE_SOURCE_MAX];
	char comm[KW_GUEST_COMM_MAX];
	/* What minor version 0x0101 adds: set only where has says so, zero elsewhere. */
	uint32_t has; /* enum kw_claim_has */
	uint32_t
		peer_cid; /* FRAME, OPENED, CLOSED, ADMIT; REFUSED for UNKNOWN_CID; 0: not AF_VSOCK */
	uint64_t seq;	  /* per connection, as the guest counts */
	uint64_t dropped; /* frames that the guest could not send since its agent began */
	uint16_t boot_id_bytes;
	uint16_t claim_count; /* used pairs, keys strictly ascending by byte */
	uint16_t pad_minor[2];
	char boot_id[KW_BOOT_ID_MAX]; /* UTF-8 without control characters */
	struct kw_claim_pair claim[KW_CLAIM_PAIRS_MAX];
};
_Static_assert(offsetof(struct kw_gate_message, has) == 376, "gate layout");
_Static_assert(offsetof(struct kw_gate_message, claim) == 472, "gate layout");
_Static_assert(sizeof(struct kw_gate_message) == 2264, "gate layout");

/* Short name of a reason, as events carry it ("too_long"); NULL when out of range. */
const char *kw_gate_reason_name(uint32_t reason);

/* The alphabets that both ends of the link check. probe_source: [a-z0-9._]{1,64}, without
 * the host's own agent_silenced and agent_resumed ('.' or '_'). guest_comm: up to
 * KW_GUEST_COMM_MAX bytes of UTF-8 without control characters; may be empty. */
bool kw_gate_probe_is_valid(const char *text, size_t length);
bool kw_gate_comm_is_valid(const char *text, size_t length);
/* What minor version 0x0101 adds. Key of a claim pair: [a-z0-9_.]{1,32}. Its text and boot_id: UTF-8
 * without control characters, up to KW_CLAIM_TEXT_MAX and KW_BOOT_ID_MAX bytes; may be empty. */
bool kw_gate_key_is_valid(const char *text, size_t length);
bool kw_gate_claim_text_is_valid(const char *text, size_t length);
bool kw_gate_boot_id_is_valid(const char *text, size_t length);
