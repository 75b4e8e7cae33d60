/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Guests' sockets that the service manager holds (sd_listen_fds(3)). Those of socket units it has bound
 * before this program runs: a guest that boots first waits in the backlog, and a socket may lie where the
 * daemon could not make one. FileDescriptorName=vsock is the AF_VSOCK listener, cell-<cellId> is a cell's, http is for status
 * and metrics.
 * Those that the daemon has bound itself it gives to the manager to keep (sd_pid_notify_with_fds(3),
 * FDSTORE=1) as kept-<inode>-<cellId> and kept-vsock: so when it is killed, its guests wait instead of being
 * refused. An orderly end takes them back, because it unlinks them. All are kept for the daemon's whole
 * life: a cell that is registered again gets its socket again.
 */
#include "user/daemon/daemon.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "user/base/log.h"
#include "user/base/text.h"

#define NAME_VSOCK "vsock"
#define NAME_CELL "cell-"
#define NAME_HTTP "http"
#define KEPT "kept-"
#define KEPT_VSOCK KEPT NAME_VSOCK

/* A cell's id in a name, where systemd allows no ':' (sd_pid_notify_with_fds(3)), and a cell's id has no '/'. */
#define COLON '/'

/* Behind the prefix, or NULL. */
static const char *behind(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0 ? name + strlen(prefix) : NULL;
}

static bool is_vsock(const char *name)
{
	return strcmp(name, NAME_VSOCK) == 0 || strcmp(name, KEPT_VSOCK) == 0;
}

/* Status and metrics are for this host: a socket of another address than a loopback one is not served. */
static bool is_local(int fd)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof(address);
	const struct sockaddr_in *v4 = (const void *)&address;
	const struct sockaddr_in6 *v6 = (const void *)&address;

	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return false;
	if (address.ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	if (address.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	return address.ss_family == AF_UNIX;
}

static bool is_ours(const char *name, int fd)
{
	if (strcmp(name, NAME_HTTP) == 0)
		return sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0 && is_local(fd);
	if (is_vsock(name))
		return sd_is_socket(fd, AF_VSOCK, SOCK_STREAM, 1) > 0;
	return (behind(name, NAME_CELL) || behind(name, KEPT)) &&
	       sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0;
}

void kw_activation_open(struct kw_activation *activation)
{
	int count;

	*activation = (struct kw_activation){ .vsock_fd = -1, .http_fd = -1 };
	/* Also clears the environment and sets FD_CLOEXEC: no child inherits one. */
	count = sd_listen_fds_with_names(1, &activation->names);
	if (count < 0) {
		(void)kw_log_error(count, "cannot take over the sockets that were handed in");
		return;
	}
	activation->count = count;
	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		const char *name = activation->names[i];

		if (!is_ours(name, fd)) {
			kw_log(LOG_WARNING,
			       "a socket named \"%s\" was handed in and is not used: \"vsock\" is a listening AF_VSOCK stream, \"cell-<cellId>\" a listening AF_UNIX stream, \"http\" one of this host alone",
			       name);
			(void)close(fd);
			activation->names[i][0] = '\0';
		} else if (is_vsock(name)) {
			activation->vsock_fd = fd;
		} else if (strcmp(name, NAME_HTTP) == 0) {
			activation->http_fd = fd;
		}
	}
}

void kw_activation_close(struct kw_activation *activation)
{
	for (int i = 0; i < activation->count; i++) {
		if (activation->names[i][0] != '\0')
			(void)close(SD_LISTEN_FDS_START + i);
		free(activation->names[i]);
	}
	free(activation->names);
	*activation = (struct kw_activation){ .vsock_fd = -1, .http_fd = -1 };
}

int kw_activation_find(const struct kw_activation *activation, const char *cell_id)
{
	for (int i = 0; i < activation->count; i++) {
		const char *id = behind(activation->names[i], NAME_CELL);

		if (id && strcmp(id, cell_id) == 0)
			return SD_LISTEN_FDS_START + i;
	}
	return -1;
}

/* Whether text, out of a name, stands for the cell. */
static bool is_cell(const char *text, const char *cell_id)
{
	size_t i = 0;

	while (text[i] && (text[i] == COLON ? ':' : text[i]) == cell_id[i])
		i++;
	return text[i] == cell_id[i];
}

int kw_activation_find_kept(const struct kw_activation *activation, const char *cell_id,
			    uint64_t *ret_inode)
{
	for (int i = 0; i < activation->count; i++) {
		const char *inode = behind(activation->names[i], KEPT);
		const char *id = inode ? strchr(inode, '-') : NULL;

		if (id && is_cell(id + 1, cell_id) &&
		    kw_text_parse_u64(inode, (size_t)(id - inode), ret_inode) == 0)
			return SD_LISTEN_FDS_START + i;
	}
	return -1;
}

/* ---- what the manager keeps for the next daemon ---- */

/* No loss when it does not: then the next daemon binds anew. */
static void store(const char *name, int fd)
{
	char message[KW_CELL_ID_MAX + 64];

	/* FDPOLL=0: a listener that hung up would be dropped, and this one never does. */
	(void)snprintf(message, sizeof(message), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	(void)sd_pid_notify_with_fds(0, 0, message, &fd, 1);
}

static void unstore(const char *name)
{
	char message[KW_CELL_ID_MAX + 64];

	(void)snprintf(message, sizeof(message), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	(void)sd_notify(0, message);
}

static void name_of(const char *cell_id, uint64_t inode, char *ret_name, size_t size)
{
	(void)snprintf(ret_name, size, KEPT "%" PRIu64 "-%s", inode, cell_id);
	for (char *c = strchr(ret_name, ':'); c; c = strchr(c, ':'))
		*c = COLON;
}

void kw_activation_keep_cell(const char *cell_id, uint64_t inode, int fd)
{
	char name[KW_CELL_ID_MAX + 32];

	name_of(cell_id, inode, name, sizeof(name));
	store(name, fd);
}

void kw_activation_unkeep_cell(const char *cell_id, uint64_t inode)
{
	char name[KW_CELL_ID_MAX + 32];

	name_of(cell_id, inode, name, sizeof(name));
	unstore(name);
}

void kw_activation_keep_vsock(int fd)
{
	store(KEPT_VSOCK, fd);
}

void kw_activation_unkeep_vsock(void)
{
	unstore(KEPT_VSOCK);
}
