/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The chain: each line carries its number and the hash of the line before it, and its signature
 * covers both. The head moves only when the caller says that the line was kept, so a line that could
 * not be appended leaves no hole: its number goes to the next one. Format: docs/ledger.md.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <kwitness/limits.h>
#include <kwitness/names.h>

#include "user/attest/attest.h"
#include "user/attest/digest.h"
#include "user/attest/event.h"
#include "user/base/text.h"

#define DATA_CONTENT_TYPE "application/json"
#define SPEC_VERSION "1.0"
#define SIGNED_ATTRIBUTES "prevhash,recordedtime,sequence,timenanos"
#define SEQUENCE_DIGITS 20
#define HASH_TEXT_BYTES                                                                            \
	sodium_base64_ENCODED_LEN(KW_DIGEST_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)
/* "2026-11-23T03:31:32" and "123456789" in kw_clock_format()'s text. */
#define SECONDS_CHARS 19
#define FRACTION_AT 20
#define FRACTION_CHARS 9

/* The same in every line: hashed once. */
enum constant {
	CONST_EMPTY,
	CONST_SPECVERSION,
	CONST_DATACONTENTTYPE,
	CONST_PREVHASH,
	CONST_RECORDEDTIME,
	CONST_SEQUENCE,
	CONST_TIMENANOS,
	CONST_SOURCE,
	CONST_COUNT
};

struct kw_attest {
	const struct kw_key *key;
	const struct kw_key
		*next_key; /* the line last made puts it in key's place; NULL: it does not */
	const struct kw_clock *clock;
	char *source;
	unsigned char constants[CONST_COUNT][KW_DIGEST_BYTES];
	struct kw_chain_head head;
	bool made; /* a line was made that is not committed: next is its head */
	struct kw_chain_head next;
	bool has_tree;
	struct kw_attest_tree tree; /* over all committed lines */
	unsigned char next_leaf[KW_TREE_HASH_BYTES];
	char line_id[40];      /* of the line last made */
	struct kw_event event; /* storage that lives from line to line */
};

/* Values of a line besides the event itself, as text. */
struct stamp {
	char id[40];
	char prevhash[HASH_TEXT_BYTES];
	char recordedtime[KW_RFC3339_BYTES];
	char sequence[SEQUENCE_DIGITS + 1];
	char time[KW_RFC3339_BYTES];
	char time_seconds[SECONDS_CHARS + 2]; /* "…32Z": what dssematerial hashes */
	char timenanos[FRACTION_CHARS + 1];
};

int kw_attest_open(const struct kw_attest_options *options, struct kw_attest **ret_attest)
{
	cleanup(kw_attest_freep) struct kw_attest *attest = NULL;
	const char *constants[CONST_COUNT] = {
		[CONST_EMPTY] = "",
		[CONST_SPECVERSION] = SPEC_VERSION,
		[CONST_DATACONTENTTYPE] = DATA_CONTENT_TYPE,
		[CONST_PREVHASH] = "prevhash",
		[CONST_RECORDEDTIME] = "recordedtime",
		[CONST_SEQUENCE] = "sequence",
		[CONST_TIMENANOS] = "timenanos",
		[CONST_SOURCE] = options->source,
	};

	if (!options->key || !options->clock || !options->source || !options->source[0] ||
	    !kw_text_is_utf8(options->source, strlen(options->source)))
		return -EINVAL;
	if (options->tree && options->tree->tree.size != options->head.sequence)
		return -EINVAL;
	attest = calloc(1, sizeof(*attest));
	if (!attest)
		return -ENOMEM;
	attest->key = options->key;
	attest->clock = options->clock;
	attest->head = options->head;
	kw_attest_tree_init(&attest->tree);
	attest->has_tree = options->tree != NULL || options->head.sequence == 0;
	if (options->tree)
		attest->tree = *options->tree;
	kw_bytes_init(&attest->event.subject, 3 * KW_PATH_MAX + 64);
	kw_bytes_init(&attest->event.data, KW_EVENT_MAX);
	attest->source = strdup(options->source);
	if (!attest->source)
		return -ENOMEM;
	for (int i = 0; i < CONST_COUNT; i++)
		kw_digest_sha256(constants[i], strlen(constants[i]), attest->constants[i]);
	*ret_attest = take_ptr(attest);
	return 0;
}

