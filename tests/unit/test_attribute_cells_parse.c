/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cells_parse.c: what a cell file may say, and the words for what it may not. */
#include "tests/unit/support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "user/attribute/attribute.h"

#define ROOT "/sys/fs/cgroup"

static int parse(const char *text, struct kw_cell *cell, char refusal[static 256])
{
	refusal[0] = '\0';
	return kw_cells_parse(text, strlen(text), ROOT, cell, refusal, 256);
}

static void a_whole_file(void **state)
{
	struct kw_cell cell;
	char refusal[256];

	(void)state;
	assert_int_equal(parse("{\"cellId\":\"a.b_c:d-1\",\"runId\":\"r\","
			       "\"specSignatureHash\":\"sha256:ab+/=\",\"cgroupPath\":\"" ROOT
			       "/cells/a\",\"vsockUdsBase\":\"/run/vm/a.sock\",\"vsockCid\":3}",
			       &cell, refusal),
			 0);
	assert_string_equal(cell.cell_id, "a.b_c:d-1");
	assert_string_equal(cell.run_id, "r");
	assert_string_equal(cell.spec_signature_hash, "sha256:ab+/=");
	assert_string_equal(cell.cgroup_path, "/cells/a");
	assert_string_equal(cell.vsock_uds_base, "/run/vm/a.sock");
	assert_int_equal(cell.vsock_cid, 3);
	assert_int_equal(cell.handle, 0);

	assert_int_equal(parse("{\"cellId\":\"a\",\"runId\":\"r\",\"cgroupPath\":\"/cells/b\"}",
			       &cell, refusal),
			 0);
	assert_string_equal(cell.cgroup_path, "/cells/b");
	assert_string_equal(cell.spec_signature_hash, "");
	assert_string_equal(cell.vsock_uds_base, "");
	assert_int_equal(cell.vsock_cid, 0);
	assert_int_equal(cell.silence_seconds, 0);
	assert_int_equal(cell.kernel, KW_KERNEL_UNKNOWN);

	assert_int_equal(
		parse("{\"cellId\":\"a\",\"runId\":\"r\",\"silenceSeconds\":30,\"kernel\":\"own\"}",
		      &cell, refusal),
		0);
	assert_int_equal(cell.silence_seconds, 30);
	assert_int_equal(cell.kernel, KW_KERNEL_OWN);
}

#define HEAD "{\"cellId\":\"a\",\"runId\":\"r\","

static const struct {
	const char *text;
	const char *words; /* a part of the refusal */
} refused[] = {
	{ "", "not JSON" },
	{ "[]", "not a JSON object" },
	{ "{}", "cellId is missing" },
	{ "{\"cellId\":\"a\"}", "runId is missing" },
	{ HEAD "\"runId\":\"r\"}", "unique members" },
	{ HEAD "\"silenceSeconds\":0}", "silenceSeconds is not an integer" },
	{ HEAD "\"silenceSeconds\":86401}", "from 1 to 86400" },
	{ HEAD "\"silenceSeconds\":\"9\"}", "silenceSeconds is not an integer" },
	{ HEAD "\"kernel\":\"Shared\"}", "neither \"shared\" nor \"own\"" },
	{ HEAD "\"kernel\":1}", "neither \"shared\" nor \"own\"" },
	{ HEAD "\"run\":1}", "member \"run\" is not known" },
	{ HEAD "\"x\\u001b[2J\":1}", "member \"x%1B[2J\" is not known" },
	{ "{\"cellId\":1,\"runId\":\"r\"}", "cellId is not a string" },
	{ "{\"cellId\":\"\",\"runId\":\"r\"}", "cellId is not 1 to 128" },
	{ "{\"cellId\":\"a/b\",\"runId\":\"r\"}", "cellId is not 1 to 128" },
	{ "{\"cellId\":\"a\",\"runId\":\"r\\u0000\"}", "not JSON" },
	{ "{\"cellId\":\"a\",\"runId\":\"r\\n\"}", "runId is not" },
	{ HEAD "\"specSignatureHash\":\"a b\"}", "specSignatureHash is not" },
	{ HEAD "\"cgroupPath\":7}", "cgroupPath is not a string" },
	{ HEAD "\"cgroupPath\":\"\"}", "cgroupPath is not the plain" },
	{ HEAD "\"cgroupPath\":\"cells/a\"}", "cgroupPath is not the plain" },
	{ HEAD "\"cgroupPath\":\"/\"}", "cgroupPath is not the plain" },
	{ HEAD "\"cgroupPath\":\"" ROOT "\"}", "cgroupPath is not the plain" },
	{ HEAD "\"cgroupPath\":\"" ROOT "/\"}", "cgroupPath is not the plain" },
	{ HEAD "\"cgroupPath\":\"/a/../b\"}", "cgroupPath is not the plain" },
	{ HEAD "\"cgroupPath\":\"/a/./b\"}", "cgroupPath is not the plain" },
	{ HEAD "\"cgroupPath\":\"/a//b\"}", "cgroupPath is not the plain" },
	{ HEAD "\"cgroupPath\":\"/a/\"}", "cgroupPath is not the plain" },
	{ HEAD "\"cgroupPath\":\"/a\\u0007\"}", "cgroupPath is not the plain" },
	{ HEAD "\"vsockUdsBase\":null}", "vsockUdsBase is not a string" },
	{ HEAD "\"vsockUdsBase\":\"run/vm\"}", "vsockUdsBase is not a plain" },
	{ HEAD "\"vsockUdsBase\":\"/run/../vm\"}", "vsockUdsBase is not a plain" },
	{ HEAD "\"vsockCid\":2}", "vsockCid is not" },
	{ HEAD "\"vsockCid\":0}", "vsockCid is not" },
	{ HEAD "\"vsockUdsUid\":\"fc\"}", "vsockUdsUid is not" },
	{ HEAD "\"vsockUdsUid\":-1}", "vsockUdsUid is not" },
	{ HEAD "\"vsockUdsUid\":4294967295}", "vsockUdsUid is not" },
	{ HEAD "\"vsockUdsGid\":1.0}", "vsockUdsGid is not" },
	{ HEAD "\"vsockCid\":4294967295}", "vsockCid is not" },
	{ HEAD "\"vsockCid\":-3}", "vsockCid is not" },
	{ HEAD "\"vsockCid\":3.0}", "vsockCid is not" },
	{ HEAD "\"vsockCid\":\"3\"}", "vsockCid is not" },
	{ HEAD "\"vsockCid\":99999999999999999999}", "not JSON" },
	{ HEAD "\"vsockCid\":3} x", "not JSON" },
	{ "{\"cellId\":\"\xff\",\"runId\":\"r\"}", "not JSON" },
};

