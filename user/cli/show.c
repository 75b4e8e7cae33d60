/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Events in words. Missing members are never an error here: an event says only what was known, and a
 * ledger may hold lines of a later version.
 */
#include "user/cli/show.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <kwitness/names.h>

#include "user/base/clock.h"
#include "user/base/text.h"

/* 2^53: up to here a double holds every whole number. */
#define EXACT_MAX 9007199254740992.0

json_t *kw_show_parse(const char *line, size_t length)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL;
	json_t *root = json_loadb(line, length, flags, NULL);

	if (root && !json_is_object(root)) {
		json_decref(root);
		return NULL;
	}
	return root;
}

const json_t *kw_show_at(const json_t *object, ...)
{
	const char *name;
	va_list names;

	va_start(names, object);
	while (object && (name = va_arg(names, const char *)))
		object = json_object_get(object, name);
	va_end(names);
	return object;
}

const char *kw_show_text(const json_t *value)
{
	return json_string_value(value);
}

bool kw_show_number(const json_t *value, uint64_t *ret_number)
{
	double number = json_real_value(value);

	if (!json_is_real(value) || number < 0 || number > EXACT_MAX ||
	    number != (double)(uint64_t)number)
		return false;
	*ret_number = (uint64_t)number;
	return true;
}

void kw_show_append(struct kw_bytes *out, const char *text)
{
	/* '%' begins an escape of the event's own; a control character is escaped alike, and cannot be
	 * mistaken for one of those: they stand for '%' and for bytes that are no UTF-8 only. */
	while (*text) {
		size_t plain = strcspn(text, "%");

		kw_text_append_printable(out, text, plain);
		text += plain;
		if (*text == '%') {
			kw_bytes_append_char(out, '%');
			text++;
		}
	}
}

void kw_show_append_size(struct kw_bytes *out, const json_t *value)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	size_t unit = 0;
	uint64_t bytes;
	double size;

	if (json_is_string(value)) {
		kw_show_append(out, json_string_value(value));
		return;
	}
	if (!kw_show_number(value, &bytes)) {
		kw_bytes_append_string(out, "?");
		return;
	}
	for (size = (double)bytes; size >= 1024 && unit + 1 < kw_array_size(units); unit++)
		size /= 1024;
	kw_bytes_append_format(out, size == (double)(uint64_t)size ? "%.0f %s" : "%.1f %s", size,
			       units[unit]);
}

void kw_show_append_time(struct kw_bytes *out, const json_t *event, bool utc)
{
	const char *text = kw_show_text(json_object_get(event, "time"));
	uint64_t real_ns;

	if (!text || kw_clock_parse(text, strlen(text), &real_ns) < 0)
		kw_bytes_append_string(out, "(no time)");
	else
		kw_show_append_real(out, real_ns, utc);
}

void kw_show_append_real(struct kw_bytes *out, uint64_t real_ns, bool utc)
{
	char shown[40];
	struct tm parts;
	time_t seconds = (time_t)(real_ns / KW_NSEC_PER_SEC);

	if (!(utc ? gmtime_r(&seconds, &parts) : localtime_r(&seconds, &parts)) ||
	    strftime(shown, sizeof(shown), "%F %T", &parts) == 0)
		return;
	kw_bytes_append_format(out, "%s.%03u%s", shown,
			       (unsigned int)(real_ns % KW_NSEC_PER_SEC / KW_NSEC_PER_MSEC),
			       utc ? "Z" : "");
}

const char *kw_show_type(const json_t *event)
{
	const char *type = kw_show_text(json_object_get(event, "type"));
	size_t prefix = strlen(KW_TYPE_PREFIX);

	if (!type)
		return "?";
	return strncmp(type, KW_TYPE_PREFIX, prefix) == 0 ? type + prefix : type;
}

/* ---- sentences ---- */

static void append_member(struct kw_bytes *out, const json_t *value, const char *otherwise)
{
	uint64_t number;

	if (json_is_string(value))
		kw_show_append(out, json_string_value(value));
	else if (kw_show_number(value, &number))
		kw_bytes_append_format(out, "%" PRIu64, number);
	else
		kw_bytes_append_string(out, otherwise);
}

/* "hog (pid 123, uid 0)" */
static void append_task(struct kw_bytes *out, const json_t *task)
{
	append_member(out, json_object_get(task, "comm"), "a process");
	kw_bytes_append_string(out, " (pid ");
	append_member(out, json_object_get(task, "tgid"), "?");
	if (json_object_get(task, "uid")) {
		kw_bytes_append_string(out, ", uid ");
		append_member(out, json_object_get(task, "uid"), "?");
	}
	kw_bytes_append_char(out, ')');
}

static void append_path(struct kw_bytes *out, const json_t *cgroup)
{
	append_member(out, json_object_get(cgroup, "path"), "an unknown cgroup");
}

