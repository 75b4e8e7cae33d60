/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram a message, FIELD=value lines.
 * sd_journal_send(3) would wait for a journald that does not read; a witness must not, so a datagram that is not
 * taken at once is dropped. Values are made printable first: a line feed in one would begin another field.
 */
#include "user/daemon/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include "user/base/text.h"

#define MESSAGE_MAX 16384U
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

/* Messages a minute on verdicts: a guest that lies without end, or a broken account, must not flood the journal.
 * The ledger has all of them. */
#define VERDICTS_MAX 20U
#define WINDOW_NS (60 * KW_NSEC_PER_SEC)

struct kw_journal {
	int fd;
	struct sockaddr_un address;
	uint64_t window_boot_ns; /* when it began */
	unsigned int in_window;
};

int kw_journal_new(const char *path, struct kw_journal **ret_journal)
{
	cleanup(kw_journal_freep) struct kw_journal *journal = calloc(1, sizeof(*journal));
	size_t length = strlen(path);

	if (!journal)
		return -ENOMEM;
	journal->fd = -1;
	journal->address.sun_family = AF_UNIX;
	if (length >= sizeof(journal->address.sun_path))
		return -ENAMETOOLONG;
	memcpy(journal->address.sun_path, path, length + 1);
	journal->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (journal->fd < 0)
		return -errno;
	*ret_journal = take_ptr(journal);
	return 0;
}

void kw_journal_free(struct kw_journal *journal)
{
	if (!journal)
		return;
	if (journal->fd >= 0)
		(void)close(journal->fd);
	free(journal);
}

static void field(struct kw_bytes *out, const char *name, const char *value)
{
	if (!value[0])
		return;
	kw_bytes_append_format(out, "%s=", name);
	kw_text_append_printable(out, value, strlen(value));
	kw_bytes_append_char(out, '\n');
}

static void field_number(struct kw_bytes *out, const char *name, uint64_t value)
{
	kw_bytes_append_format(out, "%s=%" PRIu64 "\n", name, value);
}

static void send_message(const struct kw_journal *journal, const struct kw_bytes *message)
{
	if (kw_bytes_error(message) == 0)
		(void)sendto(journal->fd, message->data, message->length,
			     MSG_DONTWAIT | MSG_NOSIGNAL,
			     (const struct sockaddr *)&journal->address, sizeof(journal->address));
}

/* ---- the sentence ---- */

static void append(struct kw_bytes *out, const char *text)
{
	kw_text_append_printable(out, text, strlen(text));
}

/* The name a person would look for first. */
static void append_place(struct kw_bytes *out, const struct kw_identity *identity)
{
	if (!identity->known) {
		kw_bytes_append_string(out, "an unknown cgroup");
	} else if (identity->cell_id[0]) {
		kw_bytes_append_string(out, "cell ");
		append(out, identity->cell_id);
	} else if (identity->container_id[0]) {
		kw_bytes_append_format(out, "container %.*s", identity->container[0] ? 127 : 12,
				       identity->container[0] ? identity->container
							      : identity->container_id);
		if (identity->pod_name[0])
			kw_bytes_append_format(out, " of pod %s/%s", identity->pod_namespace,
					       identity->pod_name);
		else if (identity->pod_uid[0])
			kw_bytes_append_format(out, " of pod %s", identity->pod_uid);
	} else if (identity->unit[0]) {
		append(out, identity->unit);
	} else {
		kw_bytes_append_string(out, "cgroup ");
		append(out, identity->path);
	}
}

static void append_size(struct kw_bytes *out, uint64_t bytes)
{
	if (bytes == KW_UNLIMITED)
		kw_bytes_append_string(out, "unlimited");
	else if (bytes >= GIB && bytes % GIB == 0)
		kw_bytes_append_format(out, "%" PRIu64 " GiB", bytes / GIB);
	else if (bytes >= MIB)
		kw_bytes_append_format(out, "%" PRIu64 " MiB", bytes / MIB);
	else
		kw_bytes_append_format(out, "%" PRIu64 " KiB", bytes / 1024);
}

static bool is_same_cgroup(const struct kw_identity *a, const struct kw_identity *b)
{
	return a->known && b->known && a->id == b->id && strcmp(a->path, b->path) == 0;
}

static void append_cause(struct kw_bytes *out, const struct kw_incident *incident,
			 const struct kw_identity *where)
{
	if (incident->oom.flags & KW_OOM_GLOBAL) {
		kw_bytes_append_string(out, "the host itself was out of memory");
		return;
	}
	if (!(incident->oom.flags & KW_OOM_OWNER_KNOWN)) {
		kw_bytes_append_string(out, "whose limit was reached is not known");
		return;
	}
	if (where && is_same_cgroup(&incident->owner, where)) {
		kw_bytes_append_string(out, "it reached its own limit");
	} else {
		append_place(out, &incident->owner);
		kw_bytes_append_string(out, " reached its limit");
	}
	kw_bytes_append_string(out, " of ");
	append_size(out, incident->oom.owner_state.max_bytes);
}

