/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness doctor: which hooks the kernel gave us, in which tier, what is not seen without the others and
 * what would change that. A running daemon's word is taken, because only it knows what it got; trying
 * beside it would tell what could be had now. Without one, root lets kwitnessd try (--try-hooks): the
 * programs are loaded, attached and let go again. That is done there and not here, so that this program,
 * which auditors run, needs neither libbpf nor the programs.
 */
#include "user/cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kwitness/limits.h>

#include "user/base/file.h"
#include "user/base/text.h"

#define REPORT_MAX (64 * 1024)

static const char help[] =
	"usage: kwitness doctor [--json]\n"
	"\n"
	"What this host lets kwitness see: each kernel hook with what was tried, how the kernel answered and\n"
	"what is lost without it; cgroups, BTF, lockdown, bpffs, ledger, gate, vsock. Asks the running\n"
	"daemon's report; without one root tries the hooks anew.\n"
	"Exit: 0 the best tier is reached and nothing is lost, 1 something is, 2 wrong usage, 3 could not look.\n"
	"\n"
	"      --json           one JSON object\n"
	"      --runtime DIR    the daemon's runtime directory (" KW_PATH_RUNTIME ")\n"
	"      --ledger DIR     the ledger (" KW_PATH_LEDGER ")\n"
	"      --cgroup-root DIR  where cgroup v2 is mounted (" KW_PATH_CGROUP_ROOT ")\n"
	"      --gate FILE      the kwitness-gate program\n"
	"  -h, --help           this text\n";

/* Hooks by name, with what is not seen when one is missing and what a kprobe sees less. */
static const struct {
	const char *hook;
	const char *best;
	const char *lost;
	const char *kprobe;
} hooks[] = {
	{ "oom_kill_process", "fentry",
	  "limit owner, constraint and the end of an OOM: no incident is summed up",
	  "nothing, but each call costs more" },
	{ "__oom_kill_process", "fentry",
	  "how many kills the kernel itself counted in an OOM: verdicts are weaker",
	  "nothing, but each call costs more" },
	{ "mark_victim", "tracepoint", "kills as they happen", "" },
	{ "throttle_cfs_rq", "fentry",
	  "CPU throttling as it happens; cpu.stat of registered cells counts it",
	  "nothing, but each call costs more" },
	{ "mem_cgroup_handle_over_high", "fentry",
	  "memory.high throttling as it happens; memory.events of registered cells counts it",
	  "returns of more calls at one time than a kretprobe has room for: their stalls are not summed" },
	{ "cgroup_mkdir", "tracepoint",
	  "paths of cgroups that are gone and whose records lack theirs; cgroups are found later",
	  "" },
	{ "pids_can_fork", "fentry",
	  "refused forks as they happen; pids.events of registered cells counts them",
	  "the cgroup of a fork made with CLONE_INTO_CGROUP: its parent's is told" },
};

