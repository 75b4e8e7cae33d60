/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The connection to the host: non-blocking from connect() to the last byte. A host that goes away is
 * tried again after a back-off with jitter, so that a thousand guests of one host do not come back in
 * the same moment; a frame that was cut off begins anew on the next connection. Frames that stood in
 * the socket when the host died are gone: seq begins anew and heartbeats carry how many were sent.
 * Sockets: vsock(7), unix(7).
 */
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "user/guest/guest.h"

#define BACKOFF_FIRST_NS (250 * KW_NSEC_PER_MSEC)
#define BACKOFF_LAST_NS (8 * KW_NSEC_PER_SEC)
/* Frames in one turn: the sources wait no longer than they take. */
#define TURN_FRAMES 64

void kw_uplink_init(struct kw_uplink *uplink, const struct kw_uplink_target *target, uint64_t seed)
{
	memset(uplink, 0, sizeof(*uplink));
	uplink->target = *target;
	uplink->fd = -1;
	uplink->backoff_ns = BACKOFF_FIRST_NS;
	uplink->random = seed | 1;
}

/* xorshift64: spreads guests apart, keeps no secret. */
static uint64_t next_random(struct kw_uplink *uplink)
{
	uplink->random ^= uplink->random << 13;
	uplink->random ^= uplink->random >> 7;
	uplink->random ^= uplink->random << 17;
	return uplink->random;
}

static void hang_up(struct kw_uplink *uplink, uint64_t now_ns)
{
	if (uplink->fd >= 0)
		(void)close(take_fd(uplink->fd));
	uplink->is_connecting = false;
	uplink->frame_bytes = 0;
	/* Half of it sure, half of it chance. */
	uplink->retry_ns = now_ns + uplink->backoff_ns / 2 +
			   next_random(uplink) % (uplink->backoff_ns / 2 + 1);
	if (uplink->backoff_ns < BACKOFF_LAST_NS)
		uplink->backoff_ns *= 2;
}

static int start_connect(const struct kw_uplink *uplink, int fd)
{
	const struct sockaddr_vm vm = { .svm_family = AF_VSOCK,
					.svm_cid = uplink->target.cid,
					.svm_port = uplink->target.port };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int r;

	if (uplink->target.uds) {
		(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", uplink->target.uds);
		r = connect(fd, (const struct sockaddr *)&un, sizeof(un));
	} else {
		r = connect(fd, (const struct sockaddr *)&vm, sizeof(vm));
	}
	return r < 0 ? -errno : 0;
}

static void dial(struct kw_uplink *uplink, uint64_t now_ns)
{
	int family = uplink->target.uds ? AF_UNIX : AF_VSOCK;
	int r;

	uplink->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (uplink->fd < 0) {
		hang_up(uplink, now_ns);
		return;
	}
	r = start_connect(uplink, uplink->fd);
	if (r < 0 && r != -EINPROGRESS) {
		hang_up(uplink, now_ns);
		return;
	}
	uplink->is_connecting = r < 0;
	uplink->seq = 0;
	uplink->frame_bytes = 0;
}

/* Sends what is left of the frame. 0: all of it; -EAGAIN; -errno. */
static int send_rest(struct kw_uplink *uplink)
{
	while (uplink->frame_sent < uplink->frame_bytes) {
		ssize_t n = send(uplink->fd, uplink->frame + uplink->frame_sent,
				 uplink->frame_bytes - uplink->frame_sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : -errno;
		uplink->frame_sent += (size_t)n;
	}
	return 0;
}

/* Finishes the first of the queue, unless it is on its way already. */
static bool take_frame(struct kw_uplink *uplink, struct kw_queue *queue)
{
	const unsigned char *first;
	size_t length;

	if (uplink->frame_bytes > 0)
		return true;
	first = kw_queue_first(queue, &length);
	if (!first)
		return false;
	memcpy(uplink->frame, first, length);
	uplink->frame_bytes =
		kw_writer_finish(uplink->frame, length, uplink->seq + 1, queue->dropped);
	uplink->frame_sent = 0;
	return true;
}

void kw_uplink_turn(struct kw_uplink *uplink, struct kw_queue *queue, uint64_t now_ns)
{
	if (uplink->fd < 0 && now_ns >= uplink->retry_ns)
		dial(uplink, now_ns);
	if (uplink->fd < 0 || uplink->is_connecting)
		return;
	for (int i = 0; i < TURN_FRAMES && take_frame(uplink, queue); i++) {
		int r = send_rest(uplink);

		if (r == -EAGAIN)
			return;
		if (r < 0) {
			hang_up(uplink, now_ns);
			return;
		}
		uplink->frame_bytes = 0;
		uplink->seq++;
		uplink->sent++;
		kw_queue_remove(queue);
		/* Somebody listens: the next failure starts small again. */
		uplink->backoff_ns = BACKOFF_FIRST_NS;
	}
}

short kw_uplink_wants(const struct kw_uplink *uplink, const struct kw_queue *queue)
{
	if (uplink->fd < 0)
		return 0;
	return uplink->is_connecting || queue->count > 0 ? POLLIN | POLLOUT : POLLIN;
}

void kw_uplink_events(struct kw_uplink *uplink, short events, uint64_t now_ns)
{
	int error = 0;
	socklen_t length = sizeof(error);
	char bytes[256];
	ssize_t n;

	if (uplink->fd < 0 || events == 0)
		return;
	if (uplink->is_connecting) {
		if (getsockopt(uplink->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ||
		    error != 0 || (events & (POLLERR | POLLHUP))) {
			hang_up(uplink, now_ns);
			return;
		}
		uplink->is_connecting = false;
	}
	if (!(events & (POLLIN | POLLHUP | POLLERR)))
		return;
	/* A host says nothing; what it says all the same is not ours to read. */
	n = recv(uplink->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		hang_up(uplink, now_ns);
}
