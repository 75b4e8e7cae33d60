/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the daemon tried to hook and how the kernel answered, left in the runtime directory for
 * 'kwitness doctor': whoever tried is the one to ask. No secrets in it, so all may read it; by rename, so
 * that it is always whole.
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <kwitness/names.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/file.h"
#include "user/base/log.h"

#define TEMPORARY "." KW_NAME_HOOKS ".new"

static int replace(const char *directory, const struct kw_bytes *text)
{
	cleanup_close int at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_close int fd = -1;
	int r;

	if (at < 0)
		return -errno;
	(void)unlinkat(at, TEMPORARY, 0);
	fd = openat(at, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = kw_file_write_all(fd, text->data, text->length);
	if (r == 0 && renameat(at, TEMPORARY, at, KW_NAME_HOOKS) < 0)
		r = -errno;
	return r;
}

void kw_hookreport_write(const struct kw_daemon *daemon)
{
	const char *directory = daemon->settings->runtime;
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, 64 * 1024);
	r = kw_hooks_report(daemon->hooks, daemon->boot_id, &text);
	if (r == 0 && mkdir(directory, 0755) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		r = replace(directory, &text);
	if (r < 0)
		(void)kw_log_error(r, "cannot leave \"%s/" KW_NAME_HOOKS "\" for doctor",
				   directory);
}
