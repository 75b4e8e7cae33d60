/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A ledger as a reader has it: verified by the library, then its kills, incidents and gaps. */
#include "tests/replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <kwitness/names.h>
#include <kwitness/verify.h>

#include "user/base/file.h"
#include "user/base/log.h"

#define LEDGER_MAX (64U * 1024U * 1024U)
#define LINES_MAX 16384U

KW_DEFINE_CLEANUP(struct kw_keyring *, kw_keyring_free)
KW_DEFINE_CLEANUP(struct kw_verifier *, kw_verifier_free)

void replay_told_done(struct replay_told *told)
{
	free(told->kills);
	free(told->incidents);
	kw_bytes_done(&told->text);
}

static void on_fault(void *context, const struct kw_fault_report *report)
{
	struct replay_told *told = context;

	if (told->faults++ == 0)
		(void)snprintf(told->fault, sizeof(told->fault), "line %" PRIu64 ": %s: %s",
			       report->line, kw_fault_name(report->fault), report->detail);
}

static int verify(struct replay_told *told)
{
	cleanup(kw_keyring_freep) struct kw_keyring *keyring = NULL;
	cleanup(kw_verifier_freep) struct kw_verifier *verifier = NULL;
	cleanup_bytes struct kw_bytes text;
	const char *reason;
	int r;

	kw_bytes_init(&text, 4096);
	r = replay_keyring(&text);
	if (r == 0)
		r = kw_keyring_parse(text.data, text.length, &keyring, &reason);
	if (r == 0)
		r = kw_verifier_new(keyring, false, on_fault, told, &verifier);
	if (r == 0)
		r = kw_verifier_feed(verifier, REPLAY_SEGMENT, told->text.data, told->text.length);
	return r < 0 ? r : kw_verifier_end_of_file(verifier);
}

static const char *string(const json_t *object, const char *name)
{
	const char *value = json_string_value(json_object_get(object, name));

	return value ? value : "";
}

static void read_kill(struct replay_told *told, const json_t *event, const json_t *data)
{
	struct replay_kill *kill = &told->kills[told->kill_count++];

	(void)snprintf(kill->id, sizeof(kill->id), "%s", string(event, "id"));
	(void)snprintf(kill->incident, sizeof(kill->incident), "%s", string(data, "incident"));
	kill->tgid = (uint32_t)json_number_value(
		json_object_get(json_object_get(data, "victim"), "tgid"));
}

static void read_incident(struct replay_told *told, const json_t *data)
{
	struct replay_incident *incident = &told->incidents[told->incident_count++];
	const json_t *verdict = json_object_get(data, "verdict");

	(void)snprintf(incident->id, sizeof(incident->id), "%s", string(data, "incident"));
	(void)snprintf(incident->result, sizeof(incident->result), "%s", string(verdict, "result"));
	(void)snprintf(incident->words, sizeof(incident->words), "%s", string(verdict, "words"));
	incident->kills = (uint32_t)json_number_value(json_object_get(data, "kills"));
}

static void read_gap(struct replay_told *told, const json_t *data)
{
	for (int kind = 0; kind < KW_GAP_KIND_COUNT_; kind++)
		told->gaps[kind] +=
			strcmp(string(data, "kind"), kw_gap_kind_name((enum kw_gap_kind)kind)) == 0;
}

/* Numbers as doubles: a forged counter may be above 2^63, which jansson refuses as an integer. */
static int read_line(struct replay_told *told, const char *line, size_t length,
		     char ret_id[static 40])
{
	cleanup(json_decrefp)
		json_t *event = json_loadb(line, length, JSON_DECODE_INT_AS_REAL, NULL);
	const json_t *data = json_object_get(event, "data");
	const char *type = string(event, "type");

	if (!event || told->lines >= LINES_MAX)
		return -EBADMSG;
	(void)snprintf(ret_id, 40, "%s", string(event, "id"));
	told->lines++;
	if (strcmp(type, KW_TYPE_OOM_KILL) == 0)
		read_kill(told, event, data);
	else if (strcmp(type, KW_TYPE_OOM_INCIDENT) == 0)
		read_incident(told, data);
	else if (strcmp(type, KW_TYPE_GAP) == 0)
		read_gap(told, data);
	return 0;
}

static int compare_ids(const void *left, const void *right)
{
	return strcmp(left, right);
}

static int compare_kills(const void *left, const void *right)
{
	const struct replay_kill *a = left, *b = right;

	return (a->tgid > b->tgid) - (a->tgid < b->tgid);
}

static int read_lines(struct replay_told *told, char (*ids)[40])
{
	const char *at = told->text.data, *end = at + told->text.length, *newline;
	int r = 0;

	for (; r == 0 && at < end && (newline = memchr(at, '\n', (size_t)(end - at)));
	     at = newline + 1)
		r = read_line(told, at, (size_t)(newline - at), ids[told->lines]);
	qsort(ids, told->lines, sizeof(*ids), compare_ids);
	for (size_t i = 1; i < told->lines; i++)
		if (strcmp(ids[i - 1], ids[i]) == 0)
			memcpy(told->repeated, ids[i], sizeof(told->repeated));
	qsort(told->kills, told->kill_count, sizeof(*told->kills), compare_kills);
	return r;
}

int replay_told_read(struct replay_told *told)
{
	cleanup_free char(*ids)[40] = calloc(LINES_MAX + 1, sizeof(*ids));
	int r;

	*told = (struct replay_told){ .lines = 0 };
	kw_bytes_init(&told->text, LEDGER_MAX);
	told->kills = calloc(LINES_MAX, sizeof(*told->kills));
	told->incidents = calloc(LINES_MAX, sizeof(*told->incidents));
	if (!ids || !told->kills || !told->incidents)
		return -ENOMEM;
	r = kw_file_read(AT_FDCWD, REPLAY_SEGMENT, &told->text);
	if (r == 0)
		r = verify(told);
	return r < 0 ? r : read_lines(told, ids);
}

const struct replay_incident *replay_told_incident(const struct replay_told *told, const char *id)
{
	for (size_t i = 0; i < told->incident_count; i++)
		if (strcmp(told->incidents[i].id, id) == 0)
			return &told->incidents[i];
	return NULL;
}
