/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * One sink: stderr, one line a message, with a <priority> prefix when systemd reads it.
 * Rooms do not log above debug: user/daemon and user/cli do, once, where an error is handled.
 */
#include <syslog.h>

#include "cleanup.h"

/* Name before each message ("kwitnessd"); borrowed. maximum: LOG_INFO, or LOG_DEBUG for more. */
void kw_log_setup(const char *program, int maximum);

void kw_log(int priority, const char *format, ...) kw_printf(2, 3);

/* Logs "<message>: <strerror(-error)>" at LOG_ERR and returns error, for `return kw_log_error(r, …)`. */
int kw_log_error(int error, const char *format, ...) kw_printf(2, 3);
