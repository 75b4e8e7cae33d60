/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `kwitness tail`: the ledger for a person, or line by line as it stands for a program. Reads with a
 * cursor of its own, so it neither holds the daemon up nor needs it. Signatures are not checked here:
 * `kwitness verify` does that.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/base/clock.h"
#include "user/base/text.h"
#include "user/cli/cli.h"
#include "user/cli/merge.h"
#include "user/cli/option.h"
#include "user/cli/show.h"
#include "user/cli/tail_reader.h"
#include "user/deliver/deliver.h"

#define LINES_DEFAULT 10U
/* With a filter the last matches lie further back: first so many lines are looked through, then more. */
#define WINDOW_FIRST 256U
#define WINDOW_GROWTH 16U
/* A line in words: an event's texts, each byte escaped at worst. */
#define WORDS_MAX (4U * KW_LINE_MAX)

static const char help[] =
	"usage: kwitness tail [OPTION]...\n"
	"\n"
	"Shows the last events of a ledger, in words or as they stand.\n"
	"\n"
	"  --ledger DIR   the ledger (" KW_PATH_LEDGER ")\n"
	"  --type GLOB    only events of these types: host.v1.oom_kill, '*.gap', 'guest.v1.*'\n"
	"  --cell ID      only events of this cell\n"
	"  --merged       with --cell: in the order in which it happened, not was recorded\n"
	"  --since TIME   only events from then on: RFC 3339, or a time ago as 90s, 10m, 2h, 7d\n"
	"  --from N       every event from this sequence on\n"
	"  -n N           the last N of them (10; all with --since)\n"
	"  -f, --follow   go on as the ledger grows\n"
	"  --json         the lines as they stand in the ledger\n"
	"  --utc          times in UTC, not local\n"
	"  --color WHEN   auto (on a terminal, unless NO_COLOR is set), always, never\n"
	"  --reader NAME  go on where this registered reader stopped, and keep how far it has come\n"
	"\n"
	"Nothing is verified here: 'kwitness verify' checks signatures and the chain.\n";

enum {
	OPTION_LEDGER = 256,
	OPTION_TYPE,
	OPTION_CELL,
	OPTION_MERGED,
	OPTION_SINCE,
	OPTION_FROM,
	OPTION_JSON,
	OPTION_UTC,
	OPTION_COLOR,
	OPTION_READER
};

