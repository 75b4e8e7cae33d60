/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * finding -> the parts of an event that do not depend on the chain. Private to the room. One
 * event_<kind>.c per family; what they share (cgroup, cell, victim, limit owner) is in event.c.
 * Fields: docs/events.md.
 */
#include <kwitness/names.h>

#include "user/attest/attest.h"
#include "user/attest/canonical.h"

struct kw_event {
	char type[KW_TYPE_MAX];
	struct kw_bytes subject;  /* not JSON-escaped; empty: none */
	struct kw_bytes data;	  /* canonical JSON */
	uint64_t time_real_ns;	  /* of the occurrence */
	uint32_t victims_omitted; /* OOM_INCIDENT: left out of `victims`, all reasons */
};

/* Victims that an incident names at most in this try. */
struct kw_event_limits {
	uint32_t victims;
};

/* Fills event (subject and data are cleared first). 0, -EMSGSIZE: data passes its maximum, -EINVAL:
 * no finding of ours, -errno. */
int kw_event_make(const struct kw_finding *finding, const struct kw_clock *clock,
		  const struct kw_event_limits *limits, struct kw_event *event) kw_must_check;

/* The event of a checkpoint; no finding, because it is about lines. 0 or -errno. */
int kw_event_checkpoint(const struct kw_checkpoint *checkpoint, const struct kw_key *key,
			const char *source, const struct kw_clock *clock, struct kw_event *event)
	kw_must_check;

/* What a change of keys says, and the place that the next key signs for. */
struct kw_rotation {
	const struct kw_key *previous;
	const struct kw_key *next;
	enum kw_rotation_reason reason;
	const char *source;
	const struct kw_chain_head *head; /* the line behind it */
};
/* The event of a change of keys. 0 or -errno. */
int kw_event_key(const struct kw_rotation *rotation, const struct kw_clock *clock,
		 struct kw_event *event) kw_must_check;

/* ---- tree.c ---- */

/* Adds a line by the two hashes of it. */
void kw_attest_tree_grow(struct kw_attest_tree *tree,
			 const unsigned char leaf[static KW_TREE_HASH_BYTES],
			 const unsigned char hash[static 32]);

/* ---- what the kinds share ---- */

/* Whoever reads a record's data writes members in ascending order of their names; these write one
 * member each, or none when there is nothing to say. */
void kw_event_member_cgroup(struct kw_json *json, const char *key,
			    const struct kw_identity *cgroup);
void kw_event_member_limit_owner(struct kw_json *json, const struct kw_oom_context *oom,
				 const struct kw_identity *owner);
/* State of a memory cgroup, as members of the object under way; none when it is not known. */
void kw_event_members_memcg(struct kw_json *json, const struct kw_memcg_state *state);
void kw_event_member_trigger(struct kw_json *json, const struct kw_oom_context *oom,
			     const struct kw_identity *trigger);
void kw_event_member_received(struct kw_json *json, const struct kw_finding *finding,
			      const struct kw_clock *clock);
void kw_event_member_memory_events(struct kw_json *json, const char *key,
				   const struct kw_memory_events *events);
/* Bytes of a limit: "max" where there is none. */
void kw_event_member_limit(struct kw_json *json, const char *key, uint64_t bytes);
/* Of stalls shorter than each bound, and not shorter than the next lower one; "inf": all that are longer. */
void kw_event_member_histogram(struct kw_json *json, const struct kw_throttled *said);
/* NULL: no member. */
void kw_event_member_state(struct kw_json *json, const char *key, const struct kw_state *state);
/* Members of a victim; event_id: of its oom_kill event, NULL inside that event itself. */
void kw_event_victim(struct kw_json *json, const struct kw_victim *victim,
		     const struct kw_identity *cgroup, const char *event_id);
/* Cell of a finding, or NULL. */
const struct kw_cell *kw_event_cell(const struct kw_finding *finding);
/* "cell:<id>" when there is a cell, else "cgroup:<path>" when that is known, else nothing. */
void kw_event_subject(struct kw_event *event, const struct kw_cell *cell,
		      const struct kw_identity *cgroup);
const char *kw_event_constraint_name(uint32_t constraint);

/* ---- the kinds: type, subject and data ---- */

int kw_event_oom_kill(const struct kw_finding *finding, const struct kw_clock *clock,
		      struct kw_event *event) kw_must_check;
int kw_event_oom_incident(const struct kw_finding *finding, const struct kw_clock *clock,
			  const struct kw_event_limits *limits, struct kw_event *event)
	kw_must_check;
int kw_event_cgroup(const struct kw_finding *finding, const struct kw_clock *clock,
		    struct kw_event *event) kw_must_check;
int kw_event_guest(const struct kw_finding *finding, const struct kw_clock *clock,
		   struct kw_event *event) kw_must_check;
int kw_event_gap(const struct kw_finding *finding, const struct kw_clock *clock,
		 struct kw_event *event) kw_must_check;
int kw_event_throttle(const struct kw_finding *finding, const struct kw_clock *clock,
		      struct kw_event *event) kw_must_check;
int kw_event_high(const struct kw_finding *finding, const struct kw_clock *clock,
		  struct kw_event *event) kw_must_check;
int kw_event_pids(const struct kw_finding *finding, const struct kw_clock *clock,
		  struct kw_event *event) kw_must_check;
int kw_event_counter_kill(const struct kw_finding *finding, const struct kw_clock *clock,
			  struct kw_event *event) kw_must_check;
int kw_event_parity(const struct kw_finding *finding, const struct kw_clock *clock,
		    struct kw_event *event) kw_must_check;
int kw_event_account(const struct kw_finding *finding, const struct kw_clock *clock,
		     struct kw_event *event) kw_must_check;
/* The wall clock's state, as members of an open object. */
void kw_event_members_sync(struct kw_json *json, const struct kw_clock_sync *sync);
/* The totals of parity, as a member of an account and of a checkpoint. */
void kw_event_member_parity(struct kw_json *json, const char *key,
			    const struct kw_parity_totals *totals);
int kw_event_userspace_kill(const struct kw_finding *finding, const struct kw_clock *clock,
			    struct kw_event *event) kw_must_check;
int kw_event_crosscheck(const struct kw_finding *finding, const struct kw_clock *clock,
			struct kw_event *event) kw_must_check;
int kw_event_silence(const struct kw_finding *finding, const struct kw_clock *clock,
		     struct kw_event *event) kw_must_check;
