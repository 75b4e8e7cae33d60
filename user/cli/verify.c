/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness verify: the verdict over a ledger. Everything it knows comes from the keyring and from the
 * bytes; it holds no key of its own and asks nobody.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <kwitness/limits.h>
#include <kwitness/verify.h>

#include "user/base/text.h"
#include "user/cli/summary.h"
#include "user/cli/cli.h"
#include "user/deliver/deliver.h"

#define FAULTS_SHOWN 50
/* A verdict: all its tables full, each text as long as it may be. */
#define WORDS_MAX (1024 * 1024)
#define SEGMENT_DIGITS 20
#define SEGMENT_SUFFIX ".jsonl"

static const char help[] =
	"usage: kwitness verify --keyring FILE [--partial] [--since FILE] [--jobs N] [--json] [--utc]\n"
	"                       [--keyring-out FILE] PATH...\n"
	"       kwitness verify --keyring FILE --proof FILE\n"
	"\n"
	"PATH is a ledger directory, a segment, or '-' for standard input; several are read as one ledger,\n"
	"in the order given. Says each fault in one line (the first 50, then counts) and a verdict in sentences.\n"
	"Exit: 0 every line verifies and the chain is whole, 1 it does not, 2 wrong usage, 3 could not read.\n"
	"\n"
	"  -k, --keyring FILE   whom to believe: {key id: base64url of the public key}\n"
	"  -p, --partial        the first line need not be the ledger's first\n"
	"  -s, --since FILE     the ledger must extend this earlier checkpoint (a signed note)\n"
	"      --proof FILE     no ledger, but what 'kwitness prove' wrote: one event and its proof\n"
	"  -J, --jobs N         check signatures with N threads (1); the output is the same\n"
	"      --keyring-out FILE  when it is sound: write the keyring that its changes of key lead to\n"
	"      --utc            times in UTC, not local\n"
	"  -j, --json           one JSON object instead\n"
	"  -h, --help           this text\n";

KW_DEFINE_CLEANUP(struct kw_summary *, kw_summary_free)
KW_DEFINE_CLEANUP(struct kw_keyring *, kw_keyring_free)
KW_DEFINE_CLEANUP(struct kw_verifier *, kw_verifier_free)

/* The command line. */
struct wish {
	const char *keyring;
	const char *since; /* NULL: none */
	const char *proof; /* NULL: a ledger is verified */
	unsigned int jobs;
	const char *keyring_out; /* NULL: not wanted */
	bool partial;
	bool json;
	bool utc;
};

struct job {
	struct kw_verifier *verifier;
	struct kw_summary *summary;
	int error; /* the summary could not take a line: -errno */
	bool json;
	json_t *faults; /* with json: the first FAULTS_SHOWN */
	uint64_t fault_count;
	uint64_t bytes;
	time_t shown_at; /* progress; 0: no terminal */
};

/* ---- faults ---- */

static void fault_line(const struct kw_fault_report *report)
{
	cleanup_bytes struct kw_bytes line;

	kw_bytes_init(&line, 16384);
	kw_text_append_printable(&line, report->file, strlen(report->file));
	kw_bytes_append_format(&line, ":%" PRIu64 ": ", report->line);
	if (report->sequence)
		kw_bytes_append_format(&line, "sequence %" PRIu64 ": ", report->sequence);
	kw_bytes_append_format(&line, "%s: %s\n", kw_fault_name(report->fault), report->detail);
	if (kw_bytes_error(&line) == 0)
		(void)fwrite(line.data, 1, line.length, stdout);
}

static void fault_json(struct job *job, const struct kw_fault_report *report)
{
	cleanup_bytes struct kw_bytes file;

	kw_bytes_init(&file, 16384);
	kw_text_append_escaped(&file, report->file, strlen(report->file));
	if (kw_bytes_error(&file) < 0)
		return;
	(void)json_array_append_new(
		job->faults,
		json_pack("{s:s, s:s, s:s, s:I, s:I}", "detail", report->detail, "fault",
			  kw_fault_name(report->fault), "file", file.data ? file.data : "", "line",
			  (json_int_t)report->line, "sequence", (json_int_t)report->sequence));
}

