/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What hooks.c (open, pin, adopt), drain.c (records, losses) and bulk.c share. Private to the room. */
#include "user/capture/capture.h"
#include "user/capture/load.h"
#include "user/capture/pins.h"
#include "user/capture/ring.h"

/* pins (twice), mark_victim, cgroup_mkdir, and five groups in two tiers. */
#define KW_ATTEMPTS_MAX 16

/* The attached programs, held open to be asked what they cost. */
struct kw_costs {
	struct {
		const char *name; /* static */
		int fd;
	} programs[KW_LOAD_LINKS_MAX];
	size_t count;
	int error; /* negative errno: one could not be opened */
};

struct kw_hooks {
	const struct kw_clock *clock;
	struct kw_loaded loaded; /* empty when adopted */
	struct kw_combination combination;
	struct kw_pins_maps maps;
	struct kw_ring ring;
	struct kw_ring bulk;
	struct kw_ring lifecycle;
	/* What programs of another build left unread: drained before the ring, then closed. */
	struct kw_pins_maps previous_maps;
	struct kw_ring previous;
	bool is_previous_foreign;     /* of another record version: counted, not read */
	uint64_t previous_foreign;    /* how many, until now */
	struct kw_handover *handover; /* NULL: nothing is, or was lately, being replaced */
	const char *pin_path;	      /* borrowed */
	enum kw_tier ceiling;
	int pin_fd; /* the lock; -1: not pinned */
	bool is_pinned;
	int recording_fd; /* -1: none; not owned */
	struct kw_costs costs;
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

/* The maps that the turn reads. */
static inline const struct kw_pins_maps *kw_drain_maps(const struct kw_drain_turn *turn)
{
	return turn->is_previous ? &turn->hooks->previous_maps : &turn->hooks->maps;
}

/* "oom_kill_process" … */
const char *kw_hooks_group_name(enum kw_hook_group group);

/* Pins the programs that have taken the place of others, whose pins go. */
void kw_hooks_pin(struct kw_hooks *hooks);

/* bulk.c: ends every episode of throttling that the programs being replaced have begun, and tells what
 * their bulk ring and their refusals have left. 0 or the callback's error. */
int kw_bulk_finish_previous(struct kw_drain_turn *turn);

/* ---- costs.c ---- */

/* Opens the attached programs: when hooks are opened, for what was taken over may not be had later. */
void kw_costs_open(struct kw_hooks *hooks);
void kw_costs_close(struct kw_costs *costs);

/* ---- losses.c ---- */

/* Tells what the turn's maps have counted and nobody has told. 0, the callback's error, or -errno. */
int kw_losses_tell(struct kw_drain_turn *turn);

/* ---- handover.c: programs of another build are replaced, and no OOM is told twice ---- */

struct kw_handover;

/* from_boot_ns: before the first of the new programs was attached. 0 or -ENOMEM. */
int kw_handover_begin(struct kw_hooks *hooks, uint64_t from_boot_ns) kw_must_check;
void kw_handover_free(struct kw_hooks *hooks);
/* A record of the programs being replaced was told: remembers what of it the new ones will tell too. */
void kw_handover_told(struct kw_handover *handover, const struct kw_observation *observation);
/* Whether a record of the new programs is news. May point observation to a copy of the record that is
 * the handover's, with the number under which its incident was begun. */
bool kw_handover_is_news(struct kw_handover *handover, struct kw_observation *observation);
/* The old ring was read to its end: what is remembered may go some time after this. */
void kw_handover_close(struct kw_handover *handover, uint64_t now_boot_ns);
/* Whether nothing of it can matter any more. */
bool kw_handover_is_over(const struct kw_handover *handover, uint64_t now_boot_ns);

/* ---- reader.c ---- */

/* Remembers that the evidence ring is read to its end now, if it is. */
void kw_reader_mark(struct kw_hooks *hooks);

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
