/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a change in the registry of cells means for the gate: a socket to bind, one that was handed in, a
 * CID to admit, or all of it to forget. The rest is the pipeline's: a cgroup to poll, a refusal to
 * declare. One bad file never stops the others.
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <string.h>

/* What cannot be heard is declared, with a remedy where there is one. */
static void refuse(struct kw_daemon *daemon, const struct kw_cell *cell, int error)
{
	const char *words = strerror(-error);

	if (error == -EEXIST)
		words = "something that is no socket stands at its socket path";
	else if (error == -EADDRINUSE)
		words = "another program listens on its socket path";
	else if (error == -ELOOP)
		words = "a symbolic link stands in its socket path: name the directory itself";
	else if (error == -EPIPE)
		words = "no gate runs: its guest cannot be heard";
	kw_pipeline_refuse_cell(&daemon->pipeline, cell->cell_id, words);
}

/* The socket that a former daemon had bound and the manager has kept, if its file is still there. */
static int hear_kept(struct kw_daemon *daemon, const struct kw_cell *cell)
{
	uint64_t inode;
	int fd = kw_activation_find_kept(&daemon->activation, cell->cell_id, &inode);
	int r = -ENOENT;

	if (fd >= 0)
		r = kw_gatelink_listen_kept(daemon->gate, cell->handle, cell->vsock_uds_base, inode,
					    fd);
	if (fd >= 0 && r < 0)
		kw_activation_unkeep_cell(cell->cell_id, inode);
	return r;
}

static int hear_bound(struct kw_daemon *daemon, const struct kw_cell *cell,
		      const struct kw_socket_access *access)
{
	int r = hear_kept(daemon, cell);
	uint64_t inode;
	int fd;

	if (r == 0)
		return 0;
	r = kw_gatelink_listen_unix(daemon->gate, cell->handle, cell->vsock_uds_base, access);
	fd = r == 0 ? kw_gatelink_listener(daemon->gate, cell->handle, &inode) : -1;
	if (fd >= 0)
		kw_activation_keep_cell(cell->cell_id, inode, fd);
	return r;
}

static void unhear(struct kw_daemon *daemon, const struct kw_cell *cell)
{
	uint64_t inode;

	if (kw_gatelink_listener(daemon->gate, cell->handle, &inode) >= 0)
		kw_activation_unkeep_cell(cell->cell_id, inode);
}

static void hear_unix(struct kw_daemon *daemon, const struct kw_cell *cell)
{
	struct kw_socket_access access = daemon->settings->socket_access;
	int fd = kw_activation_find(&daemon->activation, cell->cell_id);
	int r;

	if (cell->has_uds_uid)
		access.uid = cell->vsock_uds_uid;
	if (cell->has_uds_gid)
		access.gid = cell->vsock_uds_gid;
	if (fd >= 0)
		r = kw_gatelink_listen_fd(daemon->gate, cell->handle, fd);
	else if (cell->vsock_uds_base[0])
		r = hear_bound(daemon, cell, &access);
	else
		return;
	if (r < 0)
		refuse(daemon, cell, r);
}

static void hear_vsock(struct kw_daemon *daemon, const struct kw_cell *cell)
{
	bool is_first = kw_gatelink_vsock_listener(daemon->gate) < 0;
	int r = kw_gatelink_listen_vsock(daemon->gate, daemon->activation.vsock_fd);

	if (r == 0 && is_first && daemon->activation.vsock_fd < 0)
		kw_activation_keep_vsock(kw_gatelink_vsock_listener(daemon->gate));

	if (r == 0)
		r = kw_gatelink_admit(daemon->gate, cell->handle, cell->vsock_cid);
	if (r == -EAFNOSUPPORT)
		kw_pipeline_refuse_cell(
			&daemon->pipeline, cell->cell_id,
			"this kernel has no AF_VSOCK (modprobe vhost_vsock): its CID cannot be heard");
	else if (r == -EADDRINUSE)
		kw_pipeline_refuse_cell(
			&daemon->pipeline, cell->cell_id,
			"another program listens on AF_VSOCK port 9001: its CID cannot be heard");
	else if (r < 0)
		refuse(daemon, cell, r);
}

static void hear(struct kw_daemon *daemon, const struct kw_cell *cell)
{
	if (!daemon->gate) {
		if (cell->vsock_uds_base[0] || cell->vsock_cid != 0)
			refuse(daemon, cell, -EPIPE);
		return;
	}
	hear_unix(daemon, cell);
	if (cell->vsock_cid != 0)
		hear_vsock(daemon, cell);
}

void kw_cellwatch_change(void *context, enum kw_cell_change change, const struct kw_cell *cell,
			 const char *file, const char *refusal)
{
	struct kw_daemon *daemon = context;

	kw_pipeline_cell(&daemon->pipeline, change, cell, file, refusal);
	if (change == KW_CELL_ADDED) {
		hear(daemon, cell);
	} else if (change == KW_CELL_REMOVED && daemon->gate) {
		unhear(daemon, cell);
		kw_gatelink_forget(daemon->gate, cell->handle);
	}
}

static void unkeep(void *context, enum kw_cell_change change, const struct kw_cell *cell,
		   const char *file, const char *refusal)
{
	(void)change, (void)file, (void)refusal;
	unhear(context, cell);
}

void kw_cellwatch_stop(struct kw_daemon *daemon)
{
	if (!daemon->gate)
		return;
	kw_cells_each(daemon->pipeline.cells, unkeep, daemon);
	kw_activation_unkeep_vsock();
}
