/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* A ledger's line in the envelope that CellOS signs events in (docs/cellos.md): its bytes, no keys. */
#include <stddef.h>

#include "bytes.h"

#define KW_CELLOS_SIGNATURE_BYTES 64

/* Borrowed from the line. */
struct kw_cellos_envelope {
	const char *event; /* the ledger's own line, no newline: these bytes are signed */
	size_t event_length;
	const char *key_id; /* KW_KID_MAX bytes at most, none of them '"' or '\' */
	size_t key_id_length;
	unsigned char signature[KW_CELLOS_SIGNATURE_BYTES];
};

/* Takes a line (no newline) apart. 1: an envelope, in the one form that it has; 0: none; -EBADMSG: one that
 * is not in its form. The event is not looked into but for what the envelope repeats of it. */
int kw_cellos_open(const char *line, size_t length, struct kw_cellos_envelope *ret_envelope)
	kw_must_check;
/* Appends the envelope, without a newline. key_id: as above. -EBADMSG: the event is no ledger's line. */
int kw_cellos_append(struct kw_bytes *out, const struct kw_cellos_envelope *envelope) kw_must_check;
/* The ledger's line in any line of a segment: *line and *length move to it when it stands in an envelope. */
void kw_cellos_strip(const char **line, size_t *length);
