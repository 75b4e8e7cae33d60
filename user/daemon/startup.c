/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is opened, in which order, and what is fatal. The key comes first: without it nothing may be
 * written. The ledger's lock comes before the hooks: it keeps a second daemon off them. A hook that
 * the kernel refuses is never fatal: the tier is lower, and the ledger says so.
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <kwitness/names.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "user/base/file.h"
#include "user/base/log.h"

/* First line of a small file, without its newline. */
static int read_word(const char *path, char *ret_word, size_t size)
{
	cleanup_bytes struct kw_bytes bytes;
	int r;

	kw_bytes_init(&bytes, 4096);
	r = kw_file_read(AT_FDCWD, path, &bytes);
	if (r < 0)
		return r;
	if (bytes.length == 0)
		return -ENODATA;
	bytes.data[strcspn(bytes.data, "\n")] = '\0';
	r = snprintf(ret_word, size, "%s", bytes.data);
	return r < 0 || (size_t)r >= size ? -EMSGSIZE : 0;
}

static int identify(struct kw_daemon *daemon)
{
	char machine_id[40];
	int r = read_word("/proc/sys/kernel/random/boot_id", daemon->boot_id,
			  sizeof(daemon->boot_id));

	if (r < 0)
		return kw_log_error(r, "cannot read the boot id");
	r = read_word("/etc/machine-id", machine_id, sizeof(machine_id));
	if (r < 0)
		return kw_log_error(
			r, "cannot read /etc/machine-id (systemd-machine-id-setup makes one)");
	(void)snprintf(daemon->source, sizeof(daemon->source), "/kwitness/%s", machine_id);
	return 0;
}

static void notify_status(const char *words)
{
	(void)sd_notifyf(0, "STATUS=%s", words);
}

/* Not readable: as the kernel mounts it by default. */
static struct kw_cgroup_mount cgroup_mount(void)
{
	struct kw_cgroup_mount mount = { .found = false };
	int r = kw_cgroup_mount_read("/proc/self/mountinfo", &mount);

	if (r < 0)
		(void)kw_log_error(r, "cannot read /proc/self/mountinfo");
	return mount;
}

static int open_pipeline(struct kw_daemon *daemon)
{
	const struct kw_settings *settings = daemon->settings;
	struct kw_cgroup_mount mount = cgroup_mount();
	struct kw_unread unread = { .records = 0 };
	bool has_unread = settings->pins[0] && kw_hooks_unread(settings->pins, &unread) == 0;
	struct kw_pipeline_options options = {
		.ledger = settings->ledger,
		.durability = settings->durability,
		.segment_bytes = settings->segment_bytes,
		.segment_age_ns = settings->segment_age_ns,
		.archive = &settings->archive,
		.profile = settings->profile,
		.cells = settings->cells,
		.cgroup_root = settings->cgroup_root,
		.settle_ns = settings->settle_ns,
		.silence_ns = settings->silence_ns,
		.memory_localevents = mount.memory_localevents,
		.pids_localevents = mount.pids_localevents,
		.poll_interval_ns = settings->poll_interval_ns,
		.boot_id = daemon->boot_id,
		.source = daemon->source,
		.key = daemon->key,
		.clock = daemon->clock,
		.checkpoint_ns = settings->checkpoint_ns,
		.checkpoint_events = settings->checkpoint_events,
		.status = notify_status,
		.unread = has_unread ? &unread : NULL,
	};

	return kw_pipeline_open(&daemon->pipeline, &options);
}

static void log_attempts(const struct kw_daemon *daemon)
{
	size_t count;
	const struct kw_hook_attempt *attempts = kw_hooks_attempts(daemon->hooks, &count);

	for (size_t i = 0; i < count; i++) {
		if (attempts[i].error < 0)
			kw_log(LOG_INFO, "hook %s in tier %s: %s", attempts[i].hook,
			       kw_tier_name(attempts[i].tier), attempts[i].detail);
	}
}

/* What each tier below the best one does not see: said in the ledger, so that absence is no proof. */
static const char *const tier_blindness[KW_TIER_COUNT_] = {
	[KW_TIER_FENTRY] = NULL,
	[KW_TIER_KPROBE] = NULL,
	[KW_TIER_TRACEPOINT] =
		"tier tracepoint: victims and triggers are seen; limit owner, constraint and the end of an OOM are not",
	[KW_TIER_FILES] =
		"tier files: no kernel hook could be attached; kills are not seen as they happen",
};

/* Hooks that may be missing in any tier. */
static int declare_unseen(struct kw_daemon *daemon)
{
	static const struct {
		enum kw_record_kind kind;
		const char *words;
	} hooks[] = {
		{ KW_RECORD_THROTTLE,
		  "throttle_cfs_rq is not hooked: CPU throttling is not told as it happens; cpu.stat of registered cells counts it" },
		{ KW_RECORD_PIDS,
		  "pids_can_fork is not hooked: refused forks are not told as they happen; pids.events of registered cells counts them" },
		{ KW_RECORD_HIGH,
		  "mem_cgroup_handle_over_high is not hooked: memory.high throttling is not told as it happens; memory.events of registered cells counts it" },
		{ KW_RECORD_USERSPACE_KILL,
		  "signal_generate is not hooked: kills by memory managers in user space are not seen" },
		{ KW_RECORD_LIFECYCLE,
		  "cgroup_mkdir and its siblings are not hooked: a cgroup whose records lack its path may stay without one" },
	};
	int r = 0;

	for (size_t i = 0; i < kw_array_size(hooks) && r >= 0; i++) {
		if (!kw_hooks_see(daemon->hooks, hooks[i].kind))
			r = kw_pipeline_gap(&daemon->pipeline, KW_GAP_TIER, "kernel", 0, "%s",
					    hooks[i].words);
	}
	return r;
}

