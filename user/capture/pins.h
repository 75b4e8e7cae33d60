/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Pinned programs and maps below one directory of a bpffs (private to the room).
 *
 * Pinned, the programs go on recording while no daemon runs, and the ring keeps what they recorded.
 * A map's pin has its own name, a link's is "link_" and its program's name, that
 * program's "prog_" and its name (so that it can be asked what it cost by who may not look it up by id), and "meta" is pinned last:
 * pins with a fitting meta are complete, all others are leftovers. The directory is locked (flock) by
 * the daemon that uses it, so that two cannot share out one ring between them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/state.h"
#include "user/base/cleanup.h"

struct bpf_object;
struct bpf_link;

/* A link to pin: program's name and the link. */
struct kw_pins_link {
	const char *name;
	struct bpf_link *link;
};

/* The maps a daemon needs of pinned programs. Descriptors, -1 when not open. */
struct kw_pins_maps {
	int evidence;
	int losses;
	int losses_told;
	int counts;
	/* Not there in what older builds have left. */
	int bulk;
	int throttles;
	int throttles_told;
	int refusals;
	int refusals_told;
	int cgroup_losses;
	int cgroup_losses_told;
	int reader;
	int highs;
	int highs_told;
	int lifecycle;
	int killers;
};
#define KW_PINS_MAPS_NONE                                                                          \
	((struct kw_pins_maps){ -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 })

bool kw_pins_has_all_maps(const struct kw_pins_maps *maps);

void kw_pins_close_maps(struct kw_pins_maps *maps);

/* Opens path, made with mode 0700 when it is not there, and locks it. Returns a descriptor; -EEXIST
 * when a running daemon has it, -EOPNOTSUPP when it is not on a bpffs, or -errno. */
int kw_pins_open(const char *path) kw_must_check;

/* Opens what a loader has left, complete: its notes and the maps a daemon reads. 0; -ENOENT when there
 * is no such thing; or -errno. Whether it may be used is for the caller to judge by the notes. */
int kw_pins_read(const char *path, struct kw_pins_maps *ret_maps, struct kw_pin_meta *ret_meta)
	kw_must_check;

/* Whether path has the link of this program. */
bool kw_pins_has_link(const char *path, const char *program);

/* A program that was pinned here. Returns a descriptor; of a build that pinned links alone, found by its
 * id, which takes CAP_SYS_ADMIN: else -EPERM; or -errno. */
int kw_pins_open_program(const char *path, const char *name);

/* Pins all maps of object, the links and their programs, then meta. On failure nothing of it stays. 0 or -errno. */
int kw_pins_save(const char *path, struct bpf_object *object, const struct kw_pins_link *links,
		 size_t count) kw_must_check;

/* Removes every pin below path, meta first. 0 (also when there is no such directory) or -errno. */
int kw_pins_remove(const char *path);
