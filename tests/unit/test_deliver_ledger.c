/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The writer: one at a time, whole lines or nothing, segments that follow each other without a hole. */
#include "deliver_lines.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void test_append_and_reopen(void **state)
{
	char *parent = support_directory();
	char directory[512], text[LINE_BYTES];
	unsigned char hash[32];
	struct kw_ledger_found found;
	struct kw_ledger *ledger;
	struct stat status;
	size_t length;

	(void)state;
	path_of(directory, parent, "new");
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	assert_int_equal(stat(directory, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0700);
	assert_false(found.has_last);
	assert_int_equal(found.head.sequence, 0);
	for (uint64_t sequence = 1; sequence <= 5; sequence++)
		append_plain(ledger, sequence);
	assert_false(kw_ledger_has_id(ledger, "id-3")); /* only what stood there at start */
	kw_ledger_free(ledger);

	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	length = make_line(text, 5, KW_TYPE_CGROUP, "\"n\":18446744073709551615");
	(void)crypto_hash_sha256(hash, (unsigned char *)text, length - 1);
	assert_true(found.has_last);
	assert_false(found.torn);
	assert_false(found.stopped);
	assert_int_equal(found.head.sequence, 5);
	assert_memory_equal(found.head.hash, hash, sizeof(hash));
	assert_int_equal(found.last_real_ns % KW_NSEC_PER_SEC, 5);
	assert_true(kw_ledger_has_id(ledger, "id-1"));
	assert_true(kw_ledger_has_id(ledger, "id-5"));
	assert_false(kw_ledger_has_id(ledger, "id-6"));
	assert_int_equal(kw_ledger_durable(ledger), 5);
	append_plain(ledger, 6);
	kw_ledger_free(ledger);
	assert_int_equal(size_of(directory, FIRST_SEGMENT), 6 * (off_t)length);
	support_remove(parent);
}

static void test_one_writer(void **state)
{
	char *directory = support_directory();
	struct kw_ledger *first, *second = NULL;
	struct kw_ledger_found found;

	(void)state;
	first = open_ledger(directory, SEGMENT_MAX, &found);
	assert_int_equal(kw_ledger_open(directory, SEGMENT_MAX, &second, &found), -EBUSY);
	assert_null(second);
	append_plain(first, 1); /* the one that has it is not disturbed */
	kw_ledger_free(first);
	second = open_ledger(directory, SEGMENT_MAX, &found);
	kw_ledger_free(second);
	support_remove(directory);
}

static void test_refuses_nonsense(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);
	char text[LINE_BYTES];
	size_t length = make_line(text, 3, KW_TYPE_CGROUP, "");

	(void)state;
	append_plain(ledger, 1);
	assert_int_equal(kw_ledger_append(ledger, 3, text, length), -EINVAL); /* a hole */
	assert_int_equal(kw_ledger_append(ledger, 1, text, length), -EINVAL);
	assert_int_equal(kw_ledger_append(ledger, 2, text, length - 1), -EINVAL); /* no newline */
	assert_int_equal(kw_ledger_append(ledger, 2, text, 0), -EINVAL);
	append_plain(ledger, 2);
	kw_ledger_free(ledger);
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	assert_int_equal(found.head.sequence, 2);
	kw_ledger_free(ledger);
	support_remove(directory);
}

static void test_roll_over(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, 2000, &found);
	char name[64], text[LINE_BYTES];
	uint64_t next = 1;
	unsigned int segments = 0;

	(void)state;
	for (uint64_t sequence = 1; sequence <= 100; sequence++) {
		append_plain(ledger, sequence);
		if (sequence == 50) { /* a restart in between changes nothing */
			kw_ledger_free(ledger);
			ledger = open_ledger(directory, 2000, &found);
			assert_int_equal(found.head.sequence, 50);
		}
	}
	kw_ledger_free(ledger);
	while (next <= 100) {
		struct kw_bytes bytes;

		(void)snprintf(name, sizeof(name), "%020llu.jsonl", (unsigned long long)next);
		bytes = slurp(directory, name);
		assert_true(bytes.length >= 2000 || next + 20 > 100);
		for (size_t done = 0; done < bytes.length; next++) {
			size_t length =
				make_line(text, next, KW_TYPE_CGROUP, "\"n\":18446744073709551615");

			assert_true(done + length <= bytes.length);
			assert_memory_equal(bytes.data + done, text, length);
			done += length;
		}
		segments++;
		kw_bytes_done(&bytes);
	}
	assert_int_equal(next, 101);
	assert_true(segments > 5);
	support_remove(directory);
}