void kw_attest_free(struct kw_attest *attest)
{
	if (!attest)
		return;
	kw_bytes_done(&attest->event.subject);
	kw_bytes_done(&attest->event.data);
	free(attest->source);
	free(attest);
}

/* UUID version 8 (RFC 9562 5.8) of what makes the line the one it is: place in the chain and type. */
static void derive_id(const struct kw_chain_head *head, const char *sequence, const char *type,
		      char ret_id[static 40])
{
	unsigned char input[KW_DIGEST_BYTES + SEQUENCE_DIGITS + KW_TYPE_MAX],
		digest[KW_DIGEST_BYTES];
	size_t type_length = strlen(type);

	memcpy(input, head->hash, KW_DIGEST_BYTES);
	memcpy(input + KW_DIGEST_BYTES, sequence, SEQUENCE_DIGITS);
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes to hash, not a string */
	memcpy(input + KW_DIGEST_BYTES + SEQUENCE_DIGITS, type, type_length);
	kw_digest_sha256(input, KW_DIGEST_BYTES + SEQUENCE_DIGITS + type_length, digest);
	digest[6] = (unsigned char)((digest[6] & 0x0f) | 0x80);
	digest[8] = (unsigned char)((digest[8] & 0x3f) | 0x80);
	(void)snprintf(ret_id, 40,
		       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		       digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6],
		       digest[7], digest[8], digest[9], digest[10], digest[11], digest[12],
		       digest[13], digest[14], digest[15]);
}

static void make_stamp(const struct kw_attest *attest, const char *event_id,
		       struct stamp *ret_stamp)
{
	const struct kw_event *event = &attest->event;

	(void)snprintf(ret_stamp->sequence, sizeof(ret_stamp->sequence), "%020" PRIu64,
		       attest->head.sequence + 1);
	sodium_bin2base64(ret_stamp->prevhash, sizeof(ret_stamp->prevhash), attest->head.hash,
			  KW_DIGEST_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	kw_clock_format(kw_clock_real_ns(attest->clock), ret_stamp->recordedtime);
	kw_clock_format(event->time_real_ns, ret_stamp->time);
	memcpy(ret_stamp->time_seconds, ret_stamp->time, SECONDS_CHARS);
	memcpy(ret_stamp->time_seconds + SECONDS_CHARS, "Z", 2);
	memcpy(ret_stamp->timenanos, ret_stamp->time + FRACTION_AT, FRACTION_CHARS);
	ret_stamp->timenanos[FRACTION_CHARS] = '\0';
	if (event_id[0])
		(void)snprintf(ret_stamp->id, sizeof(ret_stamp->id), "%s", event_id);
	else
		derive_id(&attest->head, ret_stamp->sequence, event->type, ret_stamp->id);
}

static struct kw_dsse_field field(const char *text)
{
	return (struct kw_dsse_field){ .data = text, .length = strlen(text) };
}

static struct kw_dsse_field known(const struct kw_attest *attest, enum constant constant)
{
	return (struct kw_dsse_field){ .digest = attest->constants[constant] };
}

static int make_material(const struct kw_attest *attest, const struct stamp *stamp,
			 unsigned char ret_material[static 32])
{
	const struct kw_event *event = &attest->event;
	struct kw_dsse_event signed_event;

	signed_event.core[KW_DSSE_ID] = field(stamp->id);
	signed_event.core[KW_DSSE_SOURCE] = known(attest, CONST_SOURCE);
	signed_event.core[KW_DSSE_SPECVERSION] = known(attest, CONST_SPECVERSION);
	signed_event.core[KW_DSSE_TYPE] = field(event->type);
	signed_event.core[KW_DSSE_DATACONTENTTYPE] = known(attest, CONST_DATACONTENTTYPE);
	signed_event.core[KW_DSSE_DATASCHEMA] = known(attest, CONST_EMPTY);
	signed_event.core[KW_DSSE_SUBJECT] =
		(struct kw_dsse_field){ event->subject.data, event->subject.length, NULL };
	signed_event.core[KW_DSSE_TIME] = field(stamp->time_seconds);
	signed_event.core[KW_DSSE_DATA] =
		(struct kw_dsse_field){ event->data.data, event->data.length, NULL };
	signed_event.extensions[0] = known(attest, CONST_PREVHASH);
	signed_event.extensions[1] = field(stamp->prevhash);
	signed_event.extensions[2] = known(attest, CONST_RECORDEDTIME);
	signed_event.extensions[3] = field(stamp->recordedtime);
	signed_event.extensions[4] = known(attest, CONST_SEQUENCE);
	signed_event.extensions[5] = field(stamp->sequence);
	signed_event.extensions[6] = known(attest, CONST_TIMENANOS);
	signed_event.extensions[7] = field(stamp->timenanos);
	signed_event.extension_count = 4;
	return kw_dsse_material(&signed_event, ret_material);
}

/* The whole line without its newline, members in canonical order. */
static int write_line(const struct kw_attest *attest, const struct stamp *stamp,
		      struct kw_bytes *line)
{
	const struct kw_event *event = &attest->event;
	unsigned char material[32];
	struct kw_json json;
	int r;

