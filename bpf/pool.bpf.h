/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Scratches for hooks that run in several tasks at once and can be preempted: an array map whose values
 * begin with `__u64 is_taken`. A scratch belongs to who has taken it.
 */
#include "maps.bpf.h"

/* number: of the map's entries, a power of two and a constant. NULL: all are taken. */
#define take_scratch(map, type, number)                                                            \
	({                                                                                         \
		__u32 first_ = bpf_get_smp_processor_id(), i_;                                     \
		type *taken_ = NULL;                                                               \
		_Pragma("unroll") for (i_ = 0; i_ < (number); i_++)                                \
		{                                                                                  \
			__u32 at_ = (first_ + i_) & ((number)-1);                                  \
			type *free_ = bpf_map_lookup_elem((map), &at_);                            \
			if (free_ && !__sync_val_compare_and_swap(&free_->is_taken, 0, 1)) {       \
				taken_ = free_;                                                    \
				break;                                                             \
			}                                                                          \
		}                                                                                  \
		taken_;                                                                            \
	})

#define give_scratch(scratch) ((void)__sync_fetch_and_and(&(scratch)->is_taken, 0))
