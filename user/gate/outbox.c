/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Messages to the daemon, in order, one sendmsg() each. The link is a SOCK_SEQPACKET pair (unix(7)): a
 * message goes whole or not at all, and order is kept.
 */
#include "user/gate/outbox.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* 0, -EAGAIN when the link is full, or -errno. */
static int send_one(int fd, const struct kw_gate_message *message)
{
	ssize_t sent;

	do {
		sent = send(fd, message, sizeof(*message), MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	/* ENOBUFS: the kernel had no memory for it now (unix(7)). */
	return errno == EWOULDBLOCK || errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : -errno;
}

void kw_outbox_init(struct kw_outbox *outbox, int fd)
{
	memset(outbox, 0, sizeof(*outbox));
	outbox->fd = fd;
}

int kw_outbox_send(struct kw_outbox *outbox, const struct kw_gate_message *message)
{
	struct kw_gate_message *kept;
	int r;

	if (outbox->count == KW_OUTBOX_MAX)
		return -ENOBUFS;
	kept = &outbox->messages[outbox->count++];
	*kept = *message;
	kept->version = KW_GATE_VERSION;
	kept->size = sizeof(*kept);
	r = outbox->count > 1 ? 0 : kw_outbox_flush(outbox);
	return r;
}

int kw_outbox_flush(struct kw_outbox *outbox)
{
	unsigned int sent = 0;
	int r = 0;

	while (sent < outbox->count) {
		r = send_one(outbox->fd, &outbox->messages[sent]);
		if (r < 0)
			break;
		sent++;
	}
	outbox->count -= sent;
	memmove(outbox->messages, outbox->messages + sent,
		outbox->count * sizeof(outbox->messages[0]));
	return r == -EAGAIN ? 0 : r;
}

bool kw_outbox_is_blocked(const struct kw_outbox *outbox)
{
	return outbox->count > 0;
}
