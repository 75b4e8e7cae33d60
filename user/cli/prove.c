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

#include "user/cli/prove.h"
#include "user/deliver/deliver.h"

#define PROOF_MAX (2 * KW_LINE_MAX)

static const char help[] =
	"usage: kwitness prove [--ledger DIR] SEQUENCE|ID > FILE\n"
	"\n"
	"Writes one event with the proof that the ledger holds it, as a C2SP tlog-proof: the event, its\n"
	"place, the way to the root, and the first checkpoint that covers it. No signature is verified here;\n"
	"'kwitness verify --proof FILE --keyring FILE' needs the ledger no more. With an index, which\n"
	"kwitnessd keeps and 'kwitness index' makes, only what is needed of the ledger is read.\n"
	"Exit: 0 written, 1 no such event or no checkpoint over it yet, 2 wrong usage, 3 could not read.\n"
	"\n"
	"  -l, --ledger DIR     the ledger (" KW_PATH_LEDGER ")\n"
	"  -h, --help           this text\n";

int kw_cli_prove_feed(const char *ledger, uint64_t first, struct kw_prover *prover)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	int r = kw_cursor_open(ledger, first, &cursor);

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

/* All of the ledger. 1: the proof is whole, 0: it cannot be, -errno. */
static int read_ledger(int directory, const char *ledger, struct kw_prover *prover)
{
	struct kw_attest_tree base;
	uint64_t first = 1;
	int r = kw_archive_read_base(directory, &base);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0) {
		kw_prover_begin(prover, &base.tree);
		first = base.tree.size + 1;
	}
	return kw_cli_prove_feed(ledger, first, prover);
}

/* The proof that was made, when it holds. 1, 0: it does not, -errno. */
static int take_proof(const struct kw_prover *prover, struct kw_bytes *proof)
{
	int r;

	kw_bytes_clear(proof);
	r = kw_prover_append(prover, proof);
	return r < 0 ? r : kw_proof_holds(proof->data, proof->length);
}

/* By the index. True: *ret_code is the answer. */
static bool use_index(int directory, const char *ledger, const char *wanted, struct kw_bytes *proof,
		      int *ret_code)
{
	cleanup(kw_prover_freep) struct kw_prover *prover = NULL;
	int r = kw_prover_new(wanted, &prover);

	if (r < 0)
		return false;
	r = kw_cli_prove_indexed(directory, ledger, wanted, prover);
	/* An index that leaves a line out would deny it: the ledger itself has to. */
	if (r == -ENOENT || (r == 0 && !kw_prover_found(prover)))
		return false;
	if (r == 1)
		r = take_proof(prover, proof);
	else if (r == 0) {
		*ret_code = KW_EXIT_NO;
		return true;
	}
	if (r == 1) {
		*ret_code = KW_EXIT_OK;
		return true;
	}
	(void)kw_cli_fail(
		0, "prove",
		"%s: the index is not that of this ledger, or is damaged; all of the ledger is read instead ('kwitness index --anew' makes another)",
		ledger);
	return false;
}

static int no_checkpoint(void)
{
	return kw_cli_fail(KW_EXIT_NO, "prove",
			   "no checkpoint covers it yet; kwitnessd writes one within 11 seconds");
}

/* By reading all of it. */
static int use_ledger(int directory, const char *ledger, const char *wanted, struct kw_bytes *proof)
{
	cleanup(kw_prover_freep) struct kw_prover *prover = NULL;
	int r = kw_prover_new(wanted, &prover);

	if (r == 0)
		r = read_ledger(directory, ledger, prover);
	if (r == 0)
		return kw_prover_found(prover) ? no_checkpoint()
					       : kw_cli_fail(KW_EXIT_NO, "prove",
							     "no event '%s' in %s", wanted, ledger);
	if (r == 1)
		r = take_proof(prover, proof);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "prove", "%s: %s", ledger, strerror(-r));
	if (r == 0)
		return kw_cli_fail(
			KW_EXIT_NO, "prove",
			"%s: its lines are not those that the checkpoint covers; 'kwitness verify' says which",
			ledger);
	return KW_EXIT_OK;
}

static int prove(const char *ledger, const char *wanted)
{
	cleanup(kw_prover_freep) struct kw_prover *prover = NULL;
	cleanup_close int directory = -1;
	cleanup_bytes struct kw_bytes proof;
	int r = kw_prover_new(wanted, &prover), code;

	kw_bytes_init(&proof, PROOF_MAX);
	if (r == -EINVAL)
		return kw_cli_fail(KW_EXIT_USAGE, "prove", "'%s' is no sequence and no id", wanted);
	directory = open(ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r < 0 || directory < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "prove", "%s: %s", ledger,
				   strerror(r < 0 ? -r : errno));
	if (!use_index(directory, ledger, wanted, &proof, &code))
		code = use_ledger(directory, ledger, wanted, &proof);
	else if (code == KW_EXIT_NO)
		return no_checkpoint();
	return code == KW_EXIT_OK ? kw_cli_output("prove", proof.data, proof.length) : code;
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
