/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <kwitness/limits.h>
#include <kwitness/verify.h>

#include "user/base/bytes.h"

/* RFC 8032 7.1, TEST 1 and TEST 2: public keys. */
#define KEY_1 "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define KEY_2 "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"

static int parse(const char *text, struct kw_keyring **ret_keyring)
{
	const char *reason = NULL;
	int r = kw_keyring_parse(text, strlen(text), ret_keyring, &reason);

	if (r == -EBADMSG)
		assert_non_null(reason);
	return r;
}

static void refuse(const char *text)
{
	struct kw_keyring *keyring = NULL;

	if (parse(text, &keyring) != -EBADMSG)
		fail_msg("taken for a keyring: %s", text);
	assert_null(keyring);
}

static void finds_keys_by_their_ids(void **state)
{
	struct kw_keyring *keyring = NULL;

	(void)state;
	assert_int_equal(
		parse("{ \"b\" : \"" KEY_1 "\",\n \"ops-2026.q2\":\"" KEY_2 "=\" }\n", &keyring),
		0); /* padding is tolerated */
	assert_non_null(kw_keyring_find(keyring, "b"));
	assert_int_equal(kw_keyring_find(keyring, "b")[0], 0xd7);
	assert_int_equal(kw_keyring_find(keyring, "ops-2026.q2")[0], 0x3d);
	assert_null(kw_keyring_find(keyring, "c"));
	assert_null(kw_keyring_find(keyring, ""));
	kw_keyring_free(keyring);
	kw_keyring_free(NULL);
}

static void a_repeated_id_is_refused(void **state)
{
	(void)state;
	refuse("{\"a\":\"" KEY_1 "\",\"a\":\"" KEY_2 "\"}");
	refuse("{\"a\":\"" KEY_1 "\",\"a\":\"" KEY_1 "\"}");
	refuse("{\"a\":\"" KEY_1 "\",\"\\u0061\":\"" KEY_2 "\"}");
}

/* The eight points of small order have eleven encodings in 32 bytes (and their sign-bit twins): a
 * signature by such a key fits any message. */
static void small_order_keys_are_refused(void **state)
{
	static const char *const keys[] = {
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* y = 0, order 4 */
		"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", /* y = 1, the identity */
		"7P_______________________________________38", /* y = -1, order 2 */
		"7f_______________________________________38", /* y = p = 0, not canonical */
		"7v_______________________________________38", /* y = p + 1, not canonical */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA", /* y = 0, sign bit */
		"xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o", /* order 8 */
		"JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", /* order 8 */
	};
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		(void)snprintf(text, sizeof(text), "{\"a\":\"%s\"}", keys[i]);
		refuse(text);
	}
	/* Not on the curve: y = 2. */
	refuse("{\"a\":\"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}");
}

static void other_texts_are_refused(void **state)
{
	(void)state;
	refuse("");
	refuse("[]");
	refuse("null");
	refuse("{}");
	refuse("{\"a\":1}");
	refuse("{\"a\":\"\"}");
	refuse("{\"a\":\"" KEY_1 "\"");
	refuse("{\"a\":\"" KEY_1 "A\"}");
	refuse("{\"a\":\"" KEY_1 "==\"}");
	refuse("{\"a\":\"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"); /* not base64url */
	refuse("{\"a\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp\"}"); /* bits at the end */
	refuse("{\"\":\"" KEY_1 "\"}");
	refuse("{\"a b\":\"" KEY_1 "\"}");
	refuse("{\"a\\\"\":\"" KEY_1 "\"}");
	refuse("{\"\xc3\xa4\":\"" KEY_1 "\"}");
}