	r = make_material(attest, stamp, material);
	if (r < 0)
		return r;
	kw_bytes_clear(line);
	kw_json_begin(&json, line);
	kw_json_object(&json);
	kw_json_key(&json, "data");
	kw_json_raw(&json, event->data.data, event->data.length);
	kw_json_member_string(&json, "datacontenttype", DATA_CONTENT_TYPE);
	/* The attribute's value is base64: nothing in it to escape. */
	kw_json_key(&json, "dssematerial");
	kw_bytes_append_char(line, '"');
	r = kw_dsse_append_attribute(attest->key, material, line);
	if (r < 0)
		return r;
	kw_json_raw(&json, "\"", 1);
	kw_json_member_string(&json, "id", stamp->id);
	kw_json_member_string(&json, "prevhash", stamp->prevhash);
	kw_json_member_string(&json, "recordedtime", stamp->recordedtime);
	kw_json_member_string(&json, "sequence", stamp->sequence);
	kw_json_member_string(&json, "signedextattrs", SIGNED_ATTRIBUTES);
	kw_json_member_string(&json, "source", attest->source);
	kw_json_member_string(&json, "specversion", SPEC_VERSION);
	if (event->subject.length)
		kw_json_member_string(&json, "subject", event->subject.data);
	kw_json_member_string(&json, "time", stamp->time);
	kw_json_member_string(&json, "timenanos", stamp->timenanos);
	kw_json_member_string(&json, "type", event->type);
	kw_json_end_object(&json);
	return kw_json_end(&json);
}

/* The line of the event that was made. */
static int finish_line(struct kw_attest *attest, const char *event_id, struct kw_bytes *line)
{
	struct stamp stamp = { .sequence = "" };
	int r;

	if (kw_bytes_error(&attest->event.subject) < 0)
		return kw_bytes_error(&attest->event.subject);
	make_stamp(attest, event_id, &stamp);
	memcpy(attest->line_id, stamp.id, sizeof(attest->line_id));
	r = write_line(attest, &stamp, line);
	if (r < 0)
		return r;
	return line->length + 1 > KW_EVENT_MAX ? -EMSGSIZE : 0;
}

static int make_line(struct kw_attest *attest, const struct kw_finding *finding,
		     const struct kw_event_limits *limits, struct kw_bytes *line)
{
	int r = kw_event_make(finding, attest->clock, limits, &attest->event);

	return r < 0 ? r : finish_line(attest, finding->event_id, line);
}

/* r: how the line came out. What kw_attest_commit() will do. */
static int prepare_commit(struct kw_attest *attest, int r, struct kw_bytes *line)
{
	if (r < 0) {
		kw_bytes_clear(line); /* half a line is nobody's business */
		return r;
	}
	attest->next.sequence = attest->head.sequence + 1;
	kw_digest_sha256(line->data, line->length, attest->next.hash);
	if (attest->has_tree)
		kw_tree_leaf(kw_digest_pieces, line->data, line->length, attest->next_leaf);
	kw_bytes_append_char(line, '\n');
	if (kw_bytes_error(line) < 0)
		return kw_bytes_error(line);
	attest->made = true;
	return 0;
}

int kw_attest_finding(struct kw_attest *attest, const struct kw_finding *finding,
		      struct kw_bytes *line)
{
	struct kw_event_limits limits = { .victims = KW_INCIDENT_VICTIMS_MAX };
	int r;

