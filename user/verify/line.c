/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One line of a ledger (docs/ledger.md). Whatever the signature does not cover must have one form
 * only, or a bit of it could be changed unseen: the line is canonical JSON, its attributes are a
 * fixed set, times and numbers have one spelling. What is signed as "empty" (no subject) must not
 * stand there empty either.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include <kwitness/names.h>

#include "user/base/clock.h"
#include "user/base/text.h"
#include "user/verify/keys.h"

#define SIGNED_ATTRIBUTES "prevhash,recordedtime,sequence,timenanos"
#define SEQUENCE_DIGITS 20
#define TIME_CHARS (KW_RFC3339_BYTES - 1)
#define FRACTION_AT 20
#define FRACTION_CHARS 9

enum attribute {
	DATA,
	DATACONTENTTYPE,
	DSSEMATERIAL,
	ID,
	PREVHASH,
	RECORDEDTIME,
	SEQUENCE,
	SIGNEDEXTATTRS,
	SOURCE,
	SPECVERSION,
	SUBJECT,
	TIME,
	TIMENANOS,
	TYPE,
	ATTRIBUTE_COUNT
};

/* In canonical order. fixed: the only value it may have. */
static const struct {
	const char *name;
	bool optional;
	const char *fixed;
} attributes[ATTRIBUTE_COUNT] = {
	[DATA] = { "data", false, NULL },
	[DATACONTENTTYPE] = { "datacontenttype", false, "application/json" },
	[DSSEMATERIAL] = { "dssematerial", true, NULL }, /* its absence has a fault of its own */
	[ID] = { "id", false, NULL },
	[PREVHASH] = { "prevhash", false, NULL },
	[RECORDEDTIME] = { "recordedtime", false, NULL },
	[SEQUENCE] = { "sequence", false, NULL },
	[SIGNEDEXTATTRS] = { "signedextattrs", false, SIGNED_ATTRIBUTES },
	[SOURCE] = { "source", false, NULL },
	[SPECVERSION] = { "specversion", false, "1.0" },
	[SUBJECT] = { "subject", true, NULL },
	[TIME] = { "time", false, NULL },
	[TIMENANOS] = { "timenanos", false, NULL },
	[TYPE] = { "type", false, NULL },
};

/* Sorts the members into values; the reason when the set is not the ledger's. */
static const char *assign(const struct kw_members *members, struct kw_span *ret_values)
{
	size_t next = 0;

	for (int i = 0; i < ATTRIBUTE_COUNT; i++) {
		ret_values[i] = (struct kw_span){ NULL, 0 };
		if (next < members->count &&
		    kw_read_equals(members->names[next], attributes[i].name))
			ret_values[i] = members->values[next++];
		else if (!attributes[i].optional)
			return "an attribute is missing, or stands where an unknown one does";
		if (!ret_values[i].data || i == DATA)
			continue;
		/* Empty and absent have the same digest. */
		if (!kw_read_is_string(ret_values[i]) || ret_values[i].length == 2)
			return "an attribute that is empty or not a string";
		if (attributes[i].fixed && !kw_read_equals(ret_values[i], attributes[i].fixed))
			return "an attribute has not the value that it has in every ledger";
	}
	if (next != members->count)
		return "an attribute that a ledger's events do not have";
	if (ret_values[DATA].data[0] != '{')
		return "data is not an object";
	return NULL;
}

/* "2026-11-23T03:31:32.123456789Z" and no other spelling of it. */
static bool is_canonical_time(struct kw_span string, uint64_t *ret_real_ns)
{
	char text[KW_RFC3339_BYTES];

	if (string.length != TIME_CHARS + 2 ||
	    kw_clock_parse(string.data + 1, TIME_CHARS, ret_real_ns) < 0)
		return false;
	kw_clock_format(*ret_real_ns, text);
	return memcmp(text, string.data + 1, TIME_CHARS) == 0;
}

