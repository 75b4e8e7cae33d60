/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One connection: bytes from recv() to frames, frames to messages. A connection is one of at most
 * KW_CONNECTIONS_PER_CELL, has one fixed buffer, and is read once a turn. A frame must be whole
 * KW_GATE_READ_DEADLINE_MS after its first byte.
 */
#include "user/gate/connection.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "user/gate/claim.h"

void kw_connection_half_end(struct kw_peers *peers, struct connection *connection)
{
	if (!connection->is_half)
		return;
	TAILQ_REMOVE(&peers->halves, connection, of_halves);
	connection->is_half = false;
}

void kw_connection_half_begin(struct kw_peers *peers, struct connection *connection,
			      uint64_t now_boot_ns)
{
	kw_connection_half_end(peers, connection);
	connection->half_boot_ns = now_boot_ns;
	connection->is_half = true;
	TAILQ_INSERT_TAIL(&peers->halves, connection, of_halves);
}

static int tell_connection(struct kw_peers *peers, const struct connection *connection,
			   enum kw_gate_kind kind, enum kw_gate_reason reason)
{
	struct kw_gate_message message = {
		.kind = (uint16_t)kind,
		.handle = connection->listener->handle,
		.connection = connection->number,
		.peer_cid = connection->peer_cid,
		.reason = reason,
		.received_boot_ns = kw_clock_boot_ns(peers->clock),
	};

	return kw_outbox_send(peers->outbox, &message);
}

void kw_connection_free(struct kw_peers *peers, struct connection *connection)
{
	kw_connection_half_end(peers, connection);
	if (peers->backlog == connection)
		peers->backlog = NULL;
	LIST_REMOVE(connection, of_listener);
	connection->listener->connection_count--;
	(void)close(connection->source.fd);
	free(connection);
}

int kw_connection_end(struct kw_peers *peers, struct connection *connection,
		      enum kw_gate_reason reason)
{
	int r = 0;

	if (reason != KW_GATE_REASON_NONE)
		r = kw_listener_refuse(peers, connection->listener, reason, connection->number);
	if (r == 0)
		r = tell_connection(peers, connection, KW_GATE_CLOSED, reason);
	kw_connection_free(peers, connection);
	return r;
}

static int take_frame(struct kw_peers *peers, struct connection *connection,
		      const unsigned char *body, size_t length)
{
	struct listener *listener = connection->listener;
	enum kw_gate_reason reason;
	struct kw_gate_message message = {
		.kind = KW_GATE_FRAME,
		.handle = listener->handle,
		.connection = connection->number,
		.peer_cid = connection->peer_cid,
		.received_boot_ns = connection->received_boot_ns,
	};

	if (!kw_quota_take(&listener->quota, connection->received_boot_ns))
		return kw_listener_over_budget(peers, listener, connection->number);
	reason = length == 0 ? KW_GATE_EMPTY : kw_claim_decode(body, length, &message);
	if (reason != KW_GATE_REASON_NONE)
		return kw_listener_refuse(peers, listener, reason, connection->number);
	return kw_outbox_send(peers->outbox, &message);
}

int kw_connection_take_frames(struct kw_peers *peers, struct connection *connection)
{
	bool is_advanced = false;

	for (;;) {
		const unsigned char *body = NULL;
		size_t length = 0;
		int r;

		if (kw_outbox_is_blocked(peers->outbox)) {
			kw_connection_half_end(peers, connection);
			peers->backlog = connection;
			return 0;
		}
		switch (kw_frame_next(&connection->buffer, &body, &length)) {
		case KW_FRAME_PARTIAL:
			if (!kw_frame_is_partial(&connection->buffer) ||
			    connection->listener->is_all_paused)
				kw_connection_half_end(peers, connection);
			else if (is_advanced || !connection->is_half)
				kw_connection_half_begin(peers, connection,
							 connection->received_boot_ns);
			return 0;
		case KW_FRAME_TOO_LONG:
			return kw_connection_end(peers, connection, KW_GATE_TOO_LONG);
		case KW_FRAME_EMPTY:
		case KW_FRAME_WHOLE:
			is_advanced = true;
			r = take_frame(peers, connection, body, length);
			if (r < 0)
				return r;
			break;
		}
	}
}

int kw_connection_turn(struct kw_peers *peers, struct connection *connection)
{
	unsigned char *space;
	size_t size;
	ssize_t n;

	space = kw_frame_space(&connection->buffer, &size);
	n = recv(connection->source.fd, space, size, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return kw_connection_end(peers, connection,
					 kw_frame_is_partial(&connection->buffer)
						 ? KW_GATE_CUT_SHORT
						 : KW_GATE_REASON_NONE);
	connection->received_boot_ns = kw_clock_boot_ns(peers->clock);
	kw_frame_filled(&connection->buffer, (size_t)n);
	return kw_connection_take_frames(peers, connection);
}

int kw_connection_new(struct kw_peers *peers, struct listener *listener, int fd, uint32_t peer_cid)
{
	struct connection *connection = malloc(sizeof(*connection));

	if (!connection) {
		(void)close(fd);
		return kw_listener_refuse(peers, listener, KW_GATE_NO_MEMORY, 0);
	}
	memset(connection, 0, offsetof(struct connection, buffer));
	kw_frame_init(&connection->buffer);
	connection->source = (struct source){ SOURCE_CONNECTION, fd };
	connection->listener = listener;
	connection->peer_cid = peer_cid;
	if (kw_source_watch(peers, &connection->source) < 0) {
		(void)close(fd);
		free(connection);
		return kw_listener_refuse(peers, listener, KW_GATE_NO_MEMORY, 0);
	}
	connection->number = ++listener->last_number;
	if (connection->number == 0)
		connection->number = ++listener->last_number;
	listener->connection_count++;
	LIST_INSERT_HEAD(&listener->connections, connection, of_listener);
	return tell_connection(peers, connection, KW_GATE_OPENED, KW_GATE_REASON_NONE);
}
