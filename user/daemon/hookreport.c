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

void kw_hookreport_write(const struct kw_daemon *daemon)
{
	const char *directory = daemon->settings->runtime;
	cleanup_close int at = -1;
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, 64 * 1024);
	r = kw_hooks_report(daemon->hooks, daemon->boot_id, &text);
	if (r == 0 && mkdir(directory, 0755) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0)
		r = at < 0 ? -errno
			   : kw_file_replace(at, KW_NAME_HOOKS, text.data, text.length, 0644);
	if (r < 0)
		(void)kw_log_error(r, "cannot leave \"%s/" KW_NAME_HOOKS "\" for doctor",
				   directory);
}
