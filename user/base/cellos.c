/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The CellOS envelope around a ledger's line. Its signature covers the event alone, so whatever stands
 * around the event is made of the event, the key id and the signature, and has one form: an envelope is
 * taken apart from its end (no escape and no event of a foreign text can look like the end of the line),
 * made once more, and compared. Here and not in attest, because who reads segments has to take it off, and
 * verify knows no other room. What CellOS leaves open, and what was chosen: docs/cellos.md.
 */
#include "user/base/cellos.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <kwitness/limits.h>

#define HEAD "{\"data\":{\"algorithm\":\"ed25519\",\"event\":"
#define BEFORE_SIGNATURE ",\"signature\":\""
#define BEFORE_KEY_ID "\",\"signerKid\":\""
#define BEFORE_ID "\"},\"datacontenttype\":\"application/json\",\"id\":\""
#define TAIL ",\"type\":\"dev.cellos.events.signed_envelope.v1\"}"
#define SIGNATURE_CHARS 86
#define TIME_CHARS 30 /* "2026-11-23T03:31:32.123456789Z" */
/* All but the event: fixed text, id, signature, key id, time, and a source of this size at most. */
#define SOURCE_MAX 1024

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Base64url without padding (RFC 4648 5); libc has none. */
static void encode(const unsigned char *bytes, char ret_text[static SIGNATURE_CHARS])
{
	unsigned int bits = 0, held = 0;
	size_t at = 0;

	for (size_t i = 0; i < KW_CELLOS_SIGNATURE_BYTES; i++) {
		held = (held << 8 | bytes[i]) & 0xffff;
		for (bits += 8; bits >= 6; bits -= 6)
			ret_text[at++] = alphabet[held >> (bits - 6) & 0x3f];
	}
	ret_text[at] = alphabet[held << (6 - bits) & 0x3f];
}

/* Bits behind the last byte are dropped: who compares with encode()'s text refuses them. */
static bool decode(const char *text, unsigned char *ret_bytes)
{
	unsigned int bits = 0, held = 0;
	size_t at = 0;

	for (size_t i = 0; i < SIGNATURE_CHARS; i++) {
		const char *found = text[i] ? strchr(alphabet, text[i]) : NULL;

		if (!found)
			return false;
		held = (held << 6 | (unsigned int)(found - alphabet)) & 0xffff;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		ret_bytes[at++] = (unsigned char)(held >> bits);
	}
	return at == KW_CELLOS_SIGNATURE_BYTES;
}

static const char *find_last(const char *text, size_t length, const char *wanted)
{
	size_t size = strlen(wanted);

	for (size_t at = length < size ? 0 : length - size + 1; at > 0; at--) {
		if (memcmp(text + at - 1, wanted, size) == 0)
			return text + at - 1;
	}
	return NULL;
}

static bool begins(const char *text, size_t length, const char *wanted)
{
	return length >= strlen(wanted) && memcmp(text, wanted, strlen(wanted)) == 0;
}

/* Where the string value behind name begins, its quotation mark included, and its length. In a canonical
 * line the attributes stand behind data, and a quotation mark inside a string has a backslash before it:
 * so the last one of this name is the event's own. */
static const char *find_attribute(const struct kw_cellos_envelope *envelope, const char *name,
				  size_t *ret_length)
{
	const char *end = envelope->event + envelope->event_length, *at;
	const char *value = find_last(envelope->event, envelope->event_length, name);

	if (!value)
		return NULL;
	value += strlen(name) - 1;
	for (at = value + 1; at < end && *at != '"'; at++)
		at += *at == '\\';
	if (at >= end)
		return NULL;
	*ret_length = (size_t)(at + 1 - value);
	return value;
}