	attest->made = false;
	attest->next_key = NULL;
	r = make_line(attest, finding, &limits, line);
	while (r == -EMSGSIZE && finding->kind == KW_FINDING_OOM_INCIDENT && limits.victims > 0) {
		limits.victims /= 2;
		r = make_line(attest, finding, &limits, line);
	}
	return prepare_commit(attest, r, line);
}

int kw_attest_checkpoint(struct kw_attest *attest, const struct kw_checkpoint *checkpoint,
			 struct kw_bytes *line)
{
	int r;

	attest->made = false;
	attest->next_key = NULL;
	if (checkpoint->tree->tree.size > attest->head.sequence)
		return -EINVAL;
	r = kw_event_checkpoint(checkpoint, attest->key, attest->source, attest->clock,
				&attest->event);
	if (r == 0)
		r = finish_line(attest, "", line);
	return prepare_commit(attest, r, line);
}

int kw_attest_rotate(struct kw_attest *attest, const struct kw_key *next,
		     enum kw_rotation_reason reason, struct kw_bytes *line)
{
	const struct kw_rotation rotation = {
		.previous = attest->key,
		.next = next,
		.reason = reason,
		.source = attest->source,
		.head = &attest->head,
	};
	int r;

	attest->made = false;
	attest->next_key = NULL;
	/* No verifier would take either for another key. */
	if (strcmp(kw_key_id(next), kw_key_id(attest->key)) == 0 ||
	    memcmp(kw_key_public(next), kw_key_public(attest->key), crypto_sign_PUBLICKEYBYTES) ==
		    0)
		return -EINVAL;
	r = kw_event_key(&rotation, attest->clock, &attest->event);
	if (r == 0)
		r = finish_line(attest, "", line);
	r = prepare_commit(attest, r, line);
	if (r == 0)
		attest->next_key = next;
	return r;
}

const struct kw_key *kw_attest_key(const struct kw_attest *attest)
{
	return attest->key;
}

void kw_attest_commit(struct kw_attest *attest)
{
	if (!attest->made)
		return;
	if (attest->next_key)
		attest->key = attest->next_key;
	attest->next_key = NULL;
	attest->head = attest->next;
	if (attest->has_tree)
		kw_attest_tree_grow(&attest->tree, attest->next_leaf, attest->next.hash);
	attest->made = false;
}

const char *kw_attest_line_id(const struct kw_attest *attest)
{
	return attest->line_id;
}

struct kw_chain_head kw_attest_head(const struct kw_attest *attest)
{
	return attest->head;
}

const struct kw_attest_tree *kw_attest_current_tree(const struct kw_attest *attest)
{
	return attest->has_tree ? &attest->tree : NULL;
}
