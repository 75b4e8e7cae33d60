/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The thread that looks after closed segments: it compresses them and finds out what retention ought to
 * remove. It is not the one that syncs (sync.c): that one must never wait behind a compression. It opens
 * files by itself below one directory, with no capability, and touches nothing that is still being written.
 * What is to be removed is only proposed: whoever drives the ledger declares it first.
 */
#include "user/deliver/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "user/base/thread.h"
#include "user/deliver/pack.h"
#include "user/deliver/segments.h"

enum proposal {
	NONE,
	MADE,
	DECLARED, /* to be carried out */
};

struct kw_archive {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	pthread_cond_t idle;
	int directory;
	struct kw_archive_policy policy;
	atomic_bool stop;
	bool wanted;
	bool busy;
	uint64_t current;
	uint64_t real_ns;
	uint64_t indexed; /* segments up to this one were looked at; of the thread alone */
	enum proposal proposal;
	struct kw_archive_removal removal;
	int error;
};

static int compress_in(struct kw_archive *archive, int directory, uint64_t current)
{
	uint64_t segment = 0;
	int r = 0;

	while (r == 0 && archive->policy.compress &&
	       kw_segments_plain_above(directory, segment, &segment) == 0 && segment < current)
		r = kw_pack_segment(directory, segment, &archive->stop);
	return r == -ECANCELED ? 0 : r;
}

/* Before they are compressed: plain ones are read faster. What is no ledger from its begin has no index: that is
 * no failure of ours. */
static int index_all(struct kw_archive *archive, uint64_t current)
{
	uint64_t made = 0;
	int r = 0;

	if (archive->policy.index)
		r = kw_index_make_closed(archive->directory, &archive->indexed, current,
					 &archive->stop, &made);
	return r == -ECANCELED || r == -ENODATA ? 0 : r;
}

static int compress_all(struct kw_archive *archive, uint64_t current)
{
	cleanup_close int beside = kw_segments_open_beside(archive->directory);
	int r = compress_in(archive, archive->directory, current);

	if (r < 0 || beside == -ENOENT)
		return r;
	return beside < 0 ? beside : compress_in(archive, beside, current);
}

/* One look, the mutex held at entry and at return. */
static void carry_out(struct kw_archive *archive)
{
	bool remove = archive->proposal == DECLARED, propose = archive->proposal != MADE;
	uint64_t current = archive->current, real_ns = archive->real_ns;
	struct kw_archive_removal removal = archive->removal;
	int r = 0, found = 0, error, indexed;

	archive->wanted = false;
	archive->busy = true;
	(void)pthread_mutex_unlock(&archive->mutex);
	if (remove)
		r = kw_archive_remove_now(archive->directory, &removal);
	/* One that failed is tried again: it stays declared. */
	if (r == 0 && propose && !archive->stop &&
	    (archive->policy.retain_bytes || archive->policy.retain_age_ns))
		found = kw_archive_propose(archive->directory, &archive->policy, current, real_ns,
					   &removal);
	indexed = index_all(archive, current);
	error = compress_all(archive, current);
	if (error == 0)
		error = indexed;
	(void)pthread_mutex_lock(&archive->mutex);
	if (remove && (r == 0 || archive->stop))
		archive->proposal = NONE;
	if (found == 1) {
		archive->removal = removal;
		archive->proposal = MADE;
	}
	archive->error = r < 0 ? r : found < 0 ? found : error;
	archive->busy = false;
	(void)pthread_cond_broadcast(&archive->idle);
}

static void *run(void *context)
{
	struct kw_archive *archive = context;

	kw_thread_drop_capabilities();
	/* Of this thread only (setpriority(2), NOTES). Evidence goes before tidiness. */
	(void)setpriority(PRIO_PROCESS, 0, 10);
	(void)pthread_mutex_lock(&archive->mutex);
	for (;;) {
		while (!archive->wanted && !archive->stop)
			(void)pthread_cond_wait(&archive->wake, &archive->mutex);
		/* What was declared is removed, or it would be declared once more. */
		if (archive->stop && archive->proposal != DECLARED)
			break;
		carry_out(archive);
	}
	(void)pthread_mutex_unlock(&archive->mutex);
	return NULL;
}

int kw_archive_start(const char *path, const struct kw_archive_policy *policy,
		     struct kw_archive **ret_archive)
{
	cleanup_free struct kw_archive *archive = calloc(1, sizeof(*archive));
	sigset_t all, before;
	int r;

	if (!archive)
		return -ENOMEM;
	archive->policy = *policy;
	archive->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (archive->directory < 0)
		return -errno;
	(void)pthread_mutex_init(&archive->mutex, NULL);
	(void)pthread_cond_init(&archive->wake, NULL);
	(void)pthread_cond_init(&archive->idle, NULL);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&archive->thread, NULL, run, archive);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0) {
		(void)close(archive->directory);
		return r;
	}
	*ret_archive = take_ptr(archive);
	return 0;
}

void kw_archive_free(struct kw_archive *archive)
{
	if (!archive)
		return;
	(void)pthread_mutex_lock(&archive->mutex);
	archive->stop = true;
	(void)pthread_cond_signal(&archive->wake);
	(void)pthread_mutex_unlock(&archive->mutex);
	(void)pthread_join(archive->thread, NULL);
	(void)pthread_cond_destroy(&archive->idle);
	(void)pthread_cond_destroy(&archive->wake);
	(void)pthread_mutex_destroy(&archive->mutex);
	(void)close(archive->directory);
	free(archive);
}

void kw_archive_look(struct kw_archive *archive, uint64_t current, uint64_t real_ns)
{
	(void)pthread_mutex_lock(&archive->mutex);
	archive->current = current;
	archive->real_ns = real_ns;
	archive->wanted = true;
	(void)pthread_cond_signal(&archive->wake);
	(void)pthread_mutex_unlock(&archive->mutex);
}

bool kw_archive_proposal(struct kw_archive *archive, struct kw_archive_removal *ret_removal)
{
	bool made;

	(void)pthread_mutex_lock(&archive->mutex);
	made = archive->proposal == MADE;
	if (made)
		*ret_removal = archive->removal;
	(void)pthread_mutex_unlock(&archive->mutex);
	return made;
}

void kw_archive_declared(struct kw_archive *archive)
{
	(void)pthread_mutex_lock(&archive->mutex);
	if (archive->proposal == MADE)
		archive->proposal = DECLARED;
	archive->wanted = true;
	(void)pthread_cond_signal(&archive->wake);
	(void)pthread_mutex_unlock(&archive->mutex);
}

int kw_archive_error(struct kw_archive *archive)
{
	int error;

	(void)pthread_mutex_lock(&archive->mutex);
	error = archive->error;
	(void)pthread_mutex_unlock(&archive->mutex);
	return error;
}

void kw_archive_wait(struct kw_archive *archive)
{
	(void)pthread_mutex_lock(&archive->mutex);
	while (archive->wanted || archive->busy)
		(void)pthread_cond_wait(&archive->idle, &archive->mutex);
	(void)pthread_mutex_unlock(&archive->mutex);
}