static void append_limit(struct kw_bytes *out, const json_t *owner)
{
	const json_t *cgroup = json_object_get(owner, "cgroup");

	if (!owner) {
		kw_bytes_append_string(out, "whose limit was reached was not seen");
		return;
	}
	if (json_is_null(cgroup)) {
		kw_bytes_append_string(out, "the host itself was out of memory");
		return;
	}
	kw_bytes_append_string(out, "limit of ");
	append_path(out, cgroup);
	kw_bytes_append_string(out, " (");
	kw_show_append_size(out, json_object_get(owner, "maxBytes"));
	kw_bytes_append_string(out, ") reached");
}

static void append_oom_kill(struct kw_bytes *out, const json_t *data)
{
	const json_t *victim = json_object_get(data, "victim");
	const json_t *trigger = json_object_get(data, "trigger");
	uint64_t victim_pid = 0, trigger_pid = 0;

	append_task(out, victim);
	kw_bytes_append_string(out, " killed in ");
	append_path(out, json_object_get(victim, "cgroup"));
	kw_bytes_append_string(out, ": ");
	append_limit(out, json_object_get(data, "limitOwner"));
	if (json_is_true(json_object_get(data, "groupKill")))
		kw_bytes_append_string(out, ", all of its group killed");
	if (!trigger)
		return;
	kw_bytes_append_string(out, "; triggered by ");
	if (kw_show_number(json_object_get(victim, "tgid"), &victim_pid) &&
	    kw_show_number(json_object_get(trigger, "tgid"), &trigger_pid) &&
	    victim_pid == trigger_pid)
		kw_bytes_append_string(out, "itself");
	else
		append_task(out, trigger);
}

/* A kill that only a counter has seen. */
static void append_counter_kill(struct kw_bytes *out, const json_t *data)
{
	append_member(out, json_object_get(data, "kills"), "?");
	kw_bytes_append_string(out, " killed in ");
	append_path(out, kw_show_at(data, "victim", "cgroup", NULL));
	if (json_is_true(json_object_get(data, "below")))
		kw_bytes_append_string(out, " or below");
	kw_bytes_append_string(out, ": by its counter, no hook has told it");
}

static void append_userspace_kill(struct kw_bytes *out, const json_t *data)
{
	const json_t *victim = json_object_get(data, "victim");
	const json_t *killer = json_object_get(data, "killer");

	append_task(out, victim);
	kw_bytes_append_string(out, " killed in ");
	append_path(out, json_object_get(victim, "cgroup"));
	kw_bytes_append_string(out, " by user space: by ");
	append_task(out, killer);
	kw_bytes_append_string(out, " in ");
	append_path(out, json_object_get(killer, "cgroup"));
}

static void append_kill(struct kw_bytes *out, const json_t *data)
{
	const char *constraint = kw_show_text(json_object_get(data, "constraint"));

	if (constraint && strcmp(constraint, KW_CONSTRAINT_USERSPACE) == 0)
		append_userspace_kill(out, data);
	else if (json_object_get(data, "provenance"))
		append_counter_kill(out, data);
	else
		append_oom_kill(out, data);
}

static void append_parity(struct kw_bytes *out, const json_t *data)
{
	const json_t *items = json_object_get(data, "counters");

	append_path(out, json_object_get(data, "cgroup"));
	for (size_t i = 0; i < json_array_size(items); i++) {
		const json_t *item = json_array_get(items, i);

		kw_bytes_append_string(out, i ? ", " : ": ");
		append_member(out, json_object_get(item, "counter"), "?");
		kw_bytes_append_char(out, ' ');
		append_member(out, json_object_get(item, "before"), "?");
		kw_bytes_append_string(out, " to ");
		append_member(out, json_object_get(item, "after"), "?");
		kw_bytes_append_char(out, ' ');
		append_member(out, json_object_get(item, "verdict"), "?");
	}
}

static void append_account(struct kw_bytes *out, const json_t *data)
{
	const json_t *kills = kw_show_at(data, "parity", "oomKill", NULL);

	kw_bytes_append_format(out, "account of counters, %zu cgroups; ",
			       json_array_size(json_object_get(data, "cgroups")));
	append_member(out, json_object_get(kills, "kernel"), "?");
	kw_bytes_append_string(out, " kills counted, ");
	append_member(out, json_object_get(kills, "unexplained"), "?");
	kw_bytes_append_string(out, " unexplained");
}

static void append_oom_incident(struct kw_bytes *out, const json_t *data)
{
	const json_t *verdict = json_object_get(data, "verdict");

	append_limit(out, json_object_get(data, "limitOwner"));
	kw_bytes_append_string(out, "; ");
	append_member(out, json_object_get(data, "kills"), "?");
	kw_bytes_append_string(out, " killed; ");
	append_member(out, json_object_get(verdict, "result"), "no verdict");
	if (json_object_get(verdict, "words")) {
		kw_bytes_append_string(out, ": ");
		append_member(out, json_object_get(verdict, "words"), "");
	}
}