static void on_fault(void *context, const struct kw_fault_report *report)
{
	struct job *job = context;

	if (job->fault_count++ >= FAULTS_SHOWN)
		return;
	if (job->json)
		fault_json(job, report);
	else
		fault_line(report);
}

static void on_line(void *context, const struct kw_signed_line *line)
{
	struct job *job = context;

	if (job->error == 0)
		job->error = kw_summary_take(job->summary, line);
}

/* ---- reading ---- */

static void show_progress(struct job *job)
{
	struct kw_verify_result result;
	time_t now = time(NULL);

	if (job->shown_at == 0 || now == job->shown_at)
		return;
	job->shown_at = now;
	kw_verifier_result(job->verifier, &result);
	(void)fprintf(stderr, "\r%" PRIu64 " events, %" PRIu64 " MiB, %" PRIu64 " faults ",
		      result.lines, job->bytes >> 20, job->fault_count);
}

/* Feeds all of fd under name, decompressed where it is compressed. KW_EXIT_OK or KW_EXIT_FAIL. */
static int feed(struct job *job, int fd, const char *name)
{
	cleanup(kw_unpack_freep) struct kw_unpack *unpack = NULL;
	char chunk[256 * 1024]; /* some hundred lines: work for several threads */
	ssize_t got = 1;
	int r = kw_unpack_new(fd, &unpack);

	while (r == 0 && got > 0) {
		got = kw_unpack_read(unpack, chunk, sizeof(chunk));
		if (got == -EBADMSG)
			r = kw_verifier_damaged(job->verifier, name, kw_unpack_reason(unpack));
		else if (got < 0)
			r = (int)got;
		else if (got > 0)
			r = kw_verifier_feed(job->verifier, name, chunk, (size_t)got);
		if (r == 0)
			r = job->error;
		if (r == 0 && got > 0) {
			job->bytes += (uint64_t)got;
			show_progress(job);
		}
	}
	if (r == 0)
		r = kw_verifier_end_of_file(job->verifier);
	return r < 0 ? kw_cli_fail(KW_EXIT_FAIL, "verify", "%s: %s", name, strerror(-r))
		     : KW_EXIT_OK;
}

/* Opens a regular file for reading, never through a link. Returns the fd or -errno. */
static int open_regular(int directory, const char *name)
{
	cleanup_close int fd =
		openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	return S_ISREG(status.st_mode) ? take_fd(fd) : -EINVAL;
}

static int is_segment(const struct dirent *entry)
{
	const char *suffix = entry->d_name + SEGMENT_DIGITS;

	return strspn(entry->d_name, "0123456789") == SEGMENT_DIGITS &&
	       (strcmp(suffix, SEGMENT_SUFFIX) == 0 || strcmp(suffix, SEGMENT_SUFFIX ".zst") == 0);
}

static int by_name(const struct dirent **left, const struct dirent **right)
{
	return strcmp((*left)->d_name, (*right)->d_name);
}

/* One that is there both ways is read once, as it was written: compressing it has not come to its end. */
static bool is_double(struct dirent *const *entries, int i)
{
	return i > 0 && strncmp(entries[i - 1]->d_name, entries[i]->d_name, SEGMENT_DIGITS) == 0;
}

static int feed_segment(struct job *job, int directory, const char *path, const char *name)
{
	cleanup_close int fd = open_regular(directory, name);
	char shown[4096 + 64];

	(void)snprintf(shown, sizeof(shown), "%s/%s", path, name);
	if (fd < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "%s: %s", shown,
				   fd == -EINVAL ? "not a regular file" : strerror(-fd));
	return feed(job, fd, shown);
}

/* All segments of a directory in the order of their numbers. */
static int feed_directory(struct job *job, int directory, const char *path)
{
	struct dirent **entries = NULL;
	int count = scandirat(directory, ".", &entries, is_segment, by_name), code = KW_EXIT_OK;

	if (count < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "%s: %s", path, strerror(errno));
	if (count == 0)
		code = kw_cli_fail(
			KW_EXIT_FAIL, "verify",
			"%s: no segments in it (<20 digits>.jsonl, .jsonl.zst); is it a ledger?",
			path);
	for (int i = 0; i < count; i++) {
		if (code == KW_EXIT_OK && !is_double(entries, i))
			code = feed_segment(job, directory, path, entries[i]->d_name);
	}
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return code;
}

