/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Asks the daemon's socket for a page: HTTP/1.0, one request a connection, the answer ends with it (RFC 1945). The
 * daemon is trusted with its own words, not with our memory or patience: both are bounded.
 */
#include "user/cli/ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "user/base/file.h"

#define PATIENCE_SECONDS 5

static int connect_to(const char *socket_path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = PATIENCE_SECONDS };
	cleanup_close int fd = -1;
	size_t length = strlen(socket_path);

	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, length + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(fd);
}

static int receive_all(int fd, struct kw_bytes *out)
{
	char buffer[4096];

	for (;;) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

		if (n == 0)
			return kw_bytes_error(out);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		kw_bytes_append(out, buffer, (size_t)n);
		if (kw_bytes_error(out) < 0)
			return kw_bytes_error(out);
	}
}

int kw_ask(const char *socket_path, const char *page, struct kw_bytes *out)
{
	cleanup_bytes struct kw_bytes answer;
	cleanup_close int fd = -1;
	char request[256];
	const char *body;
	int length, r;

	kw_bytes_init(&answer, KW_HTTP_PAGE_MAX + 4096);
	length = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: kwitness\r\n\r\n",
			  page);
	if (length < 0 || (size_t)length >= sizeof(request))
		return -EINVAL;
	fd = connect_to(socket_path);
	if (fd < 0)
		return fd;
	r = kw_file_write_all(fd, request, (size_t)length);
	if (r == 0)
		r = receive_all(fd, &answer);
	if (r < 0)
		return r;
	body = answer.data ? strstr(answer.data, "\r\n\r\n") : NULL;
	if (!body || strncmp(answer.data, "HTTP/1.", 7) != 0 ||
	    strncmp(answer.data + 8, " 200 ", 5) != 0)
		return -EPROTO;
	body += 4;
	kw_bytes_append(out, body, (size_t)(answer.data + answer.length - body));
	return kw_bytes_error(out);
}
