/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "user/attest/attest.h"

/* RFC 8032 7.1, TEST 3. */
static const unsigned char rfc_seed[32] = {
	0xc5, 0xaa, 0x8d, 0xf4, 0x3f, 0x9f, 0x83, 0x7b, 0xed, 0xb7, 0x44,
	0x2f, 0x31, 0xdc, 0xb7, 0xb1, 0x66, 0xd3, 0x85, 0x35, 0x07, 0x6f,
	0x09, 0x4b, 0x85, 0xce, 0x3a, 0x2e, 0x0b, 0x44, 0x58, 0xf7,
};

static char *directory;

static int setup(void **state)
{
	(void)state;
	directory = support_directory();
	return directory ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	support_remove(directory);
	return 0;
}

/* Path below the directory; static storage. */
static const char *at(const char *name)
{
	static char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void write_key(const char *name, const char *text, mode_t mode)
{
	(void)unlink(at(name));
	support_write(directory, name, text);
	assert_int_equal(chmod(at(name), mode), 0);
}

/* Result of loading text as a key file of this mode; its id when it is good. */
static int load(const char *text, mode_t mode, char *ret_id)
{
	struct kw_key *key = NULL;
	int r;

	write_key("k", text, mode);
	r = kw_key_load(at("k"), NULL, &key);
	if (r == 0 && ret_id)
		(void)snprintf(ret_id, KW_KID_MAX + 1, "%s", kw_key_id(key));
	if (r < 0)
		assert_null(key);
	kw_key_free(key);
	return r;
}

static void signs_as_rfc_8032_says(void **state)
{
	static const unsigned char expected[64] = {
		0x62, 0x91, 0xd6, 0x57, 0xde, 0xec, 0x24, 0x02, 0x48, 0x27, 0xe6, 0x9c, 0x3a,
		0xbe, 0x01, 0xa3, 0x0c, 0xe5, 0x48, 0xa2, 0x84, 0x74, 0x3a, 0x44, 0x5e, 0x36,
		0x80, 0xd7, 0xdb, 0x5a, 0xc3, 0xac, 0x18, 0xff, 0x9b, 0x53, 0x8d, 0x16, 0xf2,
		0x90, 0xae, 0x67, 0xf7, 0x60, 0x98, 0x4d, 0xc6, 0x59, 0x4a, 0x7c, 0x15, 0xe9,
		0x71, 0x6e, 0xd2, 0x8d, 0xc0, 0x27, 0xbe, 0xce, 0xea, 0x1e, 0xc4, 0x0a,
	};
	static const unsigned char message[2] = { 0xaf, 0x82 };
	unsigned char signature[64];
	struct kw_key *key = NULL;

	(void)state;
	assert_int_equal(kw_key_from_seed(rfc_seed, "a", &key), 0);
	assert_int_equal(kw_key_public(key)[0], 0xfc);
	assert_int_equal(kw_key_public(key)[31], 0x25);
	assert_int_equal(kw_key_sign(key, message, sizeof(message), signature), 0);
	assert_memory_equal(signature, expected, sizeof(expected));
	kw_key_free(key);
}

static void reads_seed_and_id(void **state)
{
	char id[KW_KID_MAX + 1];

	(void)state;
	/* 32 bytes are 43 characters; the seed above begins with them. */
	assert_int_equal(load("xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\n", 0600, id), 0);
	assert_memory_equal(id, "kwitness-", 9);
	assert_int_equal(strlen(id), 17);
	assert_int_equal(load("xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc", 0400, id), 0);
	assert_int_equal(
		load("xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc=\nkid: host-7\n", 0600, id), 0);
	assert_string_equal(id, "host-7");
}

static void refuses_other_text(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWP\n",	  /* 31 bytes and a bit */
		"xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPcA\n", /* 33 bytes */
		"xaqN9D+fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\n",  /* not the url alphabet */
		"xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWP_\n",  /* bits behind the last byte */
		"xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\nname: x\n",
		"xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\nkid: \n",
		"xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\nkid: a\"b\n",
		"xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\nkid: a b\n",
		"xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\nkid: a\nmore\n",
	};
	char large[5000];

	(void)state;
	for (size_t i = 0; i < kw_array_size(bad); i++)
		assert_int_equal(load(bad[i], 0600, NULL), -EBADMSG);
	memset(large, 'A', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(load(large, 0600, NULL), -EBADMSG);
}

static void refuses_files_that_others_may_read(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0660, 0606, 0610, 0601, 0644 };
	struct kw_key *key = NULL;

	(void)state;
	for (size_t i = 0; i < kw_array_size(modes); i++)
		assert_int_equal(
			load("xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\n", modes[i], NULL),
			-EPERM);
	write_key("k", "xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\n", 0600);
	assert_int_equal(symlinkat("k", AT_FDCWD, at("link")), 0);
	assert_int_equal(kw_key_load(at("link"), NULL, &key), -ELOOP);
	assert_int_equal(mkfifo(at("fifo"), 0600), 0);
	assert_int_equal(kw_key_load(at("fifo"), NULL, &key), -EBADMSG); /* and does not wait */
	assert_int_equal(kw_key_load(directory, NULL, &key), -EBADMSG);
	assert_int_equal(kw_key_load(at("none"), NULL, &key), -ENOENT);
	assert_null(key);
	if (geteuid() == 0) { /* another user's file: only root can make one */
		assert_int_equal(chown(at("k"), 65534, 65534), 0);
		assert_int_equal(kw_key_load(at("k"), NULL, &key), -EPERM);
	}
}

