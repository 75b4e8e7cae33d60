/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The forms in which a line leaves: as it is, in the CellOS envelope, or both. The chain, the tree and the
 * checkpoints are over the line itself in every profile, so none of them loses what the ledger proves.
 */
#include "user/daemon/pipeline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/base/log.h"

/* Bytes of a DSSE envelope with one signature; ours has about 350. */
#define MATERIAL_MAX 4096

/* Whether the key in force signed the line: another's envelope it must not sign. The last member of this name is
 * the line's own, for data stands before it, and a quotation mark in a string has a backslash before it. */
static bool is_signed_by(const char *line, size_t length, const struct kw_key *key)
{
	static const char name[] = ",\"dssematerial\":\"";
	const char *end = line + length, *found = line, *material = NULL, *quote;
	unsigned char text[MATERIAL_MAX];
	char wanted[KW_KID_MAX + 32];
	size_t size;
	int r = snprintf(wanted, sizeof(wanted), "\"keyid\":\"%s\",\"sig\":\"", kw_key_id(key));

	while ((found = memmem(found, (size_t)(end - found), name, sizeof(name) - 1)))
		material = found += sizeof(name) - 1;
	quote = material ? memchr(material, '"', (size_t)(end - material)) : NULL;
	if (!quote || r < 0 || (size_t)r >= sizeof(wanted) ||
	    sodium_base642bin(text, sizeof(text), material, (size_t)(quote - material), NULL, &size,
			      NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		return false;
	return memmem(text, size, wanted, (size_t)r) != NULL;
}

/* Without the newline. The key in force signed the line as well: another comes into force only behind it. */
static int seal(struct kw_pipeline *pipeline, const char *line, size_t length)
{
	return kw_cellos_seal(kw_attest_key(pipeline->attest), line, length, &pipeline->envelope);
}

/* Makes the envelopes behind sequence up to the ledger's end. *ret_missing: of so many it cannot. */
static int catch_up(struct kw_pipeline *pipeline, uint64_t sequence, uint64_t end,
		    uint64_t *ret_missing)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	int r = 0;

	*ret_missing = end - sequence;
	if (*ret_missing == 0 || *ret_missing > KW_BESIDE_CATCH_UP_MAX)
		return 0;
	r = kw_cursor_open(pipeline->ledger_path, sequence + 1, &cursor);
	while (r == 0 && *ret_missing > 0) {
		const char *line;
		size_t length;

		r = kw_cursor_next(cursor, &line, &length);
		if (r != 1)
			return r < 0 ? r : -EBADMSG;
		if (!is_signed_by(line, length, kw_attest_key(pipeline->attest)))
			return 0;
		r = seal(pipeline, line, length);
		if (r == 0)
			r = kw_ledger_append_beside(pipeline->ledger, ++sequence,
						    pipeline->envelope.data,
						    pipeline->envelope.length);
		*ret_missing -= r == 0;
	}
	return r;
}

/* Has the second output begin with the ledger or go on where it ends; else with a segment of its own. */
static int complete(struct kw_pipeline *pipeline, uint64_t sequence, uint64_t end)
{
	uint64_t first = kw_ledger_first(pipeline->ledger), missing;
	int r;

	if (end == 0 || first == 0)
		return 0;
	r = catch_up(pipeline, sequence ? sequence : first - 1, end, &missing);
	if (r < 0)
		return kw_log_error(r, "cannot complete \"%s/cellos\"", pipeline->ledger_path);
	if (missing)
		kw_ledger_close_segment(pipeline->ledger);
	/* One that begins later has no hole. */
	pipeline->profile_missing = sequence ? missing : 0;
	return 0;
}

static int open_beside(struct kw_pipeline *pipeline, const struct kw_ledger_found *found)
{
	uint64_t sequence;
	int r = kw_ledger_open_beside(pipeline->ledger, &sequence);

	if (r == -EBADMSG)
		kw_log(LOG_ERR,
		       "\"%s/cellos\" does not go with the ledger: its last lines are others; move it away to begin it anew",
		       pipeline->ledger_path);
	else if (r < 0)
		(void)kw_log_error(r, "cannot open \"%s/cellos\"", pipeline->ledger_path);
	return r < 0 ? r : complete(pipeline, sequence, found->head.sequence);
}

int kw_pipeline_profile_open(struct kw_pipeline *pipeline,
			     const struct kw_pipeline_options *options,
			     const struct kw_ledger_found *found)
{
	bool enveloped = options->profile == KW_PROFILE_CELLOS;

	pipeline->profile = options->profile;
	kw_bytes_init(&pipeline->envelope, KW_EVENT_MAX + KW_ENVELOPE_EXTRA_MAX);
	/* A segment has lines of one form only: who reads it can tell a change from a forgery. */
	if (found->has_last && found->enveloped != enveloped)
		kw_ledger_close_segment(pipeline->ledger);
	return options->profile == KW_PROFILE_BOTH ? open_beside(pipeline, found) : 0;
}

int kw_pipeline_profile_declare(struct kw_pipeline *pipeline)
{
	if (pipeline->profile_missing == 0)
		return 0;
	return kw_pipeline_gap(
		pipeline, KW_GAP_FILE, "cellos", 0,
		"the last %llu lines before this start have no CellOS envelope: they were written in another profile, or by a key that is not here any more; the ledger has them",
		(unsigned long long)pipeline->profile_missing);
}

int kw_pipeline_append(struct kw_pipeline *pipeline, uint64_t sequence)
{
	const struct kw_bytes *line = &pipeline->line, *envelope = &pipeline->envelope;
	int r = 0;

	if (pipeline->profile != KW_PROFILE_DSSE)
		r = seal(pipeline, line->data, line->length - 1);
	if (r < 0)
		return r;
	switch (pipeline->profile) {
	case KW_PROFILE_DSSE:
		return kw_ledger_append(pipeline->ledger, sequence, line->data, line->length);
	case KW_PROFILE_CELLOS:
		return kw_ledger_append(pipeline->ledger, sequence, envelope->data,
					envelope->length);
	case KW_PROFILE_BOTH:
		return kw_ledger_append_both(pipeline->ledger, sequence, line->data, line->length,
					     envelope->data, envelope->length);
	default:
		kw_unreachable();
	}
}
