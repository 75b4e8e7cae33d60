/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Events for a person; private to tail and incidents. Everything an event holds may have been chosen by
 * somebody hostile to the reader's terminal: nothing is shown but through these functions.
 */
#include <jansson.h>
#include <stdbool.h>

#include "user/base/bytes.h"

/* A ledger line; NULL: no JSON object. Free with json_decref(). */
json_t *kw_show_parse(const char *line, size_t length);

/* The member at a path of names ("victim", "cgroup", NULL); NULL when one is missing. Borrowed. */
const json_t *kw_show_at(const json_t *object, ...) __attribute__((sentinel));
/* Its text; NULL when it is none. */
const char *kw_show_text(const json_t *value);
/* Its number; false when it is none, or no whole number that a double holds exactly. */
bool kw_show_number(const json_t *value, uint64_t *ret_number);

/* Text of an event, harmless for a terminal. What the event has escaped already stays as it is. */
void kw_show_append(struct kw_bytes *out, const char *text);
/* "16 MiB", "1.5 GiB", "max"; "?" when it is not known. */
void kw_show_append_size(struct kw_bytes *out, const json_t *value);
/* The event's time to the millisecond, local or UTC. */
void kw_show_append_time(struct kw_bytes *out, const json_t *event, bool utc);
/* A wall-clock time, alike. */
void kw_show_append_real(struct kw_bytes *out, uint64_t real_ns, bool utc);
/* The type without what all types share. Borrowed; "?" when there is none. */
const char *kw_show_type(const json_t *event);
/* What happened, in one line and in words. */
void kw_show_append_sentence(struct kw_bytes *out, const json_t *event);
