/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Loading and attaching the programs of bpf/ (private to the room).
 *
 * Out: a set of programs that is loaded and attached, or nothing at all. A program that the kernel
 * refuses fails the whole object (libbpf 1.1), so each attempt opens the skeleton anew with only the
 * wanted programs switched on.
 */
#include "bpf/state.h"
#include "user/capture/capture.h"
#include "user/capture/pins.h"

struct bpf_object;
struct kwitness;

/* Three groups with two programs each, throttling with four, lifecycle with five, one for pids.max,
 * one for signals, and mark_victim. */
#define KW_LOAD_LINKS_MAX KW_HOOK_COSTS_MAX

/* A tier per group; KW_TIER_FILES: not hooked. */
struct kw_combination {
	enum kw_tier tier[KW_GROUP_COUNT_];
};
#define KW_COMBINATION_NONE                                                                        \
	((struct kw_combination){ { [0 ... KW_GROUP_COUNT_ - 1] = KW_TIER_FILES } })

/* Loaded programs and their links. */
struct kw_loaded {
	struct kwitness *skeleton;
	struct kw_pins_link links[KW_LOAD_LINKS_MAX];
	size_t link_count;
};

/* Told of each attempt: error 0 or negative errno. */
typedef void (*kw_load_note_fn)(void *context, enum kw_hook_group group, enum kw_tier tier,
				int error);

/* The programs of group in tier, one after the other: program number index, or NULL. */
const char *kw_load_program(const struct kw_combination *combination, size_t index);
/* How many programs there are in all: bound of index above. */
size_t kw_load_program_count(void);

/* Tells builds of the BPF object apart. */
uint64_t kw_load_build_id(void);

/* Loads and attaches the best combination at or below options->ceiling. 0, or -errno when not even mark_victim
 * can be had. Free with kw_load_free(). */
int kw_load_best(const struct kw_hooks_options *options, kw_load_note_fn note, void *context,
		 struct kw_loaded *ret_loaded, struct kw_combination *ret_combination)
	kw_must_check;

/* Lets go of the programs; they end unless their links are pinned. A cleared struct is fine. */
void kw_load_free(struct kw_loaded *loaded, bool is_pinned);

struct bpf_object *kw_load_object(const struct kw_loaded *loaded);
