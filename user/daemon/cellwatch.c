/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a change in the registry of cells means for the other rooms: a socket to bind or to forget, a
 * cgroup to poll, a refusal to declare. One bad file never stops the others.
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <string.h>

#include "user/base/log.h"

static void refuse(struct kw_daemon *daemon, const char *what, const char *reason)
{
	kw_log(LOG_WARNING, "cell %s: %s", what, reason);
	(void)kw_pipeline_gap(daemon, KW_GAP_CELL, "cells", 0, "cell %s: %s", what, reason);
}

static void add(struct kw_daemon *daemon, const struct kw_cell *cell)
{
	int r;

	kw_log(LOG_INFO, "cell %s registered (run %s)", cell->cell_id, cell->run_id);
	if (cell->cgroup_path[0]) {
		r = kw_poller_add(daemon->poller, cell->handle, cell->cgroup_path);
		if (r < 0)
			refuse(daemon, cell->cell_id, strerror(-r));
	}
	if (!cell->vsock_uds_base[0])
		return;
	r = daemon->gate ? kw_gatelink_listen_unix(daemon->gate, cell->handle, cell->vsock_uds_base)
			 : -EPIPE;
	if (r == -EEXIST)
		refuse(daemon, cell->cell_id,
		       "something that is no socket stands at its socket path");
	else if (r == -EADDRINUSE)
		refuse(daemon, cell->cell_id, "another program listens on its socket path");
	else if (r == -EPIPE)
		refuse(daemon, cell->cell_id, "no gate runs: its guest cannot be heard");
	else if (r < 0)
		refuse(daemon, cell->cell_id, strerror(-r));
}

void kw_cellwatch_change(void *context, enum kw_cell_change change, const struct kw_cell *cell,
			 const char *file, const char *refusal)
{
	struct kw_daemon *daemon = context;

	switch (change) {
	case KW_CELL_ADDED:
		add(daemon, cell);
		return;
	case KW_CELL_REMOVED:
		kw_log(LOG_INFO, "cell %s unregistered", cell->cell_id);
		kw_poller_remove(daemon->poller, cell->handle);
		if (daemon->gate && cell->vsock_uds_base[0])
			kw_gatelink_forget(daemon->gate, cell->handle);
		return;
	case KW_CELL_REFUSED:
		refuse(daemon, file, refusal);
		return;
	default:
		kw_unreachable();
	}
}
