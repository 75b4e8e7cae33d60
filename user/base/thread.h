/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What a thread of ours gives up when it begins. */

/* Gives up every capability of the calling thread, and of no other, for good: capabilities belong to
 * threads (capabilities(7)), so what the main thread drops later would stay with the others. Cannot fail: less
 * is always allowed (kernel/capability.c, cap_capset). */
void kw_thread_drop_capabilities(void);
