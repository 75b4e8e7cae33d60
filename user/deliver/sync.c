/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fdatasync with coalescing. The state below is shared under one mutex; while the thread is in
 * fdatasync() the mutex is free, so a caller does not wait for the disk. After a failed fdatasync the error
 * stays and durable moves no more, whatever a later one says: the kernel marks pages clean that it could not
 * write (fsync(2)). Only when the owner of the lines has written them again does the next success count.
 */
#include "user/deliver/sync.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/file.h"
#include "user/base/thread.h"

/* Segments that are closed at one time: the ledger's and the one beside it. */
#define RETIRED_MAX 2

/* A head that is to be kept once the lines up to its sequence are durable. */
struct head {
	char *text; /* owned; NULL: none */
	size_t length;
	uint64_t sequence;
	int directory;
};

struct kw_sync {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	pthread_cond_t taken; /* the thread has taken over what was retired */
	pthread_cond_t idle;
	bool stop;
	bool wanted;
	bool busy;
	struct head wanted_head;
	uint64_t kept_head;
	int fd;			  /* -1: none; borrowed */
	int beside;		  /* synced before fd; -1: none; borrowed */
	int retired[RETIRED_MAX]; /* owned */
	size_t retired_count;
	uint64_t sequence;
	uint64_t durable;
	int error;
	uint64_t rewritten; /* how often lines were: a round that began before says nothing */
};

/* The mutex held at entry and at return. The lines are durable: now their head may be. */
static void keep_head(struct kw_sync *sync)
{
	struct head head = sync->wanted_head;
	int r;

	if (!head.text || head.sequence > sync->durable)
		return;
	sync->wanted_head.text = NULL;
	(void)pthread_mutex_unlock(&sync->mutex);
	r = kw_file_replace(head.directory, "head", head.text, head.length, 0600);
	free(head.text);
	(void)pthread_mutex_lock(&sync->mutex);
	if (r == 0 && head.sequence > sync->kept_head)
		sync->kept_head = head.sequence;
}

/* One round, the mutex held at entry and at return. */
static void carry_out(struct kw_sync *sync)
{
	uint64_t sequence = sync->sequence;
	uint64_t rewritten = sync->rewritten;
	size_t count = sync->retired_count;
	int fds[RETIRED_MAX + 2], error = 0;

	sync->wanted = false;
	sync->busy = true;
	memcpy(fds, sync->retired, sizeof(sync->retired));
	fds[count] = sync->beside;
	fds[count + 1] = sync->fd;
	sync->retired_count = 0;
	(void)pthread_cond_signal(&sync->taken);
	(void)pthread_mutex_unlock(&sync->mutex);
	for (size_t i = 0; i < count + 2; i++) {
		if (fds[i] >= 0 && fdatasync(fds[i]) < 0)
			error = -errno;
		if (i < count)
			(void)close(fds[i]);
	}
	(void)pthread_mutex_lock(&sync->mutex);
	if (error < 0)
		sync->error = error;
	if (sync->error == 0 && rewritten == sync->rewritten && sequence > sync->durable)
		sync->durable = sequence;
	keep_head(sync);
	sync->busy = false;
	(void)pthread_cond_broadcast(&sync->idle);
}

static void *run(void *context)
{
	struct kw_sync *sync = context;

	/* Its descriptors were opened for it. */
	kw_thread_drop_capabilities();
	(void)pthread_mutex_lock(&sync->mutex);
	for (;;) {
		while (!sync->wanted && !sync->stop)
			(void)pthread_cond_wait(&sync->wake, &sync->mutex);
		if (!sync->wanted)
			break;
		carry_out(sync);
	}
	(void)pthread_mutex_unlock(&sync->mutex);
	return NULL;
}

