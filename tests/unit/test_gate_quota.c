/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* quota.c: budgets by the test's own clock. */
#include "tests/unit/support.h"

#include "user/gate/quota.h"

#define START_NS (1000 * KW_NSEC_PER_SEC)

static unsigned int take_all(struct kw_quota *quota, uint64_t now_boot_ns)
{
	unsigned int taken = 0;

	while (taken < 100000 && kw_quota_take(quota, now_boot_ns))
		taken++;
	return taken;
}

static void budget_is_a_burst_and_a_rate(void **state)
{
	struct kw_quota quota;

	(void)state;
	kw_quota_init(&quota, START_NS);
	assert_int_equal(take_all(&quota, START_NS), KW_GATE_FRAMES_BURST);
	assert_int_equal(take_all(&quota, START_NS + KW_NSEC_PER_SEC), KW_GATE_FRAMES_PER_SEC);
	/* A clock that stands, or an older reading, gives nothing. */
	assert_int_equal(take_all(&quota, START_NS + KW_NSEC_PER_SEC), 0);
	assert_int_equal(take_all(&quota, START_NS), 0);
	/* Half a frame's time is kept, and a long rest is a burst at most. */
	assert_int_equal(take_all(&quota, START_NS + KW_NSEC_PER_SEC + 2500000), 0);
	assert_int_equal(take_all(&quota, START_NS + KW_NSEC_PER_SEC + 5000000), 1);
	assert_int_equal(take_all(&quota, 1000 * START_NS), KW_GATE_FRAMES_BURST);
}

static void refusals_are_told_once_a_second(void **state)
{
	struct kw_quota quota;
	struct kw_gate_message message;

	(void)state;
	kw_quota_init(&quota, START_NS);
	assert_false(kw_quota_tell(&quota, START_NS, &message));
	assert_true(kw_quota_refuse(&quota, KW_GATE_EMPTY, 7));
	assert_true(kw_quota_tell(&quota, START_NS, &message));
	assert_int_equal(message.kind, KW_GATE_REFUSED);
	assert_int_equal(message.reason, KW_GATE_EMPTY);
	assert_int_equal(message.count, 1);
	assert_int_equal(message.connection, 7);
	assert_int_equal(kw_quota_held(&quota), 0);

	assert_true(kw_quota_refuse(&quota, KW_GATE_EMPTY, 7));
	assert_false(kw_quota_refuse(&quota, KW_GATE_EMPTY, 8));
	assert_false(kw_quota_tell(&quota, START_NS + KW_NSEC_PER_SEC - 1, &message));
	assert_int_equal(kw_quota_held(&quota), 1);
	/* Another reason does not wait for it. */
	assert_true(kw_quota_refuse(&quota, KW_GATE_TRAILING, 9));
	assert_true(kw_quota_tell(&quota, START_NS + 1, &message));
	assert_int_equal(message.reason, KW_GATE_TRAILING);
	assert_true(kw_quota_tell(&quota, START_NS + KW_NSEC_PER_SEC, &message));
	assert_int_equal(message.count, 2);
	assert_int_equal(message.connection, 8);
	assert_false(kw_quota_tell(&quota, START_NS + 9 * KW_NSEC_PER_SEC, &message));
}

static void refusals_saturate(void **state)
{
	struct kw_quota quota;

	(void)state;
	kw_quota_init(&quota, START_NS);
	(void)kw_quota_refuse(&quota, KW_GATE_FLOOD, 1);
	quota.refusals[KW_GATE_FLOOD].count = UINT32_MAX;
	assert_false(kw_quota_refuse(&quota, KW_GATE_FLOOD, 1));
	assert_true(quota.refusals[KW_GATE_FLOOD].count == UINT32_MAX);
}

static void a_flood_is_left_alone_until_its_second_is_over(void **state)
{
	struct kw_quota quota;
	uint64_t until_boot_ns = 0;

	(void)state;
	kw_quota_init(&quota, START_NS);
	for (unsigned int i = 1; i < KW_GATE_DROPS_PER_SEC; i++)
		assert_false(kw_quota_drop(&quota, START_NS + i, &until_boot_ns));
	assert_true(kw_quota_drop(&quota, START_NS + 5000, &until_boot_ns));
	assert_true(until_boot_ns == START_NS + KW_NSEC_PER_SEC);
	assert_false(kw_quota_drop(&quota, until_boot_ns, &until_boot_ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(budget_is_a_burst_and_a_rate),
		support_test(refusals_are_told_once_a_second),
		support_test(refusals_saturate),
		support_test(a_flood_is_left_alone_until_its_second_is_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
