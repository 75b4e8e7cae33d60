/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One OOM as a person wants to read it: the sentence first, then the minute before it, who died, how the
 * counters moved; and from the lines around it what the guest said, what was made of that, and which
 * checkpoint covers it. Nothing is verified here; the last line says how to.
 */
#include "user/cli/incident.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdio.h>
#include <string.h>

#include <kwitness/names.h>

#include "user/base/clock.h"
#include "user/cli/show.h"

/* Rows of the curve. */
#define CURVE_ROWS 6
#define CURVE_COLUMNS_MAX 64
/* A guest's words are shown when they came so long before or after. */
#define GUEST_NS (60 * KW_NSEC_PER_SEC)

static const char *text_at(const json_t *object, const char *first, const char *second)
{
	const char *text = kw_show_text(kw_show_at(object, first, second, NULL));

	return text && text[0] ? text : NULL;
}

/* ---- the sentence ---- */

/* The name that a person knows it by. */
static void append_place(struct kw_bytes *out, const json_t *cgroup)
{
	const char *name = text_at(cgroup, "container", NULL);
	const char *id = text_at(cgroup, "containerId", NULL);
	const char *pod = text_at(cgroup, "podName", NULL);
	const char *space = text_at(cgroup, "podNamespace", NULL);
	char begin[13];

	if (text_at(cgroup, "cellId", NULL)) {
		kw_bytes_append_string(out, "cell ");
		kw_show_append(out, text_at(cgroup, "cellId", NULL));
	} else if (name || id) {
		(void)snprintf(begin, sizeof(begin), "%s", id ? id : "");
		kw_bytes_append_string(out, "container ");
		kw_show_append(out, name ? name : begin);
		if (pod) {
			kw_bytes_append_string(out, " of pod ");
			kw_show_append(out, space ? space : "");
			kw_bytes_append_char(out, '/');
			kw_show_append(out, pod);
		}
	} else if (text_at(cgroup, "unit", NULL)) {
		kw_show_append(out, text_at(cgroup, "unit", NULL));
	} else if (text_at(cgroup, "path", NULL)) {
		kw_bytes_append_string(out, "cgroup ");
		kw_show_append(out, text_at(cgroup, "path", NULL));
	} else {
		kw_bytes_append_string(out, "an unknown cgroup");
	}
}

static void append_process(struct kw_bytes *out, const json_t *task)
{
	const char *comm = text_at(task, "comm", NULL);
	uint64_t tgid;

	kw_show_append(out, comm ? comm : "a process");
	if (kw_show_number(json_object_get(task, "tgid"), &tgid))
		kw_bytes_append_format(out, "[%" PRIu64 "]", tgid);
}

static bool is_same(const json_t *a, const json_t *b)
{
	const char *one = text_at(a, "path", NULL), *other = text_at(b, "path", NULL);

	return one && other && strcmp(one, other) == 0;
}

static void append_cause(struct kw_bytes *out, const json_t *data, const json_t *where)
{
	const json_t *owner = json_object_get(data, "limitOwner");
	const json_t *cgroup = json_object_get(owner, "cgroup");

	if (!owner) {
		kw_bytes_append_string(out, "whose limit was reached was not seen");
		return;
	}
	if (json_is_null(cgroup)) {
		kw_bytes_append_string(out, "the host itself was out of memory");
		return;
	}
	if (is_same(cgroup, where))
		kw_bytes_append_string(out, "it reached its own limit of ");
	else
		append_place(out, cgroup);
	if (!is_same(cgroup, where))
		kw_bytes_append_string(out, " reached its limit of ");
	kw_show_append_size(out, json_object_get(owner, "maxBytes"));
}

static void append_trigger(struct kw_bytes *out, const json_t *data, const json_t *victim)
{
	const json_t *trigger = json_object_get(data, "trigger");
	uint64_t asked = 0, died = 1;

	if (!trigger)
		return;
	(void)kw_show_number(json_object_get(trigger, "tgid"), &asked);
	(void)kw_show_number(json_object_get(victim, "tgid"), &died);
	kw_bytes_append_string(out, "; trigger was ");
	if (asked == died)
		kw_bytes_append_string(out, "itself");
	else
		append_process(out, trigger);
}

void kw_incident_append_headline(struct kw_bytes *out, const json_t *event)
{
	const json_t *data = json_object_get(event, "data");
	const json_t *victims = json_object_get(data, "victims");
	const json_t *first = json_array_get(victims, 0);
	const json_t *where = json_object_get(first, "cgroup");
	uint64_t kills = 0;

	(void)kw_show_number(json_object_get(data, "kills"), &kills);
	if (!first) {
		kw_bytes_append_format(out, "%" PRIu64 " processes were killed: ", kills);
	} else {
		append_place(out, where);
		kw_bytes_append_string(out, ": ");
		append_process(out, first);
		if (kills > 1)
			kw_bytes_append_format(out, " and %" PRIu64 " more", kills - 1);
		kw_bytes_append_string(out, kills > 1 ? " were killed: " : " was killed: ");
	}
	append_cause(out, data, where);
	append_trigger(out, data, first);
	kw_bytes_append_char(out, '\n');
}

