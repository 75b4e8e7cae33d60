/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Checkpoints as attest makes them, read by the verifier: good ones, and every way in which one can lie. */
#include "test_attest_findings.h"

#include <kwitness/verify.h>

#include "user/verify/verify.h"

#define KEYRING "{\"" SAMPLE_KID "\":\"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg\"}"
/* Lines of the ledger: a checkpoint after every fourth, each over all lines before it but `LAG`. */
#define LINES 23
#define LAG 2

static struct kw_bytes lines[LINES];
static struct kw_keyring *keyring;
static char first_note[KW_NOTE_MAX], last_note[KW_NOTE_MAX];

/* What the next checkpoint says; changed by a test, restored by make_ledger(). */
static struct {
	const struct kw_attest_tree *tree;
	int forged_at; /* line whose checkpoint is over this tree; -1: none */
} forge = { NULL, -1 };

static bool is_checkpoint(int line)
{
	return line > LAG && line % 5 == 4;
}

static void make_ledger(const char *source, struct kw_bytes *out)
{
	struct kw_attest_options options = { .source = source };
	struct kw_attest_tree trees[LINES + 1];
	struct kw_attest *attest = NULL;
	struct kw_key *key = NULL;
	struct sample sample;

	assert_int_equal(kw_key_from_seed(sample_seed(), SAMPLE_KID, &key), 0);
	sample_init(&sample);
	options.key = key;
	options.clock = &sample.clock;
	assert_int_equal(kw_attest_open(&options, &attest), 0);
	for (int i = 0; i < LINES; i++) {
		struct kw_finding finding = sample_finding(&sample, (unsigned)i % SAMPLE_LINES);
		struct kw_checkpoint checkpoint = { .tier = "fentry", .totals = { .kills = 3 } };

		trees[i] = *kw_attest_current_tree(attest);
		kw_bytes_init(&out[i], KW_EVENT_MAX);
		if (is_checkpoint(i)) {
			checkpoint.tree = i == forge.forged_at ? forge.tree : &trees[i - LAG];
			assert_int_equal(kw_attest_checkpoint(attest, &checkpoint, &out[i]), 0);
		} else {
			assert_int_equal(kw_attest_finding(attest, &finding, &out[i]), 0);
		}
		kw_attest_commit(attest);
	}
	assert_int_equal(kw_attest_current_tree(attest)->tree.size, LINES);
	kw_attest_free(attest);
	kw_key_free(key);
}

static void free_ledger(struct kw_bytes *ledger)
{
	for (int i = 0; i < LINES; i++)
		kw_bytes_done(&ledger[i]);
}

struct outcome {
	struct kw_verify_result result;
	char detail[KW_FAULT_COUNT_][200]; /* of the last fault of its kind */
};

static void on_fault(void *context, const struct kw_fault_report *report)
{
	struct outcome *outcome = context;

	(void)snprintf(outcome->detail[report->fault], sizeof(outcome->detail[0]), "%s",
		       report->detail);
}

static void begin(struct kw_verifier **ret_verifier, struct outcome *ret_outcome, bool partial)
{
	memset(ret_outcome, 0, sizeof(*ret_outcome));
	assert_int_equal(kw_verifier_new(keyring, partial, on_fault, ret_outcome, ret_verifier), 0);
}

static void finish(struct kw_verifier *verifier, struct outcome *outcome)
{
	assert_int_equal(kw_verifier_end_of_file(verifier), 0);
	assert_int_equal(kw_verifier_finish(verifier), 0);
	kw_verifier_result(verifier, &outcome->result);
	kw_verifier_free(verifier);
}

static void feed(struct kw_verifier *verifier, const struct kw_bytes *ledger, int from, int to)
{
	for (int i = from; i < to; i++)
		assert_int_equal(
			kw_verifier_feed(verifier, "file", ledger[i].data, ledger[i].length), 0);
}

static uint64_t count_faults(const struct outcome *outcome)
{
	uint64_t count = 0;

	for (int i = 0; i < KW_FAULT_COUNT_; i++)
		count += outcome->result.faults[i];
	return count;
}