/* UUID version 8 (RFC 9562 5.8) of the signature: nobody else's, and the same whenever it is made. */
static void append_id(struct kw_bytes *out, const unsigned char *signature)
{
	for (int i = 0; i < 16; i++) {
		unsigned int byte = signature[i];

		if (i == 6)
			byte = (byte & 0x0f) | 0x80;
		if (i == 8)
			byte = (byte & 0x3f) | 0x80;
		kw_bytes_append_format(
			out, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", byte);
	}
}

/* Everything behind the event. */
static int append_tail(struct kw_bytes *out, const struct kw_cellos_envelope *envelope)
{
	size_t source_length = 0, time_length = 0;
	const char *source = find_attribute(envelope, ",\"source\":\"", &source_length);
	const char *time = find_attribute(envelope, ",\"recordedtime\":\"", &time_length);
	char signature[SIGNATURE_CHARS];

	if (!source || source_length > SOURCE_MAX || !time || time_length != TIME_CHARS + 2 ||
	    envelope->key_id_length == 0 || envelope->key_id_length > KW_KID_MAX)
		return -EBADMSG;
	encode(envelope->signature, signature);
	kw_bytes_append_string(out, BEFORE_SIGNATURE);
	kw_bytes_append(out, signature, sizeof(signature));
	kw_bytes_append_string(out, BEFORE_KEY_ID);
	kw_bytes_append(out, envelope->key_id, envelope->key_id_length);
	kw_bytes_append_string(out, BEFORE_ID);
	append_id(out, envelope->signature);
	kw_bytes_append_string(out, "\",\"source\":");
	kw_bytes_append(out, source, source_length);
	kw_bytes_append_string(out, ",\"specversion\":\"1.0\",\"time\":");
	kw_bytes_append(out, time, time_length);
	kw_bytes_append_string(out, TAIL);
	return kw_bytes_error(out);
}

int kw_cellos_append(struct kw_bytes *out, const struct kw_cellos_envelope *envelope)
{
	kw_bytes_append_string(out, HEAD);
	kw_bytes_append(out, envelope->event, envelope->event_length);
	return append_tail(out, envelope);
}

/* Whether a line says that it is an envelope: no ledger's own line begins or ends like this. */
static bool is_envelope(const char *line, size_t length)
{
	return begins(line, length, HEAD) && length >= strlen(TAIL) &&
	       begins(line + length - strlen(TAIL), strlen(TAIL), TAIL);
}

/* The parts by the marks between them, from the end. */
static bool split(const char *line, size_t length, struct kw_cellos_envelope *envelope)
{
	const char *end = line + length, *mark = find_last(line, length, BEFORE_SIGNATURE), *at;

	if (!mark || mark < line + strlen(HEAD))
		return false;
	envelope->event = line + strlen(HEAD);
	envelope->event_length = (size_t)(mark - envelope->event);
	at = mark + strlen(BEFORE_SIGNATURE);
	if (end - at < SIGNATURE_CHARS || !decode(at, envelope->signature))
		return false;
	at += SIGNATURE_CHARS;
	if (!begins(at, (size_t)(end - at), BEFORE_KEY_ID))
		return false;
	envelope->key_id = at + strlen(BEFORE_KEY_ID);
	at = memchr(envelope->key_id, '"', (size_t)(end - envelope->key_id));
	if (!at)
		return false;
	envelope->key_id_length = (size_t)(at - envelope->key_id);
	return !memchr(envelope->key_id, '\\', envelope->key_id_length);
}

int kw_cellos_open(const char *line, size_t length, struct kw_cellos_envelope *ret_envelope)
{
	cleanup_bytes struct kw_bytes tail;
	struct kw_cellos_envelope envelope;
	const char *behind;
	int r;

	kw_bytes_init(&tail, KW_ENVELOPE_EXTRA_MAX);
	if (!is_envelope(line, length))
		return 0;
	if (!split(line, length, &envelope))
		return -EBADMSG;
	behind = envelope.event + envelope.event_length;
	r = append_tail(&tail, &envelope);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || tail.length != length - (size_t)(behind - line) ||
	    memcmp(tail.data, behind, tail.length) != 0)
		return -EBADMSG;
	*ret_envelope = envelope;
	return 1;
}

void kw_cellos_strip(const char **line, size_t *length)
{
	struct kw_cellos_envelope envelope;

	if (!is_envelope(*line, *length) || !split(*line, *length, &envelope))
		return;
	*line = envelope.event;
	*length = envelope.event_length;
}