static void append_trigger(struct kw_bytes *out, const struct kw_incident *incident)
{
	const struct kw_task_ref *trigger = &incident->oom.trigger;

	if (!trigger->tgid)
		return;
	if (incident->victim_count == 1 && incident->victims[0].victim.task.tgid == trigger->tgid) {
		kw_bytes_append_string(out, "; it asked for the memory itself");
		return;
	}
	kw_bytes_append_string(out, "; the memory was asked for by ");
	append(out, trigger->comm);
	kw_bytes_append_format(out, "[%" PRIu32 "]", trigger->tgid);
}

void kw_journal_sentence(const struct kw_incident *incident, struct kw_bytes *out)
{
	const struct kw_incident_victim *first = incident->victim_count ? &incident->victims[0]
									: NULL;

	if (!first) {
		kw_bytes_append_string(out, "an OOM killed nobody that was seen: ");
	} else if (incident->kills == 1) {
		append(out, first->victim.task.comm);
		kw_bytes_append_format(out, "[%" PRIu32 "] in ", first->victim.task.tgid);
		append_place(out, &first->cgroup);
		kw_bytes_append_string(out, " was killed: ");
	} else {
		kw_bytes_append_format(out, "%" PRIu32 " processes, ", incident->kills);
		append(out, first->victim.task.comm);
		kw_bytes_append_format(out, "[%" PRIu32 "] in ", first->victim.task.tgid);
		append_place(out, &first->cgroup);
		kw_bytes_append_string(out, " the first, were killed: ");
	}
	append_cause(out, incident, first ? &first->cgroup : NULL);
	append_trigger(out, incident);
}

/* ---- messages ---- */

static void begin(struct kw_bytes *out, const char *id, int priority)
{
	field(out, "MESSAGE_ID", id);
	field_number(out, "PRIORITY", (uint64_t)priority);
	field(out, "SYSLOG_IDENTIFIER", "kwitnessd");
}

static void field_victim(struct kw_bytes *out, const struct kw_victim *victim,
			 const struct kw_identity *cgroup)
{
	field_number(out, "KWITNESS_VICTIM_PID", victim->task.tgid);
	field(out, "KWITNESS_VICTIM_COMM", victim->task.comm);
	field(out, "KWITNESS_CGROUP", cgroup->path);
	field(out, "KWITNESS_UNIT", cgroup->unit);
	field(out, "KWITNESS_CELL", cgroup->cell_id);
	field(out, "KWITNESS_CONTAINER_ID", cgroup->container_id);
	field(out, "KWITNESS_CONTAINER", cgroup->container);
	field(out, "KWITNESS_POD_UID", cgroup->pod_uid);
	field(out, "KWITNESS_POD", cgroup->pod_name);
	field(out, "KWITNESS_NAMESPACE", cgroup->pod_namespace);
}

static void tell_incident(const struct kw_journal *journal, const struct kw_incident *incident)
{
	bool is_unexplained = incident->verdict == KW_VERDICT_UNEXPLAINED;
	cleanup_bytes struct kw_bytes message;

	kw_bytes_init(&message, MESSAGE_MAX);
	begin(&message, is_unexplained ? KW_JOURNAL_UNEXPLAINED : KW_JOURNAL_OOM,
	      is_unexplained ? LOG_ERR : LOG_WARNING);
	kw_bytes_append_string(&message, "MESSAGE=");
	kw_journal_sentence(incident, &message);
	kw_bytes_append_char(&message, '\n');
	field(&message, "KWITNESS_INCIDENT", incident->id);
	field(&message, "KWITNESS_VERDICT", kw_verdict_name(incident->verdict));
	field(&message, "KWITNESS_VERDICT_WORDS", incident->words);
	field_number(&message, "KWITNESS_KILLS", incident->kills);
	field(&message, "KWITNESS_LIMIT_CGROUP", incident->owner.path);
	field(&message, "KWITNESS_LIMIT_UNIT", incident->owner.unit);
	for (uint32_t i = 0; i < incident->victim_count; i++)
		field_victim(&message, &incident->victims[i].victim, &incident->victims[i].cgroup);
	send_message(journal, &message);
}

