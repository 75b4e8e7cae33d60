/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Guests' sockets that the service manager has bound before this program runs (sd_listen_fds(3)): a
 * guest that boots first waits in the backlog, and a socket may lie where the daemon could not make one.
 * FileDescriptorName=vsock is the AF_VSOCK listener, cell-<cellId> is a cell's. They are kept for the
 * daemon's whole life: a cell that is registered again gets its socket again.
 */
#include "user/daemon/daemon.h"

#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "user/base/log.h"

#define NAME_VSOCK "vsock"
#define NAME_CELL "cell-"

static bool is_ours(const char *name, int fd)
{
	if (strcmp(name, NAME_VSOCK) == 0)
		return sd_is_socket(fd, AF_VSOCK, SOCK_STREAM, 1) > 0;
	return strncmp(name, NAME_CELL, strlen(NAME_CELL)) == 0 &&
	       sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0;
}

void kw_activation_open(struct kw_activation *activation)
{
	int count;

	*activation = (struct kw_activation){ .vsock_fd = -1 };
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
			       "a socket named \"%s\" was handed in and is not used: \"vsock\" is a listening AF_VSOCK stream, \"cell-<cellId>\" a listening AF_UNIX stream",
			       name);
			(void)close(fd);
			activation->names[i][0] = '\0';
		} else if (strcmp(name, NAME_VSOCK) == 0) {
			activation->vsock_fd = fd;
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
	*activation = (struct kw_activation){ .vsock_fd = -1 };
}

int kw_activation_find(const struct kw_activation *activation, const char *cell_id)
{
	for (int i = 0; i < activation->count; i++) {
		const char *name = activation->names[i];

		if (strncmp(name, NAME_CELL, strlen(NAME_CELL)) == 0 &&
		    strcmp(name + strlen(NAME_CELL), cell_id) == 0)
			return SD_LISTEN_FDS_START + i;
	}
	return -1;
}
