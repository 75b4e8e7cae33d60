/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Silences that were told and did not end, found again in a ledger's tail; and hostile lines there. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/deliver/deliver.h"

#define TYPE "dev.cellos.events.cell.observability.guest.v1."

static struct kw_ledger_silence found[8];
static unsigned int count;

static int on_silence(void *context, const struct kw_ledger_silence *silence)
{
	(void)context;
	assert_true(count < kw_array_size(found));
	found[count++] = *silence;
	return 0;
}

static int refuse(void *context, const struct kw_ledger_silence *silence)
{
	(void)context, (void)silence;
	return -ENOMEM;
}

static int read_ledger(const char *text)
{
	char *directory = support_directory();
	int r;

	support_write(directory, "00000000000000000001.jsonl", text);
	count = 0;
	r = kw_ledger_open_silences(directory, on_silence, NULL);
	support_remove(directory);
	return r;
}

#define LINE(type, cell, run, id, boot)                                                            \
	"{\"data\":{\"bootNs\":" boot ",\"cellId\":\"" cell "\",\"runId\":\"" run                  \
	"\"},\"id\":\"" id "\",\"type\":\"" TYPE type "\"}\n"

static void those_that_did_not_end(void **state)
{
	(void)state;
	assert_int_equal(read_ledger(LINE("agent_silenced", "a", "r", "1",
					  "10") LINE("agent_silenced", "b", "r", "2", "20")
					     LINE("process_spawned", "a", "r", "3", "30")
						     LINE("agent_resumed", "a", "r", "4", "40")),
			 0);
	assert_int_equal(count, 1);
	assert_string_equal(found[0].cell_id, "b");
	assert_string_equal(found[0].run_id, "r");
	assert_string_equal(found[0].event_id, "2");
	assert_int_equal(found[0].boot_ns, 20);
}

static void the_last_of_a_cell_counts(void **state)
{
	(void)state;
	assert_int_equal(read_ledger(LINE("agent_silenced", "a", "r1", "1", "10")
					     LINE("agent_resumed", "a", "r1", "2", "20")
						     LINE("agent_silenced", "a", "r2", "3", "30")),
			 0);
	assert_int_equal(count, 1);
	assert_string_equal(found[0].run_id, "r2");
}

static void lines_that_are_none_say_nothing(void **state)
{
	(void)state;
	assert_int_equal(
		read_ledger("no JSON with " TYPE "agent_silenced in it\n"
			    "[\"" TYPE "agent_silenced\"]\n"
			    "{\"type\":\"" TYPE "agent_silenced\",\"id\":\"1\",\"data\":7}\n"
			    "{\"type\":\"" TYPE "agent_silenced\",\"id\":1,\"data\":{}}\n" LINE(
				    "agent_silenced", "a", "r", "1",
				    "-5") LINE("agent_silenced", "a", "r", "1", "\"5\"")
				    LINE("agent_silenced_not", "a", "r", "1", "5")
					    LINE("agent_silenced", "a", "r",
						 "0123456789012345678901234567890123456789", "5")),
		0);
	assert_int_equal(count, 0);
}

static void an_empty_ledger_has_none(void **state)
{
	(void)state;
	assert_int_equal(read_ledger(""), 0);
	assert_int_equal(count, 0);
}

static void whoever_takes_them_may_end_it(void **state)
{
	char *directory = support_directory();

	(void)state;
	support_write(directory, "00000000000000000001.jsonl",
		      LINE("agent_silenced", "a", "r", "1", "10"));
	assert_int_equal(kw_ledger_open_silences(directory, refuse, NULL), -ENOMEM);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(those_that_did_not_end),
		support_test(the_last_of_a_cell_counts),
		support_test(lines_that_are_none_say_nothing),
		support_test(an_empty_ledger_has_none),
		support_test(whoever_takes_them_may_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
