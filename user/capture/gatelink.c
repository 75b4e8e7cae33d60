/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon's end of the gate: starts the program, hands over listening sockets, and checks
 * each message as if it came from an enemy, since a guest may have taken the gate over. The daemon keeps
 * every listening socket open, so that a gate that died is replaced without a guest seeing its socket
 * vanish. Messages: include/kwitness/gate.h; the sockets themselves: gatesocket.c.
 */
#include "user/capture/capture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "user/base/cleanup.h"
#include "user/capture/gatecheck.h"
#include "user/capture/gatesocket.h"
#include "user/capture/gatespawn.h"

/* A gate that takes no order for so long does not work: it is replaced. */
#define SEND_TIMEOUT_MS 1000

/* A cell: its own socket, its CID on the shared one, or both. */
struct listener {
	uint32_t handle;
	uint32_t cid; /* 0: none */
	int fd;	      /* -1: none */
	struct kw_gatesocket_file file;
	LIST_ENTRY(listener) of_link;
};

struct order {
	enum kw_gate_kind kind;
	uint32_t handle;
	uint32_t cid;
	int fd; /* goes with it; -1: none */
};

struct kw_gatelink {
	const struct kw_clock *clock;
	char *program;
	int fd;
	int pidfd;
	int vsock_fd; /* the AF_VSOCK listener that all cells share; -1: none */
	struct kw_gatecheck check;
	bool has_unfinished; /* the callback failed: it gets this message again */
	struct kw_gate_message unfinished;
	LIST_HEAD(, listener) listeners;
};

/* ---- the process ---- */

static void stop(struct kw_gatelink *link)
{
	siginfo_t info;
	int r;

	if (link->fd >= 0)
		(void)close(take_fd(link->fd));
	if (link->pidfd < 0)
		return;
	/* Both may fail because the loop has reaped it already. */
	(void)pidfd_send_signal(link->pidfd, SIGKILL, NULL, 0);
	do {
		r = waitid(P_PIDFD, (id_t)link->pidfd, &info, WEXITED);
	} while (r < 0 && errno == EINTR);
	(void)close(take_fd(link->pidfd));
}

static int start(struct kw_gatelink *link)
{
	int pair[2];
	pid_t pid;
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	r = kw_gatespawn(link->program, pair[1], &pid);
	(void)close(pair[1]);
	if (r < 0) {
		(void)close(pair[0]);
		return r;
	}
	link->fd = pair[0];
	link->check.is_ready = false;
	link->check.drained_boot_ns = kw_clock_boot_ns(link->clock);
	/* Nobody else waits for it, so pid is still its own. */
	link->pidfd = pidfd_open(pid, 0);
	if (link->pidfd < 0) {
		r = -errno;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		stop(link);
		return r;
	}
	return 0;
}

/* ---- orders ---- */

/* Sends one order. Waits SEND_TIMEOUT_MS at most. */
static int send_order(const struct kw_gatelink *link, const struct order *order)
{
	struct kw_gate_message message = {
		.version = KW_GATE_VERSION,
		.kind = (uint16_t)order->kind,
		.size = sizeof(message),
		.handle = order->handle,
		.peer_cid = order->cid,
	};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec data = { .iov_base = &message, .iov_len = sizeof(message) };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	struct pollfd writable = { .fd = link->fd, .events = POLLOUT };

	if (link->fd < 0)
		return -EPIPE;
	if (order->fd >= 0) {
		struct cmsghdr *cmsg;

		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &order->fd, sizeof(int));
	}
	while (sendmsg(link->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		if (poll(&writable, 1, SEND_TIMEOUT_MS) == 0)
			return -ETIMEDOUT;
	}
	return 0;
}

/* An order that could not be sent ends the link: kw_gatelink_receive() then says -EPIPE, and the
 * restart hands over what is there by then. */
static void send_or_hang_up(struct kw_gatelink *link, const struct order *order)
{
	if (link->fd >= 0 && send_order(link, order) < 0)
		(void)shutdown(link->fd, SHUT_RDWR);
}

/* ---- listening sockets ---- */

static struct listener *find_listener(const struct kw_gatelink *link, uint32_t handle)
{
	struct listener *listener;

	LIST_FOREACH (listener, &link->listeners, of_link)
		if (listener->handle == handle)
			return listener;
	return NULL;
}

static void listener_free(struct listener *listener)
{
	LIST_REMOVE(listener, of_link);
	kw_gatesocket_unlink(&listener->file);
	if (listener->fd >= 0)
		(void)close(listener->fd);
	free(listener);
}

/* Keeps fd (-1: none), which becomes the object's, under handle. */
static int new_listener(struct kw_gatelink *link, uint32_t handle, int fd,
			struct listener **ret_listener)
{
	struct listener *listener = calloc(1, sizeof(*listener));

