/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The periodic reading of a registered cell's cgroup, member for member as CellOS's own probe writes
 * it (type and data: docs/events.md), so that its readers need no change. Where CellOS gives up the
 * whole reading because of one missing file, `missing` names the file and the reason.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/attest/event.h"
#include "user/base/text.h"

/* Each byte may become %XX. */
#define ESCAPED_KEY_BYTES (3 * KW_FLAT_KEY_BYTES)

struct row {
	char key[ESCAPED_KEY_BYTES + 1];
	size_t length;
	uint64_t value;
};

/* Inserts row into the first count rows, which are sorted already: at most 64, usually sorted. */
static void insert_row(struct row *rows, size_t count, const struct row *row)
{
	size_t at = count;

	while (at > 0 &&
	       kw_json_compare(rows[at - 1].key, rows[at - 1].length, row->key, row->length) > 0) {
		rows[at] = rows[at - 1];
		at--;
	}
	rows[at] = *row;
}

/* A file's pairs as an object with sorted keys. */
static int member_flat(struct kw_json *json, const char *key, const struct kw_flat *flat)
{
	struct row rows[KW_FLAT_KEYS_MAX];
	struct kw_bytes escaped;

	if (flat->count > KW_FLAT_KEYS_MAX)
		return -EINVAL;
	kw_bytes_init(&escaped, ESCAPED_KEY_BYTES);
	for (uint32_t i = 0; i < flat->count; i++) {
		struct row row = { .value = flat->pairs[i].value };

		kw_bytes_clear(&escaped);
		kw_text_append_escaped(&escaped, flat->pairs[i].key,
				       strnlen(flat->pairs[i].key, KW_FLAT_KEY_BYTES));
		if (kw_bytes_error(&escaped) < 0) {
			int error = kw_bytes_error(&escaped);

			kw_bytes_done(&escaped);
			return error;
		}
		row.length = escaped.length;
		if (escaped.length)
			memcpy(row.key, escaped.data, escaped.length);
		row.key[row.length] = '\0';
		insert_row(rows, i, &row);
	}
	kw_bytes_done(&escaped);
	kw_json_key(json, key);
	kw_json_object(json);
	for (uint32_t i = 0; i < flat->count; i++)
		kw_json_member_u64(json, rows[i].key, rows[i].value);
	kw_json_end_object(json);
	return 0;
}

static void member_inputs(struct kw_json *json, const struct kw_reading *reading)
{
	kw_json_key(json, "inputs");
	kw_json_object(json);
	kw_json_member_foreign(json, "cgroupLeaf", reading->leaf, sizeof(reading->leaf));
	kw_json_key(json, "files");
	kw_json_array(json);
	for (int file = 0; file < KW_FLAT_FILE_COUNT_; file++)
		kw_json_string(json, kw_flat_file_name((enum kw_flat_file)file));
	kw_json_end_array(json);
	kw_json_end_object(json);
}

/* One missing file: {"file": …, "reason": …}. */
static void missing_file(struct kw_json *json, enum kw_flat_file file, const struct kw_flat *flat)
{
	char reason[160];

	kw_counters_describe_error(flat, reason, sizeof(reason));
	kw_json_object(json);
	kw_json_member_string(json, "file", kw_flat_file_name(file));
	kw_json_member_string(json, "reason", reason);
	kw_json_end_object(json);
}

static void member_missing(struct kw_json *json, const struct kw_reading *reading)
{
	bool any = false;

	for (int file = 0; file < KW_FLAT_FILE_COUNT_; file++) {
		if (reading->files[file].present)
			continue;
		if (!any) {
			kw_json_key(json, "missing");
			kw_json_array(json);
			any = true;
		}
		missing_file(json, (enum kw_flat_file)file, &reading->files[file]);
	}
	if (any)
		kw_json_end_array(json);
}

static int member_output(struct kw_json *json, const struct kw_reading *reading)
{
	/* Canonical order; CellOS's names inside `output` are snake_case. */
	static const struct {
		const char *key;
		enum kw_flat_file file;
	} members[] = {
		{ "cpu_stat", KW_FLAT_CPU_STAT },
		{ "memory_events", KW_FLAT_MEMORY_EVENTS },
		{ "pids_events", KW_FLAT_PIDS_EVENTS },
	};
	int r = 0;

	kw_json_key(json, "output");
	kw_json_object(json);
	for (size_t i = 0; i < kw_array_size(members) && r == 0; i++) {
		if (reading->files[members[i].file].present)
			r = member_flat(json, members[i].key, &reading->files[members[i].file]);
	}
	kw_json_end_object(json);
	return r;
}

int kw_event_cgroup(const struct kw_finding *finding, const struct kw_clock *clock,
		    struct kw_event *event)
{
	const struct kw_attributed *whose = finding->attributed;
	const struct kw_cell *cell = kw_event_cell(finding);
	const struct kw_reading *reading;
	struct kw_json json;
	int r;

	if (!whose || !whose->observation || whose->observation->kind != KW_OBSERVATION_READING)
		return -EINVAL;
	reading = whose->observation->reading;
	(void)snprintf(event->type, sizeof(event->type), "%s", KW_TYPE_CGROUP);
	if (cell) {
		kw_event_subject(event, cell, NULL);
	} else {
		kw_bytes_append_string(&event->subject, "cgroup:");
		kw_text_append_escaped(&event->subject, reading->cgroup, strlen(reading->cgroup));
	}

	kw_json_begin(&json, &event->data);
	kw_json_object(&json);
	kw_json_member_string(&json, "cellId", cell ? cell->cell_id : NULL);
	kw_event_member_received(&json, finding, clock);
	member_inputs(&json, reading);
	member_missing(&json, reading);
	r = member_output(&json, reading);
	if (r < 0)
		return r;
	kw_json_member_string(&json, "probeSource", "host.cgroup");
	kw_json_member_string(&json, "runId", cell ? cell->run_id : NULL);
	kw_json_member_string(&json, "specSignatureHash", cell ? cell->spec_signature_hash : NULL);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}