static void generates_what_it_can_read(void **state)
{
	struct kw_key *key = NULL, *again = NULL;
	struct kw_bytes line, line_again;
	struct stat status;

	(void)state;
	assert_int_equal(kw_key_generate(at("new"), "host-8", &key), 0);
	assert_int_equal(stat(at("new"), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(kw_key_load(at("new"), "other", &again), 0);
	assert_string_equal(kw_key_id(again), "host-8");
	assert_memory_equal(kw_key_public(key), kw_key_public(again), 32);
	kw_bytes_init(&line, 4096);
	kw_bytes_init(&line_again, 4096);
	kw_key_append_keyring(key, &line);
	kw_key_append_keyring(again, &line_again);
	assert_string_equal(line.data, line_again.data);
	assert_memory_equal(line.data, "{\"host-8\":\"", 11);
	assert_int_equal(line.length, 11 + 43 + 3);
	kw_bytes_done(&line);
	kw_bytes_done(&line_again);
	kw_key_free(again);
	again = NULL;
	assert_int_equal(kw_key_generate(at("new"), NULL, &again), -EEXIST);
	assert_int_equal(kw_key_generate(at("new2"), "a b", &again), -EINVAL);
	assert_int_equal(access(at("new2"), F_OK), -1);
	assert_null(again);
	kw_key_free(key);
}

static void an_epochs_key_comes_of_the_one_before(void **state)
{
	struct kw_key *first = NULL, *second = NULL, *third = NULL, *again = NULL, *twin = NULL;
	char text[256];

	(void)state;
	assert_int_equal(kw_key_from_seed(rfc_seed, "host", &first), 0);
	assert_int_equal(kw_key_next_epoch(first, at("e2"), &second), 0);
	assert_string_equal(kw_key_id(second), "host.2");
	assert_int_equal(kw_key_next_epoch(second, at("e3"), &third), 0);
	assert_string_equal(kw_key_id(third), "host.3");
	assert_int_equal(kw_key_next_epoch(second, at("e3"), &again), -EEXIST);
	assert_int_equal(kw_key_next_epoch(first, at("twin"), &twin), 0);
	assert_string_equal(kw_key_id(twin), "host.2");
	/* Who has the first seed does not have the second: random bytes went in. */
	assert_memory_not_equal(kw_key_public(twin), kw_key_public(second), 32);
	kw_key_free(twin);
	twin = NULL;
	/* It goes on from the file. */
	assert_int_equal(kw_key_load(at("e3"), NULL, &again), 0);
	assert_memory_equal(kw_key_public(again), kw_key_public(third), 32);
	assert_int_equal(kw_key_next_epoch(again, at("e4"), &twin), 0);
	assert_string_equal(kw_key_id(twin), "host.4");
	kw_key_free(first);
	kw_key_free(second);
	kw_key_free(third);
	kw_key_free(again);
	kw_key_free(twin);

	assert_int_equal(load("xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\nkid: a.2\nepoch: 2\n",
			      0600, text),
			 0);
	assert_int_equal(load("xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\nkid: a.2\nepoch: 3\n",
			      0600, NULL),
			 -EBADMSG);
	assert_int_equal(load("xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\nkid: .2\nepoch: 2\n",
			      0600, NULL),
			 -EBADMSG);
	assert_int_equal(
		load("xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\nepoch: 2\n", 0600, NULL),
		-EBADMSG);
	assert_int_equal(load("xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\nkid: a.0\nepoch: 0\n",
			      0600, NULL),
			 -EBADMSG);
}

/* An access control list as setfacl(1) writes it: entries of tag, permissions and id, little endian. */
static int load_with_acl(const unsigned char (*entries)[8], size_t count, mode_t mode)
{
	unsigned char acl[4 + 8 * 8] = { 2 };
	struct kw_key *key = NULL;
	int r;

	write_key("k", "xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\n", 0400);
	memcpy(acl + 4, entries, 8 * count);
	assert_int_equal(setxattr(at("k"), "system.posix_acl_access", acl, 4 + 8 * count, 0), 0);
	if (mode)
		assert_int_equal(chmod(at("k"), mode), 0);
	r = kw_key_load(at("k"), NULL, &key);
	kw_key_free(key);
	return r;
}

static void a_credential_that_a_list_lets_us_read_is_taken(void **state)
{
	const unsigned char us = (unsigned char)geteuid();
#define ACL(user, group)                                                                           \
	{                                                                                          \
		{ 1, 0, 4, 0, 255, 255, 255, 255 }, { 2, 0, 4, 0, user, 0, 0, 0 },                 \
			{ 4, 0, group, 0, 255, 255, 255, 255 },                                    \
			{ 16, 0, 4, 0, 255, 255, 255, 255 },                                       \
		{                                                                                  \
			32, 0, 0, 0, 255, 255, 255, 255                                            \
		}                                                                                  \
	}
	const unsigned char ours[5][8] = ACL(us, 0), others[5][8] = ACL((unsigned char)(us + 1), 0),
			    group[5][8] = ACL(us, 4);

	(void)state;
	if (geteuid() !=
	    0) { /* a file of root's cannot be made: then it is ours, and that is refused */
		if (us == geteuid())
			assert_int_equal(load_with_acl(ours, 5, 0), -EPERM);
		return;
	}
	assert_int_equal(load_with_acl(ours, 5, 0), 0); /* 0440 */
	assert_int_equal(load_with_acl(ours, 5, 0444), -EPERM);
	assert_int_equal(load_with_acl(ours, 5, 0460), -EPERM);
	assert_int_equal(load_with_acl(others, 5, 0), -EPERM);
	assert_int_equal(load_with_acl(group, 5, 0), -EPERM);
	assert_int_equal(load("xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\n", 0440, NULL), -EPERM);
}

static void the_default_id_counts_when_the_file_has_none(void **state)
{
	struct kw_key *key = NULL;

	(void)state;
	write_key("k", "xaqN9D-fg3vtt0QvMdy3sWbThTUHbwlLhc46LgtEWPc\n", 0600);
	assert_int_equal(kw_key_load(at("k"), "given", &key), 0);
	assert_string_equal(kw_key_id(key), "given");
	assert_int_equal(kw_key_public(key)[0], 0xfc); /* the file has RFC 8032's seed */
	assert_int_equal(kw_key_public(key)[31], 0x25);
	kw_key_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(signs_as_rfc_8032_says),
		support_test(reads_seed_and_id),
		support_test(refuses_other_text),
		support_test(refuses_files_that_others_may_read),
		support_test(generates_what_it_can_read),
		support_test(an_epochs_key_comes_of_the_one_before),
		support_test(a_credential_that_a_list_lets_us_read_is_taken),
		support_test(the_default_id_counts_when_the_file_has_none),
	};

	return cmocka_run_group_tests_name("attest_key", tests, setup, teardown);
}
