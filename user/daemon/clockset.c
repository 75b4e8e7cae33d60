/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Wakes the loop when the wall clock was set or the host has resumed: a timer of CLOCK_REALTIME with
 * TFD_TIMER_CANCEL_ON_SET, which never expires (timerfd_create(2); fs/timerfd.c, timerfd_clock_was_set() and
 * timerfd_resume()). Without it housekeeping sees the same a second later.
 */
#include <errno.h>
#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "user/base/cleanup.h"
#include "user/daemon/daemon.h"

/* The year 2242: later than any clock is set, and within ktime_t. */
#define NEVER_SEC 8589934592LL

static int arm(int fd)
{
	const struct itimerspec never = { .it_value = { .tv_sec = NEVER_SEC } };

	return timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0
		       ? -errno
		       : 0;
}

static int on_clock_set(sd_event_source *source, int fd, uint32_t events, void *context)
{
	struct kw_daemon *daemon = context;
	uint64_t expired;

	(void)events;
	/* ECANCELED: it was set. Whatever it says, it must be armed anew. */
	(void)!read(fd, &expired, sizeof(expired));
	if (arm(fd) < 0)
		(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	/* Or blocked, which is told there: then it is declared later. */
	(void)!kw_pipeline_ready(&daemon->pipeline);
	return 0;
}

int kw_clockset_start(struct kw_daemon *daemon)
{
	cleanup_close int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	sd_event_source *source = NULL;
	int r;

	if (fd < 0)
		return -errno;
	r = arm(fd);
	if (r == 0)
		r = sd_event_add_io(daemon->event, &source, fd, EPOLLIN, on_clock_set, daemon);
	if (r >= 0)
		r = sd_event_source_set_io_fd_own(source, true);
	if (r >= 0) {
		(void)take_fd(fd);
		(void)sd_event_source_set_description(source, "clock was set");
		r = sd_event_source_set_priority(source, -60);
	}
	if (r >= 0)
		r = sd_event_source_set_floating(source, true);
	sd_event_source_unref(source);
	return r < 0 ? r : 0;
}
