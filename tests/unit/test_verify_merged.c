/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `kwitness tail --merged` as a user runs it: the order in which things happened, with what is not sure. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/base/bytes.h"

#define TYPE "dev.cellos.events.cell.observability."

static char *directory;
static char ledger[4096];
static char program[4096];
static char output[1 << 20];
static struct kw_bytes lines;

static int setup(void **state)
{
	const char *build = getenv("KW_BUILD");

	(void)state;
	directory = support_directory();
	(void)snprintf(ledger, sizeof(ledger), "%s/ledger", directory);
	(void)snprintf(program, sizeof(program), "%s/kwitness", build ? build : "build");
	kw_bytes_init(&lines, 1 << 24);
	return mkdir(ledger, 0755);
}

static int teardown(void **state)
{
	(void)state;
	kw_bytes_done(&lines);
	support_remove(directory);
	return 0;
}

/* Seconds after midnight as times; the wall clock is boot time plus 36,000 s. */
static void append_time(const char *name, double seconds)
{
	unsigned int whole = (unsigned int)seconds;

	kw_bytes_append_format(&lines, "\"%s\":\"2026-11-23T%02u:%02u:%02u.%09uZ\",", name,
			       10 + whole / 3600, whole / 60 % 60, whole % 60,
			       (unsigned int)((seconds - whole) * 1e9 + 0.5));
}

static void begin(double at, double recorded)
{
	kw_bytes_append_char(&lines, '{');
	append_time("time", at);
	append_time("recordedtime", recorded);
}

static void host(const char *name, double at, double recorded)
{
	begin(at, recorded);
	kw_bytes_append_format(
		&lines,
		"\"id\":\"%s\",\"type\":\"" TYPE
		"host.v1.oom_kill\",\"data\":{\"cellId\":\"a\",\"bootNs\":%.0f,\"victim\":{\"comm\":\"%s\"}}}\n",
		name, at * 1e9, name);
}

/* came: when its frame came; delay_ms below 0: not known. */
static void guest(const char *name, double came, double delay_ms, double error_ms)
{
	begin(came, came);
	kw_bytes_append_format(&lines,
			       "\"id\":\"%s\",\"type\":\"" TYPE
			       "guest.v1.process_spawned\",\"data\":{\"cellId\":\"a\","
			       "\"guestMonotonicNs\":\"7\",\"guestComm\":\"%s\"",
			       name, name);
	if (delay_ms >= 0)
		kw_bytes_append_format(&lines,
				       ",\"guestClock\":{\"delayNs\":%.0f,\"errorNs\":%.0f}",
				       delay_ms * 1e6, error_ms * 1e6);
	kw_bytes_append_string(&lines, "}}\n");
}

/* Runs `kwitness tail --ledger … <arguments>`; its exit code. */
static int tail(const char *arguments)
{
	char command[16384];
	size_t length;
	FILE *pipe;
	int status;

	assert_int_equal(kw_bytes_error(&lines), 0);
	support_write(ledger, "00000000000000000001.jsonl", lines.data ? lines.data : "");
	(void)snprintf(command, sizeof(command), "%s tail --utc --ledger '%s' %s 2>&1", program,
		       ledger, arguments);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	length = fread(output, 1, sizeof(output) - 1, pipe);
	output[length] = '\0';
	status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The names stand in this order, each once. */
static void expect_order(const char *const *names, size_t count)
{
	const char *at = output;

	for (size_t i = 0; i < count; i++) {
		at = strstr(at, names[i]);
		if (!at)
			fail_msg("%s is not at its place in:\n%s", names[i], output);
		at += strlen(names[i]);
	}
}
#define ORDER(...)                                                                                 \
	expect_order((const char *const[]){ __VA_ARGS__ },                                         \
		     sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void a_late_frame_stands_where_it_was_said(void **state)
{
	(void)state;
	host("kill-1", 100.0, 100.0);
	host("kill-2", 100.5, 100.5);
	guest("said-early", 100.9, 700, 1.5); /* at 100.2 */
	guest("said-late", 101.0, 100, 1.5);  /* at 100.9 */
	host("kill-3", 101.2, 101.2);
	assert_int_equal(tail("--cell a --merged"), 0);
	ORDER("kill-1", "said-early", "kill-2", "said-late", "kill-3");
	ORDER("10:01:40.200Z +-1.500 ms", "said-early");
	assert_null(strstr(output, "10:01:40.000Z +-"));
	/* As recorded without it. */
	assert_int_equal(tail("--cell a"), 0);
	ORDER("kill-1", "kill-2", "said-early", "said-late", "kill-3");
}

static void a_frame_of_an_unknown_clock_is_bound_by_its_coming(void **state)
{
	(void)state;
	host("kill-1", 100.0, 100.0);
	guest("said", 100.5, -1, 0);
	assert_int_equal(tail("--cell a --merged"), 0);
	ORDER("kill-1", "10:01:40.500Z or before", "said");
}

static void lines_stay_as_they_are_in_json(void **state)
{
	(void)state;
	host("kill-1", 100.0, 100.0);
	guest("said", 100.5, 600, 1);
	assert_int_equal(tail("--cell a --merged --json"), 0);
	ORDER("\"id\":\"said\"", "\"id\":\"kill-1\"");
	assert_int_equal(strlen(output), lines.length);
}

/* A kill that is recorded when younger ones were shown already: found, not lost. */
static void what_is_recorded_too_late_is_shown_where_it_is_found(void **state)
{
	(void)state;
	host("kill-1", 100.0, 100.0);
	host("kill-2", 110.0, 110.0);
	host("kill-3", 113.0, 113.0);
	host("kill-old", 90.0, 113.0);
	host("kill-4", 113.1, 113.1);
	assert_int_equal(tail("--cell a --merged"), 0);
	ORDER("kill-1", "kill-2", "kill-old", "kill-3", "kill-4");
}

static void a_boot_is_no_place_to_reorder_over(void **state)
{
	(void)state;
	host("before-1", 5000.0, 5000.0);
	host("before-2", 5001.0, 5001.0);
	begin(5002, 5002);
	kw_bytes_append_string(&lines, "\"type\":\"" TYPE
				       "host.v1.gap\",\"data\":{\"kind\":\"reboot\"}}\n");
	host("after", 5000.5, 5002.5); /* wherever the clock of the new boot stands */
	assert_int_equal(tail("--cell a --merged"), 0);
	ORDER("before-1", "before-2", "after");
}

static void more_than_is_held_comes_out_in_order_and_whole(void **state)
{
	int count = 0;

	(void)state;
	for (int i = 0; i < 1200; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "n%04d", i);
		host(name, 100.0 + i / 1e4, 100.0 + i / 1e4);
	}
	assert_int_equal(tail("--cell a --merged -n all --json"), 0);
	for (const char *at = output; (at = strstr(at, "\"id\":\"n")); at++) {
		assert_int_equal(atoi(at + 7), count);
		count++;
	}
	assert_int_equal(count, 1200);
}

static void it_needs_a_cell(void **state)
{
	(void)state;
	assert_int_equal(tail("--merged"), 2);
	assert_non_null(strstr(output, "--merged: needs --cell"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_late_frame_stands_where_it_was_said),
		CASE(a_frame_of_an_unknown_clock_is_bound_by_its_coming),
		CASE(lines_stay_as_they_are_in_json),
		CASE(what_is_recorded_too_late_is_shown_where_it_is_found),
		CASE(a_boot_is_no_place_to_reorder_over),
		CASE(more_than_is_held_comes_out_in_order_and_whole),
		CASE(it_needs_a_cell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