static void tell_userspace_kill(const struct kw_journal *journal, const struct kw_attributed *whose)
{
	const struct kw_record_userspace_kill *kill = whose->observation->userspace_kill;
	cleanup_bytes struct kw_bytes message;

	kw_bytes_init(&message, MESSAGE_MAX);
	begin(&message, KW_JOURNAL_USERSPACE_KILL, LOG_WARNING);
	kw_bytes_append_string(&message, "MESSAGE=");
	append(&message, kill->victim.task.comm);
	kw_bytes_append_format(&message, "[%" PRIu32 "] in ", kill->victim.task.tgid);
	append_place(&message, &whose->victim);
	kw_bytes_append_string(&message, " was killed by user space: by ");
	append(&message, kill->killer.comm);
	kw_bytes_append_format(&message, "[%" PRIu32 "] in ", kill->killer.tgid);
	append_place(&message, &whose->trigger);
	kw_bytes_append_char(&message, '\n');
	field_number(&message, "KWITNESS_KILLER_PID", kill->killer.tgid);
	field(&message, "KWITNESS_KILLER_COMM", kill->killer.comm);
	field(&message, "KWITNESS_KILLER_UNIT", whose->trigger.unit);
	field_victim(&message, &kill->victim, &whose->victim);
	send_message(journal, &message);
}

/* Whether one more verdict may be told. */
static bool has_budget(struct kw_journal *journal, uint64_t boot_ns)
{
	if (boot_ns < journal->window_boot_ns || boot_ns - journal->window_boot_ns >= WINDOW_NS) {
		journal->window_boot_ns = boot_ns;
		journal->in_window = 0;
	}
	return journal->in_window++ < VERDICTS_MAX;
}

/* A counter that moved without an event, or the other way round. One that a counter's own event tells is no less
 * worth a look: a hook should have told it. */
static bool is_failure(const struct kw_parity_item *item)
{
	return item->verdict == KW_PARITY_MISSED || item->account.unexplained != 0;
}

static void tell_parity(struct kw_journal *journal, const struct kw_finding *finding)
{
	const struct kw_parity *parity = finding->parity;
	const struct kw_parity_item *item = NULL;
	cleanup_bytes struct kw_bytes message = { 0 };

	for (uint32_t i = 0; i < parity->item_count && !item; i++)
		if (is_failure(&parity->items[i]))
			item = &parity->items[i];
	if (!item || !has_budget(journal, finding->boot_ns))
		return;
	kw_bytes_init(&message, MESSAGE_MAX);
	begin(&message, KW_JOURNAL_PARITY, LOG_ERR);
	kw_bytes_append_string(&message, "MESSAGE=");
	append_place(&message, &parity->cgroup);
	kw_bytes_append_format(
		&message, ": the kernel's counter %s went from %" PRIu64 " to %" PRIu64 ", ",
		kw_parity_counter_name(item->counter), item->before, item->account.kernel);
	if (item->account.unexplained != 0)
		kw_bytes_append_format(&message, "of which %" PRId64 " in all are unexplained\n",
				       item->account.unexplained);
	else
		kw_bytes_append_string(&message, "which no hook has told\n");
	field(&message, "KWITNESS_COUNTER", kw_parity_counter_name(item->counter));
	field(&message, "KWITNESS_VERDICT", kw_parity_verdict_name(item->verdict));
	field(&message, "KWITNESS_CGROUP", parity->cgroup.path);
	field(&message, "KWITNESS_UNIT", parity->cgroup.unit);
	send_message(journal, &message);
}

static void tell_contradiction(struct kw_journal *journal, const struct kw_finding *finding)
{
	const struct kw_crosscheck *crosscheck = finding->crosscheck;
	cleanup_bytes struct kw_bytes message = { 0 };

	if (crosscheck->verdict != KW_CROSSCHECK_CONTRADICTED ||
	    !has_budget(journal, finding->boot_ns))
		return;
	kw_bytes_init(&message, MESSAGE_MAX);
	begin(&message, KW_JOURNAL_CONTRADICTED, LOG_WARNING);
	kw_bytes_append_string(&message, "MESSAGE=cell ");
	append(&message, crosscheck->cell->cell_id);
	kw_bytes_append_string(&message, ": ");
	append(&message, crosscheck->words);
	kw_bytes_append_char(&message, '\n');
	field(&message, "KWITNESS_CELL", crosscheck->cell->cell_id);
	field(&message, "KWITNESS_RULE", crosscheck->rule);
	field(&message, "KWITNESS_VERDICT", kw_crosscheck_verdict_name(crosscheck->verdict));
	field_number(&message, "KWITNESS_COUNT", crosscheck->count);
	send_message(journal, &message);
}

void kw_journal_finding(struct kw_journal *journal, const struct kw_finding *finding)
{
	if (!journal)
		return;
	if (finding->kind == KW_FINDING_OOM_INCIDENT)
		tell_incident(journal, finding->incident);
	else if (finding->kind == KW_FINDING_USERSPACE_KILL)
		tell_userspace_kill(journal, finding->attributed);
	else if (finding->kind == KW_FINDING_PARITY)
		tell_parity(journal, finding);
	else if (finding->kind == KW_FINDING_CROSSCHECK)
		tell_contradiction(journal, finding);
}
