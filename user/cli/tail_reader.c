/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A tail that is a registered reader goes on where it stopped, whoever ended it, and retention waits for it. What
 * was written out is kept afterwards, never before: after a crash some lines come twice, and none is missing.
 */
#include "user/cli/tail_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "user/base/text.h"
#include "user/cli/cli.h"
#include "user/cli/show.h"
#include "user/deliver/deliver.h"

/* Lines that may come twice after a crash, while a long ledger is read: each keeping costs two fsyncs. */
#define KEEP_EVERY 1000U

int kw_tail_reader_begin(struct kw_tail_reader *reader, uint64_t *ret_from)
{
	int r = kw_reader_find(reader->ledger, reader->name, &reader->kept);

	if (r == -ENOENT) {
		reader->kept = 0;
		r = kw_reader_keep(reader->ledger, reader->name, 0);
	}
	if (r == -EINVAL)
		return kw_cli_fail(KW_EXIT_USAGE, "tail",
				   "--reader %s: not a name, see kwitness readers --help",
				   reader->name);
	if (r == -EBADMSG)
		return kw_cli_fail(
			KW_EXIT_FAIL, "tail",
			"--reader %s: its file cannot be understood; try: kwitness readers keep %s SEQUENCE",
			reader->name, reader->name);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "tail", "--reader %s: %s: %s", reader->name,
				   reader->ledger, strerror(-r));
	reader->read = reader->kept;
	*ret_from = reader->kept < UINT64_MAX ? reader->kept + 1 : UINT64_MAX;
	return KW_EXIT_OK;
}

bool kw_tail_reader_take(struct kw_tail_reader *reader, const json_t *event)
{
	const char *text = kw_show_text(json_object_get(event, "sequence"));
	uint64_t sequence;

	if (!reader->name || !text || kw_text_parse_u64(text, strlen(text), &sequence) < 0 ||
	    sequence <= reader->read)
		return false;
	if (sequence - reader->read > 1 && !reader->said_missing) {
		(void)kw_cli_fail(KW_EXIT_OK, "tail",
				  "--reader %s: lines %" PRIu64 " to %" PRIu64
				  " are not in the ledger any more",
				  reader->name, reader->read + 1, sequence - 1);
		reader->said_missing = true;
	}
	reader->read = sequence;
	return ++reader->unkept >= KEEP_EVERY;
}

int kw_tail_reader_keep(struct kw_tail_reader *reader)
{
	int r;

	if (!reader->name || reader->read == reader->kept)
		return 0;
	r = kw_reader_keep(reader->ledger, reader->name, reader->read);
	if (r == 0) {
		reader->kept = reader->read;
		reader->unkept = 0;
	}
	return r;
}
