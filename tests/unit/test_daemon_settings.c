/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/daemon/daemon.h"

static void assert_read(const char *text, int expected, struct kw_settings *settings)
{
	char *directory = support_directory();
	char path[512];

	assert_non_null(directory);
	support_write(directory, "test.conf", text);
	(void)snprintf(path, sizeof(path), "%s/test.conf", directory);
	assert_int_equal(kw_settings_read(settings, path, false, NULL), expected);
	support_remove(directory);
}

static void defaults_are_good(void **state)
{
	cleanup(kw_settings_done) struct kw_settings settings = { .ledger = NULL };

	(void)state;
	assert_int_equal(kw_settings_init(&settings), 0);
	assert_string_equal(settings.http, "http.sock");
	assert_int_equal(settings.syscall_filter, KW_SYSCALL_FILTER_REFUSE);
	assert_int_equal(settings.poll_interval_ns, 5 * KW_NSEC_PER_SEC);
}

static void files_are_strict(void **state)
{
	cleanup(kw_settings_done) struct kw_settings settings = { .ledger = NULL };

	(void)state;
	assert_int_equal(kw_settings_init(&settings), 0);
	assert_read("[daemon]\npoll-interval-ms = 250\nhttp =\nsyscall-filter = kill\n", 0,
		    &settings);
	assert_int_equal(settings.poll_interval_ns, 250 * KW_NSEC_PER_MSEC);
	assert_string_equal(settings.http, "");
	assert_int_equal(settings.syscall_filter, KW_SYSCALL_FILTER_KILL);
	assert_read("[daemon]\nno-such-key = 1\n", -EINVAL, &settings);
	assert_read("[nowhere]\npoll-interval-ms = 250\n", -EINVAL, &settings);
	assert_read("[daemon]\npoll-interval-ms = 250x\n", -EINVAL, &settings);
	assert_read("[daemon]\npoll-interval-ms = 99\n", -EINVAL, &settings);
	assert_read("[daemon]\nsyscall-filter = maybe\n", -EINVAL, &settings);
	assert_read("[daemon]\nledger =\n", -EINVAL, &settings);
	assert_read("[daemon]\nuserspace-killers =\n", 0, &settings);
	assert_string_equal(settings.killers, "");
	assert_read("[daemon]\nuserspace-killers = a.service /b/c\n", 0, &settings);
	assert_string_equal(settings.killers, "a.service /b/c");
	assert_read("[daemon]\nuserspace-killers = ../../etc\n", -EINVAL, &settings);
	assert_read("[daemon]\nuserspace-killers = /a/..\n", -EINVAL, &settings);
	assert_read("[daemon]\nuserspace-killers = 1 2 3 4 5 6 7 8 9 a b c d e f g h\n", -EINVAL,
		    &settings);
	assert_read("[daemon]\njust words\n", -EINVAL, &settings);
}

static void what_becomes_of_segments(void **state)
{
	static const char *const bad[] = { "retain-age = 1x",	       "retain-age = ",
					   "retain-age = d",	       "retain-age = -1",
					   "durability = sometimes",   "segment-age = 200y",
					   "compress = maybe",	       "compress = ",
					   "segment-bytes = 65535",    "profile = ",
					   "profile = DSSE",	       "checkpoint-interval = 0",
					   "checkpoint-interval = 61", "checkpoint-events = 0" };
	cleanup(kw_settings_done) struct kw_settings settings = { .ledger = NULL };
	char text[128];

	(void)state;
	assert_int_equal(kw_settings_init(&settings), 0);
	assert_true(settings.archive.compress);
	assert_int_equal(settings.profile, KW_PROFILE_DSSE);
	assert_true(settings.archive.index);
	assert_false(settings.archive.force);
	assert_int_equal(settings.archive.retain_bytes, 0); /* whatever there is, for ever */
	assert_int_equal(settings.archive.retain_age_ns, 0);
	assert_int_equal(settings.segment_age_ns, 86400 * KW_NSEC_PER_SEC);
	assert_int_equal(settings.checkpoint_ns, 10 * KW_NSEC_PER_SEC);
	assert_int_equal(settings.checkpoint_events, 4096);
	assert_read("[ledger]\ncompress = no\nindex = no\nretain-age = 2w\nretain-bytes = 1000000\n"
		    "retain-force = yes\nsegment-age = 90\nprofile = both\n"
		    "checkpoint-interval = 1m\ncheckpoint-events = 100\n",
		    0, &settings);
	assert_int_equal(settings.checkpoint_ns, 60 * KW_NSEC_PER_SEC);
	assert_int_equal(settings.checkpoint_events, 100);
	assert_false(settings.archive.compress);
	assert_int_equal(settings.profile, KW_PROFILE_BOTH);
	assert_false(settings.archive.index);
	assert_true(settings.archive.force);
	assert_int_equal(settings.archive.retain_bytes, 1000000);
	assert_int_equal(settings.archive.retain_age_ns, 14 * 86400 * KW_NSEC_PER_SEC);
	assert_int_equal(settings.segment_age_ns, 90 * KW_NSEC_PER_SEC);
	for (size_t i = 0; i < kw_array_size(bad); i++) {
		(void)snprintf(text, sizeof(text), "[ledger]\n%s\n", bad[i]);
		assert_read(text, -EINVAL, &settings);
	}
}

struct changes {
	unsigned int live;
	unsigned int later;
	char last[64];
};

static void see(void *context, const char *section, const char *key, bool is_live)
{
	struct changes *changes = context;

	(void)section;
	changes->live += is_live;
	changes->later += !is_live;
	(void)snprintf(changes->last, sizeof(changes->last), "%s", key);
}

static void only_what_is_live_is_taken_over(void **state)
{
	cleanup(kw_settings_done) struct kw_settings settings = { .ledger = NULL };
	cleanup(kw_settings_done) struct kw_settings fresh = { .ledger = NULL };
	struct changes changes = {};

	(void)state;
	assert_int_equal(kw_settings_init(&settings), 0);
	assert_int_equal(kw_settings_init(&fresh), 0);
	kw_settings_take_live(&settings, &fresh, see, &changes);
	assert_int_equal(changes.live + changes.later, 0);

	assert_int_equal(kw_settings_set(&fresh, "daemon", "poll-interval-ms", "100"), 0);
	kw_settings_take_live(&settings, &fresh, see, &changes);
	assert_int_equal(changes.live, 1);
	assert_int_equal(settings.poll_interval_ns, 100 * KW_NSEC_PER_MSEC);

	assert_int_equal(kw_settings_set(&fresh, "ledger", "durability", "always"), 0);
	kw_settings_take_live(&settings, &fresh, see, &changes);
	assert_int_equal(changes.live, 2);
	assert_string_equal(changes.last, "durability");
	assert_int_equal(settings.durability, KW_DURABILITY_ALWAYS);
	assert_int_equal(settings.segment_bytes, fresh.segment_bytes); /* its neighbour */

	assert_int_equal(kw_settings_set(&fresh, "daemon", "ledger", "/elsewhere"), 0);
	kw_settings_take_live(&settings, &fresh, see, &changes);
	assert_int_equal(changes.later, 1);
	assert_string_equal(changes.last, "ledger");
	assert_string_equal(settings.ledger, "/var/lib/kwitness/ledger");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(defaults_are_good),
		support_test(files_are_strict),
		support_test(what_becomes_of_segments),
		support_test(only_what_is_live_is_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
