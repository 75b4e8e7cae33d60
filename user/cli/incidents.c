/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `kwitness incidents`: the OOMs of a ledger one a line, or one of them in full: what happened, who was
 * killed, how the counters moved, and whether they agree. Exit code 1 when a counter is unexplained, so
 * that a script need not read words.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/base/text.h"
#include "user/cli/cli.h"
#include "user/cli/incident.h"
#include "user/cli/show.h"
#include "user/deliver/deliver.h"

#define WORDS_MAX (4U * KW_LINE_MAX)
/* Digits of an id that a list shows: enough to tell the incidents of a host apart. */
#define ID_SHOWN 8
#define ID_MIN 4U

static const char help[] =
	"usage: kwitness incidents [--ledger DIR] [--utc] [--json] [ID]\n"
	"\n"
	"Lists the OOM incidents of a ledger; with ID (or its beginning) shows one in full.\n"
	"\n"
	"  --ledger DIR   the ledger (" KW_PATH_LEDGER ")\n"
	"  --utc          times in UTC, not local\n"
	"  --json         the lines as they stand in the ledger\n"
	"\n"
	"Exit: 0 fine, 1 a counter is unexplained or there is no such incident.\n";

enum { OPTION_LEDGER = 256, OPTION_UTC, OPTION_JSON };

static const struct option options[] = {
	{ "ledger", required_argument, NULL, OPTION_LEDGER },
	{ "utc", no_argument, NULL, OPTION_UTC },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct incidents {
	const char *ledger;
	const char *id; /* or its beginning; NULL: all */
	bool utc;
	bool as_json;
	unsigned int found;
	bool unexplained;
	struct kw_bytes words;
};

static void append_row(struct kw_bytes *out, const char *name, const json_t *value)
{
	uint64_t number;

	if (!value)
		return;
	kw_bytes_append_format(out, "  %-18s", name);
	if (kw_show_number(value, &number))
		kw_bytes_append_format(out, "%" PRIu64, number);
	else
		kw_show_append(out, json_is_string(value) ? json_string_value(value) : "?");
	kw_bytes_append_char(out, '\n');
}

static void append_victim(struct kw_bytes *out, const json_t *victim)
{
	const char *comm = kw_show_text(json_object_get(victim, "comm"));
	const char *path = kw_show_text(kw_show_at(victim, "cgroup", "path", NULL));
	uint64_t tgid = 0, uid = 0, rss = 0, part;
	static const char *const parts[] = { "anonRssKb", "fileRssKb", "shmemRssKb" };

	(void)kw_show_number(json_object_get(victim, "tgid"), &tgid);
	(void)kw_show_number(json_object_get(victim, "uid"), &uid);
	for (size_t i = 0; i < kw_array_size(parts); i++) {
		if (kw_show_number(json_object_get(victim, parts[i]), &part))
			rss += part;
	}
	kw_bytes_append_format(out, "  pid %-8" PRIu64 " uid %-6" PRIu64 " rss %8" PRIu64 " KiB  ",
			       tgid, uid, rss);
	kw_show_append(out, comm ? comm : "?");
	kw_bytes_append_string(out, "  ");
	kw_show_append(out, path ? path : "");
	kw_bytes_append_char(out, '\n');
}

static void append_counters(struct kw_bytes *out, const json_t *counters)
{
	static const char *const columns[] = { "before", "after", "file" };
	static const char *const keys[] = { "oom", "oomKill", "oomGroupKill", "max", "high" };

	if (!counters)
		return;
	kw_bytes_append_string(out, "\nmemory.events of the limit owner\n"
				    "                        before        after    file\n");
	for (size_t i = 0; i < kw_array_size(keys); i++) {
		kw_bytes_append_format(out, "  %-16s", keys[i]);
		for (size_t j = 0; j < kw_array_size(columns); j++) {
			uint64_t value;

			if (kw_show_number(kw_show_at(counters, columns[j], keys[i], NULL), &value))
				kw_bytes_append_format(out, j == 2 ? "    %" PRIu64 : " %12" PRIu64,
						       value);
			else
				kw_bytes_append_string(out, j == 2 ? "    -" : "            -");
		}
		kw_bytes_append_char(out, '\n');
	}
}

static void append_full(struct incidents *incidents, const json_t *event)
{
	const json_t *data = json_object_get(event, "data");
	const json_t *verdict = json_object_get(data, "verdict");
	const json_t *victims = json_object_get(data, "victims");
	struct kw_bytes *out = &incidents->words;

	kw_incident_append_headline(out, event);
	kw_incident_append_curve(out, event);
	kw_bytes_append_string(out, "\n  time              ");
	kw_show_append_time(out, event, incidents->utc);
	kw_bytes_append_char(out, '\n');
	append_row(out, "incident", json_object_get(data, "incident"));
	append_row(out, "sequence", json_object_get(event, "sequence"));
	append_row(out, "cell", json_object_get(data, "cellId"));
	append_row(out, "hook", json_object_get(data, "hook"));
	append_row(out, "constraint", json_object_get(data, "constraint"));
	append_row(out, "begin (boot ns)", json_object_get(data, "beginBootNs"));
	append_row(out, "end (boot ns)", json_object_get(data, "endBootNs"));
	append_row(out, "trigger", kw_show_at(data, "trigger", "comm", NULL));
	append_row(out, "trigger pid", kw_show_at(data, "trigger", "tgid", NULL));
	append_row(out, "kills", json_object_get(data, "kills"));
	append_row(out, "records lost", kw_show_at(data, "kernel", "lost", NULL));
	append_row(out, "counted twice", json_object_get(verdict, "duplicates"));
	append_row(out, "verdict", json_object_get(verdict, "result"));
	append_row(out, "because", json_object_get(verdict, "words"));
	kw_bytes_append_string(out, "\nvictims\n");
	for (size_t i = 0; i < json_array_size(victims); i++)
		append_victim(out, json_array_get(victims, i));
	append_row(out, "and not named", json_object_get(data, "victimsOmitted"));
	append_counters(out, json_object_get(data, "counters"));
}

/* The lines around it, in a second reading: they may stand before it and after. */
static void append_related(struct incidents *incidents, const json_t *event)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	struct kw_incident_relation relation;
	const char *line;
	size_t length;
	int r;

	if (kw_incident_relate(&relation, event) < 0 ||
	    kw_cursor_open(incidents->ledger, 0, &cursor) < 0)
		return;
	kw_bytes_init(&relation.proof, WORDS_MAX);
	while ((r = kw_cursor_next(cursor, &line, &length)) != 0) {
		json_t *other = r > 0 && kw_incident_is_related_type(line, length)
					? kw_show_parse(line, length)
					: NULL;

		if (other)
			kw_incident_take_related(&relation, other, incidents->utc,
						 &incidents->words);
		json_decref(other);
		if (r < 0 && r != -EMSGSIZE)
			break;
	}
	kw_incident_append_proof(&relation, &incidents->words);
	kw_bytes_done(&relation.proof);
}