static void append_gap(struct kw_bytes *out, const json_t *data)
{
	const json_t *lost = json_object_get(data, "lost");

	append_member(out, json_object_get(data, "kind"), "?");
	kw_bytes_append_string(out, ": ");
	append_member(out, json_object_get(data, "reason"), "no reason given");
	if (json_is_real(lost) && json_real_value(lost) > 0) {
		kw_bytes_append_string(out, " (lost: ");
		append_member(out, lost, "?");
		kw_bytes_append_char(out, ')');
	}
}

static void append_cgroup(struct kw_bytes *out, const json_t *data)
{
	static const struct {
		const char *file;
		const char *key;
	} shown[] = {
		{ "memory_events", "oom_kill" },
		{ "cpu_stat", "nr_throttled" },
		{ "pids_events", "max" },
	};

	kw_bytes_append_string(out, "reading of cell ");
	append_member(out, json_object_get(data, "cellId"), "?");
	for (size_t i = 0; i < kw_array_size(shown); i++) {
		const json_t *value = kw_show_at(data, "output", shown[i].file, shown[i].key, NULL);

		if (!value)
			continue;
		kw_bytes_append_format(out, ", %s.%s ", shown[i].file, shown[i].key);
		append_member(out, value, "?");
	}
}

static void append_checkpoint(struct kw_bytes *out, const json_t *data)
{
	kw_bytes_append_string(out, "over ");
	append_member(out, json_object_get(data, "size"), "?");
	kw_bytes_append_string(out, " lines, root ");
	append_member(out, json_object_get(data, "root"), "?");
	kw_bytes_append_string(out, " (");
	append_member(out, json_object_get(data, "reason"), "?");
	kw_bytes_append_char(out, ')');
}

static void append_guest(struct kw_bytes *out, const json_t *data)
{
	kw_bytes_append_string(out, "the guest of cell ");
	append_member(out, json_object_get(data, "cellId"), "?");
	kw_bytes_append_string(out, " says: ");
	append_member(out, json_object_get(data, "guestComm"), "a process");
	kw_bytes_append_string(out, " (guest pid ");
	append_member(out, json_object_get(data, "guestPid"), "?");
	kw_bytes_append_char(out, ')');
}

static void append_crosscheck(struct kw_bytes *out, const json_t *data)
{
	uint64_t count;

	kw_bytes_append_string(out, "cell ");
	append_member(out, json_object_get(data, "cellId"), "?");
	kw_bytes_append_string(out, ", ");
	append_member(out, json_object_get(data, "rule"), "?");
	kw_bytes_append_string(out, ": ");
	append_member(out, kw_show_at(data, "verdict", "result", NULL), "no verdict");
	if (kw_show_number(json_object_get(data, "count"), &count) && count > 1)
		kw_bytes_append_format(out, " (%" PRIu64 " times)", count);
	kw_bytes_append_string(out, ". ");
	append_member(out, kw_show_at(data, "verdict", "words", NULL), "");
}

static void append_silence(struct kw_bytes *out, const json_t *data)
{
	kw_bytes_append_string(out, "cell ");
	append_member(out, json_object_get(data, "cellId"), "?");
	if (json_object_get(data, "judgement")) {
		kw_bytes_append_string(out, ", ");
		append_member(out, json_object_get(data, "judgement"), "");
	}
	kw_bytes_append_string(out, ": ");
	append_member(out, json_object_get(data, "words"), "");
}

static const struct {
	const char *type; /* behind the common prefix; ends in '*': all that begin so */
	void (*append)(struct kw_bytes *out, const json_t *data);
} sentences[] = {
	{ "host.v1.oom_kill", append_kill },
	{ "host.v1.parity", append_parity },
	{ "host.v1.account", append_account },
	{ "host.v1.oom_incident", append_oom_incident },
	{ "host.v1.cgroup", append_cgroup },
	{ "host.v1.gap", append_gap },
	{ "host.v1.checkpoint", append_checkpoint },
	{ "host.v1.crosscheck", append_crosscheck },
	{ "guest.v1.agent_silenced", append_silence },
	{ "guest.v1.agent_resumed", append_silence },
	{ "guest.v1.*", append_guest },
};

void kw_show_append_sentence(struct kw_bytes *out, const json_t *event)
{
	const char *type = kw_show_type(event);

	for (size_t i = 0; i < kw_array_size(sentences); i++) {
		if (kw_text_matches_glob(sentences[i].type, type)) {
			sentences[i].append(out, json_object_get(event, "data"));
			return;
		}
	}
	append_member(out, json_object_get(event, "subject"), "");
}
