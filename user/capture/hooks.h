/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What hooks.c (open, pin, adopt), drain.c (records, losses) and bulk.c share. Private to the room. */
#include "user/capture/capture.h"
#include "user/capture/load.h"
#include "user/capture/pins.h"
#include "user/capture/ring.h"

/* pins, mark_victim, and four groups in two tiers. */
#define KW_ATTEMPTS_MAX 12

struct kw_hooks {
	const struct kw_clock *clock;
	struct kw_loaded loaded; /* empty when adopted */
	struct kw_combination combination;
	struct kw_pins_maps maps;
	struct kw_ring ring;
	struct kw_ring bulk;
	/* What programs of another build left unread: drained before the ring, then closed. */
	struct kw_pins_maps previous_maps;
	struct kw_ring previous;
	uint64_t previous_until_ns; /* later than this, our own programs have seen it */
	int pin_fd;		    /* the lock; -1: not pinned */
	bool is_pinned;
	int recording_fd; /* -1: none; not owned */
	struct kw_hook_attempt attempts[KW_ATTEMPTS_MAX];
	size_t attempt_count;
};

/* One turn of reading a ring. */
struct kw_drain_turn {
	struct kw_hooks *hooks;
	bool is_previous; /* reading what another build's programs left */
	kw_observation_fn callback;
	void *context;
};

/* Checks a record and gives it to the turn's callback; a kw_ring_fn with a struct kw_drain_turn. */
int kw_drain_take(void *context, const void *record, size_t length);

/* refusals.c. A record of refused forks does not know how many were told before: fills that in. Returns
 * whether any of it is new; *ret_record is then what to tell. */
bool kw_refusals_complete(const struct kw_drain_turn *turn, const struct kw_record_pids *record,
			  struct kw_record_pids *ret_record);
/* It was told: remembers how many. 0 or -errno. */
int kw_refusals_told(const struct kw_drain_turn *turn, const struct kw_record_pids *record);
/* Tells what no record has told. 0 or the callback's error. */
int kw_refusals_scan(struct kw_drain_turn *turn);
