/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The end of an incident: the account learns what it moved, the file of the limit owner is held against
 * the records, the verdict is said. A file that is ahead of the records may only be newer than the last
 * record that was read, so it gets a second look after the ring has been drained; the number that was
 * read first stays the one to explain.
 */
#include <errno.h>
#include <string.h>

#include "user/reconcile/room.h"

/* Empty unless the identity's path is whole. */
static const char *whole_path(const struct kw_identity *identity)
{
	return identity->known && !identity->truncated ? identity->path : "";
}

/* Whether each move of this OOM is known by the cgroup it was counted in. Sets *ret_duplicate. */
static bool is_exact(const struct kw_open_incident *open, uint64_t moved, uint64_t *ret_duplicate)
{
	const struct kw_incident *said = &open->said;

	if (said->kills != said->marked || said->victim_count != said->kills)
		return false;
	for (uint32_t i = 0; i < said->victim_count; i++) {
		if (whole_path(&said->victims[i].cgroup)[0] == '\0')
			return false;
	}
	if (said->oom.flags & KW_OOM_COUNTED_KNOWN && said->counted != moved)
		return false;
	*ret_duplicate = moved - said->kills;
	return moved == said->kills ||
	       (moved == said->kills + 1 && said->oom.flags & KW_OOM_GROUP_KILL && said->kills > 0);
}

/* The counters of the victims' cgroups and what lies between them and top (NULL: above as well). */
static void raise_victims(struct kw_reconcile *reconcile, const struct kw_open_incident *open,
			  const char *top, uint64_t moved)
{
	uint64_t duplicate = 0;

	if (!is_exact(open, moved, &duplicate)) {
		kw_account_forget_below(reconcile->account, top);
		return;
	}
	for (uint32_t i = 0; i < open->said.victim_count; i++) {
		/* The chosen victim is marked first, and it is the one that is counted twice. */
		kw_account_raise(reconcile->account, open->said.victims[i].cgroup.path, top,
				 1 + (i == 0 ? duplicate : 0));
	}
}

void kw_incident_account_end(struct kw_reconcile *reconcile, struct kw_open_incident *open)
{
	const struct kw_incident *said = &open->said;
	const char *path = whole_path(&said->owner);

	if (kw_verdict_is_hierarchical(open, reconcile->options.memory_localevents)) {
		open->between = kw_account_owner_moved(reconcile->account, &said->oom.owner, path,
						       said->before.oom_kill, said->after.oom_kill);
		if (path[0] != '\0')
			raise_victims(reconcile, open, path,
				      said->after.oom_kill - said->before.oom_kill);
	} else if (said->oom.flags & KW_OOM_COUNTED_KNOWN) {
		raise_victims(reconcile, open, NULL, said->counted);
	} else if (said->marked > 0) {
		kw_account_forget_below(reconcile->account, NULL);
	}
}

void kw_incident_account_no_end(struct kw_reconcile *reconcile, struct kw_open_incident *open)
{
	open->state = KW_INCIDENT_NO_END;
	kw_account_forget_around(reconcile->account, whole_path(&open->said.owner));
}

/* 0 when the key is not there: an older kernel's file. */
static uint64_t value_of(const struct kw_flat *flat, const char *key)
{
	uint64_t value = 0;

	(void)kw_counters_get(flat, key, &value);
	return value;
}

/* memory.events of the cgroup at path into ret_events. false: open says why. */
static bool read_events(struct kw_reconcile *reconcile, struct kw_open_incident *open,
			const char *path, struct kw_memory_events *ret_events)
{
	const struct kw_flat *flat = &reconcile->reading.files[KW_FLAT_MEMORY_EVENTS];
	uint64_t oom_kill;
	int r;

	memset(&reconcile->reading, 0, sizeof(reconcile->reading));
	r = reconcile->options.reader(reconcile->options.context, path, &reconcile->reading);
	if (r == 0 && !flat->present)
		r = flat->error < 0 ? flat->error : -ENOENT;
	if (r == 0 && !kw_counters_get(flat, "oom_kill", &oom_kill))
		r = -ENODATA;
	if (r < 0) {
		open->cgroup_gone = r == -ENOENT || r == -ENODEV;
		open->file_error = r;
		return false;
	}
	*ret_events = (struct kw_memory_events){
		.max = value_of(flat, "max"),
		.high = value_of(flat, "high"),
		.oom = value_of(flat, "oom"),
		.oom_kill = value_of(flat, "oom_kill"),
		.oom_group_kill = value_of(flat, "oom_group_kill"),
	};
	return true;
}