static const struct option options[] = {
	{ "ledger", required_argument, NULL, OPTION_LEDGER },
	{ "type", required_argument, NULL, OPTION_TYPE },
	{ "cell", required_argument, NULL, OPTION_CELL },
	{ "merged", no_argument, NULL, OPTION_MERGED },
	{ "since", required_argument, NULL, OPTION_SINCE },
	{ "from", required_argument, NULL, OPTION_FROM },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "utc", no_argument, NULL, OPTION_UTC },
	{ "color", required_argument, NULL, OPTION_COLOR },
	{ "reader", required_argument, NULL, OPTION_READER },
	{ "lines", required_argument, NULL, 'n' },
	{ "follow", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct tail {
	const char *ledger;
	const char *type;
	const char *cell;
	uint64_t since_real_ns; /* 0: not given */
	uint64_t from;		/* sequence; 0: not given */
	uint64_t lines;		/* UINT64_MAX: all */
	bool lines_given;
	bool follow;
	bool as_json;
	bool utc;
	bool colour;
	struct kw_tail_reader reader;
	bool said_unreadable;
	bool is_merged;
	struct kw_merge *merge; /* NULL: lines as they stand */
	struct kw_bytes words;
};

static bool matches_type(const struct tail *tail, const json_t *event)
{
	const char *type = kw_show_text(json_object_get(event, "type"));

	return type && (kw_text_matches_glob(tail->type, type) ||
			kw_text_matches_glob(tail->type, kw_show_type(event)));
}

static bool matches(const struct tail *tail, const json_t *event)
{
	const char *cell = kw_show_text(kw_show_at(event, "data", "cellId", NULL));
	const char *time = kw_show_text(json_object_get(event, "time"));
	uint64_t real_ns;

	if (tail->type && !matches_type(tail, event))
		return false;
	if (tail->cell && (!cell || strcmp(cell, tail->cell) != 0))
		return false;
	return tail->since_real_ns == 0 ||
	       (time && kw_clock_parse(time, strlen(time), &real_ns) == 0 &&
		real_ns >= tail->since_real_ns);
}

static bool has_filter(const struct tail *tail)
{
	return tail->type || tail->cell || tail->since_real_ns;
}

/* What stands out on a terminal. */
static const char *colour_of(const struct tail *tail, const json_t *event)
{
	const char *type = kw_show_type(event);
	const char *verdict = kw_show_text(kw_show_at(event, "data", "verdict", "result", NULL));

	if (!tail->colour)
		return NULL;
	if (strcmp(type, "host.v1.oom_kill") == 0 ||
	    (verdict &&
	     (strcmp(verdict, "unexplained") == 0 || strcmp(verdict, "contradicted") == 0)))
		return "\033[1;31m";
	return strcmp(type, "host.v1.gap") == 0 ? "\033[33m" : NULL;
}

static void unreadable(struct tail *tail)
{
	if (!tail->said_unreadable)
		(void)kw_cli_fail(
			KW_EXIT_OK, "tail",
			"a line that is no event was passed over; 'kwitness verify' says more");
	tail->said_unreadable = true;
}

/* When it happened, and how sure that is. */
static void append_place(struct tail *tail, const struct kw_merged *merged)
{
	kw_show_append_real(&tail->words, merged->real_ns, tail->utc);
	if (merged->is_bound)
		kw_bytes_append_string(&tail->words, " or before");
	else if (merged->error_ns > 0)
		kw_bytes_append_format(&tail->words, " +-%.3f ms", (double)merged->error_ns / 1e6);
}

/* merged: where it stands in the one order; NULL: as recorded. */
static void print_words(struct tail *tail, const json_t *event, const struct kw_merged *merged)
{
	const char *colour = colour_of(tail, event);
	const char *type = kw_show_type(event);
	const char *dot = strrchr(type, '.');

	kw_bytes_clear(&tail->words);
	if (merged)
		append_place(tail, merged);
	else
		kw_show_append_time(&tail->words, event, tail->utc);
	kw_bytes_append_string(&tail->words, "  ");
	kw_bytes_append_string(&tail->words, colour ? colour : "");
	kw_show_append(&tail->words, dot ? dot + 1 : type);
	kw_bytes_append_string(&tail->words, colour ? "\033[0m  " : "  ");
	kw_show_append_sentence(&tail->words, event);
	kw_bytes_append_char(&tail->words, '\n');
	if (kw_bytes_error(&tail->words) < 0)
		unreadable(tail);
	else
		(void)fwrite(tail->words.data, 1, tail->words.length, stdout);
}

static void print(struct tail *tail, const json_t *event, const char *line, size_t length,
		  const struct kw_merged *merged)
{
	if (tail->as_json) {
		(void)fwrite(line, 1, length, stdout);
		(void)fputc('\n', stdout);
	} else {
		print_words(tail, event, merged);
	}
}

/* Shows what has waited long enough; all: everything. */
static void show_merged(struct tail *tail, bool all)
{
	struct kw_merged merged;

	while (tail->merge && kw_merge_next(tail->merge, all, &merged)) {
		json_t *event = kw_show_parse(merged.line, merged.length);

		print(tail, event, merged.line, merged.length, &merged);
		json_decref(event);
		free(merged.line);
	}
}

/* One line: whether it is wanted; shown when show is set. *ret_due: what was read ought to be kept. */
static bool take(struct tail *tail, const char *line, size_t length, bool show, bool *ret_due)
{
	json_t *event = NULL;
	bool wanted = true;

	if (!tail->as_json || has_filter(tail) || tail->reader.name) { /* --merged has one */
		event = kw_show_parse(line, length);
		if (!event && show)
			unreadable(tail);
		wanted = event ? matches(tail, event) : tail->as_json && !has_filter(tail);
	}
	if (show && event && tail->merge)
		kw_merge_note(tail->merge, event);
	if (wanted && show && (!tail->merge || kw_merge_add(tail->merge, event, line, length) < 0))
		print(tail, event, line, length, NULL);
	if (show)
		show_merged(tail, false);
	*ret_due = event && kw_tail_reader_take(&tail->reader, event);
	json_decref(event);
	return wanted;
}

/* What was read is written out, and then kept. 0 or -errno. */
static int write_out(struct tail *tail)
{
	if (fflush(stdout) != 0)
		return -errno;
	return kw_tail_reader_keep(&tail->reader);
}

/* Reads what there is now; the first skip wanted lines are not shown. Counts lines and wanted ones.
 * 0 or -errno. */
static int read_on(struct tail *tail, struct kw_cursor *cursor, bool show, uint64_t skip,
		   uint64_t *ret_lines, uint64_t *ret_wanted)
{
	uint64_t lines = 0, wanted = 0;
	const char *line;
	size_t length;
	bool due;
	int r;

	while ((r = kw_cursor_next(cursor, &line, &length)) != 0) {
		if (r == -EMSGSIZE) {
			if (show)
				unreadable(tail);
			continue;
		}
		if (r < 0)
			return r;
		lines++;
		wanted += take(tail, line, length, show && wanted >= skip, &due);
		if (show && ferror(stdout))
			return -EPIPE;
		r = due ? write_out(tail) : 0;
		if (r < 0)
			return r;
	}
	*ret_lines = lines;
	*ret_wanted = wanted;
	return write_out(tail);
}

/* Shows the last lines that are wanted, and leaves the cursor behind them. */
static int show_last(struct tail *tail, struct kw_cursor **ret_cursor)
{
	uint64_t window = tail->lines, lines, wanted, skip = 0;
	int r;

	if (tail->from > 0 || tail->lines == UINT64_MAX) {
		r = kw_cursor_open(tail->ledger, tail->from, ret_cursor);
		return r < 0 ? r : read_on(tail, *ret_cursor, true, 0, &lines, &wanted);
	}
	if (has_filter(tail) && tail->lines > 0 && window < WINDOW_FIRST)
		window = WINDOW_FIRST;
	while (has_filter(tail) && tail->lines > 0) {
		cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;

		r = kw_cursor_open_tail(tail->ledger, window, &cursor);
		if (r == 0)
			r = read_on(tail, cursor, false, 0, &lines, &wanted);
		if (r < 0)
			return r;
		skip = wanted > tail->lines ? wanted - tail->lines : 0;
		if (wanted >= tail->lines || lines < window)
			break;
		if (__builtin_mul_overflow(window, WINDOW_GROWTH, &window))
			window = UINT64_MAX;
	}
	r = kw_cursor_open_tail(tail->ledger, window, ret_cursor);
	return r < 0 ? r : read_on(tail, *ret_cursor, true, skip, &lines, &wanted);
}

/* Set by SIGTERM and SIGINT: what is there is still shown, then it ends. */
static volatile sig_atomic_t stop_asked;

static void on_stop(int signal_number)
{
	(void)signal_number;
	stop_asked = 1;
}

/* Signals come while ppoll waits and at no other time, so none falls between a look and the wait. */
static int catch_stop(sigset_t *ret_waiting)
{
	struct sigaction action = { .sa_handler = on_stop };
	sigset_t blocked;

	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGINT);
	if (sigprocmask(SIG_BLOCK, &blocked, ret_waiting) < 0 ||
	    sigaction(SIGTERM, &action, NULL) < 0 || sigaction(SIGINT, &action, NULL) < 0)
		return -errno;
	(void)sigdelset(ret_waiting, SIGTERM);
	(void)sigdelset(ret_waiting, SIGINT);
	return 0;
}

