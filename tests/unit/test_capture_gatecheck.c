/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* gatecheck.c: each field of each kind, one fault at a time, starting from a message that is taken. */
#include "tests/unit/support.h"

#include <string.h>

#include "user/capture/gatecheck.h"

#define NOW_NS (500 * KW_NSEC_PER_SEC)

static const struct kw_gatecheck ready = { .is_ready = true,
					   .highest_handle = 7,
					   .drained_boot_ns = NOW_NS - KW_NSEC_PER_SEC };

static struct kw_gate_message good(enum kw_gate_kind kind)
{
	struct kw_gate_message message = {
		.version = KW_GATE_VERSION,
		.kind = (uint16_t)kind,
		.size = sizeof(message),
		.handle = 7,
		.connection = 3,
		.received_boot_ns = NOW_NS,
	};

	if (kind == KW_GATE_READY)
		message.handle = message.connection = 0, message.received_boot_ns = 0;
	if (kind == KW_GATE_REFUSED)
		message.reason = KW_GATE_FLOOD, message.count = 1;
	if (kind == KW_GATE_FRAME) {
		message.content_version = 0x0100;
		message.guest_pid = 42;
		message.guest_monotonic_ns = 1;
		message.probe_bytes = 3;
		memcpy(message.probe_source, "a.b", 3);
		message.comm_bytes = 2;
		memcpy(message.comm, "sh", 2);
	}
	return message;
}

static struct kw_gate_message good_minor(void)
{
	struct kw_gate_message message = good(KW_GATE_FRAME);

	message.content_version = 0x0101;
	message.has = KW_CLAIM_HAS_ALL_;
	message.peer_cid = 42;
	message.seq = UINT64_MAX;
	message.dropped = 1;
	message.boot_id_bytes = 4;
	memcpy(message.boot_id, "boot", 4);
	message.claim_count = 2;
	message.claim[0] = (struct kw_claim_pair){ .key = "a.b_1", .key_bytes = 5, .number = 7 };
	message.claim[1] = (struct kw_claim_pair){
		.key = "ce", .key_bytes = 2, .text = "\xc3\xa4", .text_bytes = 2, .is_text = 1
	};
	return message;
}

static struct kw_gate_message unknown_cid(void)
{
	struct kw_gate_message message = good(KW_GATE_REFUSED);

	message.handle = KW_GATE_HANDLE_VSOCK;
	message.connection = 0;
	message.reason = KW_GATE_UNKNOWN_CID;
	message.peer_cid = 43;
	return message;
}

static bool is_taken(const struct kw_gate_message *message)
{
	struct kw_gatecheck check = ready;

	check.is_ready = message->kind != KW_GATE_READY;
	return kw_gatecheck_is_valid(&check, message, NOW_NS);
}

static void good_messages_are_taken(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < 12; kind++) {
		struct kw_gate_message message = good((enum kw_gate_kind)kind);

		assert_int_equal(is_taken(&message),
				 kind >= KW_GATE_READY && kind <= KW_GATE_CLOSED);
	}
}

static void ready_comes_first_and_once(void **state)
{
	struct kw_gatecheck check = ready;
	struct kw_gate_message message = good(KW_GATE_READY);
	struct kw_gate_message frame = good(KW_GATE_FRAME);

	(void)state;
	assert_false(kw_gatecheck_is_valid(&check, &message, NOW_NS));
	check.is_ready = false;
	assert_true(kw_gatecheck_is_valid(&check, &message, NOW_NS));
	assert_false(kw_gatecheck_is_valid(&check, &frame, NOW_NS));
}

/* Sets one field of a copy of a good message and expects that it is refused. */
#define refuses(kind, change) refuses_of(good(kind), change)
#define refuses_of(message, change)                                                                \
	do {                                                                                       \
		struct kw_gate_message m = message;                                                \
		assert_true(is_taken(&m));                                                         \
		change;                                                                            \
		assert_false(is_taken(&m));                                                        \
	} while (0)

