/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The commands keygen, pubkey, sign and verify as a user runs them: exit codes, output, messages. */
#include "test_attest_findings.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/base/file.h"

#define KEYRING "{\"" SAMPLE_KID "\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\"}\n"
#define LEDGER_NAME "00000000000000000001.jsonl"

static char *directory;
static char program[4096];
static char output[1 << 18]; /* of the last command: standard output, then standard error */

static void write_sample(const char *name, unsigned int from, unsigned int to)
{
	static struct kw_bytes lines[SAMPLE_LINES];
	struct kw_bytes text;
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	kw_bytes_init(&text, 1 << 20);
	sample_ledger(SAMPLE_LINES, lines);
	for (unsigned int i = 0; i < SAMPLE_LINES; i++) {
		if (i + 1 >= from && i + 1 <= to)
			kw_bytes_append(&text, lines[i].data, lines[i].length);
		kw_bytes_done(&lines[i]);
	}
	assert_int_equal(kw_file_replace(fd, name, text.data, text.length, 0644), 0);
	assert_int_equal(close(fd), 0);
	kw_bytes_done(&text);
}

static int setup(void **state)
{
	const char *build = getenv("KW_BUILD");
	char ledger[4096];
	int fd;

	(void)state;
	directory = support_directory();
	if (!directory)
		return -1;
	(void)snprintf(program, sizeof(program), "%s/kwitness", build ? build : "build");
	if (access(program, X_OK) < 0) {
		print_error("%s: set KW_BUILD to the build's directory\n", program);
		return -1;
	}
	support_write(directory, "ring", KEYRING);
	(void)snprintf(ledger, sizeof(ledger), "%s/ledger", directory);
	if (mkdir(ledger, 0755) < 0)
		return -1;
	write_sample(LEDGER_NAME, 1, 4);
	write_sample("00000000000000000005.jsonl", 5, 8);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (renameat(fd, LEDGER_NAME, fd, "ledger/" LEDGER_NAME) < 0 ||
	    renameat(fd, "00000000000000000005.jsonl", fd, "ledger/00000000000000000005.jsonl") < 0)
		return -1;
	(void)close(fd);
	write_sample("whole.jsonl", 1, 8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	support_remove(directory);
	return 0;
}

/* Runs `kwitness <arguments>` by the shell, in the test's directory; its exit code. */
static int run(const char *arguments)
{
	char command[16384], absolute[4096];
	size_t length;
	FILE *pipe;
	int status;

	assert_non_null(realpath(program, absolute));
	(void)snprintf(command, sizeof(command), "cd '%s' && kw='%s'; { $kw %s; } 2>&1", directory,
		       absolute, arguments);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	length = fread(output, 1, sizeof(output) - 1, pipe);
	output[length] = '\0';
	status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void expect_output(const char *text)
{
	if (!strstr(output, text))
		fail_msg("not in the output: %s\n%s", text, output);
}

static void expect_lines(int count)
{
	int lines = 0;

	for (const char *at = output; (at = strchr(at, '\n')); at++)
		lines++;
	if (lines != count)
		fail_msg("%d lines instead of %d:\n%s", lines, count, output);
}

static void keys_are_made_once(void **state)
{
	char *keyring;

	(void)state;
	assert_int_equal(run("keygen --out key --kid me"), 0);
	assert_memory_equal(output, "{\"me\":\"", 7);
	expect_lines(1);
	keyring = strdup(output);
	assert_non_null(keyring);
	assert_int_equal(run("pubkey key"), 0);
	assert_string_equal(output, keyring);
	free(keyring);
	assert_int_equal(run("keygen --out key"), 3);
	expect_output("exists already");
	expect_lines(1);
	assert_int_equal(run("keygen --out key2 --kid 'a b'"), 2);
	assert_int_equal(run("keygen"), 2);
	expect_lines(1);
	assert_int_equal(run("--version; chmod 640 key"), 0);
	assert_int_equal(run("pubkey key"), 3);
	expect_output("chmod 600 key");
	assert_int_equal(run("pubkey none"), 3);
	expect_output("No such file");
}

static void a_ledger_verifies_in_each_form(void **state)
{
	static const char verdict[] =
		"The record is complete from sequence 1 (2026-11-23 03:31:32.123Z) to sequence 8 (2026-11-23 03:31:39.123Z): 8 events.\n"
		"It is a ledger of " SAMPLE_SOURCE
		". Times are those of the host's clock when a line was recorded, in UTC.\n"
		"It holds 3 host.v1.gap, 2 host.v1.oom_kill, 1 guest.v1.process_spawned, 1 host.v1.cgroup, 1 host.v1.oom_incident.\n"
		"It declares 7 records as lost:\n"
		"  7 records in 1 event, kind lost: evidence ring full\n"
		"The gaps that it declares, orderly stops apart:\n"
		"  sequence 1 (2026-11-23 03:31:32.123Z), start: the ledger begins\n"
		"  sequence 7 (2026-11-23 03:31:38.123Z), lost, 5 ns, 7 records lost: evidence ring full\n"
		"It ends in order: the daemon said at sequence 8 that it stops.\n"
		"Key " SAMPLE_KID
		", of the keyring, signed sequence 1 (2026-11-23 03:31:32.123Z) to sequence 8 (2026-11-23 03:31:39.123Z).\n"
		"No checkpoint was compared with the lines before it.\n"
		"Not covered:\n"
		"  lines 1 to 8, behind what the last checkpoint covers: signed and chained, but in no tree\n"
		"  whatever was behind sequence 8: lines that were cut off at the end leave no trace in what is left; compare with a checkpoint kept elsewhere (--since)\n"
		"Conclusion: this record is sound: from its first line to its last nothing was changed, added, moved or removed unseen, and what was lost or not watched is declared above.\n";

	(void)state;
	assert_int_equal(run("verify --utc --keyring ring ledger"), 0);
	assert_string_equal(output, verdict);
	assert_int_equal(run("verify --utc --keyring ring whole.jsonl"), 0);
	assert_string_equal(output, verdict);
	assert_int_equal(run("verify --utc --keyring ring - < whole.jsonl"), 0);
	assert_string_equal(output, verdict);
	assert_int_equal(run("verify --utc --keyring ring ledger/" LEDGER_NAME
			     " ledger/00000000000000000005.jsonl"),
			 0);
	assert_string_equal(output, verdict);
	assert_int_equal(run("verify --keyring ring --json ledger"), 0);
	expect_output("\"sound\":true");
	expect_output("\"events\":8");
	expect_output("\"faults\":[]");
	expect_lines(1);
}

static void a_part_is_sound_only_when_asked_for(void **state)
{
	(void)state;
	assert_int_equal(run("verify --keyring ring ledger/00000000000000000005.jsonl"), 1);
	expect_output("ledger/00000000000000000005.jsonl:1: sequence 5: start: ");
	expect_output("NOT sound");
	assert_int_equal(run("verify --partial --keyring ring ledger/00000000000000000005.jsonl"),
			 0);
	expect_output("is complete from sequence 5 (");
	expect_output(": 4 events.\n");
	expect_output("this part of a record is sound");
}

static void faults_are_told_by_file_and_line(void **state)
{
	(void)state;
	assert_int_equal(
		run("--version; sed 's/\"uid\":1000/\"uid\":1001/' whole.jsonl > bad.jsonl"), 0);
	assert_int_equal(run("verify --keyring ring bad.jsonl"), 1);
	expect_output(
		"bad.jsonl:2: sequence 2: digest: the event was changed after it was signed\n");
	expect_output("bad.jsonl:3: sequence 3: digest: ");
	expect_output("The record is NOT sound: 4 faults (2 digest, 2 chain) in 3 lines; ");
	expect_output("Conclusion: this record is NOT sound");
	assert_int_equal(run("verify --json --keyring ring bad.jsonl"), 1);
	expect_output("\"sound\":false");
	expect_output("\"fault\":\"digest\"");
	expect_output("\"digest\":2");
	/* The first fifty are shown, then counts. */
	assert_int_equal(
		run("--version; for i in 1 2 3 4 5 6 7 8 9 10; do echo; echo x; echo; echo; echo; echo; done > junk"),
		0);
	assert_int_equal(run("verify --keyring ring junk"), 1);
	expect_output("junk:50: malformed: ");
	expect_output("and 10 more; in all:\n  malformed          60\n");
	if (strstr(output, "junk:51:"))
		fail_msg("more than fifty faults shown");
	/* Nothing at all is no sound ledger. */
	assert_int_equal(run("verify --keyring ring - < /dev/null"), 1);
	expect_output("NOT sound: no event");
}

static void what_cannot_be_read_is_said(void **state)
{
	static const struct {
		const char *arguments;
		int code;
		const char *message;
	} cases[] = {
		{ "verify whole.jsonl", 2, "no keyring given" },
		{ "verify --keyring ring", 2, "give a ledger directory" },
		{ "verify --keyring none whole.jsonl", 3, "keyring none: No such file" },
		{ "verify --keyring whole.jsonl whole.jsonl", 3, "keyring whole.jsonl: " },
		{ "verify --keyring ring none", 3, "none: No such file" },
		{ "verify --keyring ring .", 3, "no segments" },
		{ "verify --keyring ring link", 3, "symbolic link" },
		{ "verify --keyring ringlink whole.jsonl", 3, "symbolic link" },
		{ "verify --keyring ring linked", 3, "Too many levels of symbolic links" },
		{ "verify --nonsense", 2, "nonsense" },
		{ "frobnicate", 2, "not a command" },
		{ "", 2, "no command given" },
	};

	(void)state;
	assert_int_equal(
		run("--version; ln -s whole.jsonl link; ln -s ring ringlink; mkdir linked; ln -s ../whole.jsonl linked/" LEDGER_NAME),
		0);
	for (size_t i = 0; i < kw_array_size(cases); i++) {
		assert_int_equal(run(cases[i].arguments), cases[i].code);
		expect_output(cases[i].message);
		expect_lines(1);
	}
}

/* A name is not to be able to drive the terminal. */
static void names_are_harmless_for_a_terminal(void **state)
{
	(void)state;
	assert_int_equal(run("--version; cp junk \"$(printf 'a\\033[31m')\""), 0);
	assert_int_equal(run("verify --keyring ring \"$(printf 'a\\033[31m')\""), 1);
	expect_output("a%1B[31m:1: malformed");
	assert_null(strchr(output, '\033'));
	assert_int_equal(run("verify --keyring ring \"$(printf 'b\\033[31m')\""), 3);
	assert_null(strchr(output, '\033'));
}

static void any_event_can_be_signed(void **state)
{
	static const char event[] =
		"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"example/uri\",\"type\":\"example.type\",\"exta\":\"value1\",\"data\":{\"n\":1.50,\"a\":\"\\u00e4\"}}";

	(void)state;
	support_write(directory, "event.json", event);
	assert_int_equal(run("keygen --out signer --kid s > signer.ring"), 0);
	assert_int_equal(run("sign --key signer --signed-ext exta event.json"), 0);
	assert_memory_equal(output, "{\"data\":{\"a\":\"\xc3\xa4\",\"n\":1.5},\"dssematerial\":\"",
			    40);
	expect_output(",\"exta\":\"value1\",\"id\":\"1\",\"signedextattrs\":\"exta\",\"source\":");
	expect_lines(1);
	assert_int_equal(run("sign --key signer - < event.json"), 0);
	assert_null(strstr(output, "signedextattrs"));
	assert_int_equal(run("sign --key signer event.json > signed.json"), 0);
	assert_int_equal(run("sign --key signer signed.json"), 1);
	expect_output("has a dssematerial already");
	assert_int_equal(run("sign --key signer --signed-ext extb event.json"), 1);
	assert_int_equal(run("sign --key signer --signed-ext id event.json"), 2);
	assert_int_equal(run("sign --key signer --signed-ext exta,exta event.json"), 2);
	assert_int_equal(run("sign --key signer --signed-ext '' event.json"), 2);
	assert_int_equal(run("sign --key ring event.json"), 3);
	assert_int_equal(run("sign event.json"), 2);
	assert_int_equal(run("sign --key signer none"), 3);
	assert_int_equal(run("sign --key signer junk"), 1);
	support_write(directory, "event.json",
		      "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\"}");
	assert_int_equal(run("sign --key signer event.json"), 1);
	expect_output("type is missing");
}

static void every_command_helps(void **state)
{
	static const char *const commands[] = { "keygen", "pubkey", "sign", "verify" };
	char arguments[64];

	(void)state;
	for (size_t i = 0; i < kw_array_size(commands); i++) {
		(void)snprintf(arguments, sizeof(arguments), "%s --help", commands[i]);
		assert_int_equal(run(arguments), 0);
		assert_memory_equal(output, "usage: kwitness ", 16);
		assert_int_equal(run("--help"), 0);
		expect_output(commands[i]);
	}
	assert_int_equal(run("verify --help > /dev/full"), 3);
	assert_int_equal(run("verify --keyring ring ledger > /dev/full"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(keys_are_made_once),
		support_test(a_ledger_verifies_in_each_form),
		support_test(a_part_is_sound_only_when_asked_for),
		support_test(faults_are_told_by_file_and_line),
		support_test(what_cannot_be_read_is_said),
		support_test(names_are_harmless_for_a_terminal),
		support_test(any_event_can_be_signed),
		support_test(every_command_helps),
	};

	return cmocka_run_group_tests_name("verify_command", tests, setup, teardown);
}
