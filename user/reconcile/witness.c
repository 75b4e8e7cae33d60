/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Takes down, for each registered cell, what its guest claims and what the host sees of it. A bounded
 * record: the last of each kind, never a list, so a guest that talks a lot costs no more than one that
 * does not. What a frame cannot have said is told apart here (frame_flags); what follows from it is for
 * rules.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/reconcile/witness.h"

/* A clock may go back so far between frames: an agent may stamp in one thread and send in another. */
#define BACK_NS KW_NSEC_PER_SEC
/* What adjtimex(2) lets an honest clock be off by. */
#define RATE_MAX_PPB 500000
/* How long the other side has for its word. */
#define CLAIM_WAIT_NS (6 * KW_NSEC_PER_SEC)
#define KILL_WAIT_NS (10 * KW_NSEC_PER_SEC)
#define THROTTLE_WAIT_NS (3 * KW_NSEC_PER_SEC)
#define GAP_WAIT_NS (2 * KW_NSEC_PER_SEC)
/* A claim's key. */
#define KEY_PROCESSES "processes"
#define KEY_EXEC "exec"
/* A cell that uses so much of one CPU works. */
#define BUSY_PERMILLE 200

#define PROBE_HEARTBEAT "heartbeat"

static const struct {
	const char *name;
	bool is_prefix;
	enum kw_news news;
} probes[] = {
	{ "oom.", true, KW_NEWS_OOM_CLAIM },
	{ "memory.oom", true, KW_NEWS_OOM_CLAIM },
	{ "cpu.throttled", true, KW_NEWS_THROTTLE_CLAIM },
};

struct kw_witnessed *kw_witness_find(struct kw_claims *claims, uint32_t handle)
{
	struct kw_witnessed *cell;

	HASH_FIND(hh, claims->cells, &handle, sizeof(handle), cell);
	return cell;
}

struct kw_witnessed *kw_witness_add(struct kw_claims *claims, const struct kw_cell *cell,
				    uint64_t now)
{
	struct kw_witnessed *witnessed = kw_witness_find(claims, cell->handle);

	if (witnessed)
		return witnessed;
	if (HASH_COUNT(claims->cells) >= KW_CELLS_MAX)
		return NULL;
	witnessed = calloc(1, sizeof(*witnessed));
	if (!witnessed)
		return NULL;
	witnessed->cell = *cell;
	witnessed->registered_boot_ns = now;
	HASH_ADD(hh, claims->cells, cell.handle, sizeof(witnessed->cell.handle), witnessed);
	if (!witnessed->hh.tbl) {
		free(witnessed);
		return NULL;
	}
	return witnessed;
}

void kw_witness_remove(struct kw_claims *claims, struct kw_witnessed *cell)
{
	HASH_DEL(claims->cells, cell);
	for (int i = 0; i < KW_RULE_COUNT_; i++)
		free(cell->held[i]);
	free(cell);
}

void kw_witness_wait(struct kw_witnessed *cell, enum kw_wait wait, uint64_t until_boot_ns)
{
	if (cell->wait_boot_ns[wait] == 0)
		cell->wait_boot_ns[wait] = until_boot_ns;
}

static void mark(struct kw_mark *ret_mark, uint64_t boot_ns, const char *id)
{
	ret_mark->boot_ns = boot_ns;
	memcpy(ret_mark->id, id, sizeof(ret_mark->id));
	ret_mark->id[sizeof(ret_mark->id) - 1] = '\0';
}

static uint64_t add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* ---- the guest ---- */

static bool is_probe(const struct kw_gate_message *frame, const char *name, bool is_prefix)
{
	size_t length = strlen(name);

	return (is_prefix ? frame->probe_bytes >= length : frame->probe_bytes == length) &&
	       memcmp(frame->probe_source, name, length) == 0;
}

