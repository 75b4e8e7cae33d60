/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a signature covers, computed anew from the event: independent of the writer in user/attest,
 * from the same text (docs/ledger.md; cloudevents/spec, extensions/verifiability.md).
 */
#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "user/base/clock.h"
#include "user/base/text.h"
#include "user/verify/sha256.h"
#include "user/verify/signed.h"

#define SIGNED_MAX 32 /* extension attributes in one signature */

struct hasher {
	struct kw_sha256 state;
};

/* Adds the digest of these bytes to the list. */
static void add(struct hasher *hasher, const void *data, size_t length)
{
	unsigned char digest[32];

	kw_sha256(data, length, digest);
	kw_sha256_update(&hasher->state, digest, sizeof(digest));
}

static const char *bytes_of(const struct kw_bytes *bytes)
{
	return bytes->data ? bytes->data : "";
}

bool kw_material_may_sign(const char *name, size_t length)
{
	static const char *const never[] = {
		"id",	      "source",	     "specversion", "type",	    "datacontenttype",
		"dataschema", "subject",     "time",	    "dssematerial", "signedextattrs",
		"data",	      "data_base64",
	};

	for (size_t i = 0; i < kw_array_size(never); i++) {
		if (strlen(never[i]) == length && memcmp(never[i], name, length) == 0)
			return false;
	}
	for (size_t i = 0; i < length; i++) {
		if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= '0' && name[i] <= '9'))
			return false;
	}
	return length > 0;
}

/* CloudEvents JSON format 3.1.1: no datacontenttype, "…/json" and "…+json" are JSON. */
static bool is_json_type(const char *type, size_t length)
{
	const char *parameter = memchr(type, ';', length);

	if (parameter)
		length = (size_t)(parameter - type);
	while (length > 0 && type[length - 1] == ' ')
		length--;
	return length == 0 || (length >= 5 && (strncasecmp(type + length - 5, "/json", 5) == 0 ||
					       strncasecmp(type + length - 5, "+json", 5) == 0));
}