static void limits_are_read_strictly(void **state)
{
#define LIMITED(limits) "{\"a\":{\"key\":\"" KEY_1 "\"" limits "}}"
	static const char *const good[] = {
		LIMITED(""),
		LIMITED(",\"notBefore\":\"2026-01-01T00:00:00Z\",\"notAfter\":\"2026-01-01T01:00:00+01:00\""),
		LIMITED(",\"firstSequence\":7,\"lastSequence\":7"),
		LIMITED(",\"lastSequence\":18446744073709551615"),
	};
	static const char *const bad[] = {
		"{\"a\":{}}",
		"{\"a\":{\"key\":1}}",
		"{\"a\":{\"notBefore\":\"2026-01-01T00:00:00Z\"}}",
		LIMITED(",\"notbefore\":\"2026-01-01T00:00:00Z\""), /* a limit that is not known is none */
		LIMITED(",\"notBefore\":\"yesterday\""),
		LIMITED(",\"notBefore\":1"),
		LIMITED(",\"notAfter\":null"),
		LIMITED(",\"firstSequence\":0"),
		LIMITED(",\"firstSequence\":-1"),
		LIMITED(",\"firstSequence\":1.5"),
		LIMITED(",\"firstSequence\":\"1\""),
		LIMITED(",\"firstSequence\":8,\"lastSequence\":7"),
		LIMITED(",\"notBefore\":\"2026-01-02T00:00:00Z\",\"notAfter\":\"2026-01-01T00:00:00Z\""),
		"{\"a\":{\"key\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}",
	};
	struct kw_keyring *keyring = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse(good[i], &keyring), 0);
		assert_int_equal(kw_keyring_find(keyring, "a")[0], 0xd7);
		kw_keyring_free(keyring);
		keyring = NULL;
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i]);
}

static void the_number_of_keys_is_bounded(void **state)
{
	struct kw_keyring *keyring = NULL;
	struct kw_bytes text;
	const char *reason = NULL;

	(void)state;
	kw_bytes_init(&text, 1 << 20);
	kw_bytes_append_char(&text, '{');
	for (int i = 0; i < KW_KEYS_MAX; i++)
		kw_bytes_append_format(&text, "\"k%d\":\"" KEY_1 "\",", i);
	text.data[text.length - 1] = '}';
	assert_int_equal(kw_keyring_parse(text.data, text.length, &keyring, &reason), 0);
	kw_keyring_free(keyring);
	keyring = NULL;
	text.data[text.length - 1] = ',';
	kw_bytes_append_string(&text, "\"x\":\"" KEY_1 "\"}");
	assert_int_equal(kw_keyring_parse(text.data, text.length, &keyring, &reason), -EBADMSG);
	assert_null(keyring);
	kw_bytes_done(&text);
}

static void links_are_refused(void **state)
{
	char *directory = support_directory(), path[4096], link[4096];
	struct kw_keyring *keyring = NULL;
	const char *reason = NULL;

	(void)state;
	support_write(directory, "ring", "{\"a\":\"" KEY_1 "\"}\n");
	(void)snprintf(path, sizeof(path), "%s/ring", directory);
	(void)snprintf(link, sizeof(link), "%s/link", directory);
	assert_int_equal(kw_keyring_load(path, &keyring, &reason), 0);
	kw_keyring_free(keyring);
	keyring = NULL;
	assert_int_equal(symlink("ring", link), 0);
	assert_int_equal(kw_keyring_load(link, &keyring, &reason), -ELOOP);
	assert_int_equal(kw_keyring_load(directory, &keyring, &reason), -EINVAL);
	assert_int_equal(kw_keyring_load("/nowhere", &keyring, &reason), -ENOENT);
	support_write(directory, "ring", "");
	assert_int_equal(kw_keyring_load(path, &keyring, &reason), -EBADMSG);
	assert_null(keyring);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(finds_keys_by_their_ids),	     support_test(a_repeated_id_is_refused),
		support_test(small_order_keys_are_refused),  support_test(other_texts_are_refused),
		support_test(the_number_of_keys_is_bounded), support_test(links_are_refused),
		support_test(limits_are_read_strictly),
	};

	return cmocka_run_group_tests_name("verify_keyring", tests, NULL, NULL);
}