	if (!listener) {
		kw_cleanup_close_fd(&fd);
		return -ENOMEM;
	}
	listener->handle = handle;
	listener->fd = fd;
	if (handle > link->check.highest_handle)
		link->check.highest_handle = handle;
	LIST_INSERT_HEAD(&link->listeners, listener, of_link);
	*ret_listener = listener;
	return 0;
}

static bool is_handle_free(const struct kw_gatelink *link, uint32_t handle)
{
	return handle != 0 && handle != KW_GATE_HANDLE_VSOCK && !find_listener(link, handle);
}

int kw_gatelink_listen_unix(struct kw_gatelink *link, uint32_t handle, const char *base,
			    const struct kw_socket_access *access)
{
	const struct kw_socket_access own = { (uid_t)-1, (gid_t)-1, 0600 };
	struct kw_gatesocket_file file;
	struct listener *listener;
	int fd;
	int r;

	if (!is_handle_free(link, handle))
		return -EINVAL;
	r = kw_gatesocket_bind_unix(base, access ? access : &own, &file, &fd);
	if (r < 0)
		return r;
	r = new_listener(link, handle, fd, &listener);
	if (r < 0) {
		kw_gatesocket_unlink(&file);
		return r;
	}
	listener->file = file;
	send_or_hang_up(link, &(struct order){ KW_GATE_LISTEN, handle, 0, fd });
	return 0;
}

int kw_gatelink_listen_kept(struct kw_gatelink *link, uint32_t handle, const char *base,
			    uint64_t inode, int fd)
{
	struct kw_gatesocket_file file;
	struct listener *listener;
	int r;

	r = kw_gatesocket_find(base, inode, &file);
	if (r == 0)
		r = kw_gatelink_listen_fd(link, handle, fd);
	if (r < 0)
		return r;
	listener = find_listener(link, handle);
	listener->file = file;
	return 0;
}

int kw_gatelink_listener(const struct kw_gatelink *link, uint32_t handle, uint64_t *ret_inode)
{
	const struct listener *listener = find_listener(link, handle);

	if (!listener || listener->fd < 0 || !listener->file.path[0])
		return -1;
	*ret_inode = listener->file.inode;
	return listener->fd;
}

int kw_gatelink_vsock_listener(const struct kw_gatelink *link)
{
	return link->vsock_fd;
}

int kw_gatelink_listen_fd(struct kw_gatelink *link, uint32_t handle, int fd)
{
	struct listener *listener;
	int copy;
	int r;

	if (!is_handle_free(link, handle))
		return -EINVAL;
	r = kw_gatesocket_copy(fd, AF_UNIX, &copy);
	if (r == 0)
		r = new_listener(link, handle, copy, &listener);
	if (r < 0)
		return r;
	send_or_hang_up(link, &(struct order){ KW_GATE_LISTEN, handle, 0, copy });
	return 0;
}

int kw_gatelink_listen_vsock(struct kw_gatelink *link, int fd)
{
	int r;

	if (link->vsock_fd >= 0)
		return 0;
	r = fd >= 0 ? kw_gatesocket_copy(fd, AF_VSOCK, &link->vsock_fd)
		    : kw_gatesocket_bind_vsock(&link->vsock_fd);
	if (r < 0)
		return r;
	link->check.has_vsock = true;
	send_or_hang_up(link,
			&(struct order){ KW_GATE_LISTEN, KW_GATE_HANDLE_VSOCK, 0, link->vsock_fd });
	return 0;
}

int kw_gatelink_admit(struct kw_gatelink *link, uint32_t handle, uint32_t cid)
{
	struct listener *listener = find_listener(link, handle);
	int r = 0;

	if (cid == 0 || handle == 0 || handle == KW_GATE_HANDLE_VSOCK ||
	    (listener && listener->cid != 0))
		return -EINVAL;
	if (!listener)
		r = new_listener(link, handle, -1, &listener);
	if (r < 0)
		return r;
	listener->cid = cid;
	send_or_hang_up(link, &(struct order){ KW_GATE_ADMIT, handle, cid, -1 });
	return 0;
}

void kw_gatelink_forget(struct kw_gatelink *link, uint32_t handle)
{
	struct listener *listener = find_listener(link, handle);

	if (!listener)
		return;
	listener_free(listener);
	send_or_hang_up(link, &(struct order){ KW_GATE_FORGET, handle, 0, -1 });
}

/* ---- messages ---- */

