/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness-gate: the only program that touches bytes a guest has sent. kwitnessd starts it with one end
 * of a SOCK_SEQPACKET pair as descriptor 3 and hands it listening sockets; it answers with messages of
 * one fixed size (include/kwitness/gate.h). It is a program of its own, not a fork of the daemon, so
 * that neither a key nor the code that could use one is in its memory. It ends when the daemon does.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <kwitness/gate.h>
#include <kwitness/names.h>

#include "user/base/cleanup.h"
#include "user/base/clock.h"
#include "user/gate/outbox.h"
#include "user/gate/peers.h"
#include "user/gate/sandbox.h"

#define TURN_ORDERS 64

/* Reads one message and the descriptor that came with it (-1: none). 1; 0 when the daemon has gone;
 * -EAGAIN when there is none; -EPROTO when it is not the daemon's; -errno. */
static int receive_order(struct kw_gate_message *ret_order, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec space = { .iov_base = ret_order, .iov_len = sizeof(*ret_order) };
	struct msghdr header = {
		.msg_iov = &space,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	const struct cmsghdr *cmsg;
	ssize_t n;

	*ret_fd = -1;
	n = recvmsg(KW_GATE_FD, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_TRUNC);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n == 0)
		return 0;
	cmsg = CMSG_FIRSTHDR(&header);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(int));
	if (n != sizeof(*ret_order) || (header.msg_flags & MSG_CTRUNC))
		return -EPROTO;
	return 1;
}

static int obey(struct kw_peers *peers, const struct kw_gate_message *order, int fd)
{
	cleanup_close int owned_fd = fd;

	if (order->version != KW_GATE_VERSION || order->size != sizeof(*order) ||
	    order->handle == 0)
		return -EPROTO;
	switch (order->kind) {
	case KW_GATE_LISTEN:
		if (owned_fd < 0)
			return -EPROTO;
		return kw_peers_listen(peers, order->handle, take_fd(owned_fd));
	case KW_GATE_ADMIT:
		return kw_peers_admit(peers, order->handle, order->peer_cid);
	case KW_GATE_FORGET:
		kw_peers_forget(peers, order->handle);
		return 0;
	default:
		return -EPROTO;
	}
}

/* 1: go on; 0: the daemon has gone; -errno. */
static int obey_orders(struct kw_peers *peers)
{
	for (int i = 0; i < TURN_ORDERS; i++) {
		struct kw_gate_message order;
		int fd = -1;
		int r;

		r = receive_order(&order, &fd);
		if (r == -EAGAIN)
			return 1;
		if (r <= 0)
			return r;
		r = obey(peers, &order, fd);
		if (r < 0)
			return r;
	}
	return 1;
}

/* Guests have their turn only while the link takes messages. */
static int serve_guests(struct kw_peers *peers, struct kw_outbox *outbox, bool has_input)
{
	int r = 0;

	if (kw_outbox_is_blocked(outbox)) {
		r = kw_outbox_flush(outbox);
		if (r == 0 && !kw_outbox_is_blocked(outbox))
			r = kw_peers_resume(peers);
	}
	if (r == 0 && has_input && !kw_outbox_is_blocked(outbox))
		r = kw_peers_turn(peers);
	if (r == 0 && !kw_outbox_is_blocked(outbox))
		r = kw_peers_sweep(peers);
	return r;
}

/* 0 when the daemon has gone, or -errno. */
static int loop(struct kw_peers *peers, struct kw_outbox *outbox)
{
	for (;;) {
		bool is_blocked = kw_outbox_is_blocked(outbox);
		struct pollfd fds[2] = {
			{ .fd = KW_GATE_FD,
			  .events = (short)(is_blocked ? POLLIN | POLLOUT : POLLIN) },
			{ .fd = is_blocked ? -1 : kw_peers_fd(peers), .events = POLLIN },
		};
		int r;

		r = poll(fds, kw_array_size(fds), is_blocked ? -1 : kw_peers_timeout(peers));
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r < 0)
			continue;
		if (fds[0].revents & ~POLLOUT) {
			r = obey_orders(peers);
			if (r <= 0)
				return r;
		}
		r = serve_guests(peers, outbox, fds[1].revents != 0);
		if (r < 0)
			return r;
	}
}

/* Whether descriptor 3 is what the daemon gives. */
static bool has_link(void)
{
	socklen_t length = sizeof(int);
	int type = 0;

	return getsockopt(KW_GATE_FD, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
	       type == SOCK_SEQPACKET;
}

int main(void)
{
	static struct kw_outbox outbox;
	cleanup(kw_peers_freep) struct kw_peers *peers = NULL;
	const struct kw_gate_message ready = { .kind = KW_GATE_READY };
	const char *step = NULL;
	int r;

	if (!has_link()) {
		fprintf(stderr, "kwitness-gate: descriptor %d is no link: kwitnessd starts this\n",
			KW_GATE_FD);
		return KW_EXIT_USAGE;
	}
	/* What was not meant for us is closed; what we need is made; then the door is shut. */
	r = close_range(KW_GATE_FD + 1, ~0U, 0) < 0 ? -errno : 0;
	kw_outbox_init(&outbox, KW_GATE_FD);
	if (r == 0)
		r = kw_peers_new(&kw_clock_system, &outbox, &peers);
	if (r == 0)
		r = kw_sandbox_enter(&step);
	if (r == 0)
		r = kw_outbox_send(&outbox, &ready);
	if (r == 0)
		r = loop(peers, &outbox);
	if (r < 0 && r != -EPIPE && r != -ECONNRESET) {
		fprintf(stderr, "kwitness-gate: cannot %s: %s\n", step ? step : "go on",
			strerror(-r));
		return KW_EXIT_FAIL;
	}
	return KW_EXIT_OK;
}
