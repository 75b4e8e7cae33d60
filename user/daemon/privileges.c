/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the daemon gives up once everything is open. As root it needs much at the start (to load programs,
 * to lock memory, to read a key) and little later; under its own user (user/dist/kwitnessd.service) it
 * never had more than the table below. no_new_privs holds for the gate and every other child as well
 * (prctl(2)); of the system calls those that the daemon, its C library and its children make before they have
 * a filter of their own are let through. The ledger's own thread gave up everything when it began
 * (user/deliver/sync.c): capabilities belong to threads (capabilities(7)), filters to the process when they are
 * set with TSYNC (seccomp(2)).
 */
#include "user/daemon/daemon.h"

#include <cap-ng.h>
#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>

#include "user/base/log.h"

/* Sanitisers and their leak check make calls of their own; nothing at run time turns the filter off there. */
#if defined(__SANITIZE_ADDRESS__)
#define DAEMON_SANITIZED 1
#else
#define DAEMON_SANITIZED 0
#endif

static const struct {
	unsigned int capability;
	bool for_root_only; /* another user has no use for it */
} kept[] = {
	/* Maps are read through bpf(2); before Linux 5.19 even a descriptor that is open needed it
	 * (kernel/bpf/syscall.c, unprivileged_bpf_disabled). */
	{ CAP_BPF, false },
	/* Cgroups, and container engines' state, that only their owners may read. */
	{ CAP_DAC_READ_SEARCH, false },
	/* Cells' sockets are bound in directories that belong to the VM's own user, and given to it. */
	{ CAP_DAC_OVERRIDE, true },
	{ CAP_CHOWN, true },
	{ CAP_FOWNER, true },
	/* The gate becomes nobody, and is ended by us when it misbehaves. */
	{ CAP_SETUID, true },
	{ CAP_SETGID, true },
	{ CAP_SETPCAP, true },
	{ CAP_KILL, true },
};

static int drop_capabilities(void)
{
	bool is_root = geteuid() == 0;

	if (capng_get_caps_process() < 0)
		return -EPERM;
	for (unsigned int capability = 0; capability <= CAP_LAST_CAP; capability++) {
		bool is_kept = false;

		for (size_t i = 0; i < kw_array_size(kept); i++)
			is_kept |= kept[i].capability == capability &&
				   (is_root || !kept[i].for_root_only);
		if (is_kept)
			continue;
		if (capng_update(CAPNG_DROP,
				 CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
					 CAPNG_BOUNDING_SET | CAPNG_AMBIENT,
				 capability) < 0)
			return -EPERM;
	}
	/* The bounding set can be changed with CAP_SETPCAP only; without it, it is bounded by
	 * no_new_privs: nothing executed can gain what is not held. */
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		return capng_apply(CAPNG_SELECT_ALL) < 0 ? -EPERM : 0;
	return capng_apply(CAPNG_SELECT_CAPS | CAPNG_SELECT_AMBIENT) < 0 ? -EPERM : 0;
}

/* By what they are for. What only children make, before they are somebody else, is at the end. */
static const int calls[] = {
	/* files: ledger, cells, cgroups */
	SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(read),
	SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(stat),
	SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd), SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rmdir), SCMP_SYS(rename),
	SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat),
	SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
	SCMP_SYS(sync_file_range), SCMP_SYS(fadvise64), SCMP_SYS(flock), SCMP_SYS(fcntl),
	SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(chmod), SCMP_SYS(fchown), SCMP_SYS(fchownat),
	SCMP_SYS(lchown), SCMP_SYS(chown), SCMP_SYS(umask), SCMP_SYS(dup), SCMP_SYS(dup2),
	SCMP_SYS(dup3), SCMP_SYS(pipe2), SCMP_SYS(inotify_init1), SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch), SCMP_SYS(name_to_handle_at), SCMP_SYS(fgetxattr),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(mprotect), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock),
	SCMP_SYS(memfd_create), SCMP_SYS(getrandom),
	/* the loop, time, signals, threads */
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
	SCMP_SYS(pselect6), SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime), SCMP_SYS(signalfd4), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(adjtimex), SCMP_SYS(clock_adjtime),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall), SCMP_SYS(futex), SCMP_SYS(clone), SCMP_SYS(clone3),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(set_tid_address), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(getgroups), SCMP_SYS(getresuid), SCMP_SYS(getresgid), SCMP_SYS(uname),
	SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(times), SCMP_SYS(getrlimit),
	SCMP_SYS(setrlimit), SCMP_SYS(prlimit64), SCMP_SYS(prctl), SCMP_SYS(arch_prctl),
	SCMP_SYS(ioctl), SCMP_SYS(sched_setscheduler), SCMP_SYS(setpriority), SCMP_SYS(ioprio_set),
	/* the gate, cells' sockets, status, the journal */
	SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept4),
	SCMP_SYS(connect), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg),
	SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown),
	SCMP_SYS(sendfile), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal), SCMP_SYS(waitid),
	SCMP_SYS(wait4),
	/* maps and rings */
	SCMP_SYS(bpf),
	/* what children make on their way into a filter of their own */
	SCMP_SYS(vfork), SCMP_SYS(fork), SCMP_SYS(execve), SCMP_SYS(setpgid), SCMP_SYS(setsid),
	SCMP_SYS(capget), SCMP_SYS(capset), SCMP_SYS(seccomp), SCMP_SYS(setuid), SCMP_SYS(setgid),
	SCMP_SYS(setresuid), SCMP_SYS(setresgid), SCMP_SYS(setgroups)
};

static int filter_calls(uint32_t action)
{
	scmp_filter_ctx filter = seccomp_init(action);
	int r;

	if (!filter)
		return -ENOMEM;
	r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; i < kw_array_size(calls) && r == 0; i++) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
		/* A call that this architecture does not have needs no permission. */
		if (r == -EDOM || r == -EFAULT)
			r = 0;
	}
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int kw_privileges_drop(enum kw_syscall_filter filter)
{
	int r = drop_capabilities();

	if (r < 0)
		return kw_log_error(r, "cannot give up capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return kw_log_error(-errno, "cannot set no_new_privs");
	/* Nobody of our own user may attach to us, or read the memory that holds the key (prctl(2)). */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return kw_log_error(-errno, "cannot forbid core dumps and ptrace");
	if (filter == KW_SYSCALL_FILTER_OFF || DAEMON_SANITIZED)
		return 0;
	r = filter_calls(filter == KW_SYSCALL_FILTER_KILL ? SCMP_ACT_KILL_PROCESS
							  : SCMP_ACT_ERRNO(EPERM));
	return r < 0 ? kw_log_error(r, "cannot filter system calls") : 0;
}