static int feed_path(struct job *job, const char *path)
{
	cleanup_close int fd = -1;

	if (strcmp(path, "-") == 0)
		return feed(job, STDIN_FILENO, "-");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		return feed_directory(job, fd, path);
	if (errno != ENOTDIR)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "%s: %s", path, strerror(errno));
	fd = open_regular(AT_FDCWD, path);
	if (fd == -ELOOP)
		return kw_cli_fail(KW_EXIT_FAIL, "verify",
				   "%s: a symbolic link; name what it points to", path);
	if (fd < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "%s: %s", path,
				   fd == -EINVAL ? "not a regular file" : strerror(-fd));
	return feed(job, fd, path);
}

/* ---- the verdict ---- */

static void print_counts(const struct kw_verify_result *result, uint64_t faults)
{
	if (faults <= FAULTS_SHOWN)
		return;
	(void)printf("… and %" PRIu64 " more; in all:\n", faults - FAULTS_SHOWN);
	for (int i = 0; i < KW_FAULT_COUNT_; i++) {
		if (result->faults[i])
			(void)printf("  %-18s %" PRIu64 "\n", kw_fault_name((enum kw_fault)i),
				     result->faults[i]);
	}
}

static int print_words(const struct kw_ledger_verdict *verdict)
{
	cleanup_bytes struct kw_bytes words;

	kw_bytes_init(&words, WORDS_MAX);
	print_counts(&verdict->result, verdict->faults);
	kw_verdict_append(&words, verdict);
	if (kw_bytes_error(&words) < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "%s", strerror(ENOMEM));
	(void)fwrite(words.data, 1, words.length, stdout);
	return KW_EXIT_OK;
}

static int print_json(const struct kw_ledger_verdict *verdict, json_t *faults)
{
	cleanup_free char *text = NULL;
	json_t *root = kw_verdict_json(verdict, faults);

	if (root)
		text = json_dumps(root, JSON_SORT_KEYS | JSON_COMPACT);
	json_decref(root);
	if (!text)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "%s", strerror(ENOMEM));
	(void)printf("%s\n", text);
	return KW_EXIT_OK;
}

static int conclude(struct job *job, const struct wish *wish)
{
	struct kw_ledger_verdict verdict = { .verifier = job->verifier,
					     .summary = job->summary,
					     .faults = job->fault_count,
					     .since = wish->since,
					     .utc = wish->utc };
	int code;

	if (job->shown_at)
		(void)fprintf(stderr, "\r\033[K");
	kw_summary_settle(job->summary);
	kw_verifier_result(job->verifier, &verdict.result);
	code = wish->json ? print_json(&verdict, job->faults) : print_words(&verdict);
	if (fflush(stdout) != 0)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "cannot write output: %s",
				   strerror(errno));
	if (code != KW_EXIT_OK)
		return code;
	if (!kw_verdict_is_sound(&verdict))
		return wish->keyring_out
			       ? kw_cli_fail(KW_EXIT_NO, "verify",
					     "%s: not written, as the ledger is not sound",
					     wish->keyring_out)
			       : KW_EXIT_NO;
	return wish->keyring_out ? kw_cli_keyring_out(wish->keyring_out, job->verifier)
				 : KW_EXIT_OK;
}

static int set_since(struct kw_verifier *verifier, const char *path)
{
	cleanup_bytes struct kw_bytes note;
	const char *reason = NULL;
	int r;

	kw_bytes_init(&note, KW_LINE_MAX);
	if (kw_cli_load("verify", path, &note) != KW_EXIT_OK)
		return KW_EXIT_FAIL;
	r = kw_verifier_set_since(verifier, path, note.data ? note.data : "", note.length, &reason);
	/* A checkpoint that nobody vouches for proves nothing, either way. */
	return r < 0 ? kw_cli_fail(KW_EXIT_FAIL, "verify", "checkpoint %s: %s", path, reason)
		     : KW_EXIT_OK;
}

/* Reads all of it, and says what it is. */
static int judge(struct job *job, const struct wish *wish, char **paths)
{
	int code = wish->since ? set_since(job->verifier, wish->since) : KW_EXIT_OK;

	for (; *paths && code == KW_EXIT_OK; paths++)
		code = feed_path(job, *paths);
	if (code == KW_EXIT_OK && kw_verifier_finish(job->verifier) < 0)
		code = kw_cli_fail(KW_EXIT_FAIL, "verify", "%s", strerror(ENOMEM));
	/* What could not be read to its end gets no verdict. */
	if (code == KW_EXIT_OK)
		return conclude(job, wish);
	(void)fflush(stdout);
	return code;
}