/* Base64url without padding of 32 bytes; one spelling only (sodium_base642bin() sees to it). */
static bool decode_hash(struct kw_span string, unsigned char ret_hash[static 32])
{
	size_t decoded;

	return string.length == 43 + 2 &&
	       sodium_base642bin(ret_hash, 32, string.data + 1, 43, NULL, &decoded, NULL,
				 sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
	       decoded == 32;
}

static const char *parse_values(const struct kw_span *values, struct kw_line *line)
{
	struct kw_span sequence = values[SEQUENCE], nanos = values[TIMENANOS];

	if (!is_canonical_time(values[TIME], &line->time_real_ns) ||
	    !is_canonical_time(values[RECORDEDTIME], &line->recorded_real_ns))
		return "time or recordedtime is not UTC with nine digits of fraction";
	if (nanos.length != FRACTION_CHARS + 2 ||
	    memcmp(nanos.data + 1, values[TIME].data + 1 + FRACTION_AT, FRACTION_CHARS) != 0)
		return "timenanos is not the fraction of time";
	if (sequence.length != SEQUENCE_DIGITS + 2 ||
	    kw_text_parse_u64(sequence.data + 1, SEQUENCE_DIGITS, &line->sequence) < 0 ||
	    line->sequence == 0)
		return "sequence is not a number of twenty digits, at least 1";
	if (!decode_hash(values[PREVHASH], line->prevhash))
		return "prevhash is not base64url of 32 bytes";
	return NULL;
}

/* A gap's exact losses; null (unknown) counts as none. */
static uint64_t gap_lost(struct kw_span data)
{
	struct kw_members members;
	struct kw_span lost;
	uint64_t value;

	if (kw_read_members(data, &members) < 0)
		return 0;
	lost = kw_read_find(&members, "lost");
	if (!lost.data || kw_text_parse_u64(lost.data, lost.length, &value) < 0)
		return 0;
	return value;
}

int kw_line_parse(const char *text, size_t length, struct kw_line *ret_line,
		  const char **ret_reason)
{
	struct kw_span values[ATTRIBUTE_COUNT];
	const char *reason;
	int r;

	r = kw_scan_check(text, length, true, ret_reason);
	if (r < 0)
		return r;
	if (kw_read_members((struct kw_span){ text, length }, &ret_line->members) < 0) {
		*ret_reason = "not an object of a ledger's attributes";
		return -EBADMSG;
	}
	reason = assign(&ret_line->members, values);
	if (!reason)
		reason = parse_values(values, ret_line);
	if (reason) {
		*ret_reason = reason;
		return -EBADMSG;
	}
	ret_line->source = values[SOURCE];
	ret_line->time = values[TIME];
	ret_line->type = values[TYPE];
	ret_line->is_gap = kw_read_equals(values[TYPE], KW_TYPE_GAP);
	ret_line->is_checkpoint = kw_read_equals(values[TYPE], KW_TYPE_CHECKPOINT);
	ret_line->is_key = kw_read_equals(values[TYPE], KW_TYPE_KEY);
	ret_line->data = values[DATA];
	ret_line->gap_lost = ret_line->is_gap ? gap_lost(values[DATA]) : 0;
	return 0;
}

static int fault(enum kw_fault value, const char *reason, enum kw_fault *ret_fault,
		 const char **ret_reason)
{
	*ret_fault = value;
	*ret_reason = reason;
	return 1;
}

/* Why the key may not sign this, by its limits; NULL: it may. Of a lone event only what is always signed
 * counts: its time, to the second. */
static const char *check_limits(const struct kw_trusted_key *key, const struct kw_line *line,
				bool canonical)
{
	struct kw_span time = kw_read_find(&line->members, "time");
	uint64_t real_ns = line->recorded_real_ns;

	if (canonical)
		return kw_trust_covers(key, line->sequence, real_ns);
	if (key->first_sequence > 0 || key->last_sequence < UINT64_MAX)
		return "the key is limited to a part of a ledger, and this is a lone event";
	if (key->not_before_ns == 0 && key->not_after_ns == UINT64_MAX)
		return NULL;
	if (!kw_read_is_string(time) ||
	    kw_clock_parse(time.data + 1, time.length - 2, &real_ns) < 0)
		return "the key's validity is limited in time, and the event has none";
	return kw_trust_covers(key, 1, real_ns - real_ns % KW_NSEC_PER_SEC);
}

int kw_line_verify(const struct kw_line *line, const struct kw_keyring *keyring, bool canonical,
		   struct kw_bytes *scratch, uint64_t *ret_serial, enum kw_fault *ret_fault,
		   const char **ret_reason)
{
	struct kw_span value = kw_read_find(&line->members, "dssematerial");
	const struct kw_trusted_key *key = NULL;
	struct kw_envelope envelope;
	unsigned char material[32];
	const char *reason;
	int r;

	if (!kw_read_is_string(value) || value.length == 2)
		return fault(KW_FAULT_UNSIGNED, "no dssematerial: nobody signed it", ret_fault,
			     ret_reason);
	r = kw_envelope_parse(value.data + 1, value.length - 2, canonical, scratch, &envelope,
			      &reason);
	if (r == -EBADMSG)
		return fault(KW_FAULT_MALFORMED, reason, ret_fault, ret_reason);
	if (r < 0)
		return r;
	switch (kw_envelope_verify(&envelope, keyring, &key)) {
	case KW_SIGNED_GOOD:
		break;
	case KW_SIGNED_UNKNOWN_KEY:
		return fault(KW_FAULT_UNKNOWN_KEY, "signed by a key that is not in the keyring",
			     ret_fault, ret_reason);
	case KW_SIGNED_BAD:
		return fault(KW_FAULT_SIGNATURE, "the signature does not fit the key", ret_fault,
			     ret_reason);
	}
	r = kw_material_compute(&line->members, scratch, material, &reason);
	if (r == -EBADMSG)
		return fault(KW_FAULT_MALFORMED, reason, ret_fault, ret_reason);
	if (r < 0)
		return r;
	if (sodium_memcmp(material, envelope.material, sizeof(material)) != 0)
		return fault(KW_FAULT_DIGEST, "the event was changed after it was signed",
			     ret_fault, ret_reason);
	reason = check_limits(key, line, canonical);
	if (reason)
		return fault(KW_FAULT_VALIDITY, reason, ret_fault, ret_reason);
	*ret_serial = key->serial;
	return 0;
}

uint64_t kw_line_salvage_sequence(const char *text, size_t length)
{
	static const char name[] = ",\"sequence\":\"";
	const char *found = memmem(text, length, name, sizeof(name) - 1);
	uint64_t sequence;

	if (!found)
		return 0;
	found += sizeof(name) - 1;
	if ((size_t)(text + length - found) < SEQUENCE_DIGITS ||
	    kw_text_parse_u64(found, SEQUENCE_DIGITS, &sequence) < 0)
		return 0;
	return sequence;
}
