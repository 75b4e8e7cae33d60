/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness keygen: a new private key in a new file, and its keyring line on standard output. Never
 * writes over a file: a key that signed something is the only way to go on signing it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "user/attest/attest.h"
#include "user/cli/cli.h"

static const char help[] =
	"usage: kwitness keygen --out FILE [--kid NAME]\n"
	"\n"
	"Makes an Ed25519 private key and prints its keyring object {key id: public key}, to be kept\n"
	"where ledgers are verified.\n"
	"\n"
	"  -o, --out FILE   the new key file, mode 0600; must not exist yet\n"
	"  -k, --kid NAME   key id (default: kwitness-<first 8 hex digits of the public key>)\n"
	"  -h, --help       this text\n";

static int generate(const char *path, const char *kid)
{
	cleanup(kw_key_freep) struct kw_key *key = NULL;
	cleanup_bytes struct kw_bytes line;
	int r;

	kw_bytes_init(&line, 4096);
	r = kw_key_generate(path, kid, &key);
	switch (r) {
	case 0:
		break;
	case -EEXIST:
		return kw_cli_fail(
			KW_EXIT_FAIL, "keygen",
			"%s exists already; choose another name, or see its public key with 'kwitness pubkey %s'",
			path, path);
	case -EINVAL:
		return kw_cli_fail(
			KW_EXIT_USAGE, "keygen",
			"'%s' is no key id; use 1 to 128 printable ASCII characters without blanks, \" and \\",
			kid ? kid : "");
	default:
		return kw_cli_fail(KW_EXIT_FAIL, "keygen", "%s: %s", path, strerror(-r));
	}
	kw_key_append_keyring(key, &line);
	if (kw_bytes_error(&line) < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "keygen", "%s", strerror(-kw_bytes_error(&line)));
	return kw_cli_output("keygen", line.data, line.length);
}

int kw_cli_keygen(int argc, char **argv)
{
	static const struct option options[] = {
		{ "out", required_argument, NULL, 'o' },
		{ "kid", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = NULL, *kid = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "o:k:h", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			path = optarg;
			break;
		case 'k':
			kid = optarg;
			break;
		case 'h':
			return kw_cli_output("keygen", help, strlen(help));
		default:
			return KW_EXIT_USAGE; /* getopt_long() has said why */
		}
	}
	if (!path || optind != argc)
		return kw_cli_fail(
			KW_EXIT_USAGE, "keygen",
			"give the new key's file with --out FILE, and nothing else; see --help");
	return generate(path, kid);
}
