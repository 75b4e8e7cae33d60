/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which cells were silent when the ledger's last writer ended: said silent in its tail, and not said to
 * speak again. So that the next daemon does not tell the same silence twice. What lies further back than
 * the tail is not found, and is told again.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/names.h>

#include "user/deliver/deliver.h"

struct found {
	struct kw_ledger_silence *silences; /* oldest first */
	size_t count;
};

static const char *text_at(const json_t *object, const char *name, size_t maximum)
{
	const json_t *value = json_object_get(object, name);

	return json_is_string(value) && json_string_length(value) <= maximum
		       ? json_string_value(value)
		       : NULL;
}

static void forget(struct found *found, const char *cell_id)
{
	for (size_t i = 0; i < found->count; i++) {
		if (strcmp(found->silences[i].cell_id, cell_id) != 0)
			continue;
		found->count--;
		memmove(&found->silences[i], &found->silences[i + 1],
			(found->count - i) * sizeof(found->silences[0]));
		return;
	}
}

static void take(struct found *found, const json_t *event)
{
	const json_t *data = json_object_get(event, "data");
	const char *type = text_at(event, "type", KW_TYPE_MAX);
	const char *id = text_at(event, "id", sizeof(found->silences->event_id) - 1);
	const char *cell_id = text_at(data, "cellId", KW_CELL_ID_MAX);
	const char *run_id = text_at(data, "runId", KW_CELL_ID_MAX);
	json_int_t boot_ns = json_integer_value(json_object_get(data, "bootNs"));
	struct kw_ledger_silence *silence;

	if (!type || !id || !cell_id || !run_id)
		return;
	if (strcmp(type, KW_TYPE_AGENT_SILENCED) != 0 && strcmp(type, KW_TYPE_AGENT_RESUMED) != 0)
		return;
	forget(found, cell_id);
	if (strcmp(type, KW_TYPE_AGENT_SILENCED) != 0 || boot_ns <= 0 ||
	    found->count == KW_CELLS_MAX)
		return;
	silence = &found->silences[found->count++];
	(void)snprintf(silence->cell_id, sizeof(silence->cell_id), "%s", cell_id);
	(void)snprintf(silence->run_id, sizeof(silence->run_id), "%s", run_id);
	(void)snprintf(silence->event_id, sizeof(silence->event_id), "%s", id);
	silence->boot_ns = (uint64_t)boot_ns;
}

/* Any other line is none of ours: parsing them all at each start is not worth it. */
static bool may_be_one(const char *line, size_t length)
{
	static const char word[] = KW_TYPE_GUEST_PREFIX "agent_";

	return memmem(line, length, word, sizeof(word) - 1) != NULL;
}

static int read_tail(const char *path, struct found *found)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	const char *line;
	size_t length;
	int r = kw_cursor_open_tail(path, KW_SILENCE_TAIL_LINES, &cursor);

	if (r < 0)
		return r;
	while ((r = kw_cursor_next(cursor, &line, &length)) != 0) {
		json_t *event;

		if (r < 0 && r != -EMSGSIZE)
			return r;
		if (r < 0 || !may_be_one(line, length))
			continue;
		event = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
		take(found, event);
		json_decref(event);
	}
	return 0;
}

int kw_ledger_open_silences(const char *path, kw_ledger_silence_fn callback, void *context)
{
	cleanup_free struct kw_ledger_silence *silences = calloc(KW_CELLS_MAX, sizeof(*silences));
	struct found found = { .silences = silences };
	int r;

	if (!silences)
		return -ENOMEM;
	r = read_tail(path, &found);
	for (size_t i = 0; i < found.count && r == 0; i++)
		r = callback(context, &found.silences[i]);
	return r;
}
