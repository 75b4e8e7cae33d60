/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * The daemon alone knows all rooms. Reading order: pipeline.c (the whole way of an observation, which
 * tests/replay goes as well), startup.c (what is opened, in which order, and what is fatal), loop.c (sources and priorities).
 */
#include <systemd/sd-event.h>

#include "user/daemon/pipeline.h"

/* What happens to a system call that the daemon has no business making (privileges.c). */
enum kw_syscall_filter {
	KW_SYSCALL_FILTER_REFUSE, /* it fails with EPERM */
	KW_SYSCALL_FILTER_KILL,	  /* the daemon ends: for tests of the list */
	KW_SYSCALL_FILTER_OFF,
	KW_SYSCALL_FILTER_COUNT_
};

/* What the command line and the configuration files say. Strings are owned. */
struct kw_settings {
	char *ledger;
	char *key;
	char *cells;
	char *cgroup_root;
	char *runtime;
	char *pins;	   /* empty: pin nothing */
	char *gate;	   /* path of kwitness-gate; empty: beside this program */
	char *http;	   /* socket for status and metrics; empty: none */
	char *record;	   /* file for raw records; empty: none */
	enum kw_tier tier; /* best that may be tried */
	uint64_t poll_interval_ns;
	char *sweep_globs; /* empty: cgroups are not polled but for registered cells */
	uint64_t sweep_interval_ns;
	char *killers; /* units or cgroups of memory managers, separated by blanks */
	uint64_t settle_ns;
	uint64_t silence_ns;
	enum kw_durability durability;
	uint64_t segment_bytes;
	uint64_t segment_age_ns; /* 0: whatever its age */
	struct kw_archive_policy archive;
	enum kw_profile profile;
	uint64_t checkpoint_ns;	      /* between two checkpoints when lines were added */
	uint64_t checkpoint_events;   /* or after so many lines */
	uint64_t epoch_seconds;	      /* a key signs so long; 0: until somebody makes another */
	uint64_t evidence_ring_bytes; /* 0: as built */
	uint64_t bulk_ring_bytes;
	bool bpf_stats;
	bool try_hooks;
	struct kw_socket_access socket_access; /* of guests' sockets, where a cell does not say */
	enum kw_syscall_filter syscall_filter;
	bool to_stdout;
	bool check_only;
	bool detach;
	bool verbose;
};

/* ---- settings_value.c ---- */

/* Words of a setting by the number they stand for, NULL at the end. */
extern const char *const kw_setting_syscall_filters[KW_SYSCALL_FILTER_COUNT_ + 1];
extern const char *const kw_setting_durabilities[KW_DURABILITY_COUNT_ + 1];
/* ret_number: which of words it is; an enum of GCC's is an unsigned int. 0 or -EINVAL. */
int kw_setting_parse_word(const char *const words[], const char *value, unsigned int *ret_number)
	kw_must_check;

/* Replaces *target (owned) by a copy of the value: a path, patterns of paths, or names of units, both separated by
 * blanks. 0, -EINVAL, -ENOMEM. */
int kw_setting_set_path(char **target, const char *value, bool may_be_empty) kw_must_check;
int kw_setting_set_globs(char **target, const char *value) kw_must_check;
int kw_setting_set_units(char **target, const char *value) kw_must_check;

/* "yes", "no", as systemd has them. 0 or -EINVAL. */
int kw_setting_parse_bool(const char *value, bool *ret_value) kw_must_check;
/* Seconds, or a number with s, m (min), h, d, w or y, from minimum_sec to maximum_sec seconds. 0 or -EINVAL. */
int kw_setting_parse_age(const char *value, uint64_t minimum_sec, uint64_t maximum_sec,
			 uint64_t *ret_ns) kw_must_check;

/* An octal file mode. 0 or -EINVAL. */
int kw_setting_parse_mode(const char *value, mode_t maximum, mode_t *ret_mode) kw_must_check;

/* One of refuse, kill and off. 0 or -EINVAL. */
int kw_setting_parse_syscall_filter(const char *value, enum kw_syscall_filter *ret_filter)
	kw_must_check;
const char *kw_setting_syscall_filter_name(enum kw_syscall_filter filter);

/* ---- settings.c ---- */

/* Defaults; free with kw_settings_done(). 0 or -ENOMEM. */
int kw_settings_init(struct kw_settings *settings) kw_must_check;
void kw_settings_done(struct kw_settings *settings);
/* Sets one value by its configuration key ("ledger"). 0; -ENOENT: no such key; -EINVAL: bad value;
 * -ENOMEM. */
int kw_settings_set(struct kw_settings *settings, const char *section, const char *key,
		    const char *value) kw_must_check;