/* ---- the curve ---- */

struct curve {
	uint64_t bytes[CURVE_COLUMNS_MAX];
	size_t count;
	uint64_t top; /* the highest line: the limit, or what was most */
};

static bool read_curve(const json_t *data, struct curve *ret_curve)
{
	const json_t *samples = kw_show_at(data, "history", "memoryCurrent", NULL);
	struct curve curve = { .count = 0 };
	uint64_t limit;

	for (size_t i = 0; i < json_array_size(samples) && curve.count < CURVE_COLUMNS_MAX; i++) {
		if (!kw_show_number(json_array_get(samples, i), &curve.bytes[curve.count]))
			return false;
		if (curve.bytes[curve.count] > curve.top)
			curve.top = curve.bytes[curve.count];
		curve.count++;
	}
	if (kw_show_number(kw_show_at(data, "limitOwner", "maxBytes", NULL), &limit) &&
	    limit > curve.top)
		curve.top = limit;
	*ret_curve = curve;
	return curve.count > 0 && curve.top > 0;
}

/* Eighths of a row that are filled, from below. */
static unsigned int eighths(const struct curve *curve, size_t column, unsigned int row)
{
	/* a double is exact enough for a picture */
	double height = (double)curve->bytes[column] / (double)curve->top * 8 * CURVE_ROWS;
	double below = 8.0 * row;

	return height <= below ? 0 : height >= below + 8 ? 8 : (unsigned int)(height - below);
}

static void append_row(struct kw_bytes *out, const struct curve *curve, unsigned int row,
		       bool is_utf8)
{
	static const char *const blocks[] = {
		"  ", "▁▁", "▂▂", "▃▃", "▄▄", "▅▅", "▆▆", "▇▇", "██"
	};

	for (size_t i = 0; i < curve->count; i++) {
		unsigned int part = eighths(curve, i, row);

		if (is_utf8)
			kw_bytes_append_string(out, blocks[part]);
		else
			kw_bytes_append_string(out, part >= 4 ? "##" : part > 0 ? ".." : "  ");
	}
}

void kw_incident_append_curve(struct kw_bytes *out, const json_t *event)
{
	const json_t *data = json_object_get(event, "data");
	bool is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	uint64_t interval = 0;
	struct curve curve;
	json_t *top;

	if (!read_curve(data, &curve))
		return;
	(void)kw_show_number(kw_show_at(data, "history", "intervalMs", NULL), &interval);
	top = json_real((double)curve.top);
	kw_bytes_append_string(out, "\nmemory of the limit owner before it, up to ");
	kw_show_append_size(out, top);
	json_decref(top);
	kw_bytes_append_char(out, '\n');
	for (unsigned int row = CURVE_ROWS; row-- > 0;) {
		kw_bytes_append_string(out, is_utf8 ? "  │" : "  |");
		append_row(out, &curve, row, is_utf8);
		kw_bytes_append_char(out, '\n');
	}
	kw_bytes_append_string(out, is_utf8 ? "  └" : "  +");
	for (size_t i = 0; i < curve.count; i++)
		kw_bytes_append_string(out, is_utf8 ? "──" : "--");
	kw_bytes_append_format(out, "  %zu readings, %" PRIu64 " s apart\n", curve.count,
			       interval / 1000);
}

/* ---- what stands around it ---- */

int kw_incident_relate(struct kw_incident_relation *relation, const json_t *event)
{
	const json_t *data = json_object_get(event, "data");
	const json_t *victims = json_object_get(data, "victims");

	*relation = (struct kw_incident_relation){ .event = event };
	if (!kw_show_number(json_object_get(data, "bootNs"), &relation->boot_ns))
		relation->boot_ns = 0;
	relation->cell = text_at(data, "cellId", NULL);
	relation->sequence = text_at(event, "sequence", NULL);
	relation->ids[relation->id_count++] = text_at(event, "id", NULL);
	for (size_t i = 0; i < json_array_size(victims) && relation->id_count < KW_RELATED_IDS_MAX;
	     i++)
		relation->ids[relation->id_count++] =
			text_at(json_array_get(victims, i), "eventId", NULL);
	return relation->sequence && relation->ids[0] ? 0 : -1;
}

bool kw_incident_is_related_type(const char *line, size_t length)
{
	static const char *const types[] = { KW_TYPE_CROSSCHECK, KW_TYPE_PARITY, KW_TYPE_CHECKPOINT,
					     KW_TYPE_PREFIX "guest.v1." };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (memmem(line, length, types[i], strlen(types[i])))
			return true;
	}
	return false;
}

