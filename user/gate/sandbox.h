/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Takes from this process whatever the gate does not need, before it reads the first guest byte: the
 * daemon's protection from the OOM killer, its user, capabilities, resources, and all system calls but
 * the few of its loop.
 */
#include "user/base/cleanup.h"

/* Enters the sandbox; there is no way back. 0, or -errno with *ret_step naming what failed (static
 * text): the gate must then end. */
int kw_sandbox_enter(const char **ret_step) kw_must_check;
