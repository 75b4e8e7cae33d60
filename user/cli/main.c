/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness: the user's command. A table of subcommands and what they share: messages on one line, with
 * what was read from files and arguments made harmless for a terminal.
 */
#include "user/cli/cli.h"

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "user/base/file.h"
#include "user/base/text.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "cells", kw_cli_cells, "list, add and remove registered cells" },
	{ "doctor", kw_cli_doctor, "what this host lets kwitness see, and what it does not" },
	{ "incidents", kw_cli_incidents, "list OOM incidents, or show one" },
	{ "index", kw_cli_index, "make proofs in a ledger fast" },
	{ "keygen", kw_cli_keygen, "make a private key, print its keyring line" },
	{ "parity", kw_cli_parity, "show what explains the kernel's counters" },
	{ "prove", kw_cli_prove, "prove that one event stands in a ledger" },
	{ "pubkey", kw_cli_pubkey, "print the keyring line of a private key" },
	{ "readers", kw_cli_readers, "list, keep and forget readers that retention waits for" },
	{ "rotate", kw_cli_rotate, "put a new key in the place of the daemon's" },
	{ "sign", kw_cli_sign, "sign any CloudEvent" },
	{ "status", kw_cli_status, "ask the daemon whether it works and everything adds up" },
	{ "tail", kw_cli_tail, "read a ledger as it grows" },
	{ "verify", kw_cli_verify, "check a ledger's signatures, chain and completeness" },
};

int kw_cli_fail(int code, const char *command, const char *format, ...)
{
	cleanup_bytes struct kw_bytes line;
	char message[1024];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	kw_bytes_init(&line, 4 * sizeof(message));
	kw_bytes_append_format(&line, "kwitness%s%s: ", command[0] ? " " : "", command);
	kw_text_append_printable(&line, message, strlen(message));
	kw_bytes_append_char(&line, '\n');
	if (kw_bytes_error(&line) == 0)
		(void)fwrite(line.data, 1, line.length, stderr);
	return code;
}

int kw_cli_fail_key(const char *command, const char *path, int error)
{
	switch (error) {
	case -EPERM:
		return kw_cli_fail(
			KW_EXIT_FAIL, command,
			"%s: group or others may read it, or it is another user's; try: chmod 600 %s",
			path, path);
	case -EBADMSG:
		return kw_cli_fail(KW_EXIT_FAIL, command,
				   "%s: not a private key; 'kwitness keygen --out FILE' makes one",
				   path);
	case -ELOOP:
		return kw_cli_fail(KW_EXIT_FAIL, command,
				   "%s: a symbolic link; name the file itself", path);
	default:
		return kw_cli_fail(KW_EXIT_FAIL, command, "%s: %s", path, strerror(-error));
	}
}

int kw_cli_output(const char *command, const void *data, size_t length)
{
	int r = kw_file_write_all(STDOUT_FILENO, data, length);

	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, command, "cannot write output: %s", strerror(-r));
	return KW_EXIT_OK;
}

static int usage(void)
{
	(void)printf("usage: kwitness COMMAND [OPTION]... [ARGUMENT]...\n\n");
	for (size_t i = 0; i < kw_array_size(commands); i++)
		(void)printf("  %-10s %s\n", commands[i].name, commands[i].help);
	(void)printf(
		"\n'kwitness COMMAND --help' says more. Exit: 0 fine, 1 the answer is no, 2 wrong usage, 3 could not do it.\n");
	return fflush(stdout) == 0 ? KW_EXIT_OK : KW_EXIT_FAIL;
}

int main(int argc, char **argv)
{
	/* Which characters a terminal shows; numbers and sorting stay as they are. */
	(void)setlocale(LC_CTYPE, "");
	if (argc < 2)
		return kw_cli_fail(KW_EXIT_USAGE, "", "no command given; try 'kwitness --help'");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0)
		return usage();
	if (strcmp(argv[1], "--version") == 0)
		return printf("kwitness %s\n", KW_VERSION) < 0 ? KW_EXIT_FAIL : KW_EXIT_OK;
	for (size_t i = 0; i < kw_array_size(commands); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	}
	return kw_cli_fail(KW_EXIT_USAGE, "", "'%s' is not a command; try 'kwitness --help'",
			   argv[1]);
}