/* The connection's record; of a new one the longest unused is taken. */
static struct kw_talk *talk_of(struct kw_witnessed *cell, uint32_t number, bool *ret_is_new)
{
	struct kw_talk *talk = &cell->talks[0];

	for (size_t i = 0; i < kw_array_size(cell->talks); i++) {
		*ret_is_new = false;
		if (cell->talks[i].number == number)
			return &cell->talks[i];
		if (cell->talks[i].last_boot_ns < talk->last_boot_ns)
			talk = &cell->talks[i];
	}
	*ret_is_new = true;
	*talk = (struct kw_talk){ .number = number };
	return talk;
}

static void take_boot_id(struct kw_witnessed *cell, const char *text, size_t length)
{
	char boot_id[sizeof(cell->boot_id)] = "";

	if (length == 0 || length >= sizeof(boot_id))
		return;
	memcpy(boot_id, text, length);
	if (strcmp(cell->boot_id, boot_id) == 0)
		return;
	if (cell->boot_id[0])
		cell->frame_flags |= strcmp(cell->boot_id_before, boot_id) == 0 ? KW_TELLS_OLD_BOOT
										: KW_TELLS_NEW_BOOT;
	memcpy(cell->boot_id_before, cell->boot_id, sizeof(cell->boot_id_before));
	memcpy(cell->boot_id, boot_id, sizeof(cell->boot_id));
	if (!cell->boot_id_before[0])
		return;
	cell->monotonic_ns = 0;
	cell->spawned = 0;
	cell->exited = 0;
	cell->has_processes = false;
}

/* Ties are normal; so is a little less, where probes run beside each other. */
static bool is_back(uint64_t now_ns, uint64_t highest_ns)
{
	return now_ns < highest_ns && highest_ns - now_ns > BACK_NS;
}

static void take_monotonic(struct kw_witnessed *cell, struct kw_talk *talk, uint64_t monotonic_ns)
{
	if (is_back(monotonic_ns, talk->monotonic_ns))
		cell->frame_flags |= KW_TELLS_BACK;
	else if (is_back(monotonic_ns, cell->monotonic_ns))
		cell->frame_flags |= cell->boot_id[0] ? KW_TELLS_BACK_SAME : KW_TELLS_BACK_OTHER;
	/* Said once each time: what comes next is measured from here. */
	if (cell->frame_flags & (KW_TELLS_BACK | KW_TELLS_BACK_SAME | KW_TELLS_BACK_OTHER)) {
		talk->monotonic_ns = monotonic_ns;
		cell->monotonic_ns = monotonic_ns;
	}
	if (monotonic_ns > talk->monotonic_ns)
		talk->monotonic_ns = monotonic_ns;
	if (monotonic_ns > cell->monotonic_ns)
		cell->monotonic_ns = monotonic_ns;
}

static bool is_other_boot(const struct kw_witnessed *cell, const struct kw_gate_message *frame)
{
	return (frame->has & KW_CLAIM_HAS_BOOT_ID) && cell->boot_id[0] &&
	       (strlen(cell->boot_id) != frame->boot_id_bytes ||
		memcmp(cell->boot_id, frame->boot_id, frame->boot_id_bytes) != 0);
}

void kw_witness_clock(struct kw_witnessed *cell, const struct kw_gate_message *frame)
{
	/* A clock that began anew lies otherwise; so may one that runs back. */
	if (is_other_boot(cell, frame) || is_back(frame->guest_monotonic_ns, cell->monotonic_ns))
		kw_guestclock_reset(&cell->clock);
	kw_guestclock_observe(&cell->clock, frame->guest_monotonic_ns, frame->received_boot_ns);
	cell->has_estimate = kw_guestclock_estimate(&cell->clock, frame->guest_monotonic_ns,
						    frame->received_boot_ns, &cell->estimate);
}

