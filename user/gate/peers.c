/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Listeners and connections. Which listener the bytes came in on is all that is known of their sender,
 * so each message carries the listener's handle and nothing that the guest said about itself. On the
 * AF_VSOCK listener that all cells share it is the peer's CID: the hypervisor's transport sets it on each
 * packet, and accept() gives it back (net/vmw_vsock/virtio_transport_common.c, 6.12). Each
 * ready descriptor gets one recv() or a few accepts a turn; a cell that is far over its budget is left
 * alone until its second is over. Descriptors are level-triggered (epoll(7)): what a turn leaves in a
 * socket is offered again.
 */
#include "user/gate/connection.h"

#include <errno.h>
#include <linux/vm_sockets.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define TURN_EVENTS 32
#define TURN_ACCEPTS 4
#define SWEEP_MS 250

int kw_source_watch(struct kw_peers *peers, struct source *source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	return epoll_ctl(peers->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

void kw_source_unwatch(struct kw_peers *peers, const struct source *source)
{
	(void)epoll_ctl(peers->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
}

int kw_listener_tell(struct kw_peers *peers, struct listener *listener)
{
	uint64_t now_boot_ns = kw_clock_boot_ns(peers->clock);
	struct kw_gate_message message;
	int r;

	while (!kw_outbox_is_blocked(peers->outbox) &&
	       kw_quota_tell(&listener->quota, now_boot_ns, &message)) {
		peers->held--;
		message.handle = listener->handle;
		if (message.reason == KW_GATE_UNKNOWN_CID)
			message.peer_cid = listener->refused_cid;
		r = kw_outbox_send(peers->outbox, &message);
		if (r < 0)
			return r;
	}
	return 0;
}

int kw_listener_refuse(struct kw_peers *peers, struct listener *listener,
		       enum kw_gate_reason reason, uint32_t connection)
{
	if (kw_quota_refuse(&listener->quota, reason, connection))
		peers->held++;
	return kw_listener_tell(peers, listener);
}

/* ---- pauses ---- */

static int watch_listener(struct kw_peers *peers, struct listener *listener)
{
	return listener->source.fd < 0 ? 0 : kw_source_watch(peers, &listener->source);
}

static void unwatch_listener(struct kw_peers *peers, const struct listener *listener)
{
	if (listener->source.fd >= 0)
		kw_source_unwatch(peers, &listener->source);
}

static void pause_listener(struct kw_peers *peers, struct listener *listener,
			   uint64_t until_boot_ns, bool is_all)
{
	struct connection *connection;

	if (listener->resume_boot_ns == 0) {
		peers->paused++;
		unwatch_listener(peers, listener);
	}
	listener->resume_boot_ns = until_boot_ns;
	if (!is_all || listener->is_all_paused)
		return;
	listener->is_all_paused = true;
	LIST_FOREACH (connection, &listener->connections, of_listener) {
		kw_source_unwatch(peers, &connection->source);
		/* Bytes that it is not asked for are not late. */
		kw_connection_half_end(peers, connection);
	}
}

static int resume_listener(struct kw_peers *peers, struct listener *listener, uint64_t now_boot_ns)
{
	struct connection *connection;
	int r;

	peers->paused--;
	listener->resume_boot_ns = 0;
	r = watch_listener(peers, listener);
	if (r < 0 || !listener->is_all_paused)
		return r;
	listener->is_all_paused = false;
	LIST_FOREACH (connection, &listener->connections, of_listener) {
		r = kw_source_watch(peers, &connection->source);
		if (r < 0)
			return r;
		if (kw_frame_is_partial(&connection->buffer))
			kw_connection_half_begin(peers, connection, now_boot_ns);
	}
	return 0;
}

int kw_listener_over_budget(struct kw_peers *peers, struct listener *listener, uint32_t connection)
{
	uint64_t until_boot_ns;

	if (kw_quota_drop(&listener->quota, kw_clock_boot_ns(peers->clock), &until_boot_ns))
		pause_listener(peers, listener, until_boot_ns, true);
	return kw_listener_refuse(peers, listener, KW_GATE_FLOOD, connection);
}

/* ---- listeners ---- */

/* Closes a connection of the shared listener that no cell pays for; a flood of them pauses it. */
static int refuse_shared(struct kw_peers *peers, struct listener *shared, struct listener *listener,
			 enum kw_gate_reason reason, int fd)
{
	(void)close(fd);
	if (!kw_quota_take(&shared->quota, kw_clock_boot_ns(peers->clock)))
		return kw_listener_over_budget(peers, shared, 0);
	return kw_listener_refuse(peers, listener, reason, 0);
}

static int take_accepted(struct kw_peers *peers, struct listener *listener, int fd, uint32_t cid)
{
	if (!kw_quota_take(&listener->quota, kw_clock_boot_ns(peers->clock))) {
		(void)close(fd);
		return kw_listener_over_budget(peers, listener, 0);
	}
	if (listener->connection_count >= KW_CONNECTIONS_PER_CELL) {
		(void)close(fd);
		return kw_listener_refuse(peers, listener, KW_GATE_TOO_MANY_CONNECTIONS, 0);
	}
	return kw_connection_new(peers, listener, fd, cid);
}

/* Whose guest it is: the peer's CID says so, and nothing else. */
static int take_shared(struct kw_peers *peers, struct listener *shared, int fd,
		       const struct sockaddr_vm *peer)
{
	uint32_t cid = peer->svm_cid;
	struct listener *listener = NULL;

	if (peer->svm_family == AF_VSOCK)
		HASH_FIND(by_cid, peers->cids, &cid, sizeof(cid), listener);
	if (!listener) {
		shared->refused_cid = cid;
		return refuse_shared(peers, shared, shared, KW_GATE_UNKNOWN_CID, fd);
	}
	/* A cell with a socket of its own is not accepted from while it is paused; here it is, and
	 * closed again. */
	if (listener->resume_boot_ns != 0)
		return refuse_shared(peers, shared, listener, KW_GATE_FLOOD, fd);
	return take_accepted(peers, listener, fd, cid);
}

static int listener_turn(struct kw_peers *peers, struct listener *listener)
{
	bool is_shared = listener->handle == KW_GATE_HANDLE_VSOCK;
	int r = 0;

	for (int i = 0; i < TURN_ACCEPTS && r == 0 && listener->resume_boot_ns == 0; i++) {
		struct sockaddr_vm peer = { 0 };
		socklen_t length = sizeof(peer);
		int fd;

		if (kw_outbox_is_blocked(peers->outbox))
			return 0;
		fd = accept4(listener->source.fd, is_shared ? (struct sockaddr *)&peer : NULL,
			     is_shared ? &length : NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
				return 0;
			/* Out of descriptors or memory: it stays readable, so look away a while. */
			pause_listener(peers, listener,
				       kw_clock_boot_ns(peers->clock) + KW_NSEC_PER_SEC, false);
			return kw_listener_refuse(peers, listener, KW_GATE_NO_MEMORY, 0);
		}
		r = is_shared ? take_shared(peers, listener, fd, &peer)
			      : take_accepted(peers, listener, fd, 0);
	}
	return r;
}

static void listener_free(struct kw_peers *peers, struct listener *listener)
{
	while (!LIST_EMPTY(&listener->connections))
		kw_connection_free(peers, LIST_FIRST(&listener->connections));
	if (listener->resume_boot_ns != 0)
		peers->paused--;
	peers->held -= kw_quota_held(&listener->quota);
	LIST_REMOVE(listener, of_peers);
	if (listener->cid != 0)
		HASH_DELETE(by_cid, peers->cids, listener);
	/* The daemon may keep the socket: then close() alone does not end its epoll entry (epoll(7)). */
	unwatch_listener(peers, listener);
	if (listener->source.fd >= 0)
		(void)close(listener->source.fd);
	free(listener);
}

static struct listener *find_listener(struct kw_peers *peers, uint32_t handle)
{
	struct listener *listener;

	LIST_FOREACH (listener, &peers->listeners, of_peers)
		if (listener->handle == handle)
			return listener;
	return NULL;
}

/* fd: not owned yet; -1: none. */
static int new_listener(struct kw_peers *peers, uint32_t handle, int fd,
			struct listener **ret_listener)
{
	cleanup_free struct listener *listener = calloc(1, sizeof(*listener));
	int r;

	if (!listener)
		return -ENOMEM;
	listener->source = (struct source){ SOURCE_LISTENER, fd };
	listener->handle = handle;
	kw_quota_init(&listener->quota, kw_clock_boot_ns(peers->clock));
	LIST_INIT(&listener->connections);
	r = watch_listener(peers, listener);
	if (r < 0)
		return r;
	LIST_INSERT_HEAD(&peers->listeners, listener, of_peers);
	*ret_listener = take_ptr(listener);
	return 0;
}

int kw_peers_listen(struct kw_peers *peers, uint32_t handle, int fd)
{
	cleanup_close int owned_fd = fd;
	struct listener *listener;
	int r;

	if (find_listener(peers, handle))
		return -EEXIST;
	r = new_listener(peers, handle, fd, &listener);
	if (r == 0)
		(void)take_fd(owned_fd);
	return r;
}

int kw_peers_admit(struct kw_peers *peers, uint32_t handle, uint32_t cid)
{
	struct listener *listener = NULL;
	int r = 0;

	if (cid == 0 || handle == KW_GATE_HANDLE_VSOCK)
		return -EINVAL;
	HASH_FIND(by_cid, peers->cids, &cid, sizeof(cid), listener);
	if (listener)
		return -EEXIST;
	listener = find_listener(peers, handle);
	if (listener && listener->cid != 0)
		return -EEXIST;
	if (!listener)
		r = new_listener(peers, handle, -1, &listener);
	if (r < 0)
		return r;
	listener->cid = cid;
	HASH_ADD(by_cid, peers->cids, cid, sizeof(listener->cid), listener);
	if (listener->by_cid.tbl)
		return 0;
	listener->cid = 0;
	return -ENOMEM;
}

void kw_peers_forget(struct kw_peers *peers, uint32_t handle)
{
	struct listener *listener = find_listener(peers, handle);

	if (listener)
		listener_free(peers, listener);
}

/* ---- the room's border ---- */

int kw_peers_new(const struct kw_clock *clock, struct kw_outbox *outbox,
		 struct kw_peers **ret_peers)
{
	cleanup_free struct kw_peers *peers = calloc(1, sizeof(*peers));

	if (!peers)
		return -ENOMEM;
	peers->clock = clock;
	peers->outbox = outbox;
	LIST_INIT(&peers->listeners);
	TAILQ_INIT(&peers->halves);
	peers->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (peers->epoll_fd < 0)
		return -errno;
	*ret_peers = take_ptr(peers);
	return 0;
}

void kw_peers_free(struct kw_peers *peers)
{
	if (!peers)
		return;
	while (!LIST_EMPTY(&peers->listeners))
		listener_free(peers, LIST_FIRST(&peers->listeners));
	(void)close(peers->epoll_fd);
	free(peers);
}

int kw_peers_fd(const struct kw_peers *peers)
{
	return peers->epoll_fd;
}

int kw_peers_timeout(const struct kw_peers *peers)
{
	bool is_waiting = peers->held > 0 || peers->paused > 0 || !TAILQ_EMPTY(&peers->halves);

	return is_waiting ? SWEEP_MS : -1;
}

int kw_peers_turn(struct kw_peers *peers)
{
	struct epoll_event events[TURN_EVENTS];
	int count;
	int r = 0;

	count = epoll_wait(peers->epoll_fd, events, TURN_EVENTS, 0);
	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	/* Serving one source frees that source at most, so the others' pointers hold. A source whose
	 * listener was paused by an event before it in this batch gets this one turn more. */
	for (int i = 0; i < count && r == 0 && !kw_outbox_is_blocked(peers->outbox); i++) {
		struct source *source = events[i].data.ptr;

		if (source->type == SOURCE_LISTENER)
			r = listener_turn(peers, events[i].data.ptr);
		else
			r = kw_connection_turn(peers, events[i].data.ptr);
	}
	return r;
}

static int sweep_deadlines(struct kw_peers *peers, uint64_t now_boot_ns)
{
	struct connection *connection;
	int r = 0;

	while (r == 0 && !kw_outbox_is_blocked(peers->outbox) &&
	       (connection = TAILQ_FIRST(&peers->halves))) {
		uint64_t since_boot_ns = connection->half_boot_ns;

		/* While the outbox was blocked nobody read: that time is not the guest's. */
		if (since_boot_ns < peers->resumed_boot_ns)
			since_boot_ns = peers->resumed_boot_ns;
		if (now_boot_ns < since_boot_ns + KW_GATE_READ_DEADLINE_MS * KW_NSEC_PER_MSEC)
			break;
		r = kw_connection_end(peers, connection, KW_GATE_READ_DEADLINE);
	}
	return r;
}

int kw_peers_sweep(struct kw_peers *peers)
{
	uint64_t now_boot_ns = kw_clock_boot_ns(peers->clock);
	struct listener *listener;
	int r;

	if (now_boot_ns < peers->swept_boot_ns + SWEEP_MS * KW_NSEC_PER_MSEC)
		return 0;
	peers->swept_boot_ns = now_boot_ns;
	r = sweep_deadlines(peers, now_boot_ns);
	if (peers->held == 0 && peers->paused == 0)
		return r;
	LIST_FOREACH (listener, &peers->listeners, of_peers) {
		if (r < 0 || kw_outbox_is_blocked(peers->outbox))
			return r;
		if (listener->resume_boot_ns != 0 && now_boot_ns >= listener->resume_boot_ns)
			r = resume_listener(peers, listener, now_boot_ns);
		if (r == 0)
			r = kw_listener_tell(peers, listener);
	}
	return r;
}

int kw_peers_resume(struct kw_peers *peers)
{
	struct connection *connection = peers->backlog;

	peers->resumed_boot_ns = kw_clock_boot_ns(peers->clock);
	if (!connection)
		return 0;
	peers->backlog = NULL;
	return kw_connection_take_frames(peers, connection);
}