static int setup(void **state)
{
	struct kw_verifier *verifier;
	struct outcome outcome;
	const char *reason;

	(void)state;
	if (kw_keyring_parse(KEYRING, strlen(KEYRING), &keyring, &reason) < 0)
		return -1;
	make_ledger(SAMPLE_SOURCE, lines);
	begin(&verifier, &outcome, false);
	feed(verifier, lines, 0, 5);
	finish(verifier, &outcome);
	memcpy(first_note, outcome.result.checkpoint_note, sizeof(first_note));
	begin(&verifier, &outcome, false);
	feed(verifier, lines, 0, LINES);
	finish(verifier, &outcome);
	memcpy(last_note, outcome.result.checkpoint_note, sizeof(last_note));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free_ledger(lines);
	kw_keyring_free(keyring);
	return 0;
}

static void good_ones_are_counted(void **state)
{
	struct kw_verifier *verifier;
	struct outcome outcome;

	(void)state;
	begin(&verifier, &outcome, false);
	feed(verifier, lines, 0, LINES);
	finish(verifier, &outcome);
	assert_int_equal(count_faults(&outcome), 0);
	assert_int_equal(outcome.result.checkpoints, 4);
	assert_int_equal(outcome.result.checkpoints_unchecked, 0);
	assert_int_equal(outcome.result.checkpoint_size, 17);
	assert_memory_equal(last_note, "kwitness/0123456789abcdef0123456789abcdef/", 42);
}

/* A part cannot be compared; it is said so, and is no fault. */
static void a_part_is_not_compared(void **state)
{
	struct kw_verifier *verifier;
	struct outcome outcome;

	(void)state;
	begin(&verifier, &outcome, true);
	feed(verifier, lines, 6, LINES);
	finish(verifier, &outcome);
	assert_int_equal(count_faults(&outcome), 0);
	assert_int_equal(outcome.result.checkpoints, 0);
	assert_int_equal(outcome.result.checkpoints_unchecked, 3);
}

/* A removed line: the first checkpoint behind it does not fit, and only the first one says so. */
static void a_removed_line_is_missed_by_the_next_checkpoint(void **state)
{
	struct kw_verifier *verifier;
	struct outcome outcome;

	(void)state;
	begin(&verifier, &outcome, false);
	feed(verifier, lines, 0, 7);
	feed(verifier, lines, 8, LINES);
	finish(verifier, &outcome);
	assert_int_equal(outcome.result.faults[KW_FAULT_SEQUENCE_MISSING], 1);
	assert_int_equal(outcome.result.faults[KW_FAULT_CHECKPOINT], 1);
	assert_int_equal(outcome.result.checkpoints, 2); /* the second covers seven lines only */
	assert_int_equal(outcome.result.checkpoints_unchecked, 1);
	assert_non_null(strstr(outcome.detail[KW_FAULT_CHECKPOINT], "a line from 8 to 12"));
	begin(&verifier, &outcome, false);
	feed(verifier, lines, 0, 1);
	feed(verifier, lines, 4, LINES);
	finish(verifier, &outcome);
	assert_non_null(strstr(outcome.detail[KW_FAULT_CHECKPOINT], "lines were removed"));
}