/* Reads path (optional: may be missing) and the *.conf files of directory in their order. Errors are
 * logged, naming file and line. 0 or -errno. */
int kw_settings_read(struct kw_settings *settings, const char *path, bool optional,
		     const char *directory) kw_must_check;
/* Prints the settings as a configuration file that reads back to the same. */
void kw_settings_print(const struct kw_settings *settings);
/* Takes over from fresh what may change while the daemon runs. Each key that differs is told through
 * callback: is_live says whether it is in force now or needs a restart. */
typedef void (*kw_setting_fn)(void *context, const char *section, const char *key, bool is_live);
void kw_settings_take_live(struct kw_settings *settings, const struct kw_settings *fresh,
			   kw_setting_fn callback, void *context);

/* Fills settings from files and the command line. 0: go on; 1: done, *ret_exit says how. */
int kw_options_parse(int argc, char **argv, struct kw_settings *settings, int *ret_exit)
	kw_must_check;

/* ---- activation.c: guests' sockets that the service manager has bound ---- */

struct kw_activation {
	int vsock_fd; /* the AF_VSOCK listener; -1: none was given */
	int http_fd;  /* one for status and metrics; -1: none was given */
	int count;    /* of names and descriptors; 0: none were given */
	char **names;
};

/* Takes what sd_listen_fds(3) gives; logs and closes what has a name that is not ours. */
void kw_activation_open(struct kw_activation *activation);
void kw_activation_close(struct kw_activation *activation);
/* The descriptor that was given for a cell ("cell-<cellId>"); -1: none. Borrowed. */
int kw_activation_find(const struct kw_activation *activation, const char *cell_id);
/* That which a former daemon has left for the cell, and the inode it was bound as; -1: none. Borrowed. */
int kw_activation_find_kept(const struct kw_activation *activation, const char *cell_id,
			    uint64_t *ret_inode);
/* Has the service manager keep a socket for the next daemon, in case that this one is killed; and no more. */
void kw_activation_keep_cell(const char *cell_id, uint64_t inode, int fd);
void kw_activation_unkeep_cell(const char *cell_id, uint64_t inode);
void kw_activation_keep_vsock(int fd);
void kw_activation_unkeep_vsock(void);

struct kw_daemon {
	struct kw_settings *settings; /* the main program's; reload.c changes it */
	int argc;
	char **argv;
	const struct kw_clock *clock;
	uint64_t start_real_ns;
	char boot_id[40];
	char source[96];

	struct kw_hooks *hooks;
	struct kw_gatelink *gate;
	struct kw_activation activation;
	struct kw_http *http;
	struct kw_http *http_handed; /* on a socket of the service manager's */
	struct kw_journal *journal;
	struct kw_key *key;
	char key_path[KW_PATH_MAX]; /* where it is kept; the next one waits in "<this>.next" */
	uint64_t key_boot_ns;	    /* in force since */
	uint64_t key_sequence;	    /* the line that put it in force is not durable yet; 0: it is */
	struct kw_pipeline pipeline;
	int record_fd;
	int stats_fd;	  /* open: the kernel counts what programs cost; -1: it does not for us */
	int stdout_pidfd; /* the child that copies the ledger to stdout; -1: none */

	sd_event *event;
	sd_event_source *evidence_source;
	sd_event_source *gate_source;
	sd_event_source *deadline_source;
	sd_event_source *housekeeping_source;
	uint64_t watchdog_ns;	   /* between two pings; 0: systemd asked for none */
	uint64_t watchdog_boot_ns; /* of the last one */
	uint64_t watchdog_backlog_bytes;
	sd_event_source *sweep_watch_source;
	sd_event_source *sweep_round_source;
	sd_event_source *sweep_slice_source;
	bool sweep_is_paused;	 /* the ledger took no lines */
	bool sweep_said_watches; /* each declared once */
	bool sweep_said_refused;
	bool sweep_said_too_long;
	uint64_t killers[KW_KILLERS_MAX]; /* cgroup ids, as the hooks were last told */
	bool killers_known;
	unsigned int gate_failures; /* in a row, for the back-off */
	uint64_t gate_retry_boot_ns;
};

/* ---- startup.c ---- */

/* Opens everything in the order that makes failures clear; logs what failed. 0 or -errno. */
int kw_startup(struct kw_daemon *daemon, struct kw_settings *settings) kw_must_check;
/* Releases everything, in the opposite order. */
void kw_shutdown(struct kw_daemon *daemon);
/* Path of another program of ours: beside this one, or in the bin beside this one's sbin. */
int kw_startup_beside(const char *name, char *ret_path, size_t size) kw_must_check;

/* ---- hookreport.c ---- */

/* Leaves in the runtime directory, for doctor, what was tried and how the kernel answered. A failure is
 * logged only. */
