/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A ledger line, read back. A whole JSON parser and not a search for "sequence": guests and processes
 * choose parts of an event's data, and what stands there must not pass for the event's own members.
 * Whether the line is authentic is not asked here; verify does.
 */
#include "user/deliver/line.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <kwitness/names.h>

#include "user/attest/attest.h"
#include "user/base/text.h"

static void put_json(json_t **json)
{
	json_decref(*json);
}

/* Copies the string member key when it is there and fits; else ret_text stays. */
static void copy_string(const json_t *object, const char *key, char *ret_text, size_t size)
{
	const json_t *value = json_object_get(object, key);

	if (json_is_string(value) && json_string_length(value) < size)
		(void)snprintf(ret_text, size, "%s", json_string_value(value));
}

static enum kw_line_type type_of(const json_t *root)
{
	const char *type = json_string_value(json_object_get(root, "type"));

	if (!type)
		return KW_LINE_OTHER;
	if (strcmp(type, KW_TYPE_OOM_KILL) == 0)
		return KW_LINE_OOM_KILL;
	if (strcmp(type, KW_TYPE_OOM_INCIDENT) == 0)
		return KW_LINE_OOM_INCIDENT;
	if (strcmp(type, KW_TYPE_CHECKPOINT) == 0)
		return KW_LINE_CHECKPOINT;
	return strcmp(type, KW_TYPE_GAP) == 0 ? KW_LINE_GAP : KW_LINE_OTHER;
}

static enum kw_gap_kind gap_kind_of(const json_t *data)
{
	const char *kind = json_string_value(json_object_get(data, "kind"));

	for (int i = 0; kind && i < KW_GAP_KIND_COUNT_; i++) {
		if (strcmp(kind, kw_gap_kind_name((enum kw_gap_kind)i)) == 0)
			return (enum kw_gap_kind)i;
	}
	return KW_GAP_KIND_COUNT_;
}

static int parse_envelope(const json_t *root, struct kw_line *line)
{
	const json_t *sequence = json_object_get(root, "sequence");
	const json_t *recorded = json_object_get(root, "recordedtime");

	if (!json_is_string(sequence) || json_string_length(sequence) != 20 ||
	    kw_text_parse_u64(json_string_value(sequence), 20, &line->sequence) < 0)
		return -EPROTO;
	if (!json_is_string(recorded) ||
	    kw_clock_parse(json_string_value(recorded), json_string_length(recorded),
			   &line->recorded_real_ns) < 0)
		return -EPROTO;
	copy_string(root, "id", line->id, sizeof(line->id));
	return line->id[0] ? 0 : -EPROTO;
}

int kw_line_facts(const char *text, size_t length, struct kw_line *ret_line)
{
	/* Integers as reals: a u64 above 2^63 - 1 is no error; no integer is used here. */
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL;
	cleanup(put_json) json_t *root = NULL;
	struct kw_line line = { .gap_kind = KW_GAP_KIND_COUNT_ };
	const json_t *data;
	json_error_t error;
	int r;

	root = json_loadb(text, length, flags, &error);
	if (!root)
		return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EBADMSG;
	if (!json_is_object(root))
		return -EBADMSG;
	r = parse_envelope(root, &line);
	if (r < 0)
		return r;
	data = json_object_get(root, "data");
	line.type = type_of(root);
	if (line.type == KW_LINE_GAP) {
		line.gap_kind = gap_kind_of(data);
		copy_string(data, "bootId", line.boot_id, sizeof(line.boot_id));
	} else if (line.type == KW_LINE_CHECKPOINT) {
		const char *reason = json_string_value(json_object_get(data, "reason"));

		line.is_closing = reason &&
				  strcmp(reason, kw_checkpoint_reason_name(KW_CHECKPOINT_STOP)) ==
					  0;
	} else if (line.type != KW_LINE_OTHER) {
		copy_string(data, "incident", line.incident_id, sizeof(line.incident_id));
		if (line.type == KW_LINE_OOM_INCIDENT && !line.incident_id[0])
			memcpy(line.incident_id, line.id, sizeof(line.incident_id));
	}
	*ret_line = line;
	return 0;
}