int kw_sync_start(uint64_t durable, struct kw_sync **ret_sync)
{
	cleanup_free struct kw_sync *sync = calloc(1, sizeof(*sync));
	sigset_t all, before;
	int r;

	if (!sync)
		return -ENOMEM;
	sync->fd = -1;
	sync->beside = -1;
	sync->durable = durable;
	sync->sequence = durable;
	/* Static initialisers' values: no such call can fail on Linux. */
	(void)pthread_mutex_init(&sync->mutex, NULL);
	(void)pthread_cond_init(&sync->wake, NULL);
	(void)pthread_cond_init(&sync->taken, NULL);
	(void)pthread_cond_init(&sync->idle, NULL);
	/* A thread starts with its maker's mask: signals are the loop's alone. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&sync->thread, NULL, run, sync);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	*ret_sync = take_ptr(sync);
	return 0;
}

void kw_sync_free(struct kw_sync *sync)
{
	if (!sync)
		return;
	(void)pthread_mutex_lock(&sync->mutex);
	sync->stop = true;
	(void)pthread_cond_signal(&sync->wake);
	(void)pthread_mutex_unlock(&sync->mutex);
	(void)pthread_join(sync->thread, NULL);
	(void)pthread_cond_destroy(&sync->idle);
	(void)pthread_cond_destroy(&sync->taken);
	(void)pthread_cond_destroy(&sync->wake);
	(void)pthread_mutex_destroy(&sync->mutex);
	free(sync->wanted_head.text);
	free(sync);
}

void kw_sync_request(struct kw_sync *sync, int fd, uint64_t sequence)
{
	(void)pthread_mutex_lock(&sync->mutex);
	if (sequence > sync->durable || sync->error < 0) {
		sync->fd = fd;
		sync->sequence = sequence;
		sync->wanted = true;
		(void)pthread_cond_signal(&sync->wake);
	}
	(void)pthread_mutex_unlock(&sync->mutex);
}

void kw_sync_retire(struct kw_sync *sync, int fd)
{
	(void)pthread_mutex_lock(&sync->mutex);
	/* More segments filled within one fdatasync: then, and only then, the caller waits. Closing the
	 * earlier one here instead would take it away under the thread, which may be at it. */
	while (sync->retired_count == RETIRED_MAX)
		(void)pthread_cond_wait(&sync->taken, &sync->mutex);
	sync->retired[sync->retired_count++] = fd;
	/* It is synced as a retired one, and closed by the thread. */
	if (sync->fd == fd)
		sync->fd = -1;
	if (sync->beside == fd)
		sync->beside = -1;
	sync->wanted = true;
	(void)pthread_cond_signal(&sync->wake);
	(void)pthread_mutex_unlock(&sync->mutex);
}

void kw_sync_beside(struct kw_sync *sync, int fd)
{
	(void)pthread_mutex_lock(&sync->mutex);
	sync->beside = fd;
	(void)pthread_mutex_unlock(&sync->mutex);
}

uint64_t kw_sync_durable(struct kw_sync *sync)
{
	uint64_t durable;

	(void)pthread_mutex_lock(&sync->mutex);
	durable = sync->durable;
	(void)pthread_mutex_unlock(&sync->mutex);
	return durable;
}

int kw_sync_error(struct kw_sync *sync)
{
	int error;

	(void)pthread_mutex_lock(&sync->mutex);
	error = sync->error;
	(void)pthread_mutex_unlock(&sync->mutex);
	return error;
}

void kw_sync_rewritten(struct kw_sync *sync)
{
	(void)pthread_mutex_lock(&sync->mutex);
	sync->error = 0;
	sync->rewritten++;
	(void)pthread_mutex_unlock(&sync->mutex);
}

int kw_sync_keep_head(struct kw_sync *sync, int fd, uint64_t sequence, int directory,
		      const void *text, size_t length)
{
	char *copy = malloc(length);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, length);
	(void)pthread_mutex_lock(&sync->mutex);
	free(sync->wanted_head.text);
	sync->wanted_head = (struct head){ copy, length, sequence, directory };
	if (sequence >= sync->sequence || sync->fd < 0) {
		sync->fd = fd;
		sync->sequence = sequence;
	}
	sync->wanted = true;
	(void)pthread_cond_signal(&sync->wake);
	(void)pthread_mutex_unlock(&sync->mutex);
	return 0;
}

uint64_t kw_sync_head(struct kw_sync *sync)
{
	uint64_t sequence;

	(void)pthread_mutex_lock(&sync->mutex);
	sequence = sync->kept_head;
	(void)pthread_mutex_unlock(&sync->mutex);
	return sequence;
}

void kw_sync_wait(struct kw_sync *sync)
{
	(void)pthread_mutex_lock(&sync->mutex);
	while (sync->wanted || sync->busy)
		(void)pthread_cond_wait(&sync->idle, &sync->mutex);
	(void)pthread_mutex_unlock(&sync->mutex);
}
