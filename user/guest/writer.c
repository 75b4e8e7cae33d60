/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reports to frames: the five shapes of CBOR that a frame uses (RFC 8949 section 3: unsigned integers,
 * texts, maps, of definite length), each integer in its shortest form. A library would be larger than
 * these lines; the unit test reads what they write with libcbor.
 */
#include <string.h>

#include "user/guest/guest.h"

enum { MAJOR_UINT = 0, MAJOR_TEXT = 3, MAJOR_MAP = 5 };

struct out {
	unsigned char *bytes;
	size_t length;
	bool is_full;
};

static void put(struct out *out, const void *bytes, size_t length)
{
	if (out->is_full || length > KW_QUEUE_SLOT_BYTES - out->length) {
		out->is_full = true;
		return;
	}
	memcpy(out->bytes + out->length, bytes, length);
	out->length += length;
}

static void put_head(struct out *out, unsigned int major, uint64_t value)
{
	unsigned int bytes = value < 24		   ? 0
			     : value <= UINT8_MAX  ? 1
			     : value <= UINT16_MAX ? 2
			     : value <= UINT32_MAX ? 4
						   : 8;
	unsigned int info = bytes == 0	 ? (unsigned int)value
			    : bytes == 1 ? 24
			    : bytes == 2 ? 25
			    : bytes == 4 ? 26
					 : 27;
	unsigned char head[9];

	head[0] = (unsigned char)(major << 5 | info);
	for (unsigned int i = bytes; i > 0; i--) {
		head[i] = (unsigned char)value;
		value >>= 8;
	}
	put(out, head, 1 + bytes);
}

static void put_text(struct out *out, const char *text, size_t length)
{
	put_head(out, MAJOR_TEXT, length);
	put(out, text, length);
}

static void put_key(struct out *out, const char *key)
{
	put_text(out, key, strlen(key));
}

/* Text that the host takes: as it is where it can be, else each byte that is not ASCII as '?'. */
static void put_foreign(struct out *out, const char *text, size_t maximum)
{
	char plain[KW_GUEST_COMM_MAX];
	size_t length = strnlen(text, maximum);

	if (kw_gate_comm_is_valid(text, length)) {
		put_text(out, text, length);
		return;
	}
	for (size_t i = 0; i < length; i++)
		plain[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
	put_text(out, plain, length);
}

static void put_claim(struct out *out, const struct kw_report *report)
{
	put_key(out, "claim");
	put_head(out, MAJOR_MAP, report->count);
	for (size_t i = 0; i < report->count; i++) {
		const struct kw_report_pair *pair = &report->pairs[i];

		put_key(out, pair->key);
		if (pair->text)
			put_foreign(out, pair->text, KW_CLAIM_TEXT_MAX);
		else
			put_head(out, MAJOR_UINT, pair->number);
	}
}

size_t kw_writer_begin(const struct kw_report *report, const char *boot_id,
		       unsigned char frame[static KW_QUEUE_SLOT_BYTES])
{
	struct out out = { .bytes = frame, .length = KW_FRAME_PREFIX_BYTES };

	put_head(&out, MAJOR_MAP, 9);
	put_key(&out, "content_version");
	put_head(&out, MAJOR_UINT, KW_CONTENT_VERSION_CLAIMS);
	put_key(&out, "probe_source");
	put_key(&out, report->probe);
	put_key(&out, "guest_pid");
	put_head(&out, MAJOR_UINT, report->pid);
	put_key(&out, "guest_comm");
	put_foreign(&out, report->comm, KW_CLAIM_TEXT_MAX);
	put_key(&out, "guest_monotonic_ns");
	put_head(&out, MAJOR_UINT, report->monotonic_ns);
	put_key(&out, "boot_id");
	put_foreign(&out, boot_id, KW_BOOT_ID_MAX);
	put_claim(&out, report);
	/* What kw_writer_finish() adds at most: two keys and two integers of nine bytes. */
	return out.is_full || out.length > KW_QUEUE_SLOT_BYTES - 32 ? 0 : out.length;
}

size_t kw_writer_finish(unsigned char frame[static KW_QUEUE_SLOT_BYTES], size_t length,
			uint64_t seq, uint64_t dropped)
{
	struct out out = { .bytes = frame, .length = length };
	size_t body;

	put_key(&out, "seq");
	put_head(&out, MAJOR_UINT, seq);
	put_key(&out, "dropped");
	put_head(&out, MAJOR_UINT, dropped);
	body = out.length - KW_FRAME_PREFIX_BYTES;
	for (size_t i = 0; i < KW_FRAME_PREFIX_BYTES; i++)
		frame[i] = (unsigned char)(body >> (8 * i));
	return out.length;
}

void kw_report_add_text(struct kw_report *report, const char *key, const char *text)
{
	if (report->count < KW_REPORT_PAIRS_MAX)
		report->pairs[report->count++] =
			(struct kw_report_pair){ .key = key, .text = text };
}

void kw_report_add_number(struct kw_report *report, const char *key, uint64_t number)
{
	if (report->count < KW_REPORT_PAIRS_MAX)
		report->pairs[report->count++] =
			(struct kw_report_pair){ .key = key, .number = number };
}
