/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What the daemon says about itself: pages that http.c serves. They hold no secret and change nothing. */
#include <kwitness/names.h>

#include "user/daemon/daemon.h"

/* Prometheus' text format 0.0.4; errors stick to out. */
void kw_metrics_write(const struct kw_daemon *daemon, struct kw_bytes *out);
/* One JSON object, documented in kwitnessd(8). 0 or -ENOMEM. */
int kw_status_write(const struct kw_daemon *daemon, struct kw_bytes *out) kw_must_check;
/* Whether the daemon does its work: NULL, or why not, in words. */
const char *kw_status_trouble(const struct kw_daemon *daemon);
