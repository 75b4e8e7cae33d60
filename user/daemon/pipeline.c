/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The whole way of an observation, in one function: start reading here.
 *
 * The ledger is the only queue: an observation is signed and appended in the turn in which it was
 * read, and only then is its slot in the kernel's ring released. When the ledger cannot take a line
 * (disk full, I/O error) the lines of the one observation in hand wait in memory, already signed and
 * in their place of the chain, and nothing more is consumed: evidence waits in the kernel's ring.
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "user/base/log.h"

/* What one turn may append at most: 64 records, each with a line of usual size. */
#define TURN_BYTES (64U * 8192U)

int kw_pipeline_observe(void *context, const struct kw_observation *observation)
{
	struct kw_daemon *daemon = context;
	struct kw_attributed attributed;
	int r;

	kw_attribute_observation(daemon->attribute, observation, &attributed);
	r = kw_reconcile_observe(daemon->reconcile, &attributed); /* → kw_pipeline_finding() */
	if (r < 0)
		return kw_log_error(r, "cannot finish an observation");
	if (observation->kind == KW_OBSERVATION_OOM_KILL ||
	    observation->kind == KW_OBSERVATION_OOM_END)
		kw_ledger_request_sync(daemon->ledger);
	return daemon->blocked;
}

static void block(struct kw_daemon *daemon, int error)
{
	if (daemon->blocked == 0) {
		daemon->blocked_boot_ns = kw_clock_boot_ns(daemon->clock);
		(void)kw_log_error(
			error,
			"the ledger in \"%s\" takes no lines; evidence waits in the kernel's ring until it does",
			daemon->settings->ledger);
		(void)sd_notifyf(0, "STATUS=Ledger takes no lines: %s", strerror(-error));
	}
	daemon->blocked = error;
}

/* The chain's head has moved past the line already: it must not be lost, so it waits in memory. */
static int keep_for_later(struct kw_daemon *daemon, uint64_t sequence, int error)
{
	if (daemon->pending.length == 0)
		daemon->pending_first = sequence;
	kw_bytes_append(&daemon->pending, daemon->line.data, daemon->line.length);
	block(daemon, error);
	return kw_bytes_error(&daemon->pending);
}

int kw_pipeline_finding(void *context, const struct kw_finding *finding)
{
	struct kw_daemon *daemon = context;
	uint64_t sequence = kw_attest_head(daemon->attest).sequence + 1;
	int r;

	/* The same record read twice: the daemon died between append and release of the slot. */
	if (finding->event_id[0] && kw_ledger_has_id(daemon->ledger, finding->event_id))
		return 0;
	r = kw_attest_finding(daemon->attest, finding, &daemon->line);
	if (r < 0)
		return r;
	r = daemon->pending.length > 0 ? daemon->blocked
				       : kw_ledger_append(daemon->ledger, sequence,
							  daemon->line.data, daemon->line.length);
	if (r < 0)
		r = keep_for_later(daemon, sequence, r);
	if (r < 0)
		return r;
	kw_attest_commit(daemon->attest);
	return 0;
}

int kw_pipeline_read(void *context, const char *path, struct kw_reading *ret_reading)
{
	struct kw_daemon *daemon = context;

	return kw_poller_read_now(daemon->poller, path, ret_reading);
}

/* Writes waiting lines in their order; stops at the first that does not fit. */
static int write_pending(struct kw_daemon *daemon)
{
	size_t done = 0;
	int r = 0;

	while (done < daemon->pending.length) {
		const char *line = daemon->pending.data + done;
		const char *newline = memchr(line, '\n', daemon->pending.length - done);
		size_t length = (size_t)(newline - line) + 1; /* every line ends in one */

		r = kw_ledger_append(daemon->ledger, daemon->pending_first, line, length);
		if (r < 0)
			break;
		daemon->pending_first++;
		done += length;
	}
	if (done > 0) {
		memmove(daemon->pending.data, daemon->pending.data + done,
			daemon->pending.length - done);
		daemon->pending.length -= done;
	}
	return r;
}

int kw_pipeline_ready(struct kw_daemon *daemon)
{
	int r = kw_ledger_has_space(daemon->ledger, TURN_BYTES);

	if (r == 0 && daemon->blocked < 0)
		r = write_pending(daemon);
	if (r < 0) {
		block(daemon, r);
		return r;
	}
	if (daemon->blocked < 0) {
		uint64_t since = daemon->blocked_boot_ns;
		int why = daemon->blocked;

		daemon->blocked = 0;
		kw_log(LOG_NOTICE, "the ledger takes lines again");
		(void)sd_notify(0, "STATUS=Recording.");
		return kw_pipeline_gap(
			daemon, KW_GAP_FILE, "ledger", since,
			"the ledger could not be written (%s); records waited in the kernel's ring, and what did not fit there is declared as lost",
			strerror(-why));
	}
	return 0;
}

int kw_pipeline_gap(struct kw_daemon *daemon, enum kw_gap_kind kind, const char *stage,
		    uint64_t from_boot_ns, const char *format, ...)
{
	uint64_t now = kw_clock_boot_ns(daemon->clock);
	struct kw_gap gap = { .kind = kind, .from_boot_ns = from_boot_ns, .to_boot_ns = now };
	va_list arguments;
	int r;

	(void)snprintf(gap.stage, sizeof(gap.stage), "%s", stage);
	va_start(arguments, format);
	(void)vsnprintf(gap.reason, sizeof(gap.reason), format, arguments);
	va_end(arguments);
	r = kw_reconcile_gap(daemon->reconcile, &gap, now);
	if (r < 0)
		return kw_log_error(r, "cannot declare a gap (%s)", gap.reason);
	return 0;
}
