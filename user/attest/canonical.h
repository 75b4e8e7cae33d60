/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * A writer of canonical JSON (RFC 8785) into a byte buffer, in one pass and without a tree: the
 * caller gives members in their canonical order, the writer checks that it is so. A violation (order,
 * nesting, a member without key) is a sticky -EINVAL in the buffer's error, never wrong output that
 * passes for right.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "user/base/bytes.h"

#define KW_JSON_DEPTH_MAX 10
/* A key, unescaped: the longest is one of a flat key-value file with every byte escaped as %XX. */
#define KW_JSON_KEY_MAX 160

struct kw_json_level {
	bool object;
	bool any;     /* something was written: the next one takes a comma */
	bool pending; /* object: a key was written, its value is due */
	size_t key_length;
	char key[KW_JSON_KEY_MAX]; /* last key, unescaped: the next must be greater */
};

struct kw_json {
	struct kw_bytes *out; /* borrowed */
	unsigned int depth;   /* open objects and arrays */
	bool done;	      /* one whole value stands in out */
	struct kw_json_level level[KW_JSON_DEPTH_MAX];
};

void kw_json_begin(struct kw_json *json, struct kw_bytes *out);
/* One whole value was written and everything is closed: 0, else the buffer's error or -EINVAL. */
int kw_json_end(struct kw_json *json) kw_must_check;

void kw_json_object(struct kw_json *json);
void kw_json_end_object(struct kw_json *json);
void kw_json_array(struct kw_json *json);
void kw_json_end_array(struct kw_json *json);
void kw_json_key(struct kw_json *json, const char *key);

/* Our own text: UTF-8; bytes that are none become %XX, as a text cut by a buffer's end may have. */
void kw_json_string(struct kw_json *json, const char *text);
/* Foreign bytes: as kw_text_append_escaped() has them, '%' included, so that they can be had back. */
void kw_json_foreign(struct kw_json *json, const char *text, size_t length);
/* Integers exactly, up to the full 64 bits: RFC 8785 3.2.2.3 would round above 2^53 (docs/ledger.md). */
void kw_json_u64(struct kw_json *json, uint64_t value);
void kw_json_i64(struct kw_json *json, int64_t value);
/* An identifier: a number as long as every JSON reader keeps it exact, above that a string. */
void kw_json_id(struct kw_json *json, uint64_t value);
void kw_json_bool(struct kw_json *json, bool value);
void kw_json_null(struct kw_json *json);
/* Text that is canonical JSON already. */
void kw_json_raw(struct kw_json *json, const char *text, size_t length);

/* Members. Texts that are empty and things that are not known are left out: "absent, never empty". */
void kw_json_member_string(struct kw_json *json, const char *key, const char *text);
void kw_json_member_foreign(struct kw_json *json, const char *key, const char *text, size_t size);
void kw_json_member_u64(struct kw_json *json, const char *key, uint64_t value);
void kw_json_member_i64(struct kw_json *json, const char *key, int64_t value);
void kw_json_member_bool(struct kw_json *json, const char *key, bool value);
/* The value when it is not 0: for fields whose 0 means "not known". */
void kw_json_member_nonzero(struct kw_json *json, const char *key, uint64_t value);

/* Order of two UTF-8 strings by UTF-16 code units (RFC 8785 3.2.3): below, equal to or above 0. */
int kw_json_compare(const char *left, size_t left_length, const char *right, size_t right_length);