static void take_seq(struct kw_witnessed *cell, struct kw_talk *talk, uint64_t seq, uint64_t now)
{
	cell->is_numbered = true;
	if (!talk->has_seq) {
		talk->has_seq = true;
		talk->seq = seq;
		return;
	}
	if (seq <= talk->seq) {
		cell->frame_flags |= KW_TELLS_REPEATED;
		return;
	}
	if (seq - talk->seq > 1) {
		cell->missing = add(cell->missing, seq - talk->seq - 1);
		cell->is_lossy = true;
		kw_witness_wait(cell, KW_WAIT_GAP, now + GAP_WAIT_NS);
	}
	talk->seq = seq;
}

/* A number in the frame's claim. */
static bool claimed(const struct kw_gate_message *frame, const char *key, uint64_t *ret_number)
{
	if (!(frame->has & KW_CLAIM_HAS_CLAIM))
		return false;
	for (size_t i = 0; i < frame->claim_count && i < KW_CLAIM_PAIRS_MAX; i++) {
		const struct kw_claim_pair *pair = &frame->claim[i];

		if (!pair->is_text && pair->key_bytes == strlen(key) &&
		    memcmp(pair->key, key, pair->key_bytes) == 0) {
			*ret_number = pair->number;
			return true;
		}
	}
	return false;
}

/* claim {"processes": n}: how many there are, the agent included. */
static void take_process_count(struct kw_witnessed *cell, const struct kw_gate_message *frame,
			       const char *id, uint64_t now)
{
	if (!claimed(frame, KEY_PROCESSES, &cell->processes))
		return;
	cell->gives_processes = true;
	cell->has_processes = true;
	cell->is_counted = true;
	cell->frame_flags |= KW_TELLS_PROCESSES;
	mark(&cell->process_claim, now, id);
}

/* What there is to know of the processes: a number that the guest gives, or what it names one by one. */
static void take_processes(struct kw_witnessed *cell, const struct kw_gate_message *frame,
			   const char *id, uint64_t now)
{
	bool spawned = is_probe(frame, "process.spawned", false);
	bool exited = is_probe(frame, "process.exited", false);

	uint64_t exec;

	if (!spawned && !exited)
		return;
	cell->names_processes = true;
	if (claimed(frame, KEY_EXEC, &exec) && exec)
		return; /* another program in the same process */
	cell->spawned += spawned;
	cell->exited += exited && cell->exited < cell->spawned;
	if (cell->gives_processes)
		return;
	cell->has_processes = cell->spawned > 0;
	cell->processes = cell->spawned - cell->exited;
	cell->is_counted = cell->is_numbered && !cell->is_lossy;
	cell->frame_flags |= KW_TELLS_PROCESSES;
	mark(&cell->process_claim, now, id);
}

/* What minor version 0x0101 adds. */
static void take_minor(struct kw_witnessed *cell, struct kw_talk *talk,
		       const struct kw_gate_message *frame, const char *id, uint64_t now)
{
	if (frame->has & KW_CLAIM_HAS_SEQ)
		take_seq(cell, talk, frame->seq, now);
	/* Less than before: another agent, or the same begun anew. */
	if ((frame->has & KW_CLAIM_HAS_DROPPED) && frame->dropped != cell->dropped) {
		if (frame->dropped > cell->dropped) {
			cell->frame_flags |= KW_TELLS_DROPPED;
			cell->is_lossy = true;
		}
		cell->dropped = frame->dropped;
	}
	take_process_count(cell, frame, id, now);
}

/* A rate is looked at when a window was closed, and counts when two in a row say it. */
static void take_rate(struct kw_witnessed *cell)
{
	const struct kw_guestclock *clock = &cell->clock;
	uint64_t error_ppb, newest_ns, distance;
	int64_t ppb;

	if (clock->count == 0)
		return;
	newest_ns = clock->points[clock->count - 1].host_ns;
	if (newest_ns == cell->rate_host_ns)
		return;
	cell->rate_host_ns = newest_ns;
	if (!kw_guestclock_rate(clock, &ppb, &error_ppb)) {
		cell->rate_windows_wrong = 0;
		return;
	}
	distance = ppb < 0 ? (uint64_t)-ppb : (uint64_t)ppb;
	if (distance <= add(error_ppb, RATE_MAX_PPB)) {
		cell->rate_windows_wrong = 0;
		return;
	}
	cell->rate_ppb = ppb;
	if (++cell->rate_windows_wrong >= 2)
		cell->frame_flags |= KW_TELLS_CLOCK_RATE;
}

