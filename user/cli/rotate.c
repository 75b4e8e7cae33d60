/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness rotate: a new private key beside the one in force, for the daemon to take over. The daemon alone
 * writes to the ledger and replaces the file (user/daemon/rekey.c); this makes "<key>.next", tells the
 * daemon when its process is named, and sees whether it was taken.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "user/attest/attest.h"
#include "user/base/text.h"
#include "user/cli/cli.h"

#define KEY_BESIDE_LEDGER KW_PATH_LEDGER ".key"
#define WAIT_SECONDS 30

static const char help[] =
	"usage: kwitness rotate [--key FILE] [--kid NAME] [--pid PID]\n"
	"\n"
	"Makes a new private key, FILE.next, that the daemon puts in the place of the one in FILE: when it is\n"
	"told (systemctl reload kwitnessd), or when it starts. The ledger says so in a line that both keys sign.\n"
	"Prints the new key's keyring object. Who has the old key in his keyring need not do anything.\n"
	"\n"
	"  -K, --key FILE   where the daemon keeps its key (default: " KW_PATH_KEY
	", or, where that\n"
	"                   is not, " KEY_BESIDE_LEDGER ")\n"
	"  -k, --kid NAME   the new key's id (default: kwitness-<first 8 hex digits of the public key>)\n"
	"  -p, --pid PID    tell this daemon (SIGHUP), and wait until it has done so\n"
	"  -h, --help       this text\n";

struct wish {
	const char *key;
	const char *kid;
	pid_t pid; /* 0: none */
};

static int tell(const struct wish *wish, const char *next)
{
	const struct timespec step = { .tv_nsec = 50000000 };

	if (wish->pid == 0) {
		(void)fprintf(
			stderr,
			"kwitness rotate: %s waits; 'systemctl reload kwitnessd' puts it in force\n",
			next);
		return KW_EXIT_OK;
	}
	if (kill(wish->pid, SIGHUP) < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "rotate", "%s waits, but process %d: %s", next,
				   (int)wish->pid, strerror(errno));
	for (int i = 0; i < WAIT_SECONDS * 20; i++) {
		if (access(next, F_OK) < 0 && errno == ENOENT)
			return KW_EXIT_OK;
		(void)nanosleep(&step, NULL);
	}
	return kw_cli_fail(KW_EXIT_FAIL, "rotate",
			   "%s waits, but process %d has not taken it; its log says why", next,
			   (int)wish->pid);
}

static int rotate(const struct wish *wish)
{
	cleanup(kw_key_freep) struct kw_key *key = NULL;
	cleanup_bytes struct kw_bytes line;
	char next[KW_PATH_MAX];
	int r = snprintf(next, sizeof(next), "%s.next", wish->key);

	kw_bytes_init(&line, 4096);
	if (r < 0 || (size_t)r >= sizeof(next))
		return kw_cli_fail(KW_EXIT_USAGE, "rotate", "%s: %s", wish->key,
				   strerror(ENAMETOOLONG));
	r = kw_key_generate(next, wish->kid, &key);
	if (r == -EEXIST)
		return kw_cli_fail(
			KW_EXIT_FAIL, "rotate",
			"%s waits already; 'systemctl reload kwitnessd' puts it in force", next);
	if (r == -EINVAL)
		return kw_cli_fail(
			KW_EXIT_USAGE, "rotate",
			"'%s' is no key id; use 1 to 128 printable ASCII characters without blanks, \" and \\",
			wish->kid ? wish->kid : "");
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "rotate", "%s: %s", next, strerror(-r));
	kw_key_append_keyring(key, &line);
	r = kw_bytes_error(&line);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "rotate", "%s", strerror(-r));
	r = kw_cli_output("rotate", line.data, line.length);
	return r == KW_EXIT_OK ? tell(wish, next) : r;
}

int kw_cli_rotate(int argc, char **argv)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'K' },
		{ "kid", required_argument, NULL, 'k' },
		{ "pid", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct wish wish = { .key = NULL };
	uint64_t pid;
	int option;

	while ((option = getopt_long(argc, argv, "K:k:p:h", options, NULL)) != -1) {
		switch (option) {
		case 'K':
			wish.key = optarg;
			break;
		case 'k':
			wish.kid = optarg;
			break;
		case 'p':
			if (kw_text_parse_u64(optarg, strlen(optarg), &pid) < 0 || pid < 1 ||
			    pid > INT32_MAX)
				return kw_cli_fail(KW_EXIT_USAGE, "rotate",
						   "--pid %s: not a process", optarg);
			wish.pid = (pid_t)pid;
			break;
		case 'h':
			return kw_cli_output("rotate", help, strlen(help));
		default:
			return KW_EXIT_USAGE;
		}
	}
	if (optind != argc)
		return kw_cli_fail(KW_EXIT_USAGE, "rotate", "takes no argument; see --help");
	if (!wish.key)
		wish.key = access(KW_PATH_KEY, F_OK) == 0 ? KW_PATH_KEY : KEY_BESIDE_LEDGER;
	return rotate(&wish);
}
