/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a program of somebody else looks like that verifies a ledger: it is compiled with the installed
 * header and linked with the installed library, and knows nothing of this tree. Valid C and C++.
 * usage: embed KEYRING SEGMENT...   exit: 0 sound, 1 not, 2 could not
 */
#include <kwitness/verify.h>

#include <stdio.h>
#include <string.h>

struct seen {
	unsigned int faults;
	unsigned int gaps; /* signed lines that say so */
};

static void on_line(void *context, const struct kw_signed_line *line)
{
	static const char gap[] = "host.v1.gap";
	size_t length = sizeof(gap) - 1;

	if (!line->has_fault && line->type_length > length &&
	    memcmp(line->type + line->type_length - length, gap, length) == 0)
		((struct seen *)context)->gaps++;
}

static void on_fault(void *context, const struct kw_fault_report *report)
{
	((struct seen *)context)->faults++;
	printf("%s:%llu: %s: %s\n", report->file, (unsigned long long)report->line,
	       kw_fault_name(report->fault), report->detail);
}

static int feed(struct kw_verifier *verifier, const char *path)
{
	FILE *file = fopen(path, "rb");
	char chunk[65536];
	size_t got;
	int r = 0;

	if (!file)
		return -1;
	while (r == 0 && (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		r = kw_verifier_feed(verifier, path, chunk, got);
	if (ferror(file))
		r = -1;
	fclose(file);
	return r == 0 ? kw_verifier_end_of_file(verifier) : r;
}

int main(int argc, char **argv)
{
	struct kw_keyring *keyring = NULL;
	struct kw_verifier *verifier = NULL;
	struct kw_verify_result result;
	const char *reason = "cannot be read";
	struct seen seen = { 0, 0 };
	int r;

	if (argc < 3)
		return 2;
	if (kw_keyring_load(argv[1], &keyring, &reason) != 0) {
		fprintf(stderr, "%s: %s\n", argv[1], reason);
		return 2;
	}
	r = kw_verifier_new(keyring, false, on_fault, &seen, &verifier);
	if (r == 0)
		kw_verifier_set_reader(verifier, on_line);
	for (int i = 2; r == 0 && i < argc; i++)
		r = feed(verifier, argv[i]);
	if (r == 0)
		r = kw_verifier_finish(verifier);
	if (r == 0) {
		kw_verifier_result(verifier, &result);
		printf("%llu events, last sequence %llu, %u faults, %u gaps\n",
		       (unsigned long long)result.lines, (unsigned long long)result.last_sequence,
		       seen.faults, seen.gaps);
	}
	kw_verifier_free(verifier);
	kw_keyring_free(keyring);
	return r != 0 ? 2 : seen.faults != 0 || result.lines == 0;
}