/* Signed and chained, yet false: only the tree tells. */
static void a_false_root_is_found(void **state)
{
	struct kw_bytes forged[LINES];
	struct kw_attest_tree tree;
	struct kw_verifier *verifier;
	struct outcome outcome;

	(void)state;
	kw_attest_tree_init(&tree);
	for (int i = 0; i < 7; i++)
		kw_attest_tree_add(&tree, lines[i].data, lines[i].length - (i == 6 ? 2 : 1));
	forge.tree = &tree;
	forge.forged_at = 9;
	make_ledger(SAMPLE_SOURCE, forged);
	forge.forged_at = -1;
	begin(&verifier, &outcome, false);
	feed(verifier, forged, 0, LINES);
	finish(verifier, &outcome);
	assert_int_equal(count_faults(&outcome), 1);
	assert_int_equal(outcome.result.faults[KW_FAULT_CHECKPOINT], 1);
	/* A smaller size than the checkpoint before it. */
	kw_attest_tree_init(&tree);
	kw_attest_tree_add(&tree, lines[0].data, lines[0].length - 1);
	free_ledger(forged);
	forge.forged_at = 9;
	make_ledger(SAMPLE_SOURCE, forged);
	forge.forged_at = -1;
	begin(&verifier, &outcome, false);
	feed(verifier, forged, 0, LINES);
	finish(verifier, &outcome);
	assert_int_equal(count_faults(&outcome), 1);
	assert_non_null(strstr(outcome.detail[KW_FAULT_CHECKPOINT], "or it stood elsewhere"));
	/* Of another first line: another ledger of the same host and key. */
	kw_attest_tree_init(&tree);
	kw_attest_tree_add(&tree, lines[1].data, lines[1].length - 1);
	free_ledger(forged);
	forge.forged_at = 9;
	make_ledger(SAMPLE_SOURCE, forged);
	forge.forged_at = -1;
	begin(&verifier, &outcome, false);
	feed(verifier, forged, 0, LINES);
	finish(verifier, &outcome);
	assert_int_equal(outcome.result.faults[KW_FAULT_NOTE], 1);
	assert_non_null(strstr(outcome.detail[KW_FAULT_NOTE], "another first line"));
	free_ledger(forged);
}

static void since(const char *note, int from, int to, int drop, struct outcome *ret_outcome)
{
	struct kw_verifier *verifier;
	const char *reason;

	begin(&verifier, ret_outcome, true);
	assert_int_equal(kw_verifier_set_since(verifier, "saved", note, strlen(note), &reason), 0);
	for (int i = from; i < to; i++) {
		if (i != drop)
			feed(verifier, lines, i, i + 1);
	}
	finish(verifier, ret_outcome);
}

static void a_ledger_extends_its_earlier_checkpoint(void **state)
{
	struct outcome outcome;

	(void)state;
	since(first_note, 0, LINES, -1, &outcome);
	assert_int_equal(count_faults(&outcome), 0);
	since(last_note, 0, LINES, -1, &outcome);
	assert_int_equal(count_faults(&outcome), 0);
	since(last_note, 0, 17, -1, &outcome); /* exactly what it covers */
	assert_int_equal(count_faults(&outcome), 0);
	since(last_note, 0, 16, -1, &outcome); /* whole lines cut off: nothing else shows it */
	assert_int_equal(count_faults(&outcome), 1);
	assert_int_equal(outcome.result.faults[KW_FAULT_SINCE], 1);
	assert_non_null(strstr(outcome.detail[KW_FAULT_SINCE], "cut off or rolled back"));
	since(first_note, 0, LINES, 1, &outcome);
	assert_int_equal(outcome.result.faults[KW_FAULT_SINCE], 1);
	assert_non_null(strstr(outcome.detail[KW_FAULT_SINCE], "another ledger"));
}

static void refuse_note(const char *note, size_t length, const char *why)
{
	struct kw_verifier *verifier;
	struct outcome outcome;
	const char *reason = NULL;

	begin(&verifier, &outcome, false);
	assert_int_equal(kw_verifier_set_since(verifier, "saved", note, length, &reason), -EBADMSG);
	if (!strstr(reason, why))
		fail_msg("\"%s\" instead of \"%s\"", reason, why);
	kw_verifier_free(verifier);
}

static void a_note_is_read_strictly(void **state)
{
	static const char other[] = "\xe2\x80\x94 witness.example AAAAAAAA\n";
	char note[2 * KW_NOTE_MAX];
	size_t length = strlen(first_note);
	struct outcome outcome;

	(void)state;
	for (size_t i = 0; i < length; i++) {
		memcpy(note, first_note, length);
		note[i] ^= 1;
		refuse_note(note, length, "");
		refuse_note(first_note, i, "");
	}
	refuse_note("", 0, "three lines");
	(void)snprintf(note, sizeof(note), "%.*s",
		       (int)(strstr(first_note, "\n\n") + 2 - first_note), first_note);
	refuse_note(note, strlen(note), "no signature");
	/* Witnesses' lines are passed over; alone they are not enough. */
	(void)snprintf(note + strlen(note), sizeof(note) - strlen(note), "%s", other);
	refuse_note(note, strlen(note), "no signature");
	(void)snprintf(note, sizeof(note), "%s%s", first_note, other);
	since(note, 0, LINES, -1, &outcome);
	assert_int_equal(count_faults(&outcome), 0);
}