int kw_doctor_find(const char *name, char *ret_path, size_t size)
{
	char self[KW_PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *slash;

	if (length < 0)
		return -errno;
	self[length] = '\0';
	slash = strrchr(self, '/');
	for (int i = 0; slash && i < 2; i++) {
		int r = snprintf(ret_path, size, "%.*s/%s%s", (int)(slash - self), self,
				 i ? "../sbin/" : "", name);

		if (r > 0 && (size_t)r < size && access(ret_path, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}

/* ---- the report ---- */

/* Whether the one who wrote it runs still, in this boot. */
static bool is_current(const json_t *report)
{
	const char *boot_id = json_string_value(json_object_get(report, "bootId"));
	json_int_t pid = json_integer_value(json_object_get(report, "pid"));
	cleanup_bytes struct kw_bytes boot, comm;
	char path[64];

	kw_bytes_init(&boot, 64);
	kw_bytes_init(&comm, 64);
	(void)snprintf(path, sizeof(path), "/proc/%lld/comm", (long long)pid);
	return boot_id && pid > 0 &&
	       kw_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &boot) == 0 && boot.data &&
	       strlen(boot_id) == 36 && strncmp(boot.data, boot_id, 36) == 0 &&
	       kw_file_read(AT_FDCWD, path, &comm) == 0 && comm.data &&
	       strcmp(comm.data, "kwitnessd\n") == 0;
}

static json_t *read_report(const char *runtime)
{
	cleanup_bytes struct kw_bytes text;
	char path[KW_PATH_MAX];
	json_t *report = NULL;
	int r = snprintf(path, sizeof(path), "%s/" KW_NAME_HOOKS, runtime);

	kw_bytes_init(&text, REPORT_MAX);
	if (r > 0 && (size_t)r < sizeof(path) && kw_file_read(AT_FDCWD, path, &text) == 0 &&
	    text.data)
		report = json_loadb(text.data, text.length, 0, NULL);
	if (report && is_current(report))
		return report;
	json_decref(report);
	return NULL;
}

/* Lets kwitnessd try, and reads what it says. NULL: it could not. */
static json_t *try_hooks(void)
{
	char program[KW_PATH_MAX];
	char *arguments[] = { program, (char[]){ "--try-hooks" }, NULL };
	json_t *report = NULL;
	FILE *output;
	int pipes[2];
	pid_t pid;

	if (geteuid() != 0 || kw_doctor_find("kwitnessd", program, sizeof(program)) < 0 ||
	    pipe2(pipes, O_CLOEXEC) < 0)
		return NULL;
	pid = fork();
	if (pid == 0) {
		(void)dup2(pipes[1], STDOUT_FILENO);
		(void)execv(program, arguments);
		_exit(127);
	}
	(void)close(pipes[1]);
	output = fdopen(pipes[0], "r");
	if (output) {
		report = json_loadf(output, JSON_DISABLE_EOF_CHECK, NULL);
		(void)fclose(output);
	}
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return report;
}

/* ---- what is lost ---- */

static const char *tier_of(const json_t *report, const char *hook)
{
	const json_t *list = json_object_get(report, "hooks");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(entry, "hook"));
		const char *tier = json_string_value(json_object_get(entry, "tier"));

		if (name && tier && strcmp(name, hook) == 0)
			return tier;
	}
	return "files";
}

/* What the kernel said last of this hook when it refused: what would change it. */
static const char *refusal_of(const json_t *report, const char *hook)
{
	const json_t *list = json_object_get(report, "attempts");
	const char *words = NULL;

	for (size_t i = 0; i < json_array_size(list) && !words; i++) {
		const json_t *entry = json_array_get(list, i);
		const char *name = json_string_value(json_object_get(entry, "hook"));

		if (name && strcmp(name, hook) == 0 &&
		    json_integer_value(json_object_get(entry, "errno")) != 0)
			words = json_string_value(json_object_get(entry, "words"));
	}
	return words ?: "a lower tier was asked for (tier= or --tier)";
}

/* Adds to each hook what is lost; returns whether anything is. */
static bool judge(const json_t *report, json_t *ret_hooks)
{
	bool is_lost = false;

	for (size_t i = 0; i < kw_array_size(hooks); i++) {
		const char *tier = tier_of(report, hooks[i].hook);
		json_t *entry = json_pack("{s:s, s:s, s:s}", "hook", hooks[i].hook, "tier", tier,
					  "best", hooks[i].best);

		if (strcmp(tier, hooks[i].best) != 0) {
			const char *lost = strcmp(tier, "kprobe") == 0 ? hooks[i].kprobe
								       : hooks[i].lost;

			is_lost = true;
			(void)json_object_set_new(entry, "lost", json_string(lost));
			(void)json_object_set_new(entry, "why",
						  json_string(refusal_of(report, hooks[i].hook)));
		}
		(void)json_array_append_new(ret_hooks, entry);
	}
	return is_lost;
}

/* ---- output ---- */

static void append_words(struct kw_bytes *out, const json_t *object, const char *key)
{
	const char *words = json_string_value(json_object_get(object, key));

	if (words)
		kw_text_append_printable(out, words, strlen(words));
}

static int print_words(const json_t *answer)
{
	cleanup_bytes struct kw_bytes out;
	const json_t *list = json_object_get(answer, "hooks");
	int r;

	kw_bytes_init(&out, REPORT_MAX * 4);
	kw_bytes_append_string(&out, "tier ");
	append_words(&out, answer, "tier");
	kw_bytes_append_string(&out, "; ");
	append_words(&out, answer, "source");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *hook = json_array_get(list, i);
		bool is_lost = json_object_get(hook, "lost");

		kw_bytes_append_string(&out, is_lost ? "\nLOST  hook " : "\nok    hook ");
		append_words(&out, hook, "hook");
		kw_bytes_append_string(&out, ": ");
		append_words(&out, hook, "tier");
		if (!is_lost)
			continue;
		kw_bytes_append_string(&out, "\n      not seen: ");
		append_words(&out, hook, "lost");
		kw_bytes_append_string(&out, "\n      why: ");
		append_words(&out, hook, "why");
	}
	list = json_object_get(answer, "checks");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *check = json_array_get(list, i);
		const char *result = json_string_value(json_object_get(check, "result"));

		kw_bytes_append_format(&out, "\n%-5s ",
				       result && strcmp(result, "lost") == 0 ? "LOST" : result);
		append_words(&out, check, "check");
		kw_bytes_append_string(&out, ": ");
		append_words(&out, check, "words");
	}
	kw_bytes_append_char(&out, '\n');
	r = kw_bytes_error(&out);
	return r < 0 ? kw_cli_fail(KW_EXIT_FAIL, "doctor", "%s", strerror(-r))
		     : kw_cli_output("doctor", out.data, out.length);
}

