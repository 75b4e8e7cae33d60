/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Why the kernel would not have it, in words (private to the room). */
#include "user/capture/capture.h"

/* One line on why hook was refused in tier with this negative errno, and what would change it. */
void kw_refusal_describe_hook(enum kw_tier tier, int error, char *ret_text, size_t size);
/* The same for the directory of pins. */
void kw_refusal_describe_pins(int error, char *ret_text, size_t size);
