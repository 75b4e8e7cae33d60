/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
#include <kwitness/limits.h>

#include "user/base/bytes.h"

/* Appends the page ("/status") that the daemon serves on the Unix socket at socket_path to out. 0; -ENOENT and
 * -ECONNREFUSED: no daemon there; -EACCES: not for us; -ETIMEDOUT: it does not answer; -EPROTO: not what it
 * answers; -errno. */
int kw_ask(const char *socket_path, const char *page, struct kw_bytes *out) kw_must_check;