static void refusals_say_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct kw_cell cell;
		struct kw_cell before;
		char refusal[256];

		memset(&cell, 0x77, sizeof(cell));
		before = cell;
		if (parse(refused[i].text, &cell, refusal) != -EBADMSG ||
		    !strstr(refusal, refused[i].words))
			fail_msg("%s: '%s'", refused[i].text, refusal);
		assert_memory_equal(&cell, &before, sizeof(cell));
	}
}

static void lengths_are_bounded(void **state)
{
	struct kw_cell cell;
	char refusal[256];
	char text[4096];
	char name[2048];

	(void)state;
	memset(name, 'n', sizeof(name));
	/* cellId: 128 bytes, no more. */
	(void)snprintf(text, sizeof(text), "{\"cellId\":\"%.128s\",\"runId\":\"r\"}", name);
	assert_int_equal(parse(text, &cell, refusal), 0);
	assert_int_equal(strlen(cell.cell_id), 128);
	(void)snprintf(text, sizeof(text), "{\"cellId\":\"%.129s\",\"runId\":\"r\"}", name);
	assert_int_equal(parse(text, &cell, refusal), -EBADMSG);
	/* vsockUdsBase: sun_path has 108 bytes, "_9001" and a NUL come behind it. */
	(void)snprintf(text, sizeof(text), HEAD "\"vsockUdsBase\":\"/%.101s\"}", name);
	assert_int_equal(parse(text, &cell, refusal), 0);
	(void)snprintf(text, sizeof(text), HEAD "\"vsockUdsBase\":\"/%.102s\"}", name);
	assert_int_equal(parse(text, &cell, refusal), -EBADMSG);
	assert_non_null(strstr(refusal, "longer than 102"));
	(void)snprintf(text, sizeof(text), HEAD "\"cgroupPath\":\"/%.1022s\"}", name);
	assert_int_equal(parse(text, &cell, refusal), 0);
	(void)snprintf(text, sizeof(text), HEAD "\"cgroupPath\":\"/%.1023s\"}", name);
	assert_int_equal(parse(text, &cell, refusal), -EBADMSG);
	/* The largest CID that is nobody else's. */
	assert_int_equal(parse(HEAD "\"vsockCid\":4294967294}", &cell, refusal), 0);
	assert_true(cell.vsock_cid == UINT32_MAX - 1);
	/* The host's own, for trying things out over the loopback. */
	assert_int_equal(parse(HEAD "\"vsockCid\":1}", &cell, refusal), 0);
	assert_int_equal(cell.vsock_cid, 1);
	assert_false(cell.has_uds_uid || cell.has_uds_gid);
	assert_int_equal(
		parse(HEAD "\"vsockUdsUid\":0,\"vsockUdsGid\":4294967294}", &cell, refusal), 0);
	assert_true(cell.has_uds_uid && cell.vsock_uds_uid == 0);
	assert_true(cell.has_uds_gid && cell.vsock_uds_gid == UINT32_MAX - 1);
}

static void the_root_may_have_any_form(void **state)
{
	static const struct {
		const char *root;
		const char *path;
		const char *expected;
	} cases[] = {
		{ "/sys/fs/cgroup/", "/sys/fs/cgroup/a", "/a" },
		{ "/", "/a", "/a" },
		{ "", "/a", "/a" },
		{ "/sys/fs/cgroup", "/sys/fs/cgroups/a", "/sys/fs/cgroups/a" },
		{ "/tmp/cg", "/sys/fs/cgroup/a", "/sys/fs/cgroup/a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kw_cell cell;
		char refusal[256];
		char text[256];

		(void)snprintf(text, sizeof(text), HEAD "\"cgroupPath\":\"%s\"}", cases[i].path);
		assert_int_equal(kw_cells_parse(text, strlen(text), cases[i].root, &cell, refusal,
						sizeof(refusal)),
				 0);
		assert_string_equal(cell.cgroup_path, cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(a_whole_file),
		support_test(refusals_say_why),
		support_test(lengths_are_bounded),
		support_test(the_root_may_have_any_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
