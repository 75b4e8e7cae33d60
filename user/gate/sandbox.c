/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sandbox. What it promises: who takes over the gate can read from and write to descriptors that
 * the daemon handed over, and nothing else: no file, no new socket, no new process, no executable
 * memory. The list of system calls is what the gate's own code and the C library's malloc and poll
 * call (seccomp(2), default: kill the process). Sanitiser builds need many more calls, so the filter,
 * and the filter alone, is left out there at compile time; nothing at run time turns it off.
 */
#include "user/gate/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <kwitness/gate.h>

#if defined(__SANITIZE_ADDRESS__)
#define GATE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GATE_SANITIZED 1
#endif
#endif

/* The overflow uid and gid ("nobody"): owner of nothing (user_namespaces(7)). */
#define NOBODY_ID 65534

/* One listener for each cell, its connections, and a few of our own. */
#define OPEN_FILES (KW_CELLS_MAX * (1 + KW_CONNECTIONS_PER_CELL) + 16)

/* The daemon's own value, far below 0 as a rule, is inherited (proc(5)). But where memory is short the
 * gate should go, which is started anew, before the witness, and a gate that was taken over should not
 * be spared in the place of its neighbours. Raising takes no privilege; what is above 0 stays. */
static int offer_to_oom_killer(void)
{
	cleanup_close int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char text[16];
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	if (n < 0)
		return -errno;
	if (n == 0 || text[0] != '-')
		return 0;
	return pwrite(fd, "0", 1, 0) < 0 ? -errno : 0;
}

static int drop_user(void)
{
	capng_flags_t flags = CAPNG_DROP_SUPP_GRP;

	if (capng_get_caps_process() < 0)
		return -EPERM;
	/* Without CAP_SETPCAP the bounding set stays; with no capability, no_new_privs and no
	 * execve() left it bounds nothing any more. */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		flags |= CAPNG_CLEAR_BOUNDING;
	capng_clear(CAPNG_SELECT_ALL);
	if (geteuid() == 0)
		return capng_change_id(NOBODY_ID, NOBODY_ID, flags) < 0 ? -EPERM : 0;
	return capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) < 0 ? -EPERM : 0;
}

static int limit(int resource, rlim_t wanted)
{
	struct rlimit now;
	rlim_t value = wanted;

	if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
		return -errno;
	if (now.rlim_max < value)
		value = now.rlim_max;
	now = (struct rlimit){ .rlim_cur = value, .rlim_max = value };
	return setrlimit((__rlimit_resource_t)resource, &now) < 0 ? -errno : 0;
}

static int limit_resources(void)
{
	int r;

	/* Past RLIMIT_FSIZE a write to stderr, should that be a file, raises this (setrlimit(2)). */
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return -errno;
	r = limit(RLIMIT_NOFILE, OPEN_FILES);
	if (r == 0)
		r = limit(RLIMIT_FSIZE, 0);
	if (r == 0)
		r = limit(RLIMIT_CORE, 0);
	if (r == 0)
		r = limit(RLIMIT_NPROC, 0);
	return r;
}

#ifndef GATE_SANITIZED
static int allow_calls(scmp_filter_ctx filter)
{
	static const int calls[] = {
		SCMP_SYS(read),		 SCMP_SYS(recvfrom),   SCMP_SYS(accept4),
		SCMP_SYS(epoll_ctl),	 SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
		SCMP_SYS(poll),		 SCMP_SYS(ppoll),      SCMP_SYS(restart_syscall),
		SCMP_SYS(close),	 SCMP_SYS(munmap),     SCMP_SYS(brk),
		SCMP_SYS(clock_gettime), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn),
	};
	int r = 0;

	for (size_t i = 0; i < kw_array_size(calls) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	/* Memory, never executable. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* Words to stderr, messages to the daemon and from it; guests are never answered. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
				     SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
				     SCMP_A0(SCMP_CMP_EQ, KW_GATE_FD));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(recvmsg), 1,
				     SCMP_A0(SCMP_CMP_EQ, KW_GATE_FD));
	return r;
}

static int filter_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r;

	if (!filter)
		return -ENOMEM;
	r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = allow_calls(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}
#else
static int filter_calls(void)
{
	return 0;
}

/* The leak check forks a tracer, which the sandbox forbids; the environment is empty. */
kw_export const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static int set_process_flags(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* After the change of user, which resets it (prctl(2)): nobody may attach, no core is left. */
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int kw_sandbox_enter(const char **ret_step)
{
	static const struct {
		const char *name;
		int (*take)(void);
	} steps[] = {
		{ "raise /proc/self/oom_score_adj", offer_to_oom_killer },
		{ "give up user and capabilities (as root it needs CAP_SETUID and CAP_SETGID)",
		  drop_user },
		{ "set process flags", set_process_flags },
		{ "limit resources", limit_resources },
		{ "filter system calls", filter_calls },
	};

	for (size_t i = 0; i < kw_array_size(steps); i++) {
		int r = steps[i].take();

		if (r < 0) {
			*ret_step = steps[i].name;
			return r;
		}
	}
	return 0;
}
