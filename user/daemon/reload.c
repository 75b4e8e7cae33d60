/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SIGHUP, as `systemctl reload` sends it: the files and the same command line are read anew into fresh
 * settings. Only when all of it is good does anything change, and what changed is said by name: a
 * witness must not lose its configuration to a typing error. systemd is told that a reload runs, with the
 * clock reading it asks for (sd_notify(3), RELOADING=1).
 */
#include "user/daemon/daemon.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "user/base/log.h"

struct outcome {
	unsigned int live;
	unsigned int later;
};

static void on_change(void *context, const char *section, const char *key, bool is_live)
{
	struct outcome *outcome = context;

	if (is_live)
		outcome->live++;
	else
		outcome->later++;
	kw_log(LOG_NOTICE, "reload: [%s] %s %s", section, key,
	       is_live ? "changed" : "differs in the files; it needs a restart");
}

static void notify_reloading(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
			 (unsigned long long)now.tv_sec * 1000000ULL +
				 (unsigned long long)now.tv_nsec / 1000ULL);
}

void kw_reload(struct kw_daemon *daemon)
{
	cleanup(kw_settings_done) struct kw_settings fresh = { .ledger = NULL };
	struct outcome outcome = { 0, 0 };
	int code, r;

	notify_reloading();
	r = kw_settings_init(&fresh);
	if (r < 0 || kw_options_parse(daemon->argc, daemon->argv, &fresh, &code) != 0) {
		kw_log(LOG_ERR,
		       "reload: the new configuration is refused; the one in force stays as it is");
		(void)sd_notify(0, "READY=1\nSTATUS=Recording. The last reload was refused.");
		return;
	}
	kw_settings_take_live(daemon->settings, &fresh, on_change, &outcome);
	daemon->pipeline.poll_interval_ns = daemon->settings->poll_interval_ns;
	daemon->pipeline.durability = daemon->settings->durability;
	kw_log(LOG_INFO, "reload: %u settings changed, %u wait for a restart", outcome.live,
	       outcome.later);
	(void)sd_notify(0, "READY=1\nSTATUS=Recording.");
}
