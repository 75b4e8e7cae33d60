/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Roots and proofs against tests/vectors/tree, which node computes by RFC 6962's recursive definitions. */
#include "support.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/tree.h"

#define VECTORS "tests/vectors/tree/vectors.txt"
#define LEAVES 1100

static unsigned char leaves[LEAVES][KW_TREE_HASH_BYTES];

static void hash(const struct kw_tree_piece *pieces, size_t count,
		 unsigned char ret_hash[static KW_TREE_HASH_BYTES])
{
	crypto_hash_sha256_state state;

	(void)crypto_hash_sha256_init(&state);
	for (size_t i = 0; i < count; i++)
		(void)crypto_hash_sha256_update(&state, pieces[i].data, pieces[i].length);
	(void)crypto_hash_sha256_final(&state, ret_hash);
}

static int setup(void **state)
{
	char text[32];

	(void)state;
	for (int i = 0; i < LEAVES; i++) {
		int length = snprintf(text, sizeof(text), "leaf %d", i);

		kw_tree_leaf(hash, text, (size_t)length, leaves[i]);
	}
	return sodium_init() < 0 ? -1 : 0;
}

static void grow(struct kw_tree *tree, uint64_t size, struct kw_tree_path *path)
{
	kw_tree_init(tree, hash);
	for (uint64_t i = 0; i < size; i++)
		kw_tree_append(tree, leaves[i], path);
	assert_int_equal(tree->size, size);
}

static void check_root(char *line)
{
	unsigned char root[KW_TREE_HASH_BYTES];
	char hex[2 * KW_TREE_HASH_BYTES + 1], expected[80];
	struct kw_tree tree;
	unsigned int size;

	assert_int_equal(sscanf(line, "root %u %79s", &size, expected), 2);
	grow(&tree, size, NULL);
	kw_tree_root(&tree, root);
	sodium_bin2hex(hex, sizeof(hex), root, sizeof(root));
	assert_string_equal(hex, expected);
}

/* The proof is the vector's, leads to the root, and nothing near it does. */
static void check_path(char *line)
{
	unsigned char proof[KW_TREE_LEVELS][KW_TREE_HASH_BYTES], root[KW_TREE_HASH_BYTES];
	char hex[2 * KW_TREE_HASH_BYTES + 1], *word;
	struct kw_tree_path path = { 0 };
	struct kw_tree tree;
	uint64_t size;
	size_t count;

	(void)strtok(line, " \n");
	path.index = strtoull(strtok(NULL, " \n"), NULL, 10);
	size = strtoull(strtok(NULL, " \n"), NULL, 10);
	grow(&tree, size, &path);
	kw_tree_root(&tree, root);
	count = kw_tree_prove(&tree, &path, proof);
	for (size_t i = 0; i < count; i++) {
		word = strtok(NULL, " \n");
		assert_non_null(word);
		sodium_bin2hex(hex, sizeof(hex), proof[i], sizeof(proof[i]));
		assert_string_equal(hex, word);
	}
	assert_null(strtok(NULL, " \n"));
	assert_true(
		kw_tree_includes(hash, path.index, size, leaves[path.index], proof, count, root));
	assert_false(kw_tree_includes(hash, path.index, size, leaves[path.index + 1], proof, count,
				      root));
	for (uint64_t other = 0; other < size; other++)
		assert_int_equal(
			kw_tree_includes(hash, other, size, leaves[path.index], proof, count, root),
			other == path.index);
	assert_false(kw_tree_includes(hash, size, size, leaves[path.index], proof, count, root));
	assert_false(kw_tree_includes(hash, 0, 0, leaves[path.index], proof, count, root));
	if (count == 0)
		return;
	assert_false(kw_tree_includes(hash, path.index, size, leaves[path.index], proof, count - 1,
				      root));
	proof[count / 2][7] ^= 1;
	assert_false(
		kw_tree_includes(hash, path.index, size, leaves[path.index], proof, count, root));
}

static void it_is_the_tree_of_the_vectors(void **state)
{
	FILE *file = fopen(VECTORS, "re");
	unsigned int roots = 0, paths = 0;
	char line[4096];

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "root ", 5) == 0) {
			check_root(line);
			roots++;
		} else {
			check_path(line);
			paths++;
		}
	}
	assert_int_equal(fclose(file), 0);
	assert_int_equal(roots, 48);
	assert_int_equal(paths, 162);
}

/* Every leaf of every size proves, at that size and at no other. */
static void every_leaf_proves(void **state)
{
	unsigned char proof[KW_TREE_LEVELS][KW_TREE_HASH_BYTES], root[KW_TREE_HASH_BYTES];

	(void)state;
	for (uint64_t size = 1; size <= 140; size++) {
		for (uint64_t index = 0; index < size; index++) {
			struct kw_tree_path path = { .index = index };
			struct kw_tree tree;
			size_t count;

			grow(&tree, size, &path);
			kw_tree_root(&tree, root);
			count = kw_tree_prove(&tree, &path, proof);
			assert_true(kw_tree_includes(hash, index, size, leaves[index], proof, count,
						     root));
			kw_tree_append(&tree, leaves[size], NULL);
			kw_tree_root(&tree, root);
			assert_false(kw_tree_includes(hash, index, size, leaves[index], proof,
						      count, root));
		}
	}
}

static void a_leaf_beyond_the_tree_has_no_proof(void **state)
{
	unsigned char proof[KW_TREE_LEVELS][KW_TREE_HASH_BYTES];
	struct kw_tree_path path = { .index = 5 };
	struct kw_tree tree;

	(void)state;
	grow(&tree, 5, &path);
	assert_int_equal(kw_tree_prove(&tree, &path, proof), 0);
	tree.size = UINT64_MAX;
	kw_tree_append(&tree, leaves[0], NULL);
	assert_true(tree.size == UINT64_MAX);
}

/* Wherever it begins and ends, behind what stands before it a range makes the same tree. */
static void a_range_goes_on_from_anywhere(void **state)
{
	unsigned char expected[KW_TREE_HASH_BYTES], found[KW_TREE_HASH_BYTES];
	struct kw_tree whole, tree;
	struct kw_tree_range range;

	(void)state;
	for (uint64_t begin = 0; begin <= 40; begin++) {
		kw_tree_range_init(&range, hash, begin);
		for (uint64_t end = begin; end <= 40; end++) {
			grow(&whole, end, NULL);
			grow(&tree, begin, NULL);
			kw_tree_extend(&tree, &range);
			assert_int_equal(tree.size, end);
			kw_tree_root(&whole, expected);
			kw_tree_root(&tree, found);
			assert_memory_equal(found, expected, sizeof(found));
			kw_tree_range_append(&range, leaves[end]);
		}
		assert_true(range.count <= 2 * 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(it_is_the_tree_of_the_vectors),
		support_test(every_leaf_proves),
		support_test(a_leaf_beyond_the_tree_has_no_proof),
		support_test(a_range_goes_on_from_anywhere),
	};

	return cmocka_run_group_tests_name("base_tree", tests, setup, NULL);
}
