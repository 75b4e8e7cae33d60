/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness prove: one event out of a ledger, with everything that shows it stood there. What is written
 * can be given to somebody who may not see the rest; `kwitness verify --proof` needs it and a keyring.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/cli/cli.h"
#include "user/deliver/deliver.h"
#include "user/verify/verify.h"

#define PROOF_MAX (2 * KW_LINE_MAX)

static const char help[] =
	"usage: kwitness prove [--ledger DIR] SEQUENCE|ID > FILE\n"
	"\n"
	"Writes one event with the proof that the ledger holds it, as a C2SP tlog-proof: the event, its\n"
	"place, the way to the root, and the first checkpoint that covers it. Nothing is verified here;\n"
	"'kwitness verify --proof FILE --keyring FILE' needs the ledger no more.\n"
	"Exit: 0 written, 1 no such event or no checkpoint over it yet, 2 wrong usage, 3 could not read.\n"
	"\n"
	"  -l, --ledger DIR     the ledger (" KW_PATH_LEDGER ")\n"
	"  -h, --help           this text\n";

KW_DEFINE_CLEANUP(struct kw_prover *, kw_prover_free)

/* Feeds the ledger until the proof is whole. 1: it is, 0: it cannot be, -errno. */
static int read_ledger(const char *ledger, struct kw_prover *prover)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	cleanup_close int directory = open(ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct kw_attest_tree base;
	uint64_t first = 1;
	int r = directory < 0 ? -errno : kw_archive_read_base(directory, &base);

	if (r == 0) {
		kw_prover_begin(prover, &base.tree);
		first = base.tree.size + 1;
	}
	if (r == 0 || r == -ENOENT)
		r = directory < 0 ? r : kw_cursor_open(ledger, first, &cursor);
	while (r == 0) {
		const char *line = NULL;
		size_t length = 0;

		r = kw_cursor_next(cursor, &line, &length);
		if (r <= 0)
			return r;
		r = kw_prover_feed(prover, line, length);
	}
	return r;
}

static int prove(const char *ledger, const char *wanted)
{
	cleanup(kw_prover_freep) struct kw_prover *prover = NULL;
	cleanup_bytes struct kw_bytes proof;
	int r = kw_prover_new(wanted, &prover);

	kw_bytes_init(&proof, PROOF_MAX);
	if (r == -EINVAL)
		return kw_cli_fail(KW_EXIT_USAGE, "prove", "'%s' is no sequence and no id", wanted);
	if (r == 0)
		r = read_ledger(ledger, prover);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "prove", "%s: %s", ledger, strerror(-r));
	if (r == 0 && !kw_prover_found(prover))
		return kw_cli_fail(KW_EXIT_NO, "prove", "no event '%s' in %s", wanted, ledger);
	if (r == 0)
		return kw_cli_fail(
			KW_EXIT_NO, "prove",
			"no checkpoint covers it yet; kwitnessd writes one within 11 seconds");
	r = kw_prover_append(prover, &proof);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "prove", "%s", strerror(-r));
	return kw_cli_output("prove", proof.data, proof.length);
}

int kw_cli_prove(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ledger", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *ledger = KW_PATH_LEDGER;
	int option;

	while ((option = getopt_long(argc, argv, "l:h", options, NULL)) != -1) {
		switch (option) {
		case 'l':
			ledger = optarg;
			break;
		case 'h':
			return kw_cli_output("prove", help, strlen(help));
		default:
			return KW_EXIT_USAGE;
		}
	}
	if (optind + 1 != argc)
		return kw_cli_fail(KW_EXIT_USAGE, "prove",
				   "give one event: its sequence or its id; see --help");
	return prove(ledger, argv[optind]);
}
