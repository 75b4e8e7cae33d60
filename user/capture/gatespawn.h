/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* The gate's process; private to capture. */
#include <sys/types.h>

#include "user/base/cleanup.h"

/* Starts program with link_fd (borrowed) as descriptor KW_GATE_FD, no environment, no signal blocked or
 * ignored, and nothing else that is ours. 0 or -errno, that of execve() included. */
int kw_gatespawn(const char *program, int link_fd, pid_t *ret_pid) kw_must_check;
