/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Closed segments: when they are closed, what compressing leaves at each point of a crash, and what retention
 * takes, in which order, and what it never takes. */
#include "deliver_lines.h"

#include <stdatomic.h>
#include <time.h>

#include "user/deliver/archive.h"
#include "user/deliver/pack.h"

#define SECOND KW_NSEC_PER_SEC
/* `recordedtime` of the lines, all within one microsecond. */
#define RECORDED_NS 1767323045000000000ULL

static const char second[] = "00000000000000000004.jsonl";

/* Three lines a segment. */
static void fill(const char *directory, uint64_t last)
{
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, 500, &found);

	for (uint64_t sequence = found.head.sequence + 1; sequence <= last; sequence++)
		append_plain(ledger, sequence);
	kw_ledger_free(ledger);
}

static int open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void test_closed_by_age(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, SEGMENT_MAX, &found);

	(void)state;
	kw_ledger_close_by_caller(ledger);
	assert_false(kw_ledger_segment_is_due(ledger, RECORDED_NS + 100 * SECOND, 10 * SECOND));
	append_plain(ledger, 1);
	assert_int_equal(kw_ledger_segment(ledger), 1);
	/* Its age is that of its first line, whoever wrote it. */
	assert_false(kw_ledger_segment_is_due(ledger, RECORDED_NS + 9 * SECOND, 10 * SECOND));
	assert_false(kw_ledger_segment_is_due(ledger, RECORDED_NS - 9 * SECOND, 10 * SECOND));
	assert_false(kw_ledger_segment_is_due(ledger, RECORDED_NS + 900 * SECOND, 0));
	assert_true(kw_ledger_segment_is_due(ledger, RECORDED_NS + 11 * SECOND, 10 * SECOND));
	append_plain(ledger, 2); /* due, but not closed yet */
	assert_int_equal(kw_ledger_segment(ledger), 1);
	kw_ledger_close_segment(ledger);
	assert_false(kw_ledger_segment_is_due(ledger, RECORDED_NS + 11 * SECOND, 10 * SECOND));
	assert_int_equal(size_of(directory, "00000000000000000003.jsonl"), -1);
	append_plain(ledger, 3);
	assert_int_equal(kw_ledger_segment(ledger), 3);
	assert_true(size_of(directory, "00000000000000000003.jsonl") > 0);
	kw_ledger_free(ledger);
	ledger = open_ledger(directory, SEGMENT_MAX, &found);
	assert_int_equal(kw_ledger_segment(ledger), 3);
	assert_true(kw_ledger_segment_is_due(ledger, RECORDED_NS + 11 * SECOND, 10 * SECOND));
	kw_ledger_free(ledger);
	support_remove(directory);
}

/* By size it is due at the size; nobody closes it: then at twice the size it is closed all the same. */
static void test_closed_by_size(void **state)
{
	char *directory = support_directory();
	struct kw_ledger_found found;
	struct kw_ledger *ledger = open_ledger(directory, 500, &found);
	uint64_t due = 0;

	(void)state;
	kw_ledger_close_by_caller(ledger);
	for (uint64_t sequence = 1; kw_ledger_segment(ledger) <= 1; sequence++) {
		append_plain(ledger, sequence);
		if (due == 0 && kw_ledger_segment_is_due(ledger, RECORDED_NS, 0))
			due = sequence;
		assert_in_range(sequence, 1, 10);
	}
	assert_int_equal(due, 3);
	assert_int_equal(kw_ledger_segment(ledger), 6);
	kw_ledger_free(ledger);
	support_remove(directory);
}

