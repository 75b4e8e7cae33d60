/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* kwitness pubkey: the keyring object of a private key. */
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "user/attest/attest.h"
#include "user/cli/cli.h"

static const char help[] =
	"usage: kwitness pubkey FILE\n"
	"\n"
	"Prints the keyring object {key id: public key} of the private key in FILE.\n"
	"\n"
	"  -h, --help       this text\n";

int kw_cli_pubkey(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	cleanup(kw_key_freep) struct kw_key *key = NULL;
	cleanup_bytes struct kw_bytes line;
	int option, r;

	kw_bytes_init(&line, 4096);
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return kw_cli_output("pubkey", help, strlen(help));
		return KW_EXIT_USAGE;
	}
	if (optind + 1 != argc)
		return kw_cli_fail(KW_EXIT_USAGE, "pubkey",
				   "give one private key file; see --help");
	r = kw_key_load(argv[optind], NULL, &key);
	if (r < 0)
		return kw_cli_fail_key("pubkey", argv[optind], r);
	kw_key_append_keyring(key, &line);
	if (kw_bytes_error(&line) < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "pubkey", "%s", strerror(-kw_bytes_error(&line)));
	return kw_cli_output("pubkey", line.data, line.length);
}