/* One message. 1; 0 when there is none; -EPIPE, -EPROTO or -errno. */
static int receive_one(struct kw_gatelink *link, struct kw_gate_message *ret_message)
{
	ssize_t n;

	if (link->fd < 0)
		return -EPIPE;
	do {
		/* MSG_TRUNC: the message's real size. Descriptors that came with it are dropped by
		 * the kernel, as there is no room for control data (unix(7)). */
		n = recv(link->fd, ret_message, sizeof(*ret_message), MSG_DONTWAIT | MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (n == 0)
		return -EPIPE;
	return n == sizeof(*ret_message) ? 1 : -EPROTO;
}

/* Whether a cell that is known has the channel that the message names. */
static bool is_channel_valid(const struct kw_gatelink *link, const struct kw_gate_message *message)
{
	const struct listener *listener = find_listener(link, message->handle);

	if (!listener || message->kind == KW_GATE_REFUSED)
		return true;
	return message->peer_cid == 0 ? listener->fd >= 0 : listener->cid == message->peer_cid;
}

/* Gives a checked message to callback. 1; 0 when nobody wants it any more; or callback's error. */
static int deliver(struct kw_gatelink *link, const struct kw_gate_message *message,
		   kw_observation_fn callback, void *context)
{
	struct kw_observation observation = {
		.kind = KW_OBSERVATION_GUEST,
		.boot_ns = message->received_boot_ns,
		.received_boot_ns = kw_clock_boot_ns(link->clock),
		.received_real_ns = kw_clock_real_ns(link->clock),
		.guest = message,
	};
	int r;

	/* Was on its way when its cell was forgotten. */
	if (message->handle != KW_GATE_HANDLE_VSOCK && !find_listener(link, message->handle))
		return 0;
	r = callback(context, &observation);
	return r < 0 ? r : 1;
}

/* Receives, checks and delivers one message. 1; 0: it was none for callback, or *ret_is_empty: there
 * is none. */
static int take_one(struct kw_gatelink *link, kw_observation_fn callback, void *context,
		    bool *ret_is_empty)
{
	struct kw_gate_message *message = &link->unfinished;
	int r;

	if (!link->has_unfinished) {
		uint64_t now_boot_ns;

		r = receive_one(link, message);
		if (r < 0)
			return r;
		now_boot_ns = kw_clock_boot_ns(link->clock);
		if (r == 0) {
			link->check.drained_boot_ns = now_boot_ns;
			*ret_is_empty = true;
			return 0;
		}
		if (!kw_gatecheck_is_valid(&link->check, message, now_boot_ns) ||
		    !is_channel_valid(link, message))
			return -EPROTO;
		if (message->kind == KW_GATE_READY) {
			link->check.is_ready = true;
			return 0;
		}
	}
	r = deliver(link, message, callback, context);
	link->has_unfinished = r < 0;
	return r;
}

int kw_gatelink_receive(struct kw_gatelink *link, unsigned int limit, kw_observation_fn callback,
			void *context)
{
	bool is_empty = false;
	int count = 0;

	for (unsigned int i = 0; i < limit && !is_empty; i++) {
		int r = take_one(link, callback, context, &is_empty);

		if (r < 0)
			return r;
		count += r;
	}
	return count;
}

/* ---- the room's border ---- */

int kw_gatelink_open(const char *program, const struct kw_clock *clock,
		     struct kw_gatelink **ret_link)
{
	cleanup(kw_gatelink_freep) struct kw_gatelink *link = calloc(1, sizeof(*link));
	int r;

	if (!link)
		return -ENOMEM;
	link->clock = clock;
	link->fd = -1;
	link->pidfd = -1;
	link->vsock_fd = -1;
	LIST_INIT(&link->listeners);
	link->program = strdup(program);
	if (!link->program)
		return -ENOMEM;
	r = start(link);
	if (r < 0)
		return r;
	*ret_link = take_ptr(link);
	return 0;
}

void kw_gatelink_free(struct kw_gatelink *link)
{
	if (!link)
		return;
	stop(link);
	while (!LIST_EMPTY(&link->listeners))
		listener_free(LIST_FIRST(&link->listeners));
	kw_cleanup_close_fd(&link->vsock_fd);
	free(link->program);
	free(link);
}

int kw_gatelink_fd(const struct kw_gatelink *link)
{
	return link->fd;
}

int kw_gatelink_pidfd(const struct kw_gatelink *link)
{
	return link->pidfd;
}

/* What a gate must know of a cell. */
static int hand_over(const struct kw_gatelink *link, const struct listener *listener)
{
	int r = 0;

	if (listener->fd >= 0)
		r = send_order(
			link, &(struct order){ KW_GATE_LISTEN, listener->handle, 0, listener->fd });
	if (r == 0 && listener->cid != 0)
		r = send_order(link, &(struct order){ KW_GATE_ADMIT, listener->handle,
						      listener->cid, -1 });
	return r;
}

int kw_gatelink_restart(struct kw_gatelink *link)
{
	struct listener *listener;
	int r;

	stop(link);
	r = start(link);
	if (r == 0 && link->vsock_fd >= 0)
		r = send_order(link, &(struct order){ KW_GATE_LISTEN, KW_GATE_HANDLE_VSOCK, 0,
						      link->vsock_fd });
	LIST_FOREACH (listener, &link->listeners, of_link) {
		if (r < 0)
			return r;
		r = hand_over(link, listener);
	}
	return r;
}