static void test_pack(void **state)
{
	static const char packed[] = "00000000000000000004.jsonl.zst";
	char *directory = support_directory(), path[512];
	atomic_bool stop = true;
	struct kw_bytes before;
	int fd;

	(void)state;
	fill(directory, 9);
	before = slurp(directory, second);
	fd = open_directory(directory);
	/* Stopped: as if nothing had been. */
	assert_int_equal(kw_pack_segment(fd, 4, &stop), -ECANCELED);
	assert_int_equal(size_of(directory, packed), -1);
	stop = false;
	/* A crash before the rename, and one before the plain one went. */
	append_raw(directory, "00000000000000000004.jsonl.zst.packing", "half", 4);
	append_raw(directory, packed, "of an earlier try", 17);
	assert_int_equal(kw_pack_segment(fd, 4, &stop), 0);
	assert_int_equal(size_of(directory, second), -1);
	assert_int_equal(size_of(directory, "00000000000000000004.jsonl.zst.packing"), -1);
	assert_in_range(size_of(directory, packed), 50, before.length - 1);
	assert_int_equal(kw_pack_segment(fd, 4, &stop), -ENOENT);
	(void)close(fd);
	{
		struct kw_unpack *unpack = NULL;
		char text[2048];
		size_t have = 0;
		ssize_t got;

		path_of(path, directory, packed);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(kw_unpack_new(fd, &unpack), 0);
		while ((got = kw_unpack_read(unpack, text + have, sizeof(text) - have)) > 0)
			have += (size_t)got;
		assert_int_equal(got, 0);
		assert_int_equal(have, before.length);
		assert_memory_equal(text, before.data, have);
		kw_unpack_free(unpack);
		(void)close(fd);
	}
	kw_bytes_done(&before);
	support_remove(directory);
}

static int propose(const char *directory, const struct kw_archive_policy *policy, uint64_t real_ns,
		   struct kw_archive_removal *removal)
{
	int fd = open_directory(directory);
	/* Segments 1, 4 and 7 are closed. */
	int r = kw_archive_propose(fd, policy, 10, real_ns, removal);

	(void)close(fd);
	return r;
}

static void test_what_is_surplus(void **state)
{
	char *directory = support_directory();
	struct kw_archive_policy policy = { .retain_bytes = 1 << 20 };
	struct kw_archive_removal removal;

	(void)state;
	fill(directory, 12);
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &removal), 0);
	policy.retain_bytes = (uint64_t)(4 * size_of(directory, FIRST_SEGMENT)) - 1;
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &removal), 1);
	assert_int_equal(removal.first, 1);
	assert_int_equal(removal.last, 3);
	assert_int_equal(removal.unread, 0);
	assert_int_equal(removal.bytes, size_of(directory, FIRST_SEGMENT));
	assert_int_equal(removal.tree.tree.size, 3);
	policy = (struct kw_archive_policy){ .retain_age_ns = 10 * SECOND };
	assert_int_equal(propose(directory, &policy, RECORDED_NS + 9 * SECOND, &removal), 0);
	assert_int_equal(propose(directory, &policy, RECORDED_NS - 99 * SECOND, &removal), 0);
	assert_int_equal(propose(directory, &policy, RECORDED_NS + 11 * SECOND, &removal), 1);
	support_remove(directory);
}

/* A reader that has not passed the segment holds it; so does one whose file nobody understands. */
static void test_readers(void **state)
{
	char *directory = support_directory(), path[512];
	struct kw_archive_policy policy = { .retain_bytes = 1 };
	struct kw_archive_removal removal;

	(void)state;
	fill(directory, 12);
	assert_int_equal(kw_reader_keep(directory, "fast", 12), 0);
	assert_int_equal(kw_reader_keep(directory, "slow", 2), 0);
	assert_int_equal(kw_reader_keep(directory, "../head", 2), -EINVAL);
	assert_int_equal(kw_reader_keep(directory, "", 2), -EINVAL);
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &removal), 0);
	policy.force = true;
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &removal), 1);
	assert_int_equal(removal.unread, 1);
	assert_string_equal(removal.reader, "slow");
	policy.force = false;
	assert_int_equal(kw_reader_keep(directory, "slow", 3), 0);
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &removal), 1);
	assert_int_equal(removal.unread, 0);
	path_of(path, directory, "cursors");
	support_write(path, "broken", "12");
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &removal), 0);
	assert_int_equal(kw_reader_forget(directory, "broken"), 0);
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &removal), 1);
	support_remove(directory);
}

