/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What the daemon says about itself: pages that http.c serves. They hold no secret and change nothing. */
#include <jansson.h>
#include <kwitness/names.h>

#include "user/daemon/daemon.h"

/* What the programs have cost, and whether the kernel counts that now. */
struct kw_status_costs {
	int counting; /* 1; 0: not now; -errno: not known */
	int count;    /* of programs; -errno: they could not be asked */
	struct kw_hook_cost programs[KW_HOOK_COSTS_MAX];
};
void kw_status_read_costs(const struct kw_daemon *daemon, struct kw_status_costs *ret_costs);
/* {statistics, programs: [{program, runs, runTimeNs}]}; the caller's. NULL: -ENOMEM. */
json_t *kw_status_costs_json(const struct kw_status_costs *costs);
/* The same as metrics; errors stick to out. */
void kw_metrics_write_costs(const struct kw_status_costs *costs, struct kw_bytes *out);

/* The wall clock; sync NULL: not known. */
void kw_metrics_write_clock(const struct kw_clockwatch *watch, const struct kw_clock_sync *sync,
			    struct kw_bytes *out);
json_t *kw_status_clock_json(const struct kw_clockwatch *watch, const struct kw_clock_sync *sync);

/* Prometheus' text format 0.0.4; errors stick to out. */
void kw_metrics_write(const struct kw_daemon *daemon, struct kw_bytes *out);
/* One JSON object, documented in kwitnessd(8). 0 or -ENOMEM. */
int kw_status_write(const struct kw_daemon *daemon, struct kw_bytes *out) kw_must_check;
/* Whether the daemon does its work: NULL, or why not, in words. */
const char *kw_status_trouble(const struct kw_daemon *daemon);