/* How far the file of the limit owner is ahead of every record. */
static int64_t look_at_owner(struct kw_reconcile *reconcile, struct kw_open_incident *open)
{
	struct kw_incident *said = &open->said;
	const char *path = whole_path(&said->owner);
	uint64_t known = said->after.oom_kill;

	if (path[0] == '\0')
		return 0;
	if (!said->file_known && !read_events(reconcile, open, path, &said->file))
		return 0;
	if (!said->file_known) {
		said->file_known = true;
		said->file_boot_ns = reconcile->reading.boot_ns;
	}
	if (!kw_verdict_is_hierarchical(open, reconcile->options.memory_localevents))
		return 0;
	open->path_reused = said->file.oom_kill < said->after.oom_kill;
	if (open->path_reused || !kw_account_owner(reconcile->account, &said->oom.owner, &known) ||
	    said->file.oom_kill <= known)
		return 0;
	return kw_account_difference(known, said->file.oom_kill);
}

/* The same for the victims' cgroup, where no limit owner is seen and there is one such cgroup. */
static int64_t look_at_victims(struct kw_reconcile *reconcile, struct kw_open_incident *open)
{
	const struct kw_identity *identity;
	struct kw_memory_events events;
	uint64_t known;

	if (open->local_unknown || open->local_several || open->said.victim_count == 0)
		return 0;
	identity = &open->said.victims[0].cgroup;
	if (whole_path(identity)[0] == '\0' || identity->v1 ||
	    kw_account_has_below(reconcile->account, identity->path))
		return 0;
	if (!open->local_read) {
		if (!read_events(reconcile, open, identity->path, &events))
			return 0;
		open->local_read = true;
		open->local_file = events.oom_kill;
	}
	if (!kw_account_local(reconcile->account, &open->local_cgroup, &known) ||
	    open->local_file <= known)
		return 0;
	return kw_account_difference(known, open->local_file);
}

static void claim_beyond(struct kw_reconcile *reconcile, struct kw_open_incident *open)
{
	/* Said now: the next OOM there starts from what the file showed. */
	if (open->beyond > 0 && open->numbered)
		kw_account_set_owner(reconcile->account, &open->said.oom.owner,
				     open->said.file.oom_kill);
	else if (open->beyond > 0)
		kw_account_set_local(reconcile->account, &open->local_cgroup, open->local_file);
}

static void look(struct kw_reconcile *reconcile, struct kw_open_incident *open)
{
	if (open->numbered && open->state == KW_INCIDENT_OPEN)
		kw_incident_account_no_end(reconcile, open);
	if (!open->numbered)
		open->beyond = look_at_victims(reconcile, open);
	else if (!(open->said.oom.owner.flags & KW_CGROUP_V1))
		open->beyond = look_at_owner(reconcile, open);
}

int kw_incident_settle(struct kw_reconcile *reconcile, struct kw_open_incident *open, uint64_t now,
		       bool look_again)
{
	struct kw_incident *said = &open->said;
	struct kw_finding finding = { .kind = KW_FINDING_OOM_INCIDENT, .incident = said };
	int r;

	if (!open->decided) {
		look(reconcile, open);
		if (open->beyond > 0 && look_again && !open->rechecked) {
			open->rechecked = true;
			open->deadline_boot_ns = now + reconcile->options.settle_ns;
			return 1;
		}
		claim_beyond(reconcile, open);
		kw_verdict_decide(open, reconcile->options.memory_localevents);
		open->decided = true;
	}
	memcpy(finding.event_id, said->id, sizeof(finding.event_id));
	memcpy(finding.incident_id, said->id, sizeof(finding.incident_id));
	finding.boot_ns = said->end_boot_ns ? said->end_boot_ns : open->last_kill_boot_ns;
	r = kw_reconcile_say(reconcile, &finding);
	if (r < 0)
		return r;
	TAILQ_REMOVE(&reconcile->incidents, open, list);
	reconcile->incident_count--;
	kw_incident_free(open);
	return 0;
}
