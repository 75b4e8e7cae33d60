/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the host offers: cgroup v2 with its controllers and mount options, BTF, lockdown, bpffs, room and
 * permission for the ledger, a gate that can lock itself up, vsock. Each answer comes from trying or from
 * the file the kernel keeps for it; what cannot be seen is said so, as a note.
 */
#include "user/cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "user/base/clock.h"
#include "user/base/file.h"
#include "user/capture/capture.h"

/* Under emulation a program takes a while to start. */
#define GATE_WAIT_MS 10000

static void kw_printf(4, 5) say(struct kw_doctor *doctor, const char *check,
				enum kw_doctor_result result, const char *format, ...)
{
	static const char *const names[] = { "ok", "lost", "note" };
	char words[512];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	doctor->is_lost |= result == KW_DOCTOR_LOST;
	(void)json_array_append_new(doctor->checks,
				    json_pack("{s:s, s:s, s:s+}", "check", check, "result",
					      names[result], "words", words, ""));
}

static int read_text(const char *path, struct kw_bytes *text)
{
	int r = kw_file_read(AT_FDCWD, path, text);

	return r < 0 ? r : text->length ? 0 : -ENODATA;
}

static bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += length) {
		bool begins = at == text || at[-1] == ' ';

		if (begins && strchr(" \n", at[length]))
			return true;
	}
	return false;
}

static void check_cgroup(struct kw_doctor *doctor)
{
	static const struct {
		const char *name;
		const char *lost;
	} controllers[] = {
		{ "memory", "memory.events cannot be compared with what the hooks saw" },
		{ "cpu", "cpu.stat cannot be compared" },
		{ "pids", "pids.events cannot be compared" },
	};
	cleanup_bytes struct kw_bytes text;
	char path[KW_PATH_MAX];
	int r = snprintf(path, sizeof(path), "%s/cgroup.controllers", doctor->cgroup_root);

	kw_bytes_init(&text, 4096);
	r = r > 0 && (size_t)r < sizeof(path) ? read_text(path, &text) : -ENAMETOOLONG;
	if (r < 0 && r != -ENODATA) {
		say(doctor, "cgroup2", KW_DOCTOR_LOST,
		    "no cgroup v2 at %s (%s): its counters are not read; boot with systemd.unified_cgroup_hierarchy=1",
		    doctor->cgroup_root, strerror(-r));
		return;
	}
	say(doctor, "cgroup2", KW_DOCTOR_OK, "mounted at %s", doctor->cgroup_root);
	for (size_t i = 0; i < kw_array_size(controllers); i++) {
		bool found = text.data && has_word(text.data, controllers[i].name);

		say(doctor, controllers[i].name, found ? KW_DOCTOR_OK : KW_DOCTOR_LOST, "%s%s",
		    found ? "on cgroup v2" : "not on cgroup v2 (on v1, or disabled): ",
		    found ? "" : controllers[i].lost);
	}
}

static void check_mount_options(struct kw_doctor *doctor)
{
	static const char *const options[] = { "memory_localevents", "pids_localevents" };
	cleanup_bytes struct kw_bytes text;
	int r;

	kw_bytes_init(&text, 1024 * 1024);
	r = read_text("/proc/self/mountinfo", &text);
	if (r < 0) {
		say(doctor, "mount-options", KW_DOCTOR_NOTE, "cannot read mountinfo: %s",
		    strerror(-r));
		return;
	}
	for (size_t i = 0; i < kw_array_size(options); i++) {
		const char *line = strstr(text.data, " - cgroup2 ");
		const char *end = line ? strchr(line, '\n') : NULL;
		const char *found = line ? strstr(line, options[i]) : NULL;
		bool is_set = found && end && found < end;

		say(doctor, options[i], is_set ? KW_DOCTOR_NOTE : KW_DOCTOR_OK, "%s",
		    is_set ? "set: the events files count this cgroup alone, not those below it"
			   : "not set: the events files count those below too");
	}
}