static int verify(const struct wish *wish, char **paths)
{
	cleanup(kw_keyring_freep) struct kw_keyring *keyring = NULL;
	cleanup(kw_verifier_freep) struct kw_verifier *verifier = NULL;
	cleanup(kw_summary_freep) struct kw_summary *summary = NULL;
	struct job job = { .json = wish->json, .shown_at = isatty(STDERR_FILENO) ? time(NULL) : 0 };
	int r, code = kw_cli_load_keyring(wish->keyring, &keyring);

	if (code != KW_EXIT_OK)
		return code;
	r = kw_summary_new(&summary);
	if (r == 0)
		r = kw_verifier_new(keyring, wish->partial, on_fault, &job, &verifier);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "%s", strerror(-r));
	kw_verifier_set_reader(verifier, on_line);
	r = kw_verifier_set_threads(verifier, wish->jobs);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "verify", "cannot start %u threads: %s",
				   wish->jobs, strerror(-r));
	job.verifier = verifier;
	job.summary = summary;
	job.faults = json_array();
	code = judge(&job, wish, paths);
	json_decref(job.faults);
	return code;
}

static int check_wish(const struct wish *wish, int paths)
{
	if (!wish->keyring)
		return kw_cli_fail(
			KW_EXIT_USAGE, "verify",
			"no keyring given; use --keyring FILE ('kwitness pubkey' prints one)");
	if (wish->proof &&
	    (paths || wish->since || wish->partial || wish->json || wish->utc || wish->keyring_out))
		return kw_cli_fail(KW_EXIT_USAGE, "verify",
				   "--proof stands alone, with --keyring; see --help");
	if (!wish->proof && !paths)
		return kw_cli_fail(KW_EXIT_USAGE, "verify",
				   "give a ledger directory, a segment, or '-'; see --help");
	return KW_EXIT_OK;
}

static int parse_jobs(const char *text, unsigned int *ret_jobs)
{
	uint64_t jobs;

	if (kw_text_parse_u64(text, strlen(text), &jobs) < 0 || jobs < 1 ||
	    jobs > KW_VERIFY_THREADS_MAX)
		return -EINVAL;
	*ret_jobs = (unsigned int)jobs;
	return 0;
}

int kw_cli_verify(int argc, char **argv)
{
	static const struct option options[] = {
		{ "keyring", required_argument, NULL, 'k' },
		{ "partial", no_argument, NULL, 'p' },
		{ "since", required_argument, NULL, 's' },
		{ "proof", required_argument, NULL, 'P' },
		{ "jobs", required_argument, NULL, 'J' },
		{ "json", no_argument, NULL, 'j' },
		{ "utc", no_argument, NULL, 'u' },
		{ "keyring-out", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct wish wish = { .jobs = 1 };
	int option, code;

	while ((option = getopt_long(argc, argv, "k:ps:J:jh", options, NULL)) != -1) {
		switch (option) {
		case 'k':
			wish.keyring = optarg;
			break;
		case 'p':
			wish.partial = true;
			break;
		case 's':
			wish.since = optarg;
			break;
		case 'P':
			wish.proof = optarg;
			break;
		case 'J':
			if (parse_jobs(optarg, &wish.jobs) < 0)
				return kw_cli_fail(KW_EXIT_USAGE, "verify",
						   "--jobs %s: not a number from 1 to %u", optarg,
						   KW_VERIFY_THREADS_MAX);
			break;
		case 'j':
			wish.json = true;
			break;
		case 'u':
			wish.utc = true;
			break;
		case 'o':
			wish.keyring_out = optarg;
			break;
		case 'h':
			return kw_cli_output("verify", help, strlen(help));
		default:
			return KW_EXIT_USAGE;
		}
	}
	code = check_wish(&wish, argc - optind);
	if (code != KW_EXIT_OK)
		return code;
	return wish.proof ? kw_cli_verify_proof(wish.keyring, wish.proof)
			  : verify(&wish, argv + optind);
}