static int append_base64(struct kw_span string, struct kw_bytes *out)
{
	unsigned char chunk[768];
	size_t decoded;

	if (!kw_read_is_string(string))
		return -EBADMSG;
	/* 1024 characters at a time are 768 bytes; only the last piece may have padding. */
	for (size_t at = 1; at < string.length - 1; at += 1024) {
		size_t left = string.length - 1 - at, length = left < 1024 ? left : 1024;

		if (sodium_base642bin(chunk, sizeof(chunk), string.data + at, length, NULL,
				      &decoded, NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
		    (left > 1024 && decoded != sizeof(chunk)))
			return -EBADMSG;
		kw_bytes_append(out, chunk, decoded);
	}
	return kw_bytes_error(out);
}

int kw_material_data(const struct kw_members *event, struct kw_bytes *out)
{
	struct kw_span data = kw_read_find(event, "data"), type, binary;
	size_t mark = out->length;
	bool json = true;
	int r;

	binary = kw_read_find(event, "data_base64");
	if (binary.data)
		return data.data ? -EBADMSG : append_base64(binary, out);
	if (!data.data)
		return 0;
	type = kw_read_find(event, "datacontenttype");
	if (type.data) {
		r = kw_read_decode(type, out);
		if (r < 0)
			return r;
		json = is_json_type(bytes_of(out) + mark, out->length - mark);
		out->length = mark;
	}
	if (!json && kw_read_is_string(data))
		return kw_read_decode(data, out);
	kw_bytes_append(out, data.data, data.length);
	return kw_bytes_error(out);
}

int kw_material_time(const struct kw_members *event, struct kw_bytes *out)
{
	struct kw_span time = kw_read_find(event, "time");
	char text[KW_RFC3339_BYTES];
	uint64_t real_ns;

	if (!time.data)
		return 0;
	if (!kw_read_is_string(time) ||
	    kw_clock_parse(time.data + 1, time.length - 2, &real_ns) < 0)
		return -EBADMSG;
	kw_clock_format(real_ns, text);
	kw_bytes_append(out, text, sizeof("2020-06-18T17:24:53") - 1);
	kw_bytes_append_char(out, 'Z');
	return kw_bytes_error(out);
}

int kw_material_extension(struct kw_span value, struct kw_bytes *out)
{
	if (!value.data || value.data[0] == '{' || value.data[0] == '[' || value.data[0] == 'n')
		return -EBADMSG;
	if (kw_read_is_string(value))
		return kw_read_decode(value, out);
	kw_bytes_append(out, value.data, value.length); /* integer or boolean: as JSON writes it */
	return kw_bytes_error(out);
}

static int add_core(struct hasher *hasher, const struct kw_members *event, struct kw_bytes *scratch,
		    const char **ret_reason)
{
	static const char *const names[] = { "id",     "source",	  "specversion",
					     "type",   "datacontenttype", "dataschema",
					     "subject" };
	int r;

	for (size_t i = 0; i < kw_array_size(names); i++) {
		struct kw_span value = kw_read_find(event, names[i]);

		kw_bytes_clear(scratch);
		r = value.data ? kw_read_decode(value, scratch) : 0;
		if (r == -EBADMSG)
			*ret_reason = "an attribute that is not a string";
		if (r < 0)
			return r;
		add(hasher, bytes_of(scratch), scratch->length);
	}
	kw_bytes_clear(scratch);
	r = kw_material_time(event, scratch);
	if (r == -EBADMSG)
		*ret_reason = "time is not an RFC 3339 time";
	if (r < 0)
		return r;
	add(hasher, bytes_of(scratch), scratch->length);
	kw_bytes_clear(scratch);
	r = kw_material_data(event, scratch);
	if (r == -EBADMSG)
		*ret_reason = "data_base64 is not base64, or stands beside data";
	if (r < 0)
		return r;
	add(hasher, bytes_of(scratch), scratch->length);
	return 0;
}

/* Names up to this one: whether the same stands among them. */
static bool is_repeated(const char *list, const char *name, size_t length)
{
	for (const char *at = list; at < name; at += strcspn(at, ",") + 1) {
		if (strcspn(at, ",") == length && memcmp(at, name, length) == 0)
			return true;
	}
	return false;
}

/* list: signedextattrs, decoded. */
static int add_extensions(struct hasher *hasher, const struct kw_members *event, const char *list,
			  struct kw_bytes *scratch, const char **ret_reason)
{
	char name[64];
	int r, count = 0;

	for (const char *at = list;; at++) {
		size_t length = strcspn(at, ",");

		if (count++ == SIGNED_MAX || length >= sizeof(name) ||
		    !kw_material_may_sign(at, length) || is_repeated(list, at, length)) {
			*ret_reason = "signedextattrs names what cannot be signed, or a name twice";
			return -EBADMSG;
		}
		memcpy(name, at, length);
		name[length] = '\0';
		kw_bytes_clear(scratch);
		r = kw_material_extension(kw_read_find(event, name), scratch);
		if (r == -EBADMSG)
			*ret_reason =
				"a signed extension attribute is missing, or is no plain value";
		if (r < 0)
			return r;
		add(hasher, name, length);
		add(hasher, bytes_of(scratch), scratch->length);
		at += length;
		if (*at == '\0')
			return 0;
	}
}

int kw_material_compute(const struct kw_members *event, struct kw_bytes *scratch,
			unsigned char ret_material[static 32], const char **ret_reason)
{
	struct kw_span names = kw_read_find(event, "signedextattrs");
	cleanup_bytes struct kw_bytes list;
	struct hasher hasher;
	int r;

	kw_sha256_init(&hasher.state);
	kw_bytes_init(&list, 4096);
	r = add_core(&hasher, event, scratch, ret_reason);
	if (r < 0)
		return r;
	if (names.data) {
		r = kw_read_decode(names, &list);
		if (r == -EBADMSG || r == -EMSGSIZE || memchr(bytes_of(&list), '\0', list.length)) {
			*ret_reason = "signedextattrs is not a list of names";
			return -EBADMSG;
		}
		if (r < 0)
			return r;
	}
	/* The extension: absent and empty are the same. */
	if (list.length) {
		r = add_extensions(&hasher, event, list.data, scratch, ret_reason);
		if (r < 0)
			return r;
	}
	kw_sha256_final(&hasher.state, ret_material);
	return 0;
}