static void check_kernel(struct kw_doctor *doctor)
{
	cleanup_bytes struct kw_bytes text;
	int r;

	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0)
		say(doctor, "btf", KW_DOCTOR_OK, "the kernel has BTF");
	else
		say(doctor, "btf", KW_DOCTOR_LOST,
		    "no readable /sys/kernel/btf/vmlinux (%s): no program can be loaded; needs CONFIG_DEBUG_INFO_BTF=y",
		    strerror(errno));
	kw_bytes_init(&text, 256);
	r = read_text("/sys/kernel/security/lockdown", &text);
	if (r < 0)
		say(doctor, "lockdown", KW_DOCTOR_NOTE,
		    "not to be seen (%s): securityfs is not mounted, or the kernel has none",
		    strerror(-r));
	else if (strstr(text.data, "[confidentiality]"))
		say(doctor, "lockdown", KW_DOCTOR_LOST,
		    "confidentiality: programs may not read kernel memory; boot without it");
	else
		say(doctor, "lockdown", KW_DOCTOR_OK, "%s",
		    strstr(text.data, "[none]") ? "none" : "integrity: tracing is allowed");
}

static void check_bpffs(struct kw_doctor *doctor)
{
	struct statfs status;

	if (statfs("/sys/fs/bpf", &status) == 0 && status.f_type == BPF_FS_MAGIC)
		say(doctor, "bpffs", KW_DOCTOR_OK, "mounted at /sys/fs/bpf");
	else
		say(doctor, "bpffs", KW_DOCTOR_LOST,
		    "none at /sys/fs/bpf: what happens while no daemon runs is lost; mount -t bpf bpf /sys/fs/bpf");
}

static void check_ledger(struct kw_doctor *doctor)
{
	struct statvfs status;

	if (access(doctor->ledger, W_OK | X_OK) < 0) {
		say(doctor, "ledger",
		    errno == ENOENT || errno == EACCES ? KW_DOCTOR_NOTE : KW_DOCTOR_LOST,
		    "%s: %s%s", doctor->ledger, strerror(errno),
		    errno == ENOENT ? "; the daemon makes it when it starts" : "");
		return;
	}
	if (statvfs(doctor->ledger, &status) < 0)
		return;
	say(doctor, "ledger", KW_DOCTOR_OK, "%s is writable, %llu MiB are free", doctor->ledger,
	    (unsigned long long)status.f_bavail * status.f_frsize / (1024 * 1024));
}

static int hear_nothing(void *context, const struct kw_observation *observation)
{
	(void)context, (void)observation;
	return 0;
}

/* Starts a gate as the daemon does: it says READY when it has locked itself up, and only then. */
static int try_gate(const char *program)
{
	cleanup(kw_gatelink_freep) struct kw_gatelink *link = NULL;
	struct pollfd ready = { .events = POLLIN };
	int r = kw_gatelink_open(program, &kw_clock_system, &link);

	if (r < 0)
		return r;
	ready.fd = kw_gatelink_fd(link);
	r = poll(&ready, 1, GATE_WAIT_MS);
	if (r <= 0)
		return r < 0 ? -errno : -ETIMEDOUT;
	r = kw_gatelink_receive(link, 1, hear_nothing, NULL);
	return r < 0 ? r : 0;
}

static void check_gate(struct kw_doctor *doctor)
{
	char path[KW_PATH_MAX];
	const char *program = doctor->gate;
	int r = 0;

	if (!program) {
		r = kw_doctor_find("kwitness-gate", path, sizeof(path));
		program = path;
	}
	if (r == 0)
		r = try_gate(program);
	if (r == 0)
		say(doctor, "gate", KW_DOCTOR_OK, "it locks itself up as it should");
	else
		say(doctor, "gate", KW_DOCTOR_LOST,
		    "it does not start (%s): guests are not heard; needs seccomp filters",
		    strerror(-r));
}

static void check_vsock(struct kw_doctor *doctor)
{
	cleanup_close int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && access("/dev/vhost-vsock", F_OK) == 0)
		say(doctor, "vsock", KW_DOCTOR_OK, "guests of this host can reach it by vsock");
	else if (fd >= 0)
		say(doctor, "vsock", KW_DOCTOR_NOTE,
		    "sockets, but no /dev/vhost-vsock: only VMMs with a socket file of their own; modprobe vhost_vsock");
	else
		say(doctor, "vsock", KW_DOCTOR_NOTE,
		    "no vsock sockets (%s): only VMMs with a socket file of their own",
		    strerror(errno));
}

void kw_doctor_check_all(struct kw_doctor *doctor)
{
	check_cgroup(doctor);
	check_mount_options(doctor);
	check_kernel(doctor);
	check_bpffs(doctor);
	check_ledger(doctor);
	check_gate(doctor);
	check_vsock(doctor);
}
