/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `kwitness parity`: the account of counters as a ledger has it, cgroup by cgroup: what the kernel counted,
 * and by what that is explained. Of the ledger alone; the daemon is not asked. Exit code 1 when anything is
 * unexplained, so that a script need not read the table.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include <kwitness/limits.h>

#include "user/cli/cli.h"
#include "user/cli/show.h"
#include "user/deliver/deliver.h"

#define WORDS_MAX (64U * KW_LINE_MAX)

static const char help[] =
	"usage: kwitness parity [--ledger DIR] [--json] [CGROUP]\n"
	"\n"
	"Shows the account of kernel counters: what moved, and by which part it is explained.\n"
	"With CGROUP (a path below the cgroup root, \"/\" first): of it and of what lies below.\n"
	"\n"
	"  --ledger DIR   the ledger (" KW_PATH_LEDGER ")\n"
	"  --json         one JSON object\n"
	"\n"
	"Exit: 0 fine, 1 something is unexplained or the ledger has no account.\n";

enum { OPTION_LEDGER = 256, OPTION_JSON };

static const struct option options[] = {
	{ "ledger", required_argument, NULL, OPTION_LEDGER },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* The parts of one counter's account, in the order of an account event. */
enum { KERNEL, BASE, EXPLAINED, ARITHMETIC, BY_COUNTER, UNEXPLAINED, PARTS };
static const char *const part_names[PARTS] = {
	"kernel", "base", "explained", "arithmetic", "byCounter", "unexplained",
};

struct row {
	char *key;	  /* id, blank, path */
	char *path;	  /* as the event has it, escaped */
	json_t *counters; /* name: [parts]; owned */
	bool gone;
	UT_hash_handle hh;
};

struct parity {
	const char *ledger;
	const char *cgroup; /* NULL: all */
	bool as_json;
	bool found;
	struct row *rows;
	json_t *totals; /* of the newest account or checkpoint; owned */
	uint64_t unexplained;
};

static void free_row(struct row *row)
{
	free(row->key);
	free(row->path);
	json_decref(row->counters);
	free(row);
}

static void forget_all(struct parity *parity)
{
	struct row *row, *next;

	HASH_ITER (hh, parity->rows, row, next) {
		HASH_DEL(parity->rows, row);
		free_row(row);
	}
}

/* The row of a cgroup object; NULL: no memory, or no cgroup. */
static struct row *row_of(struct parity *parity, const json_t *cgroup)
{
	const char *path = kw_show_text(json_object_get(cgroup, "path"));
	const json_t *id = json_object_get(cgroup, "id");
	struct row *row = NULL;
	char *key = NULL;

	if (asprintf(&key, "%s%lld %s", json_is_string(id) ? json_string_value(id) : "",
		     (long long)json_integer_value(id), path ? path : "") < 0)
		return NULL;
	HASH_FIND_STR(parity->rows, key, row);
	if (row) {
		free(key);
		return row;
	}
	row = calloc(1, sizeof(*row));
	if (!row) {
		free(key);
		return NULL;
	}
	row->key = key;
	row->path = strdup(path ? path : "");
	row->counters = json_object();
	if (row->path && row->counters)
		HASH_ADD_KEYPTR(hh, parity->rows, row->key, strlen(row->key), row);
	if (!row->path || !row->counters || !row->hh.tbl) {
		free_row(row);
		return NULL;
	}
	return row;
}

static int take_account(struct parity *parity, const json_t *data)
{
	const json_t *rows = json_object_get(data, "cgroups"), *one;
	size_t i;

	if (json_is_true(json_object_get(data, "reboot")))
		forget_all(parity);
	json_array_foreach(rows, i, one)
	{
		struct row *row = row_of(parity, one);

		if (!row)
			return -ENOMEM;
		row->gone = json_is_true(json_object_get(one, "gone"));
		if (json_object_update(row->counters, json_object_get(one, "counters")) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int take_verdict(struct parity *parity, const json_t *data)
{
	const json_t *items = json_object_get(data, "counters"), *one;
	struct row *row = row_of(parity, json_object_get(data, "cgroup"));
	size_t i;

	if (!row)
		return -ENOMEM;
	row->gone = json_is_true(json_object_get(data, "gone"));
	json_array_foreach(items, i, one)
	{
		const char *name = kw_show_text(json_object_get(one, "counter"));
		json_t *parts = json_array();

		for (size_t n = 0; n < PARTS; n++) {
			const json_t *value =
				json_object_get(one, n == KERNEL ? "after" : part_names[n]);

			(void)json_array_append_new(parts, json_integer(json_integer_value(value)));
		}
		if (!name || json_object_set_new(row->counters, name, parts) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int take(struct parity *parity, const char *line, size_t length)
{
	/* Most lines are other events: not worth parsing. */
	static const char *const types[] = { KW_TYPE_ACCOUNT, KW_TYPE_PARITY, KW_TYPE_CHECKPOINT };
	const json_t *data, *totals;
	json_t *event = NULL;
	const char *type;
	int r = 0;

	for (size_t i = 0; i < kw_array_size(types) && !event; i++) {
		if (memmem(line, length, types[i], strlen(types[i])))
			event = kw_show_parse(line, length);
	}
	if (!event)
		return 0;
	data = json_object_get(event, "data");
	type = kw_show_type(event);
	if (strcmp(type, KW_TYPE_ACCOUNT + strlen(KW_TYPE_PREFIX)) == 0) {
		parity->found = true;
		r = take_account(parity, data);
	} else if (strcmp(type, KW_TYPE_PARITY + strlen(KW_TYPE_PREFIX)) == 0) {
		parity->found = true;
		r = take_verdict(parity, data);
	}
	totals = json_object_get(data, "parity");
	if (json_is_object(totals)) {
		json_decref(parity->totals);
		parity->totals = json_incref(json_object_get(data, "parity"));
	}
	json_decref(event);
	return r;
}

static int read_all(struct parity *parity)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	const char *line;
	size_t length;
	int r = kw_cursor_open(parity->ledger, 0, &cursor);

	if (r < 0)
		return r;
	while ((r = kw_cursor_next(cursor, &line, &length)) != 0) {
		if (r > 0)
			r = take(parity, line, length);
		if (r < 0 && r != -EMSGSIZE)
			return r;
	}
	return 0;
}

/* ---- what is shown ---- */

static bool is_wanted(const struct parity *parity, const struct row *row)
{
	size_t length;

	if (!parity->cgroup)
		return true;
	length = strlen(parity->cgroup);
	if (strncmp(row->path, parity->cgroup, length) != 0)
		return false;
	return strcmp(parity->cgroup, "/") == 0 || row->path[length] == '\0' ||
	       row->path[length] == '/';
}

static int compare_rows(const struct row *left, const struct row *right)
{
	return strcmp(left->path, right->path);
}

static void sum_up(struct parity *parity)
{
	const struct row *row;
	const char *name;
	json_t *parts;

	for (row = parity->rows; row; row = row->hh.next) {
		if (!is_wanted(parity, row))
			continue;
		json_object_foreach(row->counters, name, parts)
		{
			json_int_t open = json_integer_value(json_array_get(parts, UNEXPLAINED));

			parity->unexplained += (uint64_t)(open < 0 ? -open : open);
		}
	}
}

static void append_counter(struct kw_bytes *out, const char *name, const json_t *parts)
{
	bool is_known = json_is_integer(json_array_get(parts, KERNEL));

	kw_bytes_append_string(out, "  ");
	kw_show_append(out, name);
	kw_bytes_append_format(out, "%*s", (int)(20 - (strlen(name) < 20 ? strlen(name) : 20)), "");
	if (is_known)
		kw_bytes_append_format(
			out, "%12lld",
			(long long)json_integer_value(json_array_get(parts, KERNEL)));
	else
		kw_bytes_append_format(out, "%12s", "-");
	for (size_t n = BASE; n < PARTS; n++)
		kw_bytes_append_format(out, "%12lld",
				       (long long)json_integer_value(json_array_get(parts, n)));
	kw_bytes_append_char(out, '\n');
}

static void append_totals(struct kw_bytes *out, const json_t *totals)
{
	static const char *const names[] = { "kernel",	  "byHook",	 "duplicates",
					     "byCounter", "unexplained", "pending" };
	const json_t *kills = json_object_get(totals, "oomKill");

	if (!totals)
		return;
	kw_bytes_append_string(out, "\nkills of all cgroups");
	for (size_t i = 0; i < kw_array_size(names); i++)
		kw_bytes_append_format(
			out, "%s %s %lld", i ? "," : ":", names[i],
			(long long)json_integer_value(json_object_get(kills, names[i])));
	kw_bytes_append_char(out, '\n');
}

static void write_table(struct parity *parity, struct kw_bytes *out)
{
	const struct row *row;
	const char *name;
	json_t *parts;

	kw_bytes_append_format(out, "  %-20s%12s%12s%12s%12s%12s%12s\n", "counter", "kernel",
			       "began at", "by events", "arithmetic", "by counter", "unexplained");
	for (row = parity->rows; row; row = row->hh.next) {
		if (!is_wanted(parity, row))
			continue;
		kw_show_append(out, row->path[0] ? row->path : "(path not known)");
		kw_bytes_append_string(out, row->gone ? "  (gone)\n" : "\n");
		json_object_foreach(row->counters, name, parts) append_counter(out, name, parts);
	}
	append_totals(out, parity->totals);
	kw_bytes_append_format(out, "%s: %" PRIu64 " unexplained\n",
			       parity->unexplained ? "NOT IN ORDER" : "in order",
			       parity->unexplained);
}

static void write_json(struct parity *parity, struct kw_bytes *out)
{
	json_t *rows = json_array(), *whole = NULL;
	const struct row *row;
	char *text;

	for (row = parity->rows; row; row = row->hh.next) {
		json_t *counters = json_object();
		const char *name;
		json_t *parts;

		if (!is_wanted(parity, row)) {
			json_decref(counters);
			continue;
		}
		json_object_foreach(row->counters, name, parts)
		{
			json_t *counter = json_object();

			for (size_t n = 0; n < PARTS; n++)
				(void)json_object_set(counter, part_names[n],
						      json_array_get(parts, n));
			(void)json_object_set_new(counters, name, counter);
		}
		(void)json_array_append_new(rows,
					    json_pack("{s:s, s:b, s:o}", "path", row->path, "gone",
						      row->gone, "counters", counters));
	}
	whole = json_pack("{s:o, s:O?, s:I}", "cgroups", rows, "totals", parity->totals,
			  "unexplained", (json_int_t)parity->unexplained);
	text = json_dumps(whole, JSON_COMPACT | JSON_SORT_KEYS);
	kw_bytes_append_string(out, text ? text : "null");
	kw_bytes_append_char(out, '\n');
	free(text);
	json_decref(whole);
}

/* 0; or 1 + the exit code. */
static int parse_options(int argc, char **argv, struct parity *parity)
{
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case OPTION_LEDGER:
			parity->ledger = optarg;
			break;
		case OPTION_JSON:
			parity->as_json = true;
			break;
		case 'h':
			return 1 + kw_cli_output("parity", help, strlen(help));
		default:
			return 1 + KW_EXIT_USAGE; /* getopt has said it */
		}
	}
	if (argc - optind > 1)
		return 1 + kw_cli_fail(KW_EXIT_USAGE, "parity", "takes one CGROUP at most");
	if (optind < argc)
		parity->cgroup = argv[optind];
	if (parity->cgroup && parity->cgroup[0] != '/')
		return 1 + kw_cli_fail(KW_EXIT_USAGE, "parity", "a CGROUP begins with '/'");
	return 0;
}

static int show(struct parity *parity)
{
	cleanup_bytes struct kw_bytes words;
	int r;

	kw_bytes_init(&words, WORDS_MAX);
	HASH_SRT(hh, parity->rows, compare_rows);
	sum_up(parity);
	if (parity->as_json)
		write_json(parity, &words);
	else
		write_table(parity, &words);
	r = kw_bytes_error(&words);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "parity", "%s", strerror(-r));
	r = kw_cli_output("parity", words.data, words.length);
	if (r != KW_EXIT_OK)
		return r;
	return parity->unexplained ? KW_EXIT_NO : KW_EXIT_OK;
}

int kw_cli_parity(int argc, char **argv)
{
	struct parity parity = { .ledger = KW_PATH_LEDGER };
	int r;

	optind = 1;
	r = parse_options(argc, argv, &parity);
	if (r > 0)
		return r - 1;
	r = read_all(&parity);
	if (r < 0)
		r = kw_cli_fail(KW_EXIT_FAIL, "parity", "%s: %s", parity.ledger, strerror(-r));
	else if (!parity.found)
		r = kw_cli_fail(KW_EXIT_NO, "parity", "%s: no account of counters in it",
				parity.ledger);
	else
		r = show(&parity);
	forget_all(&parity);
	json_decref(parity.totals);
	return r;
}
