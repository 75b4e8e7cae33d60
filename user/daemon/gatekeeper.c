/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The gate's life. It works on hostile bytes, so its end is an expected event: declared in the ledger,
 * and the gate started anew with a back-off, without which a guest that can crash it could keep the
 * daemon busy starting it.
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/log.h"

#define RECORDS_PER_TURN 64U
#define BACKOFF_FIRST_NS (250 * KW_NSEC_PER_MSEC)
#define BACKOFF_DOUBLINGS 7U /* 250 ms … 32 s */

static int on_gate(sd_event_source *source, int fd, uint32_t events, void *context)
{
	(void)source, (void)fd, (void)events;
	return kw_gatekeeper_turn(context);
}

static int watch(struct kw_daemon *daemon)
{
	int r;

	daemon->gate_source = sd_event_source_unref(daemon->gate_source);
	r = sd_event_add_io(daemon->event, &daemon->gate_source, kw_gatelink_fd(daemon->gate),
			    EPOLLIN, on_gate, daemon);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(daemon->gate_source, "gate");
	return sd_event_source_set_priority(daemon->gate_source, -30);
}

int kw_gatekeeper_start(struct kw_daemon *daemon)
{
	char beside[KW_PATH_MAX];
	const char *program = daemon->settings->gate;
	int r = 0;

	if (program[0] == '\0') {
		r = kw_startup_beside("kwitness-gate", beside, sizeof(beside));
		program = beside;
	}
	if (r == 0)
		r = kw_gatelink_open(program, daemon->clock, &daemon->gate);
	if (r == 0)
		r = watch(daemon);
	if (r == 0)
		return 0;
	(void)kw_log_error(r, "cannot start \"%s\"; guests will not be heard", program);
	return kw_pipeline_gap(&daemon->pipeline, KW_GAP_GATE, "gate", 0,
			       "the gate could not be started (%s): guests are not heard",
			       strerror(-r));
}

static void fail(struct kw_daemon *daemon, int error)
{
	unsigned int doublings = daemon->gate_failures;

	daemon->gate_source = sd_event_source_unref(daemon->gate_source);
	if (doublings > BACKOFF_DOUBLINGS)
		doublings = BACKOFF_DOUBLINGS;
	daemon->gate_failures++;
	daemon->gate_retry_boot_ns =
		kw_clock_boot_ns(daemon->clock) + (BACKOFF_FIRST_NS << doublings);
	kw_log(LOG_WARNING, "the gate %s; it is started anew",
	       error == -EPROTO ? "sent what no gate sends" : "ended");
	(void)kw_pipeline_gap(
		&daemon->pipeline, KW_GAP_GATE, "gate", 0,
		error == -EPROTO
			? "the gate sent what no gate sends and is replaced; frames in flight may be lost"
			: "the gate ended and is started anew; frames in flight may be lost");
}

int kw_gatekeeper_turn(struct kw_daemon *daemon)
{
	int r = kw_pipeline_ready(&daemon->pipeline);

	if (r < 0) {
		/* Guests wait in their sockets; housekeeping switches the source on again. */
		return sd_event_source_set_enabled(daemon->gate_source, SD_EVENT_OFF);
	}
	r = kw_gatelink_receive(daemon->gate, RECORDS_PER_TURN, kw_pipeline_observe,
				&daemon->pipeline);
	if (r == -EPIPE || r == -EPROTO)
		fail(daemon, r);
	return 0; /* a callback's error has been logged, and blocks by itself */
}

/* After a blocked ledger. A message whose callback failed is kept by the link and makes no socket
 * readable, so one turn is taken by hand. */
static void resume(struct kw_daemon *daemon)
{
	int enabled = SD_EVENT_ON;

	if (!daemon->gate_source || daemon->pipeline.blocked < 0 ||
	    sd_event_source_get_enabled(daemon->gate_source, &enabled) < 0 ||
	    enabled != SD_EVENT_OFF)
		return;
	(void)sd_event_source_set_enabled(daemon->gate_source, SD_EVENT_ON);
	(void)kw_gatekeeper_turn(daemon);
}

void kw_gatekeeper_retry(struct kw_daemon *daemon)
{
	uint64_t now = kw_clock_boot_ns(daemon->clock);
	int r;

	if (!daemon->gate || daemon->gate_source) {
		resume(daemon);
		/* Ten quiet back-offs: the next failure starts small again. */
		if (daemon->gate_failures > 0 &&
		    now > daemon->gate_retry_boot_ns + 10 * (BACKOFF_FIRST_NS << BACKOFF_DOUBLINGS))
			daemon->gate_failures = 0;
		return;
	}
	if (now < daemon->gate_retry_boot_ns)
		return;
	r = kw_gatelink_restart(daemon->gate);
	if (r == 0)
		r = watch(daemon);
	if (r < 0)
		fail(daemon, r);
}