static int follow(struct tail *tail, struct kw_cursor *cursor)
{
	/* Standard output too: whoever reads it may be gone long before the next event. */
	struct pollfd wait[] = { { .fd = kw_cursor_fd(cursor), .events = POLLIN },
				 { .fd = STDOUT_FILENO } };
	uint64_t lines, wanted;
	sigset_t waiting;
	int r = catch_stop(&waiting);

	while (r == 0) {
		const struct timespec soon = { .tv_nsec = 200000000 };
		bool holds = tail->merge && !kw_merge_is_empty(tail->merge);

		if (ppoll(wait, kw_array_size(wait), holds ? &soon : NULL, &waiting) < 0 &&
		    errno != EINTR)
			return -errno;
		if (wait[1].revents & (POLLERR | POLLHUP))
			return -EPIPE;
		r = read_on(tail, cursor, true, 0, &lines, &wanted);
		if (tail->merge)
			kw_merge_pass(tail->merge, kw_clock_real_ns(&kw_clock_system));
		show_merged(tail, stop_asked);
		(void)fflush(stdout);
		if (stop_asked)
			break;
	}
	return r;
}

/* Options without an argument, and those that need no look at theirs. Whether it was one. */
static bool take_option(struct tail *tail, int option)
{
	switch (option) {
	case OPTION_LEDGER:
		tail->ledger = optarg;
		return true;
	case OPTION_TYPE:
		tail->type = optarg;
		return true;
	case OPTION_CELL:
		tail->cell = optarg;
		return true;
	case OPTION_MERGED:
		tail->is_merged = true;
		return true;
	case OPTION_JSON:
		tail->as_json = true;
		return true;
	case OPTION_UTC:
		tail->utc = true;
		return true;
	case OPTION_READER:
		tail->reader.name = optarg;
		return true;
	case 'f':
		tail->follow = true;
		return true;
	default:
		return false;
	}
}

