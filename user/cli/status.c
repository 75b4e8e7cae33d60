/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `kwitness status`: is it working, since when, how well does it see, what happened lately, does everything add up.
 * Asked of the daemon itself, on its socket; kwitnessd(8) documents the JSON.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "user/cli/ask.h"
#include "user/cli/cli.h"
#include "user/cli/show.h"

#define WORDS_MAX (64U * 1024U)

static const char help[] =
	"usage: kwitness status [--socket FILE] [--utc] [--json]\n"
	"\n"
	"Asks kwitnessd whether it works, what it sees, and whether everything adds up.\n"
	"\n"
	"  --socket FILE  the daemon's socket (" KW_PATH_RUNTIME "/" KW_HTTP_SOCKET ")\n"
	"  --utc          times in UTC, not local\n"
	"  --json         what the daemon answers, as it is\n"
	"\n"
	"Exit: 0 it works and everything adds up, 1 it does not, 3 it does not answer.\n";

enum { OPTION_SOCKET = 256, OPTION_UTC, OPTION_JSON };

static const struct option options[] = {
	{ "socket", required_argument, NULL, OPTION_SOCKET },
	{ "utc", no_argument, NULL, OPTION_UTC },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static uint64_t number_at(const json_t *object, const char *member)
{
	uint64_t number = 0;

	(void)kw_show_number(json_object_get(object, member), &number);
	return number;
}

/* kw_show_append_time() takes an event; a bare time looks like one. */
static void append_time(struct kw_bytes *out, const json_t *time, bool utc)
{
	json_t *event;

	if (!kw_show_text(time)) {
		kw_bytes_append_string(out, "never");
		return;
	}
	event = json_pack("{s:O}", "time", (json_t *)(uintptr_t)time);
	kw_show_append_time(out, event, utc);
	json_decref(event);
}

static void append_hooks(struct kw_bytes *out, const json_t *hooks)
{
	size_t i;
	const json_t *hook;
	bool any = false;

	kw_bytes_append_string(out, "  hooks     ");
	json_array_foreach(hooks, i, hook)
	{
		const char *name = kw_show_text(json_object_get(hook, "hook"));
		const char *tier = kw_show_text(json_object_get(hook, "tier"));

		if (!json_is_true(json_object_get(hook, "attached")) || !name || !tier)
			continue;
		kw_bytes_append_string(out, any ? ", " : "");
		kw_show_append(out, name);
		kw_bytes_append_string(out, " (");
		kw_show_append(out, tier);
		kw_bytes_append_char(out, ')');
		any = true;
	}
	kw_bytes_append_string(out, any ? "\n" : "none\n");
}

/* Programs that have run, and whether their runs are counted now. */
static void append_cost(struct kw_bytes *out, const json_t *cost)
{
	const char *statistics = kw_show_text(json_object_get(cost, "statistics"));
	const json_t *programs = json_object_get(cost, "programs"), *program;
	const char *lead = "  cost      ";
	size_t i;

	if (!statistics)
		return; /* a daemon that does not say */
	json_array_foreach(programs, i, program)
	{
		const char *name = kw_show_text(json_object_get(program, "program"));
		uint64_t runs = number_at(program, "runs");

		if (!name || runs == 0)
			continue;
		kw_bytes_append_format(out, "%s%8" PRIu64 " runs of ", lead, runs);
		kw_show_append(out, name);
		kw_bytes_append_format(out, ", %" PRIu64 " ns each\n",
				       number_at(program, "runTimeNs") / runs);
		lead = "            ";
	}
	if (!json_is_array(programs))
		kw_bytes_append_format(out, "%sthe programs that were taken over cannot be asked\n",
				       lead);
	else if (strcmp(statistics, "off") == 0)
		kw_bytes_append_format(
			out,
			"%snot counted now: kernel.bpf_stats_enabled is 0 (sysctl sets it to 1, or kwitnessd --bpf-stats)\n",
			lead);
	else if (strcmp(statistics, "on") != 0)
		kw_bytes_append_format(out, "%swhether it is counted now cannot be told\n", lead);
	else if (lead[2] == 'c')
		kw_bytes_append_format(out, "%sno program has run since it is counted\n", lead);
}

static void append_events(struct kw_bytes *out, const json_t *events, bool utc)
{
	const char *name;
	json_t *kind;
	bool any = false;

	json_object_foreach((json_t *)(uintptr_t)events, name, kind)
	{
		uint64_t count = number_at(kind, "count");

		if (count == 0)
			continue;
		kw_bytes_append_string(out, any ? "            " : "  told      ");
		kw_bytes_append_format(out, "%8" PRIu64 " ", count);
		kw_show_append(out, name);
		kw_bytes_append_string(out, ", last ");
		append_time(out, json_object_get(kind, "last"), utc);
		kw_bytes_append_char(out, '\n');
		any = true;
	}
	if (!any)
		kw_bytes_append_string(out, "  told      nothing since the start\n");
}

static void append_ledger(struct kw_bytes *out, const json_t *ledger)
{
	const char *path = kw_show_text(json_object_get(ledger, "path"));
	uint64_t sequence = number_at(ledger, "sequence");
	uint64_t durable = number_at(ledger, "durableSequence");

	kw_bytes_append_string(out, "  ledger    ");
	kw_show_append(out, path ? path : "?");
	kw_bytes_append_format(out, ": %" PRIu64 " lines, ", sequence);
	if (durable >= sequence)
		kw_bytes_append_string(out, "all on disk\n");
	else
		kw_bytes_append_format(out, "the last %" PRIu64 " on their way to the disk\n",
				       sequence - durable);
}

/* The wall clock; a daemon that does not say is left alone. */
static void append_clock(struct kw_bytes *out, const json_t *clock)
{
	const char *state = kw_show_text(json_object_get(clock, "state"));
	uint64_t steps = number_at(clock, "steps"), suspends = number_at(clock, "suspends");
	uint64_t error_usec;

	if (!state)
		return;
	kw_bytes_append_string(out, "  clock     ");
	kw_show_append(out, state);
	if (kw_show_number(json_object_get(clock, "maxErrorUsec"), &error_usec))
		kw_bytes_append_format(out, ", at most %" PRIu64 " us off by the kernel's account",
				       error_usec);
	kw_bytes_append_format(
		out, "; set %" PRIu64 " times, suspended %" PRIu64 " times since the start\n",
		steps, suspends);
}

static void append_account(struct kw_bytes *out, const json_t *account)
{
	kw_bytes_append_format(out,
			       "  account   %" PRIu64 " OOM kills; counters of %" PRIu64
			       " OOMs explained, %" PRIu64 " unexplained, %" PRIu64
			       " could not be read; %" PRIu64 " records lost\n",
			       number_at(account, "kills"), number_at(account, "explained"),
			       number_at(account, "unexplained"), number_at(account, "unverified"),
			       number_at(account, "lost"));
}

static void append_all(struct kw_bytes *out, const json_t *status, bool utc)
{
	const char *version = kw_show_text(json_object_get(status, "version"));
	const char *trouble = kw_show_text(json_object_get(status, "trouble"));
	const char *tier = kw_show_text(json_object_get(status, "tier"));

	kw_bytes_append_string(out, "kwitnessd ");
	kw_show_append(out, version ? version : "?");
	kw_bytes_append_string(out, trouble ? " is in trouble: " : " is working");
	if (trouble)
		kw_show_append(out, trouble);
	kw_bytes_append_string(out, ", since ");
	append_time(out, json_object_get(status, "started"), utc);
	kw_bytes_append_string(out, ", tier ");
	kw_show_append(out, tier ? tier : "?");
	kw_bytes_append_char(out, '\n');
	append_hooks(out, json_object_get(status, "hooks"));
	append_cost(out, json_object_get(status, "cost"));
	append_events(out, json_object_get(status, "events"), utc);
	append_account(out, json_object_get(status, "account"));
	append_ledger(out, json_object_get(status, "ledger"));
	append_clock(out, json_object_get(status, "clock"));
	kw_bytes_append_format(out, "  cells     %" PRIu64 " registered\n",
			       number_at(status, "cells"));
}

static bool adds_up(const json_t *status)
{
	const json_t *account = json_object_get(status, "account");

	return json_is_true(json_object_get(status, "working")) && account &&
	       number_at(account, "unexplained") == 0;
}

static int show(const struct kw_bytes *answer, bool utc, bool as_json)
{
	cleanup_bytes struct kw_bytes words;
	json_t *status = kw_show_parse(answer->data, answer->length);
	int code;

	kw_bytes_init(&words, WORDS_MAX);
	if (!status)
		return kw_cli_fail(KW_EXIT_FAIL, "status", "the daemon's answer is no JSON");
	code = adds_up(status) ? KW_EXIT_OK : KW_EXIT_NO;
	if (!as_json)
		append_all(&words, status, utc);
	json_decref(status);
	if (kw_bytes_error(&words) < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "status", "%s", strerror(-kw_bytes_error(&words)));
	if (as_json && kw_cli_output("status", answer->data, answer->length) != KW_EXIT_OK)
		return KW_EXIT_FAIL;
	if (!as_json && kw_cli_output("status", words.data, words.length) != KW_EXIT_OK)
		return KW_EXIT_FAIL;
	return code;
}

static int fail(const char *socket_path, int error)
{
	const char *remedy = "is kwitnessd running? systemctl status kwitnessd";

	if (error == -EACCES)
		remedy = "members of its group may ask, and root";
	else if (error == -ETIMEDOUT || error == -EPROTO)
		remedy = "journalctl -u kwitnessd may say why";
	return kw_cli_fail(KW_EXIT_FAIL, "status", "no answer on %s: %s (%s)", socket_path,
			   strerror(-error), remedy);
}

int kw_cli_status(int argc, char **argv)
{
	const char *socket_path = KW_PATH_RUNTIME "/" KW_HTTP_SOCKET;
	cleanup_bytes struct kw_bytes answer;
	bool utc = false, as_json = false;
	int option, r;

	kw_bytes_init(&answer, KW_HTTP_PAGE_MAX);
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case OPTION_SOCKET:
			socket_path = optarg;
			break;
		case OPTION_UTC:
			utc = true;
			break;
		case OPTION_JSON:
			as_json = true;
			break;
		case 'h':
			return kw_cli_output("status", help, strlen(help));
		default:
			return KW_EXIT_USAGE;
		}
	}
	if (optind < argc)
		return kw_cli_fail(KW_EXIT_USAGE, "status", "'%s' is too much; try --help",
				   argv[optind]);
	r = kw_ask(socket_path, "/status", &answer);
	if (r < 0)
		return fail(socket_path, r);
	return show(&answer, utc, as_json);
}
