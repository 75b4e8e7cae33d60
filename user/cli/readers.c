/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness readers: who has told a ledger that he wants every line, and how far behind he is. Retention does not
 * remove what one of them has not passed (docs/ledger.md, "Files"), so a reader that is gone holds everything from
 * where it stopped: it must be seen, and forgotten.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/base/text.h"
#include "user/cli/cli.h"
#include "user/cli/show.h"
#include "user/deliver/deliver.h"

#define WORDS_MAX (4U * 1024 * 1024)

static const char help[] =
	"usage: kwitness readers [--ledger DIR] [list [--json]]\n"
	"       kwitness readers [--ledger DIR] keep NAME SEQUENCE\n"
	"       kwitness readers [--ledger DIR] forget NAME\n"
	"\n"
	"Readers that want every line of a ledger: retention does not remove what one of them has not passed.\n"
	"\n"
	"  list                 each, with the last line that it needs no more, and how far behind that is\n"
	"  keep NAME SEQUENCE   it needs no line up to this one any more (0: it has passed none)\n"
	"  forget NAME          it wants nothing any more\n"
	"\n"
	"  --ledger DIR   the ledger (" KW_PATH_LEDGER ")\n"
	"  --json         list: an object a line\n"
	"\n"
	"'kwitness tail --reader NAME' reads as one, and moves it on.\n";

struct list {
	uint64_t last; /* the ledger's last sequence */
	bool as_json;
	struct kw_bytes words;
};

/* Sequence of the ledger's last line; 0: there is none. */
static int last_sequence(const char *ledger, uint64_t *ret_sequence)
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	const char *line, *text;
	json_t *event = NULL;
	size_t length;
	int r = kw_cursor_open_tail(ledger, 1, &cursor);

	*ret_sequence = 0;
	while (r == 0 && (r = kw_cursor_next(cursor, &line, &length)) == 1) {
		json_decref(event);
		event = kw_show_parse(line, length);
		r = 0;
	}
	text = event ? kw_show_text(json_object_get(event, "sequence")) : NULL;
	if (r == 0 && text && kw_text_parse_u64(text, strlen(text), ret_sequence) < 0)
		*ret_sequence = 0;
	json_decref(event);
	return r;
}

static int list_json(struct list *list, const struct kw_reader *reader, uint64_t behind)
{
	/* Names have no character that JSON escapes; numbers are written whole. */
	kw_bytes_append_format(&list->words,
			       "{\"behind\":%" PRIu64 ",\"name\":\"%s\",\"sequence\":", behind,
			       reader->name);
	if (reader->is_understood)
		kw_bytes_append_format(&list->words, "%" PRIu64 "}\n", reader->sequence);
	else
		kw_bytes_append_string(&list->words, "null}\n");
	return kw_bytes_error(&list->words);
}

/* A kw_readers_fn. */
static int list_one(void *context, const struct kw_reader *reader)
{
	struct list *list = context;
	uint64_t behind = list->last > reader->sequence ? list->last - reader->sequence : 0;

	if (list->as_json)
		return list_json(list, reader, behind);
	if (!reader->is_understood)
		kw_bytes_append_format(&list->words,
				       "%s  its file cannot be understood: it holds every line\n",
				       reader->name);
	else
		kw_bytes_append_format(&list->words,
				       "%s  has passed %" PRIu64 ", %" PRIu64 " behind\n",
				       reader->name, reader->sequence, behind);
	return kw_bytes_error(&list->words);
}

static int show(const char *ledger, bool as_json)
{
	struct list list = { .as_json = as_json };
	int r, code;

	kw_bytes_init(&list.words, WORDS_MAX);
	r = last_sequence(ledger, &list.last);
	if (r == 0)
		r = kw_readers_each(ledger, list_one, &list);
	code = r < 0 ? kw_cli_fail(KW_EXIT_FAIL, "readers", "%s: %s", ledger, strerror(-r))
		     : kw_cli_output("readers", list.words.data, list.words.length);
	kw_bytes_done(&list.words);
	return code;
}

static int bad_name(const char *name)
{
	return kw_cli_fail(KW_EXIT_USAGE, "readers",
			   "'%s' is no name: letters, digits and ._@- up to %d, no dot first", name,
			   KW_READER_NAME_BYTES - 1);
}

static int keep(const char *ledger, const char *name, const char *text)
{
	uint64_t sequence, last;
	int r;

	if (kw_text_parse_u64(text, strlen(text), &sequence) < 0)
		return kw_cli_fail(KW_EXIT_USAGE, "readers", "keep: '%s' is no sequence", text);
	r = last_sequence(ledger, &last);
	/* Whoever has passed more than there is has mistaken the ledger, and would lose what comes. */
	if (r == 0 && sequence > last)
		return kw_cli_fail(KW_EXIT_NO, "readers",
				   "keep: %s ends at %" PRIu64 ", nobody has passed %" PRIu64,
				   ledger, last, sequence);
	if (r == 0)
		r = kw_reader_keep(ledger, name, sequence);
	if (r == -EINVAL)
		return bad_name(name);
	return r < 0 ? kw_cli_fail(KW_EXIT_FAIL, "readers", "%s: %s", ledger, strerror(-r))
		     : KW_EXIT_OK;
}

static int forget(const char *ledger, const char *name)
{
	int r = kw_reader_forget(ledger, name);

	if (r == -EINVAL)
		return bad_name(name);
	if (r == -ENOENT)
		return kw_cli_fail(KW_EXIT_NO, "readers", "%s: no such reader", name);
	return r < 0 ? kw_cli_fail(KW_EXIT_FAIL, "readers", "%s: %s", ledger, strerror(-r))
		     : KW_EXIT_OK;
}

int kw_cli_readers(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ledger", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *ledger = KW_PATH_LEDGER, *what;
	bool as_json = false;
	int option, count;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return kw_cli_output("readers", help, strlen(help));
		if (option == 'l')
			ledger = optarg;
		else if (option == 'j')
			as_json = true;
		else
			return KW_EXIT_USAGE;
	}
	count = argc - optind;
	what = count ? argv[optind] : "list";
	if (strcmp(what, "list") == 0 && count <= 1)
		return show(ledger, as_json);
	if (as_json)
		return kw_cli_fail(KW_EXIT_USAGE, "readers", "--json is of list; see --help");
	if (strcmp(what, "keep") == 0 && count == 3)
		return keep(ledger, argv[optind + 1], argv[optind + 2]);
	if (strcmp(what, "forget") == 0 && count == 2)
		return forget(ledger, argv[optind + 1]);
	return kw_cli_fail(KW_EXIT_USAGE, "readers",
			   "give 'list', 'keep NAME SEQUENCE' or 'forget NAME'; see --help");
}