static int open_hooks(struct kw_daemon *daemon)
{
	const struct kw_settings *settings = daemon->settings;
	struct kw_hooks_options options = {
		.ceiling = settings->tier,
		.pin_path = settings->pins[0] ? settings->pins : NULL,
		.clock = daemon->clock,
		.evidence_ring_bytes = (uint32_t)settings->evidence_ring_bytes,
		.bulk_ring_bytes = (uint32_t)settings->bulk_ring_bytes,
	};
	bool adopted = false;
	enum kw_tier tier;
	int r = kw_hooks_open(&options, &daemon->hooks, &adopted);

	if (r < 0)
		return kw_log_error(r, "cannot set up kernel hooks");
	if (settings->bpf_stats)
		daemon->stats_fd = kw_hooks_enable_stats();
	if (settings->bpf_stats && daemon->stats_fd < 0)
		return kw_log_error(daemon->stats_fd, "cannot switch on BPF statistics");
	daemon->pipeline.hooks = daemon->hooks;
	kw_killers_turn(daemon);
	log_attempts(daemon);
	kw_hookreport_write(daemon);
	tier = kw_hooks_tier(daemon->hooks);
	daemon->pipeline.tier = kw_tier_name(tier);
	kw_log(LOG_INFO, "tier %s%s", kw_tier_name(tier),
	       adopted ? ", taken over from the last daemon without a pause" : "");
	if (settings->record[0]) {
		daemon->record_fd =
			open(settings->record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (daemon->record_fd < 0)
			return kw_log_error(-errno, "cannot open \"%s\"", settings->record);
		kw_hooks_set_recording(daemon->hooks, daemon->record_fd);
	}
	if (tier_blindness[tier])
		r = kw_pipeline_gap(&daemon->pipeline, KW_GAP_TIER, "kernel", 0, "%s",
				    tier_blindness[tier]);
	return r < 0 ? r : declare_unseen(daemon);
}

int kw_startup_beside(const char *name, char *ret_path, size_t size)
{
	char self[KW_PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;
	int r;

	if (length < 0)
		return -errno;
	self[length] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return -ENOENT;
	slash[1] = '\0';
	r = snprintf(ret_path, size, "%s%s", self, name);
	if (r < 0 || (size_t)r >= size)
		return -ENAMETOOLONG;
	if (access(ret_path, X_OK) == 0)
		return 0;
	/* Installed: the daemon is in sbin, the command in bin. */
	r = snprintf(ret_path, size, "%s../bin/%s", self, name);
	return r < 0 || (size_t)r >= size ? -ENAMETOOLONG : 0;
}

int kw_startup(struct kw_daemon *daemon, struct kw_settings *settings)
{
	const struct rlimit no_core = { 0, 0 };
	int r;

	*daemon = (struct kw_daemon){ .settings = settings,
				      .clock = &kw_clock_system,
				      .record_fd = -1,
				      .stats_fd = -1,
				      .stdout_pidfd = -1,
				      .activation = { .vsock_fd = -1, .http_fd = -1 } };
	daemon->start_real_ns = kw_clock_real_ns(daemon->clock);
	/* A core file would hold the key. */
	if (setrlimit(RLIMIT_CORE, &no_core) < 0)
		return kw_log_error(-errno, "cannot forbid core files");
	kw_activation_open(&daemon->activation);
	r = identify(daemon);
	if (r == 0)
		r = kw_rekey_open(daemon);
	if (r == 0 && kw_journal_new(KW_JOURNAL_SOCKET, &daemon->journal) < 0)
		kw_log(LOG_WARNING, "the journal will not be told of OOMs");
	if (r == 0)
		r = open_pipeline(daemon);
	daemon->pipeline.journal = daemon->journal;
	if (r == 0)
		r = open_hooks(daemon);
	if (r == 0)
		r = kw_sweeper_open(daemon);
	if (r == 0)
		kw_rekey_start(daemon);
	return r;
}

void kw_shutdown(struct kw_daemon *daemon)
{
	sd_event_source_unref(daemon->evidence_source);
	sd_event_source_unref(daemon->gate_source);
	sd_event_source_unref(daemon->deadline_source);
	sd_event_source_unref(daemon->housekeeping_source);
	kw_http_free(daemon->http);
	kw_http_free(daemon->http_handed);
	kw_sweeper_stop(daemon);
	kw_gatelink_free(daemon->gate);
	kw_activation_close(&daemon->activation);
	kw_hooks_free(daemon->hooks);
	kw_pipeline_close(&daemon->pipeline);
	kw_journal_free(daemon->journal);
	kw_key_free(daemon->key);
	if (daemon->record_fd >= 0)
		(void)close(daemon->record_fd);
	if (daemon->stats_fd >= 0)
		(void)close(daemon->stats_fd);
	if (daemon->stdout_pidfd >= 0)
		(void)close(daemon->stdout_pidfd);
	sd_event_unref(daemon->event);
}
