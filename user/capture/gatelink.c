/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The daemon's end of the gate: starts the program, binds and hands over listening sockets, and checks
 * each message as if it came from an enemy, since a guest may have taken the gate over. The daemon keeps
 * every listening socket open, so that a gate that died is replaced without a guest seeing its socket
 * vanish. Messages: include/kwitness/gate.h; sockets: unix(7).
 */
#include "user/capture/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <kwitness/names.h>

#include "user/base/cleanup.h"
#include "user/capture/gatecheck.h"

/* Connections that wait for the gate's accept. */
#define BACKLOG 16

/* A gate that takes no order for so long does not work: it is replaced. */
#define SEND_TIMEOUT_MS 1000

struct listener {
	uint32_t handle;
	int fd;
	dev_t device; /* of the socket's file: only our own is ever unlinked */
	ino_t inode;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	LIST_ENTRY(listener) of_link;
};

struct kw_gatelink {
	const struct kw_clock *clock;
	char *program;
	int fd;
	int pidfd;
	struct kw_gatecheck check;
	bool has_unfinished; /* the callback failed: it gets this message again */
	struct kw_gate_message unfinished;
	LIST_HEAD(, listener) listeners;
};

/* ---- the process ---- */

/* posix_spawn() shares the parent's memory until execve() instead of copying it (posix_spawn(3)), so
 * the key is never in the child, and an execve() that fails is returned here. */
static int spawn(const char *program, int link_fd, pid_t *ret_pid)
{
	char *const arguments[] = { (char[]){ "kwitness-gate" }, NULL };
	char *const environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none;
	sigset_t all;
	int r;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	/* dup2 clears FD_CLOEXEC, also when both numbers are the same (glibc 2.29). */
	r = posix_spawn_file_actions_adddup2(&actions, link_fd, KW_GATE_FD);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY,
						     0);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY,
						     0);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&actions, KW_GATE_FD + 1);
	if (r == 0)
		r = posix_spawnattr_setsigmask(&attributes, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(&attributes, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(&attributes,
					     POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (r == 0)
		r = posix_spawn(ret_pid, program, &actions, &attributes, arguments, environment);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

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
	r = spawn(link->program, pair[1], &pid);
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

/* Sends one order, with fd when it is not -1. Waits SEND_TIMEOUT_MS at most. */
static int send_order(const struct kw_gatelink *link, enum kw_gate_kind kind, uint32_t handle,
		      int fd)
{
	struct kw_gate_message order = {
		.version = KW_GATE_VERSION,
		.kind = (uint16_t)kind,
		.size = sizeof(order),
		.handle = handle,
	};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec data = { .iov_base = &order, .iov_len = sizeof(order) };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	struct pollfd writable = { .fd = link->fd, .events = POLLOUT };

	if (link->fd < 0)
		return -EPIPE;
	if (fd >= 0) {
		struct cmsghdr *cmsg;

		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
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
static void send_or_hang_up(struct kw_gatelink *link, enum kw_gate_kind kind, uint32_t handle,
			    int fd)
{
	if (link->fd >= 0 && send_order(link, kind, handle, fd) < 0)
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

/* Whether nobody listens at address any more. Anything but a clear refusal counts as alive. */
static bool is_stale(const struct sockaddr_un *address)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	       errno == ECONNREFUSED;
}

/* Unlinks a socket that an ended process has left. 0, -EEXIST: no socket; -EADDRINUSE: it lives. */
static int remove_stale(const struct sockaddr_un *address)
{
	struct stat status;

	if (lstat(address->sun_path, &status) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	if (!is_stale(address))
		return -EADDRINUSE;
	return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_socket(const struct sockaddr_un *address, int *ret_fd)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	/* The file that bind() makes gets the socket's own mode (net/unix/af_unix.c,
	 * unix_bind_bsd()): no moment in which others could connect, no change of umask. */
	if (fchmod(fd, 0600) < 0)
		return -errno;
	r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	if (r == -EADDRINUSE) {
		r = remove_stale(address);
		if (r == 0 && bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
			r = -errno;
	}
	if (r < 0)
		return r;
	if (listen(fd, BACKLOG) < 0) {
		r = -errno;
		(void)unlink(address->sun_path);
		return r;
	}
	*ret_fd = take_fd(fd);
	return 0;
}

static void listener_free(struct listener *listener)
{
	struct stat status;

	LIST_REMOVE(listener, of_link);
	if (lstat(listener->path, &status) == 0 && status.st_dev == listener->device &&
	    status.st_ino == listener->inode)
		(void)unlink(listener->path);
	(void)close(listener->fd);
	free(listener);
}

int kw_gatelink_listen_unix(struct kw_gatelink *link, uint32_t handle, const char *base)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	cleanup_free struct listener *listener = calloc(1, sizeof(*listener));
	struct stat status;
	int length;
	int r;

	if (!listener)
		return -ENOMEM;
	if (handle == 0 || base[0] != '/' || find_listener(link, handle))
		return -EINVAL;
	length = snprintf(address.sun_path, sizeof(address.sun_path), "%s%s", base,
			  KW_GUEST_SOCKET_SUFFIX);
	if (length < 0 || (size_t)length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	r = bind_socket(&address, &listener->fd);
	if (r < 0)
		return r;
	listener->handle = handle;
	memcpy(listener->path, address.sun_path, sizeof(listener->path));
	if (lstat(listener->path, &status) == 0) {
		listener->device = status.st_dev;
		listener->inode = status.st_ino;
	}
	if (handle > link->check.highest_handle)
		link->check.highest_handle = handle;
	LIST_INSERT_HEAD(&link->listeners, listener, of_link);
	send_or_hang_up(link, KW_GATE_LISTEN, handle, listener->fd);
	(void)take_ptr(listener);
	return 0;
}

void kw_gatelink_forget(struct kw_gatelink *link, uint32_t handle)
{
	struct listener *listener = find_listener(link, handle);

	if (!listener)
		return;
	listener_free(listener);
	send_or_hang_up(link, KW_GATE_FORGET, handle, -1);
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
	if (!find_listener(link, message->handle))
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
		if (!kw_gatecheck_is_valid(&link->check, message, now_boot_ns))
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

int kw_gatelink_restart(struct kw_gatelink *link)
{
	struct listener *listener;
	int r;

	stop(link);
	r = start(link);
	if (r < 0)
		return r;
	LIST_FOREACH (listener, &link->listeners, of_link) {
		r = send_order(link, KW_GATE_LISTEN, listener->handle, listener->fd);
		if (r < 0)
			return r;
	}
	return 0;
}
