/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The C library has no call for one thread's capabilities; capset(2) itself, as its manual says. */
#include "user/base/thread.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "user/base/cleanup.h"

void kw_thread_drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	(void)syscall(SYS_capset, &header, none);
}
