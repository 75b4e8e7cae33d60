/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The envelope's one form: what is made is taken apart again, and nothing else is. */
#include "support.h"

#include <errno.h>
#include <string.h>

#include "user/base/cellos.h"

#define EVENT                                                                                      \
	"{\"data\":{\"note\":\",\\\"signature\\\":\\\"\"},\"dssematerial\":\"x\",\"id\":\"1\","    \
	"\"recordedtime\":\"2026-11-23T03:31:32.123456789Z\",\"source\":\"/k/\\\"q\","             \
	"\"subject\":\"cgroup:/\\\",\\\"source\\\":\\\"no\",\"type\":\"t\"}"
#define HEAD "{\"data\":{\"algorithm\":\"ed25519\",\"event\":"
#define TAIL ",\"type\":\"dev.cellos.events.signed_envelope.v1\"}"

static struct kw_cellos_envelope sample(const char *event)
{
	struct kw_cellos_envelope envelope = {
		.event = event, .event_length = strlen(event), .key_id = "ops-1", .key_id_length = 5
	};

	for (int i = 0; i < KW_CELLOS_SIGNATURE_BYTES; i++)
		envelope.signature[i] = (unsigned char)(255 - 3 * i);
	return envelope;
}

static void make(const char *event, struct kw_bytes *ret_line)
{
	struct kw_cellos_envelope envelope = sample(event);

	kw_bytes_init(ret_line, 1 << 16);
	assert_int_equal(kw_cellos_append(ret_line, &envelope), 0);
}

static void the_form_is_as_the_page_has_it(void **state)
{
	cleanup_bytes struct kw_bytes line;

	(void)state;
	make(EVENT, &line);
	/* Signature and id were computed with Python's base64 and uuid modules. */
	assert_string_equal(
		line.data, HEAD EVENT
		",\"signature\":\"__z59vPw7ern5OHe29jV0s_MycbDwL26t7SxrquopaKfnJmWk5CNioeEgX57eHVyb2xpZmNgXVpXVFFOS0hFQg\""
		",\"signerKid\":\"ops-1\"},\"datacontenttype\":\"application/json\""
		",\"id\":\"fffcf9f6-f3f0-8dea-a7e4-e1dedbd8d5d2\",\"source\":\"/k/\\\"q\""
		",\"specversion\":\"1.0\",\"time\":\"2026-11-23T03:31:32.123456789Z\"" TAIL);
}

static void what_was_made_is_taken_apart(void **state)
{
	struct kw_cellos_envelope envelope, expected = sample(EVENT);
	cleanup_bytes struct kw_bytes line;
	const char *text;
	size_t length;

	(void)state;
	make(EVENT, &line);
	assert_int_equal(kw_cellos_open(line.data, line.length, &envelope), 1);
	assert_int_equal(envelope.event_length, strlen(EVENT));
	assert_memory_equal(envelope.event, EVENT, strlen(EVENT));
	assert_int_equal(envelope.key_id_length, 5);
	assert_memory_equal(envelope.key_id, "ops-1", 5);
	assert_memory_equal(envelope.signature, expected.signature, sizeof(expected.signature));
	text = line.data;
	length = line.length;
	kw_cellos_strip(&text, &length);
	assert_ptr_equal(text, line.data + strlen(HEAD));
	assert_int_equal(length, strlen(EVENT));
}

static void what_is_none_is_left_alone(void **state)
{
	static const char *const lines[] = {
		"", "{}", EVENT, HEAD, TAIL, HEAD EVENT "}", "{\"data\":{}" TAIL
	};
	struct kw_cellos_envelope envelope;

	(void)state;
	for (size_t i = 0; i < kw_array_size(lines); i++) {
		const char *text = lines[i];
		size_t length = strlen(text);

		assert_int_equal(kw_cellos_open(text, length, &envelope), 0);
		kw_cellos_strip(&text, &length);
		assert_ptr_equal(text, lines[i]);
		assert_int_equal(length, strlen(lines[i]));
	}
}

/* Whatever byte of it changes, no envelope comes out that has this event and this signature. */
static void it_has_one_form(void **state)
{
	struct kw_cellos_envelope envelope, expected = sample(EVENT);
	cleanup_bytes struct kw_bytes line;

	(void)state;
	make(EVENT, &line);
	for (size_t i = 0; i < line.length; i++) {
		char was = line.data[i];
		int r;

		line.data[i] ^= 1;
		r = kw_cellos_open(line.data, line.length, &envelope);
		assert_true(
			r == 0 || r == -EBADMSG || envelope.event_length != expected.event_length ||
			memcmp(envelope.event, EVENT, expected.event_length) != 0 ||
			envelope.key_id_length != 5 || memcmp(envelope.key_id, "ops-1", 5) != 0 ||
			memcmp(envelope.signature, expected.signature,
			       sizeof(expected.signature)) != 0);
		line.data[i] = was;
	}
	for (size_t length = 0; length < line.length; length++)
		assert_true(kw_cellos_open(line.data, length, &envelope) <= 0);
}

static void an_event_without_place_is_refused(void **state)
{
	static const char *const events[] = {
		"{}",
		"{\"a\":1,\"recordedtime\":\"2026-11-23T03:31:32.123456789Z\"}",
		"{\"a\":1,\"recordedtime\":\"2026\",\"source\":\"/k\"}",
		"{\"a\":1,\"recordedtime\":\"2026-11-23T03:31:32.123456789Z\",\"source\":\"/k",
	};

	(void)state;
	for (size_t i = 0; i < kw_array_size(events); i++) {
		struct kw_cellos_envelope envelope = sample(events[i]);
		cleanup_bytes struct kw_bytes line;

		kw_bytes_init(&line, 1 << 16);
		assert_int_equal(kw_cellos_append(&line, &envelope), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(the_form_is_as_the_page_has_it),
		support_test(what_was_made_is_taken_apart),
		support_test(what_is_none_is_left_alone),
		support_test(it_has_one_form),
		support_test(an_event_without_place_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