static void heads_are_checked(void **state)
{
	(void)state;
	for (unsigned int k = KW_GATE_READY; k <= KW_GATE_CLOSED; k++) {
		enum kw_gate_kind kind = (enum kw_gate_kind)k;

		refuses(kind, m.version = 2);
		refuses(kind, m.size--);
		refuses(kind, m.pad[2] = 1);
		refuses(kind, m.kind = KW_GATE_LISTEN);
		refuses(kind, m.kind = KW_GATE_KIND_COUNT_);
		refuses(kind, m.handle = kind == KW_GATE_READY ? 1 : 0);
		refuses(kind, m.handle = 8);
		if (kind != KW_GATE_REFUSED)
			refuses(kind, m.count = 1);
		if (kind != KW_GATE_REFUSED && kind != KW_GATE_CLOSED)
			refuses(kind, m.reason = 1);
		else
			refuses(kind, m.reason = KW_GATE_REASON_COUNT_);
		if (kind != KW_GATE_READY && kind != KW_GATE_REFUSED)
			refuses(kind, m.connection = 0);
	}
	refuses(KW_GATE_READY, m.connection = 1);
	refuses(KW_GATE_REFUSED, m.reason = 0);
	refuses(KW_GATE_REFUSED, m.count = 0);
}

static void only_frames_carry_claims(void **state)
{
	static const enum kw_gate_kind kinds[] = { KW_GATE_READY, KW_GATE_REFUSED, KW_GATE_OPENED,
						   KW_GATE_CLOSED };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		refuses(kinds[i], m.guest_pid = 1);
		refuses(kinds[i], m.guest_monotonic_ns = 1);
		refuses(kinds[i], m.content_version = 0x100);
		refuses(kinds[i], m.comm_bytes = 1);
		refuses(kinds[i], m.probe_bytes = 1);
		refuses(kinds[i], m.comm[255] = 'x');
		refuses(kinds[i], m.probe_source[0] = 'x');
		refuses(kinds[i], m.has = KW_CLAIM_HAS_SEQ);
		refuses(kinds[i], m.seq = 1);
		refuses(kinds[i], m.dropped = 1);
		refuses(kinds[i], m.boot_id[0] = 'x');
		refuses(kinds[i], m.boot_id_bytes = 1);
		refuses(kinds[i], m.claim_count = 1);
		refuses(kinds[i], m.claim[15].number = 1);
	}
}

static void claims_are_checked(void **state)
{
	(void)state;
	refuses(KW_GATE_FRAME, m.content_version = 0x00ff);
	refuses(KW_GATE_FRAME, m.content_version = 0x0200);
	refuses(KW_GATE_FRAME, m.probe_bytes = 0);
	refuses(KW_GATE_FRAME, m.probe_bytes = 65);
	refuses(KW_GATE_FRAME, m.probe_bytes = UINT16_MAX);
	refuses(KW_GATE_FRAME, m.probe_bytes = 2);
	refuses(KW_GATE_FRAME, m.probe_source[1] = '/');
	refuses(KW_GATE_FRAME, m.probe_source[63] = 'a');
	refuses(KW_GATE_FRAME, m.comm_bytes = 257);
	refuses(KW_GATE_FRAME, m.comm_bytes = UINT16_MAX);
	refuses(KW_GATE_FRAME, m.comm_bytes = 1);
	refuses(KW_GATE_FRAME, m.comm_bytes = 3);
	refuses(KW_GATE_FRAME, m.comm[0] = '\n');
	refuses(KW_GATE_FRAME, m.comm[1] = (char)0xc2);
	refuses(KW_GATE_FRAME, m.comm[255] = 'x');
}

static void minor_fields_are_checked(void **state)
{
	(void)state;
	refuses_of(good_minor(), m.content_version = 0x0100);
	refuses_of(good_minor(), m.has |= KW_CLAIM_HAS_ALL_ + 1);
	refuses_of(good_minor(), m.has &= ~(uint32_t)KW_CLAIM_HAS_SEQ);
	refuses_of(good_minor(), m.has &= ~(uint32_t)KW_CLAIM_HAS_DROPPED);
	refuses_of(good_minor(), m.has &= ~(uint32_t)KW_CLAIM_HAS_BOOT_ID);
	refuses_of(good_minor(), m.has &= ~(uint32_t)KW_CLAIM_HAS_CLAIM);
	refuses_of(good_minor(), m.pad_minor[1] = 1);
	refuses_of(good_minor(), m.boot_id_bytes = 65);
	refuses_of(good_minor(), m.boot_id_bytes = UINT16_MAX);
	refuses_of(good_minor(), m.boot_id_bytes = 3);
	refuses_of(good_minor(), m.boot_id[2] = '\n');
	refuses_of(good_minor(), m.boot_id[63] = 'x');
	refuses_of(good_minor(), m.claim_count = 1);
	refuses_of(good_minor(), m.claim_count = 3);
	refuses_of(good_minor(), m.claim_count = 17);
	refuses_of(good_minor(), m.claim_count = UINT16_MAX);
}

