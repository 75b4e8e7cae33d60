/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A refused hook in words, for doctor: what the errno means here, and the one thing that would change
 * it. Sources: kernel/bpf/syscall.c, kernel/bpf/trampoline.c, kernel/events/core.c (6.1 to 6.18),
 * capabilities(7), lockdown in Documentation/admin-guide and security/lockdown/lockdown.c.
 */
#include "user/capture/refusal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "user/base/file.h"

#define LOCKDOWN "/sys/kernel/security/lockdown"

/* The effective set from /proc/self/status; all of them when it can't be read: then say nothing. */
static uint64_t effective_capabilities(void)
{
	cleanup_bytes struct kw_bytes status;
	unsigned long long effective;
	const char *line;
	char *end;

	kw_bytes_init(&status, 16 * 1024);
	if (kw_file_read(AT_FDCWD, "/proc/self/status", &status) < 0)
		return ~0ULL;
	line = status.data ? strstr(status.data, "\nCapEff:") : NULL;
	if (!line)
		return ~0ULL;
	line += strlen("\nCapEff:");
	effective = strtoull(line, &end, 16);
	return end == line ? ~0ULL : effective;
}

/* CAP_SYS_ADMIN stands for both; else tracing wants both (capabilities(7)). */
static bool may_trace(void)
{
	const uint64_t both = 1ULL << CAP_BPF | 1ULL << CAP_PERFMON;
	uint64_t effective = effective_capabilities();

	return effective & 1ULL << CAP_SYS_ADMIN || (effective & both) == both;
}

/* "none", "integrity", "confidentiality", or "" when the file is not there. */
static void read_lockdown(char *ret_mode, size_t size)
{
	cleanup_bytes struct kw_bytes text;
	const char *begin, *end;

	*ret_mode = '\0';
	kw_bytes_init(&text, 256);
	if (kw_file_read(AT_FDCWD, LOCKDOWN, &text) < 0 || !text.data)
		return;
	begin = strchr(text.data, '[');
	end = begin ? strchr(begin, ']') : NULL;
	if (end)
		(void)snprintf(ret_mode, size, "%.*s", (int)(end - begin - 1), begin + 1);
}

static void describe_permission(char *ret_text, size_t size)
{
	char mode[32];

	if (!may_trace()) {
		(void)snprintf(ret_text, size,
			       "not permitted: needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN)");
		return;
	}
	read_lockdown(mode, sizeof(mode));
	if (*mode && strcmp(mode, "none") != 0)
		(void)snprintf(
			ret_text, size,
			"not permitted: the kernel is locked down (lockdown=%s); boot without it",
			mode);
	else if (*mode)
		(void)snprintf(
			ret_text, size,
			"not permitted in spite of all capabilities: refused by a security module");
	else
		(void)snprintf(
			ret_text, size,
			"not permitted: lockdown or a security module (mount securityfs to see " LOCKDOWN
			")");
}

void kw_refusal_describe_hook(enum kw_tier tier, int error, char *ret_text, size_t size)
{
	const char *words = NULL;

	switch (-error) {
	case 0:
		words = "attached";
		break;
	case EPERM:
	case EACCES:
		if (error == -EACCES && may_trace()) {
			words = "the kernel's verifier refused the program";
			break;
		}
		describe_permission(ret_text, size);
		return;
	case ENOENT:
	case ESRCH:
		words = tier == KW_TIER_KPROBE
				? "no such function, or no kprobes (CONFIG_KPROBES=y would change it)"
				: "no such hook in the kernel's BTF (CONFIG_DEBUG_INFO_BTF=y is needed)";
		break;
	case EINVAL:
		words = "not known to this kernel, or the verifier refused the program";
		break;
	case EBUSY:
		words = "the function cannot be traced now (live patch or another tracer)";
		break;
	case EOPNOTSUPP:
	case 524: /* ENOTSUPP, include/linux/errno.h: not for user space, but bpf() gives it */
		words = "not supported by this kernel or CPU architecture (no BPF trampolines)";
		break;
	case ENOMEM:
		words = "out of memory (below 5.11: RLIMIT_MEMLOCK)";
		break;
	case E2BIG:
		words = "the verifier gave up: program too complex for this kernel";
		break;
	default:
		break;
	}
	if (words)
		(void)snprintf(ret_text, size, "%s", words);
	else
		(void)snprintf(ret_text, size, "refused: %s",
			       strerrordesc_np(-error) ?: "unknown error");
}

void kw_refusal_describe_pins(int error, char *ret_text, size_t size)
{
	const char *words;

	switch (-error) {
	case 0:
		words = "pinned: recording goes on while no daemon runs";
		break;
	case ENOENT:
	case EOPNOTSUPP:
		words = "not pinned: no bpffs there; mount one at /sys/fs/bpf";
		break;
	case EPERM:
	case EACCES:
		words = "not pinned: not permitted, or the directory is another user's";
		break;
	default:
		words = strerrordesc_np(-error) ?: "not pinned";
		break;
	}
	(void)snprintf(ret_text, size, "%s", words);
}
