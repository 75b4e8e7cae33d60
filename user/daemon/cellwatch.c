/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a change in the registry of cells means for the gate: a socket to bind or to forget. The rest is
 * the pipeline's: a cgroup to poll, a refusal to declare. One bad file never stops the others.
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <string.h>

static void hear(struct kw_daemon *daemon, const struct kw_cell *cell)
{
	int r;

	if (!cell->vsock_uds_base[0])
		return;
	r = daemon->gate ? kw_gatelink_listen_unix(daemon->gate, cell->handle, cell->vsock_uds_base)
			 : -EPIPE;
	if (r == -EEXIST)
		kw_pipeline_refuse_cell(&daemon->pipeline, cell->cell_id,
					"something that is no socket stands at its socket path");
	else if (r == -EADDRINUSE)
		kw_pipeline_refuse_cell(&daemon->pipeline, cell->cell_id,
					"another program listens on its socket path");
	else if (r == -EPIPE)
		kw_pipeline_refuse_cell(&daemon->pipeline, cell->cell_id,
					"no gate runs: its guest cannot be heard");
	else if (r < 0)
		kw_pipeline_refuse_cell(&daemon->pipeline, cell->cell_id, strerror(-r));
}

void kw_cellwatch_change(void *context, enum kw_cell_change change, const struct kw_cell *cell,
			 const char *file, const char *refusal)
{
	struct kw_daemon *daemon = context;

	kw_pipeline_cell(&daemon->pipeline, change, cell, file, refusal);
	if (change == KW_CELL_ADDED)
		hear(daemon, cell);
	else if (change == KW_CELL_REMOVED && daemon->gate && cell->vsock_uds_base[0])
		kw_gatelink_forget(daemon->gate, cell->handle);
}