static void claim_pairs_are_checked(void **state)
{
	(void)state;
	refuses_of(good_minor(), m.claim[0].key_bytes = 0);
	refuses_of(good_minor(), m.claim[0].key_bytes = 4);
	refuses_of(good_minor(), m.claim[0].key_bytes = 33);
	refuses_of(good_minor(), m.claim[0].key[0] = 'A');
	refuses_of(good_minor(), m.claim[0].key[0] = '"');
	refuses_of(good_minor(), m.claim[0].key[31] = 'a');
	refuses_of(good_minor(), m.claim[0].text[0] = 'a');
	refuses_of(good_minor(), m.claim[0].text_bytes = 1);
	refuses_of(good_minor(), m.claim[0].is_text = 1);
	refuses_of(good_minor(), m.claim[1].is_text = 2);
	refuses_of(good_minor(), m.claim[1].is_text = 0);
	refuses_of(good_minor(), m.claim[1].pad[4] = 1);
	refuses_of(good_minor(), m.claim[1].number = 1);
	refuses_of(good_minor(), m.claim[1].text_bytes = 1);
	refuses_of(good_minor(), m.claim[1].text_bytes = 65);
	refuses_of(good_minor(), m.claim[1].text[0] = '\t');
	refuses_of(good_minor(), m.claim[1].text[63] = 'a');
	/* Twice the same key, and the wrong order. */
	refuses_of(good_minor(), m.claim[1].key[0] = 'a'; m.claim[1].key[1] = 0;
		   m.claim[1].key_bytes = 1);
	refuses_of(good_minor(), memcpy(m.claim[1].key, m.claim[0].key, 32);
		   m.claim[1].key_bytes = 5);
	refuses_of(good_minor(), m.claim[15].key[0] = 'z');
}

static void the_shared_listener_only_refuses(void **state)
{
	struct kw_gatecheck check = ready;
	struct kw_gate_message message = unknown_cid();

	(void)state;
	assert_false(kw_gatecheck_is_valid(&check, &message, NOW_NS));
	check.has_vsock = true;
	assert_true(kw_gatecheck_is_valid(&check, &message, NOW_NS));
	message.peer_cid = 0;
	assert_false(kw_gatecheck_is_valid(&check, &message, NOW_NS));
	message = unknown_cid();
	message.connection = 1;
	assert_false(kw_gatecheck_is_valid(&check, &message, NOW_NS));
	message = unknown_cid();
	message.handle = 7; /* a cell's guest is known */
	assert_false(kw_gatecheck_is_valid(&check, &message, NOW_NS));
	message = good_minor();
	message.handle = KW_GATE_HANDLE_VSOCK;
	assert_false(kw_gatecheck_is_valid(&check, &message, NOW_NS));
	refuses(KW_GATE_READY, m.peer_cid = 1);
	refuses(KW_GATE_REFUSED, m.peer_cid = 42);
}

static void times_are_checked(void **state)
{
	const uint64_t oldest = ready.drained_boot_ns - KW_GATE_MESSAGE_AGE_MS * KW_NSEC_PER_MSEC;
	struct kw_gate_message message = good(KW_GATE_OPENED);

	(void)state;
	refuses(KW_GATE_FRAME, m.received_boot_ns = NOW_NS + 1);
	refuses(KW_GATE_FRAME, m.received_boot_ns = UINT64_MAX);
	refuses(KW_GATE_FRAME, m.received_boot_ns = 0);
	refuses(KW_GATE_FRAME, m.received_boot_ns = oldest - 1);
	refuses(KW_GATE_READY, m.received_boot_ns = NOW_NS);
	message.received_boot_ns = oldest;
	assert_true(is_taken(&message));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(good_messages_are_taken),
		support_test(ready_comes_first_and_once),
		support_test(heads_are_checked),
		support_test(only_frames_carry_claims),
		support_test(claims_are_checked),
		support_test(minor_fields_are_checked),
		support_test(claim_pairs_are_checked),
		support_test(the_shared_listener_only_refuses),
		support_test(times_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
