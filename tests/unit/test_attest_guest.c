/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Guest events of minor version 0x0101: the whole text, what is left out, and that nothing of a claim
 * stands beside the host's own members. */
#include "test_attest_findings.h"

#include <jansson.h>

#include "user/attest/event.h"

static struct sample sample;
static struct kw_event event;
static struct kw_finding finding;

static void put_pair(size_t n, const char *key, const char *text, uint64_t number)
{
	struct kw_claim_pair *pair = &sample.frame.claim[n];

	memset(pair, 0, sizeof(*pair));
	memcpy(pair->key, key, strlen(key));
	pair->key_bytes = (uint8_t)strlen(key);
	pair->is_text = text != NULL;
	pair->number = number;
	if (!text)
		return;
	memcpy(pair->text, text, strlen(text));
	pair->text_bytes = (uint8_t)strlen(text);
}

static int setup(void **state)
{
	(void)state;
	kw_bytes_init(&event.subject, 4096);
	kw_bytes_init(&event.data, KW_EVENT_MAX);
	sample_init(&sample);
	finding = sample_guest(&sample);
	sample.frame.content_version = 0x0101;
	sample.frame.peer_cid = 42;
	sample.frame.has = KW_CLAIM_HAS_ALL_;
	sample.frame.seq = 7;
	sample.frame.dropped = UINT64_MAX;
	sample.frame.boot_id_bytes = 4;
	memcpy(sample.frame.boot_id, "boot", 4);
	sample.frame.claim_count = 2;
	put_pair(0, "kills", NULL, 3);
	put_pair(1, "source", "kmsg \"%\xc3\xa4", 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kw_bytes_done(&event.subject);
	kw_bytes_done(&event.data);
	return 0;
}

static int make(void)
{
	struct kw_event_limits limits = { .victims = KW_INCIDENT_VICTIMS_MAX };

	return kw_event_make(&finding, &sample.clock, &limits, &event);
}

static void what_a_frame_carries_is_said(void **state)
{
	(void)state;
	assert_int_equal(make(), 0);
	assert_string_equal(
		event.data.data,
		"{\"cellId\":\"cell-7\",\"channel\":\"cid:42\",\"claim\":{\"kills\":3,\"source\":\"kmsg \\\"%25\xc3\xa4\"},\"contentVersion\":257,\"dropped\":\"18446744073709551615\",\"guestBootId\":\"boot\",\"guestComm\":\"sh\",\"guestMonotonicNs\":\"18446744073709551615\",\"guestPid\":42,\"hostReceivedAt\":\"2026-11-23T03:31:32.123456789Z\",\"probeSource\":\"process.spawned\",\"runId\":\"run-42\",\"seq\":7,\"specSignatureHash\":\"sha256:abcd\"}");
}

static void what_it_does_not_carry_is_left_out(void **state)
{
	static const char *const members[] = { "\"seq\"", "\"dropped\"", "guestBootId",
					       "\"claim\"" };

	(void)state;
	sample.frame.has = 0;
	sample.frame.boot_id_bytes = 0;
	assert_int_equal(make(), 0);
	for (size_t i = 0; i < kw_array_size(members); i++)
		assert_null(strstr(event.data.data, members[i]));
	/* Zero is something that was said. */
	sample.frame.has = KW_CLAIM_HAS_ALL_;
	sample.frame.seq = sample.frame.dropped = 0;
	sample.frame.claim_count = 0;
	assert_int_equal(make(), 0);
	assert_non_null(strstr(event.data.data, "\"claim\":{}"));
	assert_non_null(strstr(event.data.data, "\"dropped\":0"));
	assert_non_null(strstr(event.data.data, "\"seq\":0"));
}

/* A guest names its pairs after everything that the host says: the host's members stay the host's. */
static void a_claim_shadows_nothing(void **state)
{
	static const char *const keys[] = {
		"bootns",	  "cellid",  "channel",	     "claim", "dropped", "guest_comm",
		"hostreceivedat", "id",	     "probe_source", "runid", "seq",	 "sequence",
		"source",	  "subject", "time",	     "type"
	};
	json_t *before, *after, *claim;

	(void)state;
	assert_int_equal(make(), 0);
	before = json_loads(event.data.data, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(before);
	for (size_t i = 0; i < kw_array_size(keys); i++)
		put_pair(i, keys[i], "mine", 0);
	sample.frame.claim_count = kw_array_size(keys);
	assert_int_equal(make(), 0);
	after = json_loads(event.data.data, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(after);
	claim = json_object_get(after, "claim");
	assert_int_equal(json_object_size(claim), kw_array_size(keys));
	assert_string_equal(json_string_value(json_object_get(claim, "cellid")), "mine");
	assert_int_equal(json_object_del(before, "claim"), 0);
	assert_int_equal(json_object_del(after, "claim"), 0);
	assert_true(json_equal(before, after));
	assert_null(strstr(event.subject.data, "mine"));
	json_decref(before);
	json_decref(after);
}

/* As a gate that was taken over might have it. */
static void foreign_keys_are_refused(void **state)
{
	static const char *const keys[] = {
		"cellId", "runId", "hostReceivedAt", "a\"b", "", "\xff"
	};

	(void)state;
	sample.frame.claim_count = 1;
	for (size_t i = 0; i < kw_array_size(keys); i++) {
		put_pair(0, keys[i], "mine", 0);
		assert_int_equal(make(), -EINVAL);
	}
	put_pair(0, "k", "v", 0);
	assert_int_equal(make(), 0);
	sample.frame.claim[0].key_bytes = 33;
	assert_int_equal(make(), -EINVAL);
	put_pair(0, "k", "v", 0);
	sample.frame.claim[0].text_bytes = 65;
	assert_int_equal(make(), -EINVAL);
	put_pair(0, "k", "v", 0);
	sample.frame.claim_count = 17;
	assert_int_equal(make(), -EINVAL);
	sample.frame.claim_count = 2;
	put_pair(1, "k", "twice", 0);
	assert_int_equal(make(), -EINVAL);
	sample.frame.claim_count = 1;
	sample.frame.boot_id_bytes = 65;
	assert_int_equal(make(), -EINVAL);
}

static void the_host_s_own_types_are_not_a_guest_s(void **state)
{
	static const char *const probes[] = { "agent_silenced", "agent.silenced", "agent.resumed" };

	(void)state;
	for (size_t i = 0; i < kw_array_size(probes); i++) {
		memset(sample.frame.probe_source, 0, sizeof(sample.frame.probe_source));
		memcpy(sample.frame.probe_source, probes[i], strlen(probes[i]));
		sample.frame.probe_bytes = (uint16_t)strlen(probes[i]);
		assert_int_equal(make(), -EINVAL);
	}
}

#define each(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		each(what_a_frame_carries_is_said),
		each(what_it_does_not_carry_is_left_out),
		each(a_claim_shadows_nothing),
		each(foreign_keys_are_refused),
		each(the_host_s_own_types_are_not_a_guest_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
