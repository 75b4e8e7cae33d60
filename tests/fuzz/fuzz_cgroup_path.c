/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whatever a path says, what is read from it has the form it must have. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/attribute/attribute.h"

static void check_suffix(const char *text, const char *suffix)
{
	size_t length = strlen(text);

	fuzz_assert(length == 0 || (length >= strlen(suffix) &&
				    strcmp(text + length - strlen(suffix), suffix) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kw_identity identity;
	char *path = malloc(size + 1);

	fuzz_assert(path);
	memcpy(path, data, size);
	path[size] = '\0';
	memset(&identity, 0xa5, sizeof(identity));
	kw_units_parse(path, &identity);
	kw_pods_parse(path, &identity);
	fuzz_assert(strnlen(identity.unit, sizeof(identity.unit)) < sizeof(identity.unit));
	fuzz_assert(!strchr(identity.unit, '/') && !strchr(identity.slice, '/'));
	check_suffix(identity.slice, ".slice");
	fuzz_assert(identity.container_id[0] == '\0' || strlen(identity.container_id) == 64);
	fuzz_assert(strspn(identity.container_id, "0123456789abcdef") ==
		    strlen(identity.container_id));
	fuzz_assert(strspn(identity.pod_uid, "0123456789abcdef-") == strlen(identity.pod_uid));
	/* A pod has a class, and none is without a pod. */
	fuzz_assert((identity.pod_uid[0] == '\0') == (identity.qos[0] == '\0'));
	fuzz_assert(identity.runtime[0] == '\0' || identity.container_id[0] != '\0');
	free(path);
	return 0;
}
