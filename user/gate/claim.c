/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CBOR map to checked claim; pure. libcbor's streaming decoder reads one item head at a time and
 * allocates nothing; which items may stand where is decided here: majors 0, 3 and 5 with definite
 * lengths (RFC 8949 section 3.1), five keys in their order at the front, content_version first.
 * Integers need not be in their shortest form: the frame format does not demand it. What minor version
 * 0x0101 adds stands after the five in any order, each where the guest has it; in a frame of 0x0100
 * these are keys like any other that is not known, and skipped.
 */
#include "user/gate/claim.h"

#include <cbor.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"

enum item_type { ITEM_OTHER, ITEM_UINT, ITEM_TEXT, ITEM_MAP };

struct item {
	enum item_type type;
	uint64_t number;  /* UINT: the value; MAP: pairs */
	const char *text; /* TEXT: its bytes; MAP: its pairs; borrowed from the body */
	size_t length;	  /* TEXT: exactly; MAP: up to the body's end */
};

struct reader {
	const unsigned char *at;
	size_t left;
};

struct pair {
	struct item key;
	struct item value;
};

struct claim_map {
	size_t count;
	struct pair pairs[KW_CLAIM_KEYS_MAX];
};

enum { KEY_VERSION, KEY_PROBE, KEY_PID, KEY_COMM, KEY_TIME, KEY_COUNT };

static const struct {
	const char *name;
	enum item_type type;
	uint64_t maximum; /* UINT only */
} keys[KEY_COUNT] = {
	[KEY_VERSION] = { "content_version", ITEM_UINT, UINT16_MAX },
	[KEY_PROBE] = { "probe_source", ITEM_TEXT, 0 },
	[KEY_PID] = { "guest_pid", ITEM_UINT, UINT32_MAX },
	[KEY_COMM] = { "guest_comm", ITEM_TEXT, 0 },
	[KEY_TIME] = { "guest_monotonic_ns", ITEM_UINT, UINT64_MAX },
};

/* What minor versions have added. */
enum { MINOR_SEQ, MINOR_DROPPED, MINOR_BOOT_ID, MINOR_CLAIM, MINOR_COUNT };

static const struct {
	const char *name;
	enum item_type type;
	enum kw_claim_has has;
} minor_keys[MINOR_COUNT] = {
	[MINOR_SEQ] = { "seq", ITEM_UINT, KW_CLAIM_HAS_SEQ },
	[MINOR_DROPPED] = { "dropped", ITEM_UINT, KW_CLAIM_HAS_DROPPED },
	[MINOR_BOOT_ID] = { "boot_id", ITEM_TEXT, KW_CLAIM_HAS_BOOT_ID },
	[MINOR_CLAIM] = { "claim", ITEM_MAP, KW_CLAIM_HAS_CLAIM },
};

/* The minor fields of one frame as they are found, before any of them leaves. */
struct minor {
	uint32_t has;
	struct item items[MINOR_COUNT];
	uint16_t pair_count;
	struct kw_claim_pair pairs[KW_CLAIM_PAIRS_MAX];
};

static void take_uint(struct item *item, uint64_t value)
{
	item->type = ITEM_UINT;
	item->number = value;
}

static void on_uint8(void *context, uint8_t value)
{
	take_uint(context, value);
}

static void on_uint16(void *context, uint16_t value)
{
	take_uint(context, value);
}

static void on_uint32(void *context, uint32_t value)
{
	take_uint(context, value);
}

static void on_uint64(void *context, uint64_t value)
{
	take_uint(context, value);
}

static void on_text(void *context, cbor_data data, size_t length)
{
	struct item *item = context;

	item->type = ITEM_TEXT;
	item->text = (const char *)data;
	item->length = length;
}

static void on_map(void *context, size_t pairs)
{
	struct item *item = context;

	item->type = ITEM_MAP;
	item->number = pairs;
}

/* Reads one item head (and a text's bytes). */
static enum kw_gate_reason read_item(struct reader *reader, struct item *ret_item)
{
	struct cbor_callbacks callbacks = cbor_empty_callbacks;
	struct item item = { .type = ITEM_OTHER };
	struct cbor_decoder_result result;