/* ---- proofs ---- */

static int prove(const char *wanted, struct kw_bytes *out)
{
	struct kw_prover *prover = NULL;
	int r = 0;

	kw_bytes_init(out, 1 << 20);
	assert_int_equal(kw_prover_new(wanted, &prover), 0);
	for (int i = 0; r == 0 && i < LINES; i++)
		r = kw_prover_feed(prover, lines[i].data, lines[i].length - 1);
	assert_true(r >= 0);
	if (r == 1)
		assert_int_equal(kw_prover_append(prover, out), 0);
	else
		assert_int_equal(kw_prover_append(prover, out), -ENODATA);
	kw_prover_free(prover);
	return r;
}

static void each_covered_line_is_proved(void **state)
{
	struct kw_proof_result result;
	struct kw_bytes proof;
	const char *reason;
	char wanted[64], id[64];

	(void)state;
	for (int i = 1; i <= 17; i++) {
		(void)snprintf(wanted, sizeof(wanted), "%d", i);
		assert_int_equal(prove(wanted, &proof), 1);
		assert_int_equal(
			kw_proof_verify(keyring, proof.data, proof.length, &result, &reason), 0);
		assert_int_equal(result.sequence, i);
		assert_string_equal(result.key_id, SAMPLE_KID);
		memcpy(id, result.id, sizeof(id));
		kw_bytes_done(&proof);
		assert_int_equal(prove(id, &proof), 1);
		assert_int_equal(
			kw_proof_verify(keyring, proof.data, proof.length, &result, &reason), 0);
		assert_string_equal(result.id, id);
		kw_bytes_done(&proof);
	}
	assert_int_equal(prove("18", &proof), 0);
	kw_bytes_done(&proof);
	assert_int_equal(prove("none", &proof), 0);
	kw_bytes_done(&proof);
}

/* No bit of a proof can be changed, and no byte left out. */
static void hash_pieces(const struct kw_tree_piece *pieces, size_t count,
			unsigned char ret_hash[static KW_TREE_HASH_BYTES])
{
	crypto_hash_sha256_state hash;

	(void)crypto_hash_sha256_init(&hash);
	for (size_t i = 0; i < count; i++)
		(void)crypto_hash_sha256_update(&hash, pieces[i].data, pieces[i].length);
	(void)crypto_hash_sha256_final(&hash, ret_hash);
}

/* With the tree and the siblings from elsewhere the proof is the same; whoever gives wrong ones is found out. */
static void a_proof_goes_on_from_a_tree(void **state)
{
	(void)state;
	for (int i = 0; i < 17; i++) {
		struct kw_tree_path path = { .index = (uint64_t)i };
		unsigned char leaf[KW_TREE_HASH_BYTES];
		struct kw_prover *prover = NULL;
		struct kw_bytes whole, proof;
		struct kw_tree tree;
		char wanted[16];
		int next = i + 1, r = 0;

		(void)snprintf(wanted, sizeof(wanted), "%d", i + 1);
		assert_int_equal(prove(wanted, &whole), 1);
		assert_int_equal(kw_proof_holds(whole.data, whole.length), 1);
		kw_tree_init(&tree, hash_pieces);
		for (int j = 0; j <= i; j++) {
			kw_tree_leaf(hash_pieces, lines[j].data, lines[j].length - 1, leaf);
			kw_tree_append(&tree, leaf, &path);
		}
		assert_int_equal(kw_prover_new(wanted, &prover), 0);
		path.index++;
		assert_int_equal(
			kw_prover_resume(prover, &tree, &path, lines[i].data, lines[i].length - 1),
			0);
		path.index--;
		assert_false(kw_prover_found(prover));
		assert_int_equal(
			kw_prover_resume(prover, &tree, &path, lines[i].data, lines[i].length - 1),
			1);
		while (r == 0 && next < LINES) {
			r = kw_prover_feed(prover, lines[next].data, lines[next].length - 1);
			next++;
		}
		assert_int_equal(r, 1);
		kw_bytes_init(&proof, 1 << 20);
		assert_int_equal(kw_prover_append(prover, &proof), 0);
		assert_int_equal(proof.length, whole.length);
		assert_memory_equal(proof.data, whole.data, whole.length);
		kw_prover_free(prover);
		kw_bytes_done(&proof);
		/* The line, a sibling, the root: a character of each. */
		for (size_t at = 40; at < whole.length && i == 3; at += 7) {
			char kept = whole.data[at];

			whole.data[at] = kept == 'A' ? 'B' : 'A';
			r = kw_proof_holds(whole.data, whole.length);
			assert_true(r == 0 ||
				    (r == 1 && strstr(whole.data, "\n\n") &&
				     at > (size_t)(strstr(whole.data, "\n\n") - whole.data)));
			whole.data[at] = kept;
		}
		kw_bytes_done(&whole);
	}
}