/* Whether an array of ids has one of the incident's. */
static bool names_it(const struct kw_incident_relation *relation, const json_t *ids)
{
	const json_t *id;
	size_t i;

	json_array_foreach(ids, i, id)
	{
		for (size_t n = 0; n < relation->id_count; n++) {
			if (relation->ids[n] && json_is_string(id) &&
			    strcmp(json_string_value(id), relation->ids[n]) == 0)
				return true;
		}
	}
	return false;
}

static bool is_verdict_on_it(const struct kw_incident_relation *relation, const char *type,
			     const json_t *data)
{
	const json_t *counters = json_object_get(data, "counters"), *one;
	size_t i;

	if (strcmp(type, "host.v1.crosscheck") == 0)
		return names_it(relation, json_object_get(data, "hostEvents"));
	if (strcmp(type, "host.v1.parity") != 0)
		return false;
	json_array_foreach(counters, i, one)
	{
		if (names_it(relation, json_object_get(one, "events")))
			return true;
	}
	return false;
}

static bool is_guest_near_it(const struct kw_incident_relation *relation, const char *type,
			     const json_t *event)
{
	const char *cell = text_at(event, "data", "cellId");
	const char *mine = text_at(relation->event, "time", NULL), *theirs;
	uint64_t at, then;

	if (strncmp(type, "guest.v1.", 9) != 0 || !relation->cell || !cell ||
	    strcmp(cell, relation->cell) != 0)
		return false;
	theirs = text_at(event, "time", NULL);
	if (!mine || !theirs || kw_clock_parse(mine, strlen(mine), &at) < 0 ||
	    kw_clock_parse(theirs, strlen(theirs), &then) < 0)
		return false;
	return (at > then ? at - then : then - at) <= GUEST_NS;
}

/* A checkpoint covers what stands before it: its size is the number of lines. */
static bool covers_it(const struct kw_incident_relation *relation, const char *type,
		      const json_t *data)
{
	uint64_t size;

	return !relation->is_covered && strcmp(type, "host.v1.checkpoint") == 0 &&
	       kw_show_number(json_object_get(data, "size"), &size) &&
	       size >= strtoull(relation->sequence, NULL, 10);
}

void kw_incident_take_related(struct kw_incident_relation *relation, const json_t *event, bool utc,
			      struct kw_bytes *out)
{
	const char *type = kw_show_type(event);
	const json_t *data = json_object_get(event, "data");
	bool is_guest = is_guest_near_it(relation, type, event);

	if (covers_it(relation, type, data)) {
		relation->is_covered = true;
		kw_bytes_append_string(&relation->proof, "  covered by the checkpoint ");
		kw_show_append_sentence(&relation->proof, event);
		kw_bytes_append_string(&relation->proof, " in line ");
		kw_show_append(&relation->proof, text_at(event, "sequence", NULL)
							 ? text_at(event, "sequence", NULL)
							 : "?");
		kw_bytes_append_char(&relation->proof, '\n');
		return;
	}
	if (!is_guest && !is_verdict_on_it(relation, type, data))
		return;
	/* A guest may say much in a minute: its verdicts come behind, and must find room. */
	if (is_guest && relation->guest_lines++ >= KW_RELATED_GUEST_LINES_MAX) {
		relation->omitted++;
		return;
	}
	if (relation->shown >= KW_RELATED_LINES_MAX) {
		relation->omitted++;
		return;
	}
	if (relation->shown++ == 0)
		kw_bytes_append_string(out, "\nwhat others say\n");
	kw_bytes_append_string(out, "  ");
	kw_show_append_time(out, event, utc);
	kw_bytes_append_string(out, "  ");
	kw_show_append_sentence(out, event);
	kw_bytes_append_char(out, '\n');
}

void kw_incident_append_proof(const struct kw_incident_relation *relation, struct kw_bytes *out)
{
	if (relation->omitted > 0)
		kw_bytes_append_format(out, "  and %u more\n", relation->omitted);
	kw_bytes_append_string(out, "\nproof\n  line ");
	kw_show_append(out, relation->sequence);
	kw_bytes_append_string(out, ", event ");
	kw_show_append(out, relation->ids[0]);
	kw_bytes_append_char(out, '\n');
	if (relation->is_covered && kw_bytes_error(&relation->proof) == 0)
		kw_bytes_append(out, relation->proof.data, relation->proof.length);
	else
		kw_bytes_append_string(out, "  no checkpoint covers it yet\n");
	kw_bytes_append_string(out, "  not verified here: kwitness prove ");
	kw_show_append(out, relation->ids[0]);
	kw_bytes_append_string(out, " >proof; kwitness verify --proof proof\n");
}