	callbacks.uint8 = on_uint8;
	callbacks.uint16 = on_uint16;
	callbacks.uint32 = on_uint32;
	callbacks.uint64 = on_uint64;
	callbacks.string = on_text;
	callbacks.map_start = on_map;
	if (reader->left == 0)
		return KW_GATE_MALFORMED;
	result = cbor_stream_decode(reader->at, reader->left, &callbacks, &item);
	if (result.status != CBOR_DECODER_FINISHED || result.read > reader->left)
		return KW_GATE_MALFORMED;
	if (item.type == ITEM_OTHER)
		return KW_GATE_MALFORMED;
	if (item.type == ITEM_TEXT && !kw_text_is_utf8(item.text, item.length))
		return KW_GATE_BAD_TEXT;
	reader->at += result.read;
	reader->left -= result.read;
	if (item.type == ITEM_MAP) {
		item.text = (const char *)reader->at;
		item.length = reader->left;
	}
	*ret_item = item;
	return KW_GATE_REASON_NONE;
}

/* Steps over a nested map: keys text, values uint or text, no map in it. */
static enum kw_gate_reason skip_map(struct reader *reader, uint64_t pairs)
{
	enum kw_gate_reason reason;
	struct item key;
	struct item value;

	/* Ends at the end of the body at the latest: each round reads two bytes or more. */
	for (uint64_t i = 0; i < pairs; i++) {
		reason = read_item(reader, &key);
		if (reason != KW_GATE_REASON_NONE)
			return reason;
		reason = read_item(reader, &value);
		if (reason != KW_GATE_REASON_NONE)
			return reason;
		if (key.type != ITEM_TEXT || value.type == ITEM_MAP)
			return KW_GATE_MALFORMED;
	}
	return KW_GATE_REASON_NONE;
}

static bool is_key(const struct item *item, const char *name)
{
	return item->type == ITEM_TEXT && item->length == strlen(name) &&
	       memcmp(item->text, name, item->length) == 0;
}

/* The first pair decides whether the rest may be read at all. */
static enum kw_gate_reason check_version(const struct pair *pair)
{
	if (!is_key(&pair->key, keys[KEY_VERSION].name))
		return KW_GATE_BAD_VERSION;
	if (pair->value.type != ITEM_UINT)
		return KW_GATE_WRONG_TYPE;
	if (pair->value.number > UINT16_MAX)
		return KW_GATE_OUT_OF_RANGE;
	return pair->value.number >> 8 == 1 ? KW_GATE_REASON_NONE : KW_GATE_BAD_VERSION;
}

static enum kw_gate_reason read_map(struct reader *reader, struct claim_map *ret_map)
{
	enum kw_gate_reason reason;
	struct item head;

	reason = read_item(reader, &head);
	if (reason != KW_GATE_REASON_NONE)
		return reason;
	if (head.type != ITEM_MAP)
		return KW_GATE_MALFORMED;
	ret_map->count = 0;
	for (uint64_t i = 0; i < head.number; i++) {
		struct pair *pair = &ret_map->pairs[ret_map->count];

		if (ret_map->count == KW_CLAIM_KEYS_MAX)
			return KW_GATE_MALFORMED;
		reason = read_item(reader, &pair->key);
		if (reason != KW_GATE_REASON_NONE)
			return reason;
		reason = read_item(reader, &pair->value);
		if (reason != KW_GATE_REASON_NONE)
			return reason;
		if (i == 0) {
			reason = check_version(pair);
			if (reason != KW_GATE_REASON_NONE)
				return reason;
		}
		if (pair->key.type != ITEM_TEXT)
			return KW_GATE_MALFORMED;
		if (pair->value.type == ITEM_MAP) {
			reason = skip_map(reader, pair->value.number);
			if (reason != KW_GATE_REASON_NONE)
				return reason;
		}
		ret_map->count++;
	}
	return reader->left == 0 ? KW_GATE_REASON_NONE : KW_GATE_TRAILING;
}

