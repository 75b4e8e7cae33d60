/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* units.c: names as systemd gives them, and names that somebody else gave. */
#include "tests/unit/support.h"

#include <string.h>

#include "user/attribute/attribute.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void names_are_found(void **state)
{
	static const struct {
		const char *path;
		const char *unit;
		const char *slice;
	} cases[] = {
		{ "/system.slice/nginx.service", "nginx.service", "system.slice" },
		{ "/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service",
		  "system-getty.slice" },
		{ "/user.slice/user-1000.slice/user@1000.service/app.slice/app-ff-7.scope",
		  "app-ff-7.scope", "app.slice" },
		{ "/user.slice/user-1000.slice/session-3.scope", "session-3.scope",
		  "user-1000.slice" },
		{ "/system.slice/dev-hugepages.mount", "dev-hugepages.mount", "system.slice" },
		{ "/system.slice/a.socket", "a.socket", "system.slice" },
		{ "/system.slice/dev-sda.swap", "dev-sda.swap", "system.slice" },
		/* A service with a delegated subtree. */
		{ "/system.slice/app.service/workers/3", "app.service", "system.slice" },
		{ "/init.scope", "init.scope", "" },
		{ "/system.slice", "", "system.slice" },
		/* Escaped names stay escaped. */
		{ "/system.slice/a\\x2db.service", "a\\x2db.service", "system.slice" },
		{ "/", "", "" },
		{ "", "", "" },
		{ "/kubepods/burstable", "", "" },
		{ "/x.services/y.slices", "", "" },
		{ "//lost/b.service", "b.service", "" },
		/* A container is a unit, what lies below was named by it. */
		{ "/system.slice/docker-" ID ".scope/system.slice/sshd.service",
		  "docker-" ID ".scope", "system.slice" },
		{ "/docker/" ID "/system.slice/sshd.service", "", "" },
		{ "/machine.slice/libpod-" ID ".scope/container/init.scope", "libpod-" ID ".scope",
		  "machine.slice" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kw_identity identity = { .unit = "old", .slice = "old", .runtime = "kept" };

		kw_units_parse(cases[i].path, &identity);
		if (strcmp(identity.unit, cases[i].unit) != 0 ||
		    strcmp(identity.slice, cases[i].slice) != 0)
			fail_msg("%s: unit '%s' slice '%s'", cases[i].path, identity.unit,
				 identity.slice);
		assert_string_equal(identity.runtime, "kept");
	}
}

static void names_too_long_stay_unknown(void **state)
{
	struct kw_identity identity = { 0 };
	char path[1024];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	memcpy(path + 256 - 8, ".service", 9);
	kw_units_parse(path, &identity);
	assert_int_equal(strlen(identity.unit), 255);
	memset(path + 1, 'x', 300);
	memcpy(path + 257 - 8, ".service", 9);
	kw_units_parse(path, &identity);
	assert_string_equal(identity.unit, "");
	memcpy(path + 257 - 8, "yy.slice", 9);
	kw_units_parse(path, &identity);
	assert_string_equal(identity.slice, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(names_are_found),
		support_test(names_too_long_stay_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