static void take_claims(struct kw_witnessed *cell, const struct kw_gate_message *frame,
			const char *id, uint64_t now)
{
	for (size_t i = 0; i < kw_array_size(probes); i++) {
		if (!is_probe(frame, probes[i].name, probes[i].is_prefix))
			continue;
		if (probes[i].news == KW_NEWS_OOM_CLAIM) {
			mark(&cell->oom_claim, now, id);
			kw_witness_wait(cell, KW_WAIT_OOM_CLAIM, now + CLAIM_WAIT_NS);
		} else {
			mark(&cell->throttle_claim, now, id);
			kw_witness_wait(cell, KW_WAIT_THROTTLE_CLAIM, now + CLAIM_WAIT_NS);
		}
		return;
	}
}

uint32_t kw_witness_frame(struct kw_witnessed *cell, const struct kw_observation *observation,
			  const char *id)
{
	const struct kw_gate_message *frame = observation->guest;
	uint64_t now = observation->received_boot_ns;
	struct kw_talk *talk;
	bool is_new;

	if (frame->kind == KW_GATE_REFUSED)
		cell->refused = add(cell->refused, frame->count);
	if (frame->kind == KW_GATE_OPENED) /* the gate may count anew */
		*talk_of(cell, frame->connection, &is_new) =
			(struct kw_talk){ .number = frame->connection };
	if (frame->kind != KW_GATE_FRAME)
		return 0;
	cell->frame_flags = 0;
	talk = talk_of(cell, frame->connection, &is_new);
	talk->last_boot_ns = now;
	if (frame->has & KW_CLAIM_HAS_BOOT_ID)
		take_boot_id(cell, frame->boot_id, frame->boot_id_bytes);
	take_monotonic(cell, talk, frame->guest_monotonic_ns);
	take_minor(cell, talk, frame, id, now);
	take_processes(cell, frame, id, now);
	cell->sends_heartbeats |= is_probe(frame, PROBE_HEARTBEAT, false);
	take_claims(cell, frame, id, now);
	take_rate(cell);
	if (cell->has_estimate && cell->throttle_begin_boot_ns &&
	    cell->estimate.delay_ns > cell->most_delay_ns)
		cell->most_delay_ns = cell->estimate.delay_ns;
	mark(&cell->frame, now, id);
	cell->frames++;
	cell->base_boot_ns = 0;
	cell->before_boot_ns = cell->cpu_boot_ns;
	cell->before_cpu_usec = cell->cpu_usec;
	return KW_NEWS_FRAME;
}

/* ---- the host ---- */

static void take_kill(struct kw_witnessed *cell, const struct kw_observation *observation,
		      const char *id)
{
	mark(&cell->oom_kill, observation->received_boot_ns, id);
	cell->was_populated = true; /* by who was killed */
	cell->state_is_stale = true;
	kw_witness_wait(cell, KW_WAIT_OOM_KILL, observation->received_boot_ns + KILL_WAIT_NS);
}