/* A write that the system cuts short: what it left is cut off, the next line stands in its place. */
static void test_short_write(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);
	struct rlimit before, limit;
	char text[LINE_BYTES];
	size_t length = make_line(text, 4, KW_TYPE_CGROUP, "");
	off_t size;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	for (uint64_t sequence = 1; sequence <= 3; sequence++)
		append_plain(ledger, sequence);
	size = size_of(directory, FIRST_SEGMENT);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	for (size_t room = 0; room < length; room++) {
		limit = before;
		limit.rlim_cur = (rlim_t)size + room;
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		assert_int_equal(kw_ledger_append(ledger, 4, text, length), -EFBIG);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
		assert_int_equal(size_of(directory, FIRST_SEGMENT), size);
	}
	assert_int_equal(kw_ledger_append(ledger, 4, text, length), 0);
	kw_ledger_free(ledger);
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	assert_false(found.torn);
	assert_int_equal(found.head.sequence, 4);
	kw_ledger_free(ledger);
	support_remove(directory);
}

/* cmocka's own assertions would go on with the next test in the child. */
#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			print_error("line %d: %s\n", __LINE__, #condition);                        \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)

/* In a process of its own, so that the mount is gone with it. Returns: 0 fine, 77 cannot mount. */
static int full_disk(const char *directory)
{
	struct kw_ledger_found found;
	struct kw_ledger *ledger;
	static char ballast[3 * 1024 * 1024];
	uint64_t sequence = 1;
	char text[LINE_BYTES], path[512];
	off_t size;
	int r;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", directory, "tmpfs", 0, "size=5m,mode=0700") < 0)
		return 77;
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	append_plain(ledger, sequence++);
	CHECK(kw_ledger_has_space(ledger, 65536) == 0);
	append_raw(directory, "ballast", ballast, sizeof(ballast));
	/* More than was free a moment ago: asked anew. */
	CHECK(kw_ledger_has_space(ledger, 5 * 1024 * 1024) == -ENOSPC);
	CHECK(kw_ledger_has_space(ledger, sizeof(ballast)) == -ENOSPC);
	/* Thrice: on a disk that fills up, then on what the reserve gives for the first words, and for the last. */
	for (int i = 0; i < 3; i++) {
		uint64_t before = sequence;

		do {
			size = size_of(directory, FIRST_SEGMENT);
			r = kw_ledger_append(ledger, sequence, text,
					     make_line(text, sequence, KW_TYPE_CGROUP, "\"x\":1"));
			sequence += r == 0;
		} while (r == 0);
		CHECK(r == -ENOSPC);
		CHECK(sequence > before);
		CHECK(size_of(directory, FIRST_SEGMENT) == size);
		CHECK(kw_ledger_has_space(ledger, 1) == -ENOSPC);
		kw_ledger_use_reserve(ledger, i == 1);
	}
	path_of(path, directory, "ballast");
	CHECK(unlink(path) == 0);
	CHECK(kw_ledger_has_space(ledger, 65536) == 0);
	append_plain(ledger, sequence);
	kw_ledger_free(ledger);
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	CHECK(!found.torn);
	CHECK(found.head.sequence == sequence);
	kw_ledger_free(ledger);
	return 0;
}

static void test_full_disk(void **state)
{
	char *directory = support_directory();
	pid_t child = fork();
	int status;

	(void)state;
	assert_true(child >= 0);
	if (child == 0)
		_exit(full_disk(directory));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		print_message("# skip full disk: may not mount a tmpfs here\n");
	else
		assert_int_equal(WEXITSTATUS(status), 0);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_append_and_reopen), support_test(test_one_writer),
		support_test(test_refuses_nonsense),  support_test(test_roll_over),
		support_test(test_short_write),	      support_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
