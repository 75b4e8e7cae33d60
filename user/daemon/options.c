/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The command line. Options set the same keys as the configuration files, which are read first
 * whatever the order of arguments: the command line wins.
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <getopt.h>
#include <kwitness/names.h>
#include <stdio.h>
#include <string.h>

#include "user/base/log.h"

enum {
	OPTION_KEYED = 256,
	OPTION_STDOUT,
	OPTION_STATS,
	OPTION_TRY,
	OPTION_CHECK,
	OPTION_DETACH,
	OPTION_VERSION
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "ledger", required_argument, NULL, OPTION_KEYED },
	{ "key", required_argument, NULL, OPTION_KEYED },
	{ "cells", required_argument, NULL, OPTION_KEYED },
	{ "tier", required_argument, NULL, OPTION_KEYED },
	{ "cgroup-root", required_argument, NULL, OPTION_KEYED },
	{ "runtime", required_argument, NULL, OPTION_KEYED },
	{ "pins", required_argument, NULL, OPTION_KEYED },
	{ "gate", required_argument, NULL, OPTION_KEYED },
	{ "http", required_argument, NULL, OPTION_KEYED },
	{ "record", required_argument, NULL, OPTION_KEYED },
	{ "evidence-ring-bytes", required_argument, NULL, OPTION_KEYED },
	{ "bulk-ring-bytes", required_argument, NULL, OPTION_KEYED },
	{ "bpf-stats", no_argument, NULL, OPTION_STATS },
	{ "syscall-filter", required_argument, NULL, OPTION_KEYED },
	{ "stdout", no_argument, NULL, OPTION_STDOUT },
	{ "try-hooks", no_argument, NULL, OPTION_TRY },
	{ "check-config", no_argument, NULL, OPTION_CHECK },
	{ "detach-bpf", no_argument, NULL, OPTION_DETACH },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
	"usage: kwitnessd [options]\n"
	"Hears the kernel, the cgroup counters and guest agents about OOM kills, and keeps a signed,\n"
	"chained ledger of them.\n"
	"\n"
	"  -c, --config FILE     configuration (default " KW_PATH_CONFIG ", and " KW_PATH_CONFIG_DIR
	"/*.conf)\n"
	"      --ledger DIR      ledger directory (default " KW_PATH_LEDGER ")\n"
	"      --key FILE        private key (default: credential " KW_CREDENTIAL_KEY
	", else " KW_PATH_KEY ")\n"
	"      --cells DIR       registered cells (default " KW_PATH_CELLS ")\n"
	"      --tier TIER       best tier to try: auto, fentry, kprobe, tracepoint, files\n"
	"      --cgroup-root DIR where cgroup v2 is mounted (default " KW_PATH_CGROUP_ROOT ")\n"
	"      --runtime DIR     runtime directory (default " KW_PATH_RUNTIME ")\n"
	"      --pins DIR        bpffs directory for pinned programs; empty: pin nothing (default " KW_PATH_PINS
	")\n"
	"      --gate FILE       the kwitness-gate program (default: beside this one)\n"
	"      --http SOCKET     Unix socket for status and metrics, in the runtime directory if relative; empty: none (default " KW_HTTP_SOCKET
	")\n"
	"      --record FILE     append raw kernel records to FILE, for replaying them in a test\n"
	"      --evidence-ring-bytes N, --bulk-ring-bytes N\n"
	"                        other sizes of the kernel's rings, to test what happens when one is full\n"
	"      --bpf-stats       have the kernel count what BPF programs cost while this runs\n"
	"      --syscall-filter X  what an unexpected system call does: refuse, kill, off (default refuse)\n"
	"      --stdout          also copy the ledger's new lines to standard output\n"
	"      --try-hooks       try the kernel's hooks, say as JSON how it answered, and exit\n"
	"      --check-config    print the effective configuration and exit\n"
	"      --detach-bpf      remove pinned programs and maps, and exit\n"
	"  -v, --verbose         log more\n"
	"      --version         print the version and exit\n";

/* First pass: only -c, so that the files are read before the other options are applied. */
static const char *find_config(int argc, char **argv)
{
	const char *path = NULL;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "c:vh", long_options, NULL)) != -1) {
		if (option == 'c')
			path = optarg;
	}
	opterr = 1;
	optind = 1;
	return path;
}

static int set_keyed(struct kw_settings *settings, const char *key, const char *value)
{
	int r = kw_settings_set(settings, NULL, key, value);

	if (r == -EINVAL)
		kw_log(LOG_ERR, "bad value \"%s\" for --%s (see kwitnessd --help)", value, key);
	else if (r < 0)
		return kw_log_error(r, "--%s", key);
	return r;
}

/* One option. 0: go on; 1: done with *ret_exit. */
static int apply(struct kw_settings *settings, int option, int index, int *ret_exit)
{
	switch (option) {
	case 'c':
		return 0;
	case OPTION_KEYED:
		if (set_keyed(settings, long_options[index].name, optarg) == 0)
			return 0;
		*ret_exit = KW_EXIT_USAGE;
		return 1;
	case OPTION_STDOUT:
		settings->to_stdout = true;
		return 0;
	case OPTION_TRY:
		settings->try_hooks = true;
		return 0;
	case OPTION_STATS:
		settings->bpf_stats = true;
		return 0;
	case OPTION_CHECK:
		settings->check_only = true;
		return 0;
	case OPTION_DETACH:
		settings->detach = true;
		return 0;
	case 'v':
		settings->verbose = true;
		return 0;
	case OPTION_VERSION:
		puts("kwitnessd " KW_VERSION);
		*ret_exit = KW_EXIT_OK;
		return 1;
	case 'h':
		fputs(usage, stdout);
		*ret_exit = KW_EXIT_OK;
		return 1;
	default:
		fputs("kwitnessd: try 'kwitnessd --help'\n", stderr);
		*ret_exit = KW_EXIT_USAGE;
		return 1;
	}
}

int kw_options_parse(int argc, char **argv, struct kw_settings *settings, int *ret_exit)
{
	const char *config = find_config(argc, argv);
	int option, index = 0, r;

	optind = 1; /* a reload reads the same arguments again */
	r = kw_settings_read(settings, config ? config : KW_PATH_CONFIG, !config,
			     config ? NULL : KW_PATH_CONFIG_DIR);
	if (r < 0) {
		*ret_exit = KW_EXIT_USAGE;
		return 1;
	}
	while ((option = getopt_long(argc, argv, "c:vh", long_options, &index)) != -1) {
		if (apply(settings, option, index, ret_exit) != 0)
			return 1;
	}
	if (optind < argc) {
		kw_log(LOG_ERR, "\"%s\" is not an option (see kwitnessd --help)", argv[optind]);
		*ret_exit = KW_EXIT_USAGE;
		return 1;
	}
	return 0;
}