static const char *name_of(int option)
{
	return option == OPTION_SINCE	? "--since"
	       : option == OPTION_FROM	? "--from"
	       : option == OPTION_COLOR ? "--color"
					: "-n";
}

/* 0; or 1 + the exit code. */
static int parse_options(int argc, char **argv, struct tail *tail)
{
	const char *wrong = NULL;
	int option = 0;

	while (!wrong && (option = getopt_long(argc, argv, "n:fh", options, NULL)) != -1) {
		if (take_option(tail, option))
			continue;
		switch (option) {
		case OPTION_SINCE:
			if (kw_option_since(optarg, &tail->since_real_ns) < 0)
				wrong = "neither an RFC 3339 time nor a time ago (10m)";
			break;
		case OPTION_FROM:
			if (kw_option_count(optarg, &tail->from) < 0 || tail->from == 0)
				wrong = "not a sequence number";
			break;
		case OPTION_COLOR:
			if (kw_option_color(optarg, &tail->colour) < 0)
				wrong = "neither auto, always nor never";
			break;
		case 'n':
			if (kw_option_count(optarg, &tail->lines) < 0)
				wrong = "not a number, nor 'all'";
			tail->lines_given = true;
			break;
		case 'h':
			return 1 + kw_cli_output("tail", help, strlen(help));
		default:
			return 1 + KW_EXIT_USAGE; /* getopt has said it */
		}
	}
	if (wrong)
		return 1 + kw_cli_fail(KW_EXIT_USAGE, "tail", "%s %s: %s", name_of(option), optarg,
				       wrong);
	return optind == argc ? 0
			      : 1 + kw_cli_fail(KW_EXIT_USAGE, "tail", "'%s': takes options only",
						argv[optind]);
}

/* What does not go together, and where it begins. An enum kw_exit. */
static int prepare(struct tail *tail)
{
	if (tail->since_real_ns && !tail->lines_given)
		tail->lines = UINT64_MAX;
	if (tail->is_merged && !tail->cell)
		return kw_cli_fail(KW_EXIT_USAGE, "tail", "--merged: needs --cell");
	if (!tail->reader.name)
		return KW_EXIT_OK;
	if (tail->is_merged || tail->from || tail->lines_given)
		return kw_cli_fail(
			KW_EXIT_USAGE, "tail",
			"--reader: goes on where it stopped, without --from, -n and --merged");
	tail->reader.ledger = tail->ledger;
	tail->lines = UINT64_MAX;
	return kw_tail_reader_begin(&tail->reader, &tail->from);
}

int kw_cli_tail(int argc, char **argv)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	struct tail tail = { .ledger = KW_PATH_LEDGER,
			     .lines = LINES_DEFAULT,
			     .colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR") };
	int r;

	optind = 1;
	r = parse_options(argc, argv, &tail);
	if (r > 0)
		return r - 1;
	r = prepare(&tail);
	if (r != KW_EXIT_OK)
		return r;
	if (tail.is_merged && kw_merge_new(&tail.merge) < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "tail", "out of memory");
	kw_bytes_init(&tail.words, WORDS_MAX);
	r = show_last(&tail, &cursor);
	if (r == 0 && tail.follow)
		r = follow(&tail, cursor);
	show_merged(&tail, true);
	kw_merge_free(tail.merge);
	kw_bytes_done(&tail.words);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "tail", "%s: %s", tail.ledger, strerror(-r));
	return KW_EXIT_OK;
}