static void take_throttle(struct kw_witnessed *cell, const struct kw_observation *observation,
			  const char *id)
{
	const struct kw_throttle *seen = &observation->throttle->throttle;
	uint64_t span = seen->last_boot_ns - seen->begin_boot_ns;
	uint64_t stalled = seen->totals.stalled_ns - seen->before.stalled_ns;

	if (cell->throttle_begin_boot_ns != seen->begin_boot_ns) {
		cell->throttle_begin_boot_ns = seen->begin_boot_ns;
		cell->most_delay_ns = 0;
	}
	mark(&cell->throttle, observation->received_boot_ns, id);
	cell->throttle_end_boot_ns = seen->last_boot_ns;
	if (observation->throttle->phase == KW_THROTTLE_START || span == 0)
		return;
	cell->stalled_permille = stalled > UINT64_MAX / 1000 ? UINT64_MAX : stalled * 1000 / span;
	kw_witness_wait(cell, KW_WAIT_THROTTLE, observation->received_boot_ns + THROTTLE_WAIT_NS);
}

static void take_cpu(struct kw_witnessed *cell, uint64_t boot_ns, uint64_t usec)
{
	bool is_busy = cell->cpu_boot_ns != 0 && boot_ns > cell->cpu_boot_ns &&
		       usec > cell->cpu_usec &&
		       usec - cell->cpu_usec >=
			       (boot_ns - cell->cpu_boot_ns) / KW_NSEC_PER_MSEC * BUSY_PERMILLE;

	if (!is_busy)
		cell->busy_since_boot_ns = 0;
	else if (cell->busy_since_boot_ns == 0)
		cell->busy_since_boot_ns = cell->cpu_boot_ns;
	cell->cpu_boot_ns = boot_ns;
	cell->cpu_usec = usec;
}

static void take_reading(struct kw_witnessed *cell, const struct kw_reading *reading,
			 uint64_t boot_ns, const char *id)
{
	const struct kw_flat *cpu = &reading->files[KW_FLAT_CPU_STAT];
	uint64_t usage, throttled, killed;

	mark(&cell->reading, boot_ns, id);
	if (kw_counters_get(cpu, "usage_usec", &usage)) {
		cell->was_populated |= usage > 0;
		take_cpu(cell, boot_ns, usage);
		if (cell->base_boot_ns == 0) {
			cell->base_boot_ns = boot_ns;
			cell->base_cpu_usec = usage;
		}
	}
	if (kw_counters_get(cpu, "throttled_usec", &throttled)) {
		if (cell->has_counters && throttled != cell->throttled_usec)
			mark(&cell->throttle_moved, boot_ns, id);
		cell->throttled_usec = throttled;
		cell->has_counters = true;
	}
	if (kw_counters_get(&reading->files[KW_FLAT_MEMORY_EVENTS], "oom_kill", &killed)) {
		if (!cell->has_oom_counter || killed != cell->oom_counter)
			cell->oom_counter_since_boot_ns = boot_ns;
		cell->oom_counter = killed;
		cell->has_oom_counter = true;
	}
}

uint32_t kw_witness_host(struct kw_witnessed *cell, const struct kw_observation *observation,
			 const char *id)
{
	switch (observation->kind) {
	case KW_OBSERVATION_OOM_KILL:
		take_kill(cell, observation, id);
		return 0;
	case KW_OBSERVATION_THROTTLE:
		take_throttle(cell, observation, id);
		return 0;
	case KW_OBSERVATION_READING:
		take_reading(cell, observation->reading, observation->boot_ns, id);
		return KW_NEWS_READING;
	case KW_OBSERVATION_COUNTS:
		cell->state_is_stale |= observation->counts->is_gone;
		return 0;
	default:
		return 0;
	}
}

void kw_witness_state(struct kw_witnessed *cell, const struct kw_state *state)
{
	bool is_empty = state->is_gone ||
			((state->known & KW_STATE_POPULATED) && !state->is_populated);

	cell->has_state = true;
	cell->state_is_stale = false;
	cell->state = *state;
	cell->was_populated |= (state->known & KW_STATE_POPULATED) && state->is_populated;
	if (!is_empty)
		cell->empty_since_boot_ns = 0;
	else if (cell->empty_since_boot_ns == 0)
		cell->empty_since_boot_ns = state->boot_ns;
}