static int print_json(const json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT | JSON_SORT_KEYS);
	int code;

	if (!text)
		return kw_cli_fail(KW_EXIT_FAIL, "doctor", "out of memory");
	code = kw_cli_output("doctor", text, strlen(text));
	free(text);
	return code == KW_EXIT_OK ? kw_cli_output("doctor", "\n", 1) : code;
}

static int examine(struct kw_doctor *doctor, bool is_json)
{
	const char *source = "the running daemon's report";
	json_t *report = read_report(doctor->runtime);
	json_t *answer = json_object();
	bool is_lost;
	int code;

	if (!report) {
		source = "no daemon runs; tried now";
		report = try_hooks();
	}
	if (!report) {
		json_decref(answer);
		return kw_cli_fail(
			KW_EXIT_FAIL, "doctor",
			"no running daemon has left a report in %s, and only root can try the hooks",
			doctor->runtime);
	}
	doctor->checks = json_array();
	kw_doctor_check_all(doctor);
	(void)json_object_set_new(answer, "hooks", json_array());
	is_lost = judge(report, json_object_get(answer, "hooks")) | doctor->is_lost;
	(void)json_object_set_new(answer, "checks", doctor->checks);
	(void)json_object_set_new(answer, "source", json_string(source));
	(void)json_object_set_new(answer, "best", json_boolean(!is_lost));
	(void)json_object_set(answer, "tier", json_object_get(report, "tier"));
	(void)json_object_set(answer, "attempts", json_object_get(report, "attempts"));
	(void)json_object_set(answer, "programs", json_object_get(report, "programs"));
	code = is_json ? print_json(answer) : print_words(answer);
	json_decref(answer);
	json_decref(report);
	return code != KW_EXIT_OK ? code : is_lost ? KW_EXIT_NO : KW_EXIT_OK;
}

int kw_cli_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "runtime", required_argument, NULL, 'r' },
		{ "ledger", required_argument, NULL, 'l' },
		{ "cgroup-root", required_argument, NULL, 'c' },
		{ "gate", required_argument, NULL, 'g' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct kw_doctor doctor = { .runtime = KW_PATH_RUNTIME,
				    .ledger = KW_PATH_LEDGER,
				    .cgroup_root = KW_PATH_CGROUP_ROOT };
	bool is_json = false;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			is_json = true;
			break;
		case 'r':
			doctor.runtime = optarg;
			break;
		case 'l':
			doctor.ledger = optarg;
			break;
		case 'c':
			doctor.cgroup_root = optarg;
			break;
		case 'g':
			doctor.gate = optarg;
			break;
		case 'h':
			return kw_cli_output("doctor", help, strlen(help));
		default:
			return KW_EXIT_USAGE;
		}
	}
	if (optind != argc)
		return kw_cli_fail(KW_EXIT_USAGE, "doctor", "takes no arguments; see --help");
	return examine(&doctor, is_json);
}
