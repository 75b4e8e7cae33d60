/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A line's form, signature, digest and hashes hang on nothing but its bytes and the keyring, and they
 * are nearly all of the work: they are computed for a batch of lines, by several threads when asked.
 * Everything that hangs on the order of lines is done afterwards by one thread, line by line, so what
 * is reported cannot depend on how many computed it. Memory is that of one batch.
 */
#include "user/verify/batch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "user/verify/note.h"
#include "user/verify/sha256.h"

struct kw_batch {
	const struct kw_keyring *keyring;
	struct kw_checked lines[KW_BATCH_MAX];
	size_t count;
	atomic_size_t next; /* line that nobody has taken yet */

	pthread_t threads[KW_VERIFY_THREADS_MAX - 1];
	unsigned int thread_count;
	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t begin;
	pthread_cond_t done;
	uint64_t round;	      /* one more for each batch */
	unsigned int working; /* threads that have not finished this round */
	bool stop;
};

KW_DEFINE_CLEANUP(struct kw_batch *, kw_batch_free)

static void check(const struct kw_batch *batch, struct kw_checked *line, struct kw_bytes *scratch)
{
	kw_profile_open(line);
	line->parsed = kw_line_parse(line->text, line->length, &line->line, &line->reason);
	if (line->parsed == 0)
		line->verified = kw_line_verify(&line->line, batch->keyring, true, scratch,
						&line->signer, &line->fault, &line->reason);
	kw_profile_check(line, batch->keyring);
	kw_sha256(line->text, line->length, line->hash);
	kw_tree_leaf(kw_note_hash, line->text, line->length, line->leaf);
}

static void work(struct kw_batch *batch)
{
	cleanup_bytes struct kw_bytes scratch;
	size_t i;

	kw_bytes_init(&scratch, 2 * KW_LINE_MAX);
	while ((i = atomic_fetch_add(&batch->next, 1)) < batch->count)
		check(batch, &batch->lines[i], &scratch);
}

static void *thread(void *argument)
{
	struct kw_batch *batch = argument;
	uint64_t round = 0;

	(void)pthread_mutex_lock(&batch->lock);
	for (;;) {
		while (!batch->stop && batch->round == round)
			(void)pthread_cond_wait(&batch->begin, &batch->lock);
		if (batch->stop)
			break;
		round = batch->round;
		(void)pthread_mutex_unlock(&batch->lock);
		work(batch);
		(void)pthread_mutex_lock(&batch->lock);
		if (--batch->working == 0)
			(void)pthread_cond_signal(&batch->done);
	}
	(void)pthread_mutex_unlock(&batch->lock);
	return NULL;
}

/* Signals are for the program's own threads: these take none. */
static int start_threads(struct kw_batch *batch, unsigned int wanted)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r != 0)
		return -r;
	while (r == 0 && batch->thread_count < wanted) {
		r = pthread_create(&batch->threads[batch->thread_count], NULL, thread, batch);
		if (r == 0)
			batch->thread_count++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

int kw_batch_new(const struct kw_keyring *keyring, unsigned int threads,
		 struct kw_batch **ret_batch)
{
	cleanup(kw_batch_freep) struct kw_batch *batch = NULL;
	int r;

	if (threads < 1 || threads > KW_VERIFY_THREADS_MAX)
		return -EINVAL;
	batch = calloc(1, sizeof(*batch));
	if (!batch)
		return -ENOMEM;
	batch->keyring = keyring;
	/* With default attributes these three cannot fail on Linux (glibc). */
	(void)pthread_mutex_init(&batch->lock, NULL);
	(void)pthread_cond_init(&batch->begin, NULL);
	(void)pthread_cond_init(&batch->done, NULL);
	r = start_threads(batch, threads - 1);
	if (r < 0)
		return r;
	*ret_batch = take_ptr(batch);
	return 0;
}

void kw_batch_free(struct kw_batch *batch)
{
	if (!batch)
		return;
	(void)pthread_mutex_lock(&batch->lock);
	batch->stop = true;
	(void)pthread_cond_broadcast(&batch->begin);
	(void)pthread_mutex_unlock(&batch->lock);
	for (unsigned int i = 0; i < batch->thread_count; i++)
		(void)pthread_join(batch->threads[i], NULL);
	(void)pthread_cond_destroy(&batch->done);
	(void)pthread_cond_destroy(&batch->begin);
	(void)pthread_mutex_destroy(&batch->lock);
	free(batch);
}

bool kw_batch_add(struct kw_batch *batch, const char *text, size_t length)
{
	struct kw_checked *line = &batch->lines[batch->count++];

	line->text = text;
	line->length = length;
	return batch->count == KW_BATCH_MAX;
}

const struct kw_checked *kw_batch_check(struct kw_batch *batch, size_t *ret_count)
{
	atomic_store(&batch->next, 0);
	*ret_count = batch->count;
	/* For one line a thread need not be woken. */
	if (batch->thread_count == 0 || batch->count < 2) {
		work(batch);
		return batch->lines;
	}
	(void)pthread_mutex_lock(&batch->lock);
	batch->round++;
	batch->working = batch->thread_count;
	(void)pthread_cond_broadcast(&batch->begin);
	(void)pthread_mutex_unlock(&batch->lock);
	work(batch);
	(void)pthread_mutex_lock(&batch->lock);
	while (batch->working > 0)
		(void)pthread_cond_wait(&batch->done, &batch->lock);
	(void)pthread_mutex_unlock(&batch->lock);
	return batch->lines;
}

void kw_batch_clear(struct kw_batch *batch)
{
	batch->count = 0;
}
