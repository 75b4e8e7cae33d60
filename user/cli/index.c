/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness index: what kwitnessd does for its own ledger as segments are closed, for one that it does not write:
 * a copy, an archive, or one whose index is damaged. The last segment has none: it is read as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/cli/cli.h"
#include "user/deliver/deliver.h"

static const char help[] =
	"usage: kwitness index [--anew] [--ledger DIR]\n"
	"\n"
	"Makes what 'kwitness prove' needs so as not to read the whole ledger, DIR/index, for all segments\n"
	"but the last. kwitnessd does so for its own ledger. It is no part of the ledger: it may be removed\n"
	"at any time, and nothing it says is believed.\n"
	"Exit: 0 done, 2 wrong usage, 3 could not do it.\n"
	"\n"
	"  -a, --anew           also those that have one\n"
	"  -l, --ledger DIR     the ledger (" KW_PATH_LEDGER ")\n"
	"  -h, --help           this text\n";

static int explain(const char *ledger, uint64_t segment, int error)
{
	const char *why = strerror(-error);

	if (error == -ENODATA)
		why = "what stands before is neither indexed nor declared as removed";
	else if (error == -EBADMSG)
		why = "it is damaged; 'kwitness verify' says how";
	else if (error == -EFBIG)
		why = "it has too many lines";
	return kw_cli_fail(KW_EXIT_FAIL, "index",
			   "%s: the segment of line %" PRIu64 " cannot be indexed: %s", ledger,
			   segment, why);
}

static int make(const char *ledger, bool anew)
{
	cleanup_close int directory = open(ledger, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t above = 0, made = 0, last;
	char text[128];
	int r = directory < 0 ? -errno : kw_index_last(directory, &last);

	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "index", "%s: %s", ledger,
				   r == -ENOENT && directory >= 0 ? "no segment" : strerror(-r));
	if (anew)
		r = kw_index_remove_all(directory);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "index", "%s/index: %s", ledger, strerror(-r));
	r = kw_index_make_closed(directory, &above, last, NULL, &made);
	if (r < 0)
		return explain(ledger, above + 1, r);
	(void)snprintf(text, sizeof(text), "%" PRIu64 " segment%s indexed\n", made,
		       made == 1 ? "" : "s");
	return kw_cli_output("index", text, strlen(text));
}

int kw_cli_index(int argc, char **argv)
{
	static const struct option options[] = {
		{ "anew", no_argument, NULL, 'a' },
		{ "ledger", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *ledger = KW_PATH_LEDGER;
	bool anew = false;
	int option;

	while ((option = getopt_long(argc, argv, "al:h", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			anew = true;
			break;
		case 'l':
			ledger = optarg;
			break;
		case 'h':
			return kw_cli_output("index", help, strlen(help));
		default:
			return KW_EXIT_USAGE;
		}
	}
	if (optind != argc)
		return kw_cli_fail(KW_EXIT_USAGE, "index", "no argument is taken; see --help");
	return make(ledger, anew);
}
