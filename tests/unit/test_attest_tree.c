/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tree beside the chain: it grows with committed lines only, and its text is read back strictly. */
#include "test_attest_findings.h"

#define LINES 13

static struct kw_attest_tree tree_of(const struct kw_bytes *lines, unsigned int count)
{
	struct kw_attest_tree tree;

	kw_attest_tree_init(&tree);
	for (unsigned int i = 0; i < count; i++)
		kw_attest_tree_add(&tree, lines[i].data, lines[i].length - 1);
	return tree;
}

static void expect_same(const struct kw_attest_tree *left, const struct kw_attest_tree *right)
{
	unsigned char left_root[32], right_root[32];

	kw_tree_root(&left->tree, left_root);
	kw_tree_root(&right->tree, right_root);
	assert_int_equal(left->tree.size, right->tree.size);
	assert_memory_equal(left_root, right_root, 32);
	assert_memory_equal(left->first, right->first, 32);
	assert_memory_equal(left->last, right->last, 32);
}

/* A head that was read goes on to the same tree as lines that were all read. */
static void it_goes_on_from_its_text(void **state)
{
	struct kw_bytes lines[LINES], text;

	(void)state;
	sample_ledger(LINES, lines);
	kw_bytes_init(&text, 8192);
	for (unsigned int size = 1; size <= LINES; size++) {
		struct kw_attest_tree tree = tree_of(lines, size), all = tree_of(lines, LINES),
				      read;

		kw_bytes_clear(&text);
		kw_attest_tree_write(&tree, &text);
		assert_int_equal(kw_attest_tree_read(text.data, text.length, &read), 0);
		expect_same(&read, &tree);
		for (unsigned int i = size; i < LINES; i++)
			kw_attest_tree_add(&read, lines[i].data, lines[i].length - 1);
		expect_same(&read, &all);
	}
	kw_bytes_done(&text);
	for (int i = 0; i < LINES; i++)
		kw_bytes_done(&lines[i]);
}

static void a_changed_text_is_refused(void **state)
{
	struct kw_attest_tree tree, read;
	struct kw_bytes lines[LINES], text;

	(void)state;
	sample_ledger(LINES, lines);
	kw_bytes_init(&text, 8192);
	tree = tree_of(lines, LINES);
	kw_attest_tree_write(&tree, &text);
	/* All but first and last, which the root says nothing about. */
	for (size_t i = 0; i < text.length; i++) {
		bool is_first = i >= (size_t)(strstr(text.data, "first ") + 6 - text.data);
		bool is_peak = i >= (size_t)(strstr(text.data, "peak ") - text.data);

		assert_int_equal(kw_attest_tree_read(text.data, i, &read), -EBADMSG);
		if (is_first && !is_peak)
			continue;
		text.data[i] ^= 1;
		assert_int_equal(kw_attest_tree_read(text.data, text.length, &read), -EBADMSG);
		text.data[i] ^= 1;
	}
	kw_bytes_append_char(&text, '\n');
	assert_int_equal(kw_attest_tree_read(text.data, text.length, &read), -EBADMSG);
	kw_bytes_done(&text);
	for (int i = 0; i < LINES; i++)
		kw_bytes_done(&lines[i]);
}

/* A line that was not kept is no leaf. */
static void only_committed_lines_are_leaves(void **state)
{
	struct kw_attest_options options = { .source = SAMPLE_SOURCE };
	struct kw_checkpoint checkpoint = { .reason = KW_CHECKPOINT_STOP };
	struct kw_attest *attest = NULL;
	struct kw_attest_tree expected, ahead;
	struct kw_key *key = NULL;
	struct kw_finding finding;
	struct kw_bytes line;
	struct sample sample;

	(void)state;
	assert_int_equal(kw_key_from_seed(sample_seed(), SAMPLE_KID, &key), 0);
	sample_init(&sample);
	options.key = key;
	options.clock = &sample.clock;
	kw_bytes_init(&line, KW_EVENT_MAX);
	assert_int_equal(kw_attest_open(&options, &attest), 0);
	finding = sample_gap(&sample, KW_GAP_START, "one");
	assert_int_equal(kw_attest_finding(attest, &finding, &line), 0);
	assert_int_equal(kw_attest_current_tree(attest)->tree.size, 0);
	/* Nothing is committed: there is nothing to make a checkpoint of. */
	checkpoint.tree = kw_attest_current_tree(attest);
	assert_int_equal(kw_attest_checkpoint(attest, &checkpoint, &line), -ENODATA);
	assert_int_equal(line.length, 0);
	assert_int_equal(kw_attest_finding(attest, &finding, &line), 0);
	kw_attest_commit(attest);
	expected = tree_of(&line, 1);
	expect_same(kw_attest_current_tree(attest), &expected);
	assert_int_equal(kw_attest_checkpoint(attest, &checkpoint, &line), 0);
	assert_non_null(strstr(line.data, "\"reason\":\"stop\",\"root\":\""));
	assert_non_null(strstr(line.data, "\"size\":1,\"totals\":{\"explained\":0,"));
	/* Of lines that are not there yet. */
	ahead = expected;
	kw_attest_tree_add(&ahead, "x", 1);
	checkpoint.tree = &ahead;
	assert_int_equal(kw_attest_checkpoint(attest, &checkpoint, &line), -EINVAL);
	kw_attest_free(attest);
	/* A tree that does not go with the chain. */
	options.tree = &expected;
	options.head.sequence = 2;
	assert_int_equal(kw_attest_open(&options, &attest), -EINVAL);
	options.tree = NULL;
	assert_int_equal(kw_attest_open(&options, &attest), 0);
	assert_null(kw_attest_current_tree(attest));
	kw_attest_free(attest);
	kw_bytes_done(&line);
	kw_key_free(key);
}

static void an_origin_is_a_name_that_can_sign(void **state)
{
	char origin[KW_ORIGIN_MAX];
	struct kw_attest_tree tree;

	(void)state;
	kw_attest_tree_init(&tree);
	assert_int_equal(kw_checkpoint_origin("/kwitness/a", &tree, origin), -ENODATA);
	kw_attest_tree_add(&tree, "line", 4);
	assert_int_equal(kw_checkpoint_origin("/kwitness/a", &tree, origin), 0);
	/* SHA-256("line"), by sha256sum. */
	assert_string_equal(origin, "kwitness/a/38a9c1e721584da2");
	assert_int_equal(kw_checkpoint_origin("/kwitness/a b", &tree, origin), -EINVAL);
	assert_int_equal(kw_checkpoint_origin("/kwitness/a+b", &tree, origin), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(it_goes_on_from_its_text),
		support_test(a_changed_text_is_refused),
		support_test(only_committed_lines_are_leaves),
		support_test(an_origin_is_a_name_that_can_sign),
	};

	return cmocka_run_group_tests_name("attest_tree", tests, NULL, NULL);
}