static void append_short(struct incidents *incidents, const json_t *event)
{
	const char *id = kw_show_text(kw_show_at(event, "data", "incident", NULL));
	char shown[ID_SHOWN + 1];

	(void)snprintf(shown, sizeof(shown), "%s", id ? id : "?");
	kw_show_append(&incidents->words, shown);
	kw_bytes_append_string(&incidents->words, "  ");
	kw_show_append_time(&incidents->words, event, incidents->utc);
	kw_bytes_append_string(&incidents->words, "  ");
	kw_show_append_sentence(&incidents->words, event);
	kw_bytes_append_char(&incidents->words, '\n');
}

static bool is_wanted(const struct incidents *incidents, const json_t *event)
{
	const char *id = kw_show_text(kw_show_at(event, "data", "incident", NULL));

	if (strcmp(kw_show_type(event), KW_TYPE_OOM_INCIDENT + strlen(KW_TYPE_PREFIX)) != 0)
		return false;
	return !incidents->id || (id && strncmp(id, incidents->id, strlen(incidents->id)) == 0);
}

static void take(struct incidents *incidents, const char *line, size_t length)
{
	static const char type[] = KW_TYPE_OOM_INCIDENT;
	const char *verdict;
	json_t *event;

	/* Most lines are other events: not worth parsing. */
	if (!memmem(line, length, type, sizeof(type) - 1))
		return;
	event = kw_show_parse(line, length);
	if (!event || !is_wanted(incidents, event)) {
		json_decref(event);
		return;
	}
	verdict = kw_show_text(kw_show_at(event, "data", "verdict", "result", NULL));
	incidents->unexplained |= !verdict || strcmp(verdict, "unexplained") == 0;
	kw_bytes_clear(&incidents->words);
	if (incidents->found++ > 0 && incidents->id && !incidents->as_json)
		kw_bytes_append_char(&incidents->words, '\n');
	if (incidents->as_json) {
		kw_bytes_append(&incidents->words, line, length);
		kw_bytes_append_char(&incidents->words, '\n');
	} else if (incidents->id) {
		append_full(incidents, event);
		append_related(incidents, event);
	} else {
		append_short(incidents, event);
	}
	if (kw_bytes_error(&incidents->words) == 0)
		(void)fwrite(incidents->words.data, 1, incidents->words.length, stdout);
	json_decref(event);
}

static int read_all(struct incidents *incidents)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	const char *line;
	size_t length;
	int r = kw_cursor_open(incidents->ledger, 0, &cursor);

	if (r < 0)
		return r;
	while ((r = kw_cursor_next(cursor, &line, &length)) != 0) {
		if (r == -EMSGSIZE)
			continue; /* no event of ours is that long */
		if (r < 0)
			return r;
		take(incidents, line, length);
	}
	return fflush(stdout) == 0 ? 0 : -errno;
}

/* 0; or 1 + the exit code. */
static int parse_options(int argc, char **argv, struct incidents *incidents)
{
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case OPTION_LEDGER:
			incidents->ledger = optarg;
			break;
		case OPTION_UTC:
			incidents->utc = true;
			break;
		case OPTION_JSON:
			incidents->as_json = true;
			break;
		case 'h':
			return 1 + kw_cli_output("incidents", help, strlen(help));
		default:
			return 1 + KW_EXIT_USAGE; /* getopt has said it */
		}
	}
	if (argc - optind > 1)
		return 1 + kw_cli_fail(KW_EXIT_USAGE, "incidents", "takes one ID at most");
	if (optind < argc) {
		incidents->id = argv[optind];
		if (strlen(incidents->id) < ID_MIN)
			return 1 + kw_cli_fail(KW_EXIT_USAGE, "incidents",
					       "an ID has at least %u characters", ID_MIN);
	}
	return 0;
}

int kw_cli_incidents(int argc, char **argv)
{
	struct incidents incidents = { .ledger = KW_PATH_LEDGER };
	int r;

	optind = 1;
	r = parse_options(argc, argv, &incidents);
	if (r > 0)
		return r - 1;
	kw_bytes_init(&incidents.words, WORDS_MAX);
	r = read_all(&incidents);
	kw_bytes_done(&incidents.words);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "incidents", "%s: %s", incidents.ledger,
				   strerror(-r));
	if (incidents.id && incidents.found == 0)
		return kw_cli_fail(KW_EXIT_NO, "incidents", "%s: no such incident", incidents.id);
	return incidents.unexplained ? KW_EXIT_NO : KW_EXIT_OK;
}
