/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What both ends of the gate's link must agree on: the names of reasons and the alphabets of guest
 * text. It stands in base because the gate and the daemon share no other room. The gate checks before
 * it sends; the daemon checks again with the same code, as a taken-over gate may send anything.
 */
#include <string.h>

#include <kwitness/gate.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"

static const char *const reason_names[] = {
	[KW_GATE_REASON_NONE] = "none",
	[KW_GATE_TOO_LONG] = "too_long",
	[KW_GATE_EMPTY] = "empty",
	[KW_GATE_CUT_SHORT] = "cut_short",
	[KW_GATE_MALFORMED] = "malformed",
	[KW_GATE_BAD_VERSION] = "bad_version",
	[KW_GATE_MISSING_KEY] = "missing_key",
	[KW_GATE_DUPLICATE_KEY] = "duplicate_key",
	[KW_GATE_WRONG_TYPE] = "wrong_type",
	[KW_GATE_OUT_OF_RANGE] = "out_of_range",
	[KW_GATE_BAD_TEXT] = "bad_text",
	[KW_GATE_BAD_PROBE] = "bad_probe",
	[KW_GATE_TRAILING] = "trailing",
	[KW_GATE_KEY_ORDER] = "key_order",
	[KW_GATE_TOO_MANY_CONNECTIONS] = "too_many_connections",
	[KW_GATE_FLOOD] = "flood",
	[KW_GATE_READ_DEADLINE] = "read_deadline",
	[KW_GATE_NO_MEMORY] = "no_memory",
	[KW_GATE_UNKNOWN_CID] = "unknown_cid",
};
_Static_assert(kw_array_size(reason_names) == KW_GATE_REASON_COUNT_, "a reason without a name");

const char *kw_gate_reason_name(uint32_t reason)
{
	return reason < KW_GATE_REASON_COUNT_ ? reason_names[reason] : NULL;
}

static bool is_name(const char *text, size_t length, size_t maximum)
{
	if (length == 0 || length > maximum)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_'))
			return false;
	}
	return true;
}

static bool is_plain_text(const char *text, size_t length, size_t maximum)
{
	if (length > maximum || !kw_text_is_utf8(text, length))
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 || c == 0x7f)
			return false;
		/* U+0080..U+009F are C2 80..C2 9F: control characters as well. The text is UTF-8,
		 * so a byte follows C2. */
		if (c == 0xc2 && (unsigned char)text[i + 1] < 0xa0)
			return false;
	}
	return true;
}

/* Whether text names type, in which a '.' of text stands as '_'. */
static bool is_of_type(const char *text, size_t length, const char *type)
{
	if (strlen(type) != length)
		return false;
	for (size_t i = 0; i < length; i++)
		if (type[i] != (text[i] == '.' ? '_' : text[i]))
			return false;
	return true;
}

bool kw_gate_probe_is_valid(const char *text, size_t length)
{
	/* The host's own words among guest.v1.*: from a guest they would pass for the host's. */
	return is_name(text, length, KW_PROBE_SOURCE_MAX) &&
	       !is_of_type(text, length, "agent_silenced") &&
	       !is_of_type(text, length, "agent_resumed");
}

bool kw_gate_comm_is_valid(const char *text, size_t length)
{
	return is_plain_text(text, length, KW_GUEST_COMM_MAX);
}

bool kw_gate_key_is_valid(const char *text, size_t length)
{
	return is_name(text, length, KW_CLAIM_KEY_MAX);
}

bool kw_gate_claim_text_is_valid(const char *text, size_t length)
{
	return is_plain_text(text, length, KW_CLAIM_TEXT_MAX);
}

bool kw_gate_boot_id_is_valid(const char *text, size_t length)
{
	return is_plain_text(text, length, KW_BOOT_ID_MAX);
}