void kw_hookreport_write(const struct kw_daemon *daemon);
/* ---- privileges.c: what is given up once everything is open ---- */

/* Gives up every capability that is not needed after the start, for good: no program that is started
 * from here on gets any back. Then lets through only the system calls that the daemon makes. Logs what failed.
 * 0 or -errno. */
int kw_privileges_drop(enum kw_syscall_filter filter) kw_must_check;

/* ---- watchdog.c: systemd's watchdog, fed by work that was done ---- */

/* Learns whether systemd wants pings, and how often. */
void kw_watchdog_start(struct kw_daemon *daemon);
/* Pings when it is time and the rings are drained, or at least shorter than at the last turn: a loop that
 * turns without reading them is as dead as one that hangs. */
void kw_watchdog_turn(struct kw_daemon *daemon);

/* ---- http.c: status and metrics for whoever may open the socket ---- */

struct kw_http;
/* Serves on settings->http (empty: nowhere). Without it the daemon works all the same: what failed is logged. */
void kw_http_start(struct kw_daemon *daemon);
/* A turn of housekeeping: connections that were slow are closed, events that came are sent. */
void kw_http_turn(struct kw_daemon *daemon);
void kw_http_free(struct kw_http *http);

/* ---- rekey.c: the key in force, and the next one ---- */

/* Loads the key with which the ledger goes on. Logs why not. 0 or -errno. */
int kw_rekey_open(struct kw_daemon *daemon) kw_must_check;
/* The ledger is open: takes over a key that waits, or finishes what the last daemon began. */
void kw_rekey_start(struct kw_daemon *daemon);
/* A turn of housekeeping: replaces the file when the change is durable; ends an epoch that is over. */
void kw_rekey_turn(struct kw_daemon *daemon);
/* The last line is in the ledger: finishes what can be finished. */
void kw_rekey_stop(struct kw_daemon *daemon);
/* SIGHUP: takes over a key that waits. */
void kw_rekey_reload(struct kw_daemon *daemon);

/* ---- reload.c ---- */

/* SIGHUP: reads the configuration again and says what changed. A bad one changes nothing. */
void kw_reload(struct kw_daemon *daemon);

/* ---- cellwatch.c: what the registry's changes mean for the other rooms ---- */

/* A kw_cell_fn with a struct kw_daemon as context. */
void kw_cellwatch_change(void *context, enum kw_cell_change change, const struct kw_cell *cell,
			 const char *file, const char *refusal);

/* An orderly end: no socket is to be kept for the next daemon, because they are unlinked. */
void kw_cellwatch_stop(struct kw_daemon *daemon);

/* ---- gatekeeper.c: the gate's life ---- */

int kw_gatekeeper_start(struct kw_daemon *daemon);
/* Receives what the gate has; restarts it with a back-off when it died or misbehaved. */
int kw_gatekeeper_turn(struct kw_daemon *daemon);
/* Tries again when the back-off has passed. */
void kw_gatekeeper_retry(struct kw_daemon *daemon);

/* ---- killers.c: memory managers in user space ---- */

/* Looks up where they run, and tells the hooks when that has changed. */
void kw_killers_turn(struct kw_daemon *daemon);

/* ---- clockset.c ---- */

/* Wakes the loop when the wall clock is set. 0 or -errno. */
int kw_clockset_start(struct kw_daemon *daemon) kw_must_check;

/* ---- bulk.c: the ring that wakes nobody ---- */

/* Asks for it a few times a second from now on, when a hook writes to it. 0 or -errno. */
int kw_bulk_start(struct kw_daemon *daemon) kw_must_check;
/* Asks once; returns how many records there were. */
int kw_bulk_turn(struct kw_daemon *daemon);

/* ---- sweeper.c: every cgroup's counters ---- */

/* Opens the poller of every cgroup, into the pipeline; raises RLIMIT_NOFILE. Logs why not. 0 or -errno. */
int kw_sweeper_open(struct kw_daemon *daemon) kw_must_check;
/* Polls from now on. 0 or -errno. */
int kw_sweeper_start(struct kw_daemon *daemon) kw_must_check;
/* The ledger takes lines again, perhaps: tells what has waited. */
void kw_sweeper_resume(struct kw_daemon *daemon);
/* Others may have told of cgroups (kw_sweep_waits()): looks at them in the next turns. */
void kw_sweeper_wake(struct kw_daemon *daemon);
/* Releases the loop's sources. */
void kw_sweeper_stop(struct kw_daemon *daemon);

/* ---- loop.c ---- */

/* Runs until SIGTERM or SIGINT; drains the rings before it returns. Exit code of the program. */
int kw_loop_run(struct kw_daemon *daemon) kw_must_check;