/* One after the other, plain or compressed; the one that is written stays, and a tree over all is kept. */
static void test_removal(void **state)
{
	char *directory = support_directory();
	struct kw_archive_policy policy = { .retain_bytes = 1 };
	struct kw_archive_removal removal;
	unsigned char roots[2][KW_TREE_HASH_BYTES];
	struct kw_attest_tree base, whole;
	atomic_bool stop = false;
	int fd;

	(void)state;
	fill(directory, 12);
	fd = open_directory(directory);
	assert_int_equal(kw_pack_segment(fd, 4, &stop), 0);
	kw_attest_tree_init(&whole);
	for (uint64_t sequence = 1; sequence <= 9; sequence++) {
		char text[LINE_BYTES];
		size_t length =
			make_line(text, sequence, KW_TYPE_CGROUP, "\"n\":18446744073709551615");

		kw_attest_tree_add(&whole, text, length - 1);
	}
	assert_int_equal(kw_archive_read_base(fd, &base), -ENOENT);
	for (uint64_t first = 1; first <= 7; first += 3) {
		assert_int_equal(propose(directory, &policy, RECORDED_NS, &removal), 1);
		assert_int_equal(removal.first, first);
		assert_int_equal(removal.last, first + 2);
		assert_int_equal(kw_archive_remove_now(fd, &removal), 0);
	}
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &removal), 0);
	assert_int_equal(size_of(directory, FIRST_SEGMENT), -1);
	assert_int_equal(size_of(directory, second), -1);
	assert_true(size_of(directory, "00000000000000000010.jsonl") > 0);
	assert_int_equal(kw_archive_read_base(fd, &base), 0);
	kw_tree_root(&base.tree, roots[0]);
	kw_tree_root(&whole.tree, roots[1]);
	assert_memory_equal(roots[0], roots[1], sizeof(roots[0]));
	assert_memory_equal(base.first, whole.first, sizeof(base.first));
	assert_memory_equal(base.last, whole.last, sizeof(base.last));
	(void)close(fd);
	support_remove(directory);
}

/* Killed behind "base": the segment was declared, so it goes, and nothing is declared twice. Killed before it:
 * it is proposed again. */
static void test_crashes(void **state)
{
	char *directory = support_directory();
	struct kw_archive_policy policy = { .retain_bytes = 1 };
	struct kw_archive_removal removal, again;
	struct kw_bytes text;
	int fd;

	(void)state;
	fill(directory, 12);
	fd = open_directory(directory);
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &removal), 1);
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &again), 1);
	assert_int_equal(again.last, removal.last);
	kw_bytes_init(&text, 8192);
	kw_attest_tree_write(&removal.tree, &text);
	assert_int_equal(kw_file_replace(fd, "base", text.data, text.length, 0600), 0);
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &again), 0);
	assert_int_equal(size_of(directory, FIRST_SEGMENT), -1);
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &again), 1);
	assert_int_equal(again.first, 4);
	/* Removed by somebody else: that is not to be declared as ours. */
	kw_bytes_done(&text);
	assert_int_equal(unlinkat(fd, second, 0), 0);
	assert_int_equal(propose(directory, &policy, RECORDED_NS, &again), -ENODATA);
	(void)close(fd);
	support_remove(directory);
}

/* The thread: compresses all but the last, proposes, and removes nothing before it was declared. */
static void test_thread(void **state)
{
	char *directory = support_directory();
	struct kw_archive_policy policy = { .compress = true, .retain_bytes = 1 };
	struct kw_archive_removal removal;
	struct kw_archive *archive = NULL;

	(void)state;
	fill(directory, 12);
	assert_int_equal(kw_archive_start(directory, &policy, &archive), 0);
	assert_false(kw_archive_proposal(archive, &removal));
	for (int i = 0; i < 2; i++) {
		kw_archive_look(archive, 10, RECORDED_NS);
		kw_archive_wait(archive);
		assert_int_equal(kw_archive_error(archive), 0);
		assert_true(kw_archive_proposal(archive, &removal));
		assert_int_equal(removal.last, 3);
	}
	assert_int_equal(size_of(directory, FIRST_SEGMENT), -1);
	assert_true(size_of(directory, "00000000000000000001.jsonl.zst") > 0);
	assert_true(size_of(directory, "00000000000000000007.jsonl.zst") > 0);
	assert_true(size_of(directory, "00000000000000000010.jsonl") > 0);
	kw_archive_declared(archive);
	kw_archive_wait(archive);
	assert_int_equal(size_of(directory, "00000000000000000001.jsonl.zst"), -1);
	assert_true(kw_archive_proposal(archive, &removal)); /* the next */
	assert_int_equal(removal.first, 4);
	kw_archive_declared(archive); /* at the end of the daemon: carried out still */
	kw_archive_free(archive);
	assert_int_equal(size_of(directory, "00000000000000000004.jsonl.zst"), -1);
	assert_true(size_of(directory, "00000000000000000007.jsonl.zst") > 0);
	support_remove(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(test_closed_by_age), support_test(test_closed_by_size),
		support_test(test_pack),	  support_test(test_what_is_surplus),
		support_test(test_readers),	  support_test(test_removal),
		support_test(test_crashes),	  support_test(test_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