static bool has_duplicate(const struct claim_map *map)
{
	for (size_t i = 1; i < map->count; i++)
		for (size_t j = 0; j < i; j++) {
			const struct item *a = &map->pairs[i].key;
			const struct item *b = &map->pairs[j].key;

			if (a->length == b->length && memcmp(a->text, b->text, a->length) == 0)
				return true;
		}
	return false;
}

static bool has_key(const struct claim_map *map, const char *name)
{
	for (size_t i = 0; i < map->count; i++)
		if (is_key(&map->pairs[i].key, name))
			return true;
	return false;
}

/* Which keys stand where; what their values are comes after. */
static enum kw_gate_reason check_keys(const struct claim_map *map)
{
	if (has_duplicate(map))
		return KW_GATE_DUPLICATE_KEY;
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (!has_key(map, keys[i].name))
			return KW_GATE_MISSING_KEY;
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (!is_key(&map->pairs[i].key, keys[i].name))
			return KW_GATE_KEY_ORDER;
	return KW_GATE_REASON_NONE;
}

static enum kw_gate_reason check_values(const struct claim_map *map)
{
	const struct item *probe = &map->pairs[KEY_PROBE].value;
	const struct item *comm = &map->pairs[KEY_COMM].value;

	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct item *value = &map->pairs[i].value;

		if (value->type != keys[i].type)
			return KW_GATE_WRONG_TYPE;
		if (value->type == ITEM_UINT && value->number > keys[i].maximum)
			return KW_GATE_OUT_OF_RANGE;
	}
	if (!kw_gate_probe_is_valid(probe->text, probe->length))
		return KW_GATE_BAD_PROBE;
	if (!kw_gate_comm_is_valid(comm->text, comm->length))
		return KW_GATE_BAD_TEXT;
	return KW_GATE_REASON_NONE;
}

/* ---- what minor version 0x0101 adds ---- */

static enum kw_gate_reason take_pair(const struct item *key, const struct item *value,
				     struct kw_claim_pair *ret_pair)
{
	if (!kw_gate_key_is_valid(key->text, key->length))
		return KW_GATE_BAD_TEXT;
	memset(ret_pair, 0, sizeof(*ret_pair));
	memcpy(ret_pair->key, key->text, key->length);
	ret_pair->key_bytes = (uint8_t)key->length;
	if (value->type == ITEM_UINT) {
		ret_pair->number = value->number;
		return KW_GATE_REASON_NONE;
	}
	if (!kw_gate_claim_text_is_valid(value->text, value->length))
		return KW_GATE_BAD_TEXT;
	memcpy(ret_pair->text, value->text, value->length);
	ret_pair->text_bytes = (uint8_t)value->length;
	ret_pair->is_text = 1;
	return KW_GATE_REASON_NONE;
}

/* Puts a pair where its key belongs. Keys have no NUL in them, so they compare as arrays. */
static enum kw_gate_reason insert_pair(struct minor *minor, const struct kw_claim_pair *pair)
{
	size_t at = minor->pair_count;

	while (at > 0 && memcmp(minor->pairs[at - 1].key, pair->key, sizeof(pair->key)) > 0)
		at--;
	if (at > 0 && memcmp(minor->pairs[at - 1].key, pair->key, sizeof(pair->key)) == 0)
		return KW_GATE_DUPLICATE_KEY;
	memmove(&minor->pairs[at + 1], &minor->pairs[at],
		(minor->pair_count - at) * sizeof(minor->pairs[0]));
	minor->pairs[at] = *pair;
	minor->pair_count++;
	return KW_GATE_REASON_NONE;
}

/* The map was stepped over once, so its form is right: texts to integers and texts. */
static enum kw_gate_reason read_claim(const struct item *map, struct minor *minor)
{
	struct reader reader = { .at = (const unsigned char *)map->text, .left = map->length };

