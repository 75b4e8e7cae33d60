/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * systemd's watchdog. sd-event could feed it from any turn of the loop; here only work done counts: the
 * evidence ring is empty, or shorter than at the last turn. A ledger that takes no lines is not cured by
 * a restart, and evidence is meant to wait in the ring then: that is no reason to be killed either.
 */
#include "user/daemon/daemon.h"

#include <systemd/sd-daemon.h>

void kw_watchdog_start(struct kw_daemon *daemon)
{
	uint64_t usec = 0;

	if (sd_watchdog_enabled(0, &usec) > 0)
		daemon->watchdog_ns = usec * KW_NSEC_PER_USEC / 2; /* sd_watchdog_enabled(3) */
}

void kw_watchdog_turn(struct kw_daemon *daemon)
{
	uint64_t now = kw_clock_boot_ns(daemon->clock);
	uint64_t backlog = kw_hooks_backlog(daemon->hooks);
	bool is_working = backlog == 0 || backlog < daemon->watchdog_backlog_bytes ||
			  daemon->pipeline.blocked < 0;

	daemon->watchdog_backlog_bytes = backlog;
	if (daemon->watchdog_ns == 0 || !is_working ||
	    now - daemon->watchdog_boot_ns < daemon->watchdog_ns)
		return;
	daemon->watchdog_boot_ns = now;
	(void)sd_notify(0, "WATCHDOG=1");
}
