/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* The parts of one incident that a list does not show; private to `kwitness incidents`. */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "user/base/bytes.h"

/* Of an incident's own ids, and of lines around it, as many as are looked for and shown. */
#define KW_RELATED_IDS_MAX 65U
#define KW_RELATED_LINES_MAX 20U
#define KW_RELATED_GUEST_LINES_MAX 5U

/* What other lines must have to belong to an incident. Texts are borrowed of event. */
struct kw_incident_relation {
	const json_t *event;
	uint64_t boot_ns;
	const char *cell;		     /* NULL: none */
	const char *sequence;		     /* of its line */
	const char *ids[KW_RELATED_IDS_MAX]; /* of its own event and of its kills' */
	size_t id_count;
	unsigned int shown;
	unsigned int guest_lines;
	unsigned int omitted;
	bool is_covered; /* by a checkpoint, of which proof tells */
	struct kw_bytes proof;
};

/* "container web of pod shop/cart-7: hog[77] was killed: it reached its own limit of 512 MiB; trigger was itself" */
void kw_incident_append_headline(struct kw_bytes *out, const json_t *event);
/* The last minute of the limit owner's memory, drawn; nothing where none is known. */
void kw_incident_append_curve(struct kw_bytes *out, const json_t *event);

/* 0; -1: the event lacks what would relate others to it. proof is the caller's to initialise and free. */
int kw_incident_relate(struct kw_incident_relation *relation, const json_t *event);
/* Whether a line may be of use, before it is parsed: most are not. */
bool kw_incident_is_related_type(const char *line, size_t length);
/* Shows event in out if it belongs to the incident. */
void kw_incident_take_related(struct kw_incident_relation *relation, const json_t *event, bool utc,
			      struct kw_bytes *out);
/* Where the incident stands in the ledger, and how to have it proven. */
void kw_incident_append_proof(const struct kw_incident_relation *relation, struct kw_bytes *out);