static void a_changed_proof_proves_nothing(void **state)
{
	struct kw_proof_result result;
	struct kw_bytes proof;
	const char *reason;

	(void)state;
	assert_int_equal(prove("6", &proof), 1);
	for (size_t i = 0; i < proof.length; i++) {
		proof.data[i] ^= 1;
		assert_int_equal(
			kw_proof_verify(keyring, proof.data, proof.length, &result, &reason), 1);
		proof.data[i] ^= 1;
		assert_int_equal(kw_proof_verify(keyring, proof.data, i, &result, &reason), 1);
	}
	assert_int_equal(kw_proof_verify(keyring, proof.data, proof.length, &result, &reason), 0);
	kw_bytes_done(&proof);
}

/* A signed tree with two lines in each other's place: they are in it, and yet not where they say. */
static void a_line_in_another_place_is_not_proved(void **state)
{
	static const int order[] = { 0, 1, 2, 3, 4, 6, 5, 7, 8, 9 };
	struct kw_bytes forged[LINES], proof;
	struct kw_proof_result result;
	struct kw_prover *prover = NULL;
	struct kw_attest_tree tree;
	const char *reason = NULL;
	int r = 0;

	(void)state;
	kw_attest_tree_init(&tree);
	for (int i = 0; i < 7; i++)
		kw_attest_tree_add(&tree, lines[order[i]].data, lines[order[i]].length - 1);
	forge.tree = &tree;
	forge.forged_at = 9;
	make_ledger(SAMPLE_SOURCE, forged);
	forge.forged_at = -1;
	kw_bytes_init(&proof, 1 << 20);
	assert_int_equal(kw_prover_new("6", &prover), 0);
	for (int i = 0; r == 0 && i < 10; i++)
		r = kw_prover_feed(prover, forged[order[i]].data, forged[order[i]].length - 1);
	assert_int_equal(r, 1);
	assert_int_equal(kw_prover_append(prover, &proof), 0);
	assert_int_equal(kw_proof_verify(keyring, proof.data, proof.length, &result, &reason), 1);
	assert_non_null(strstr(reason, "not its place"));
	kw_prover_free(prover);
	free_ledger(forged);
	kw_bytes_done(&proof);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		support_test(good_ones_are_counted),
		support_test(a_part_is_not_compared),
		support_test(a_removed_line_is_missed_by_the_next_checkpoint),
		support_test(a_false_root_is_found),
		support_test(a_ledger_extends_its_earlier_checkpoint),
		support_test(a_note_is_read_strictly),
		support_test(each_covered_line_is_proved),
		support_test(a_proof_goes_on_from_a_tree),
		support_test(a_changed_proof_proves_nothing),
		support_test(a_line_in_another_place_is_not_proved),
	};

	return cmocka_run_group_tests_name("verify_checkpoint", tests, setup, teardown);
}
