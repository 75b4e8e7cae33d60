/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How much of libsodium's bare signing rate is left when a finding becomes an appended ledger line:
 * canonical JSON, digests, signature, chain, write(2). Both sides in turns within one run, so that a
 * busy machine slows both. Prints the figure, the peer's, and the ratio.
 * usage: sign DIRECTORY [SECONDS]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "user/deliver/deliver.h"

#define ROUNDS 10
#define BATCH 256

/* What libsodium signs in the peer's turn: as long as DSSE's encoding of a 32-byte payload. */
#define PEER_MESSAGE_BYTES 98

static uint64_t cpu_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * KW_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static void die(int error, const char *what)
{
	fprintf(stderr, "sign: %s: %s\n", what, strerror(-error));
	exit(3);
}

struct subject {
	struct kw_attest *attest;
	struct kw_ledger *ledger;
	struct kw_bytes line;
	const struct kw_finding *finding;
};

static void append_batch(struct subject *subject)
{
	for (int i = 0; i < BATCH; i++) {
		uint64_t sequence = kw_attest_head(subject->attest).sequence + 1;
		int r = kw_attest_finding(subject->attest, subject->finding, &subject->line);

		if (r == 0)
			r = kw_ledger_append(subject->ledger, sequence, subject->line.data,
					     subject->line.length);
		if (r < 0)
			die(r, "cannot append");
		kw_attest_commit(subject->attest);
	}
}

static void sign_batch(const struct kw_key *key)
{
	unsigned char message[PEER_MESSAGE_BYTES] = { 0 }, signature[64];

	for (int i = 0; i < BATCH; i++) {
		message[0] = (unsigned char)i;
		if (kw_key_sign(key, message, sizeof(message), signature) < 0)
			die(-EINVAL, "cannot sign");
	}
}

static void bare_batch(const unsigned char *secret)
{
	unsigned char message[PEER_MESSAGE_BYTES] = { 0 }, signature[64];

	for (int i = 0; i < BATCH; i++) {
		message[0] = (unsigned char)i;
		(void)crypto_sign_detached(signature, NULL, message, sizeof(message), secret);
	}
}

static void measure(struct subject *subject, const struct kw_key *key, const char *what,
		    double seconds)
{
	unsigned char public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
	uint64_t ours = 0, peer = 0, key_only = 0, signed_lines = 0, bare = 0, by_key = 0;
	uint64_t slice = (uint64_t)(seconds * 1e9 / ROUNDS / 2);

	crypto_sign_keypair(public, secret);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = cpu_ns(), now;

		for (now = start; now - start < slice; now = cpu_ns(), signed_lines += BATCH)
			append_batch(subject);
		ours += now - start;
		start = cpu_ns();
		for (now = start; now - start < slice; now = cpu_ns(), bare += BATCH)
			bare_batch(secret);
		peer += now - start;
		start = cpu_ns();
		for (now = start; now - start < slice / 8; now = cpu_ns(), by_key += BATCH)
			sign_batch(key);
		key_only += now - start;
	}
	double our_rate = (double)signed_lines * 1e9 / (double)ours;
	double peer_rate = (double)bare * 1e9 / (double)peer;

	printf("sign-and-append %-12s %5zu bytes/line: %8.0f events/s   libsodium bare: %8.0f/s   ratio %.2f   (locked key alone: %.0f/s)\n",
	       what, subject->line.length, our_rate, peer_rate, our_rate / peer_rate,
	       (double)by_key * 1e9 / (double)key_only);
}

static void fill_path(struct kw_identity *identity, const char *path, uint64_t id)
{
	*identity = (struct kw_identity){ .known = true, .id = id };
	(void)snprintf(identity->path, sizeof(identity->path), "%s", path);
}

static struct kw_gate_message guest = { .kind = KW_GATE_FRAME,
					.content_version = 0x100,
					.guest_pid = 42,
					.guest_monotonic_ns = 123456789,
					.comm_bytes = 4,
					.comm = "bash",
					.probe_bytes = 15,
					.probe_source = "process.spawned" };
static struct kw_record_oom_kill kill = {
	.header = { .version = KW_RECORD_VERSION,
		    .kind = KW_RECORD_OOM_KILL,
		    .number = 1,
		    .hook = KW_HOOK_RAW_TP_MARK_VICTIM },
	.oom = { .incident = 1,
		 .flags = KW_OOM_OWNER_KNOWN,
		 .constraint = 3,
		 .limit_pages = 4096,
		 .trigger = { .tgid = 10, .tid = 10, .comm = "hog" },
		 .owner_state = { .flags = KW_MEMCG_KNOWN } },
	.victim = { .task = { .tgid = 10, .tid = 10, .comm = "hog" }, .flags = KW_VICTIM_MM_KNOWN },
	.member = 1,
};

int main(int argc, char **argv)
{
	static struct kw_attributed attributed;
	struct kw_observation observation = { .received_real_ns = 1795400000ULL * KW_NSEC_PER_SEC };
	struct kw_finding finding = { .attributed = &attributed,
				      .incident_id = "00000000-0000-8000-8000-000000000000" };
	struct kw_attest_options options = { .source = "/kwitness/bench",
					     .clock = &kw_clock_system };
	unsigned char seed[32] = { 1 };
	struct kw_key *key = NULL;
	struct kw_ledger_found found;
	struct subject subject = { .finding = &finding };
	double seconds = argc > 2 ? atof(argv[2]) : 3;
	int r;

	if (argc < 2) {
		fputs("usage: sign DIRECTORY [SECONDS]\n", stderr);
		return 2;
	}
	kw_bytes_init(&subject.line, KW_EVENT_MAX);
	r = kw_key_from_seed(seed, "bench", &key);
	options.key = key;
	if (r == 0)
		r = kw_ledger_open(argv[1], 1ULL << 30, &subject.ledger, &found);
	if (r == 0)
		options.head = found.head;
	if (r == 0)
		r = kw_attest_open(&options, &subject.attest);
	if (r < 0)
		die(r, "cannot set up");
	attributed.observation = &observation;
	attributed.has_cell = true;
	(void)snprintf(attributed.cell.cell_id, sizeof(attributed.cell.cell_id), "cell-1");
	(void)snprintf(attributed.cell.run_id, sizeof(attributed.cell.run_id), "run-1");
	finding.kind = KW_FINDING_GUEST;
	observation.kind = KW_OBSERVATION_GUEST;
	observation.guest = &guest;
	measure(&subject, key, "guest frame", seconds);
	finding.kind = KW_FINDING_OOM_KILL;
	observation.kind = KW_OBSERVATION_OOM_KILL;
	observation.kill = &kill;
	observation.hook = KW_HOOK_RAW_TP_MARK_VICTIM;
	fill_path(&attributed.victim, "/kubepods.slice/kubepods-burstable.slice/web", 11);
	fill_path(&attributed.owner, "/kubepods.slice", 12);
	fill_path(&attributed.trigger, "/kubepods.slice/kubepods-burstable.slice/web", 11);
	measure(&subject, key, "oom_kill", seconds);
	kw_attest_free(subject.attest);
	kw_ledger_free(subject.ledger);
	kw_key_free(key);
	kw_bytes_done(&subject.line);
	return 0;
}
