/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Listening sockets for guests; private to capture. In: a path, who may connect, or a descriptor that
 * somebody else has bound. Out: a listening descriptor, non-blocking and close-on-exec, the caller's.
 */
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

#include "user/capture/capture.h"

/* A socket's file: only our own is ever unlinked. */
struct kw_gatesocket_file {
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* empty: none */
	dev_t device;
	ino_t inode;
};

/* Binds base + KW_GUEST_SOCKET_SUFFIX, gives it to access, and listens. Errors: as
 * kw_gatelink_listen_unix(). */
int kw_gatesocket_bind_unix(const char *base, const struct kw_socket_access *access,
			    struct kw_gatesocket_file *ret_file, int *ret_fd) kw_must_check;
/* Finds the file of a socket that a former process has bound for base: it is still this inode. 0; -ENOENT: it
 * is gone or another; errors as of kw_gatesocket_bind_unix(). */
int kw_gatesocket_find(const char *base, uint64_t inode, struct kw_gatesocket_file *ret_file)
	kw_must_check;
/* Unlinks the file, if it is still the one that was bound. */
void kw_gatesocket_unlink(const struct kw_gatesocket_file *file);
/* Listens on AF_VSOCK, port KW_GUEST_PORT, any CID. 0, -EAFNOSUPPORT, -EADDRINUSE, -errno. */
int kw_gatesocket_bind_vsock(int *ret_fd) kw_must_check;
/* Checks that fd is a listening stream socket of family, and takes a copy of it. 0, -EINVAL: it is
 * none; -errno. */
int kw_gatesocket_copy(int fd, int family, int *ret_fd) kw_must_check;
