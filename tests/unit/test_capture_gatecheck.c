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
#define refuses(kind, change)                                                                      \
	do {                                                                                       \
		struct kw_gate_message m = good(kind);                                             \
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
		support_test(good_messages_are_taken), support_test(ready_comes_first_and_once),
		support_test(heads_are_checked),       support_test(only_frames_carry_claims),
		support_test(claims_are_checked),      support_test(times_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