	if (map->number > KW_CLAIM_PAIRS_MAX)
		return KW_GATE_OUT_OF_RANGE;
	for (uint64_t i = 0; i < map->number; i++) {
		struct kw_claim_pair pair;
		struct item key;
		struct item value;
		enum kw_gate_reason reason = read_item(&reader, &key);

		if (reason == KW_GATE_REASON_NONE)
			reason = read_item(&reader, &value);
		if (reason == KW_GATE_REASON_NONE)
			reason = take_pair(&key, &value, &pair);
		if (reason == KW_GATE_REASON_NONE)
			reason = insert_pair(minor, &pair);
		if (reason != KW_GATE_REASON_NONE)
			return reason;
	}
	return KW_GATE_REASON_NONE;
}

static enum kw_gate_reason read_minor(const struct claim_map *map, struct minor *minor)
{
	if (map->pairs[KEY_VERSION].value.number < KW_CONTENT_VERSION_CLAIMS)
		return KW_GATE_REASON_NONE;
	for (size_t i = KEY_COUNT; i < map->count; i++)
		for (size_t j = 0; j < MINOR_COUNT; j++) {
			if (!is_key(&map->pairs[i].key, minor_keys[j].name))
				continue;
			minor->items[j] = map->pairs[i].value;
			minor->has |= minor_keys[j].has;
		}
	for (size_t j = 0; j < MINOR_COUNT; j++)
		if ((minor->has & minor_keys[j].has) && minor->items[j].type != minor_keys[j].type)
			return KW_GATE_WRONG_TYPE;
	if ((minor->has & KW_CLAIM_HAS_BOOT_ID) &&
	    !kw_gate_boot_id_is_valid(minor->items[MINOR_BOOT_ID].text,
				      minor->items[MINOR_BOOT_ID].length))
		return KW_GATE_BAD_TEXT;
	return minor->has & KW_CLAIM_HAS_CLAIM ? read_claim(&minor->items[MINOR_CLAIM], minor)
					       : KW_GATE_REASON_NONE;
}

static void store_minor(const struct minor *minor, struct kw_gate_message *message)
{
	const struct item *boot_id = &minor->items[MINOR_BOOT_ID];

	message->has = minor->has;
	message->seq = minor->items[MINOR_SEQ].number;
	message->dropped = minor->items[MINOR_DROPPED].number;
	message->boot_id_bytes = (uint16_t)boot_id->length;
	memset(message->boot_id, 0, sizeof(message->boot_id));
	if (boot_id->length > 0)
		memcpy(message->boot_id, boot_id->text, boot_id->length);
	message->claim_count = minor->pair_count;
	memset(message->pad_minor, 0, sizeof(message->pad_minor));
	memcpy(message->claim, minor->pairs, sizeof(message->claim));
}

enum kw_gate_reason kw_claim_decode(const unsigned char *body, size_t length,
				    struct kw_gate_message *ret_message)
{
	struct reader reader = { .at = body, .left = length };
	struct claim_map map = { .count = 0 };
	struct minor minor = { .has = 0 };
	enum kw_gate_reason reason;
	const struct item *probe = &map.pairs[KEY_PROBE].value;
	const struct item *comm = &map.pairs[KEY_COMM].value;

	reason = read_map(&reader, &map);
	if (reason == KW_GATE_REASON_NONE)
		reason = check_keys(&map);
	if (reason == KW_GATE_REASON_NONE)
		reason = check_values(&map);
	if (reason == KW_GATE_REASON_NONE)
		reason = read_minor(&map, &minor);
	if (reason != KW_GATE_REASON_NONE)
		return reason;

	ret_message->content_version = (uint16_t)map.pairs[KEY_VERSION].value.number;
	ret_message->guest_pid = (uint32_t)map.pairs[KEY_PID].value.number;
	ret_message->guest_monotonic_ns = map.pairs[KEY_TIME].value.number;
	ret_message->probe_bytes = (uint16_t)probe->length;
	ret_message->comm_bytes = (uint16_t)comm->length;
	memset(ret_message->probe_source, 0, sizeof(ret_message->probe_source));
	memset(ret_message->comm, 0, sizeof(ret_message->comm));
	memcpy(ret_message->probe_source, probe->text, probe->length);
	memcpy(ret_message->comm, comm->text, comm->length);
	store_minor(&minor, ret_message);
	return KW_GATE_REASON_NONE;
}
