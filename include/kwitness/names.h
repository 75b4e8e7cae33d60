/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Names that users see: event types, extension attributes, exit codes, well-known paths. */

#define KW_VERSION "0.1.0"

/* Event types: prefix + suffix (docs/events.md). */
#define KW_TYPE_PREFIX "dev.cellos.events.cell.observability."
#define KW_TYPE_OOM_KILL KW_TYPE_PREFIX "host.v1.oom_kill"
#define KW_TYPE_OOM_INCIDENT KW_TYPE_PREFIX "host.v1.oom_incident"
#define KW_TYPE_CPU_THROTTLED KW_TYPE_PREFIX "host.v1.cpu_throttled"
#define KW_TYPE_MEMORY_HIGH KW_TYPE_PREFIX "host.v1.memory_high"
/* constraint of an oom_kill that a memory manager in user space has done */
#define KW_CONSTRAINT_USERSPACE "userspace"
#define KW_TYPE_PIDS_MAX KW_TYPE_PREFIX "host.v1.pids_max"
#define KW_TYPE_PARITY KW_TYPE_PREFIX "host.v1.parity"
#define KW_TYPE_ACCOUNT KW_TYPE_PREFIX "host.v1.account"
#define KW_TYPE_CGROUP KW_TYPE_PREFIX "host.v1.cgroup"
#define KW_TYPE_CHECKPOINT KW_TYPE_PREFIX "host.v1.checkpoint"
#define KW_TYPE_KEY KW_TYPE_PREFIX "host.v1.key"
#define KW_TYPE_GAP KW_TYPE_PREFIX "host.v1.gap"
#define KW_TYPE_CROSSCHECK KW_TYPE_PREFIX "host.v1.crosscheck"
#define KW_TYPE_AGENT_SILENCED KW_TYPE_PREFIX "guest.v1.agent_silenced"
#define KW_TYPE_AGENT_RESUMED KW_TYPE_PREFIX "guest.v1.agent_resumed"
#define KW_TYPE_GUEST_PREFIX KW_TYPE_PREFIX "guest.v1."
#define KW_TYPE_MAX 160 /* bytes of the longest type, with its NUL */

/* Exit codes of every command. */
enum kw_exit {
	KW_EXIT_OK = 0,
	KW_EXIT_NO = 1,	   /* the answer is no: bad signature, broken chain, unexplained counter */
	KW_EXIT_USAGE = 2, /* wrong usage */
	KW_EXIT_FAIL = 3,  /* could not do it: I/O, permission */
};

#define KW_PATH_CONFIG "/etc/kwitness/kwitness.conf"
#define KW_PATH_CONFIG_DIR "/etc/kwitness/kwitness.conf.d"
#define KW_PATH_KEY "/etc/kwitness/kwitness.key"
#define KW_PATH_LEDGER "/var/lib/kwitness/ledger"
#define KW_PATH_RUNTIME "/run/kwitness"
#define KW_PATH_CELLS "/run/kwitness/cells.d"
#define KW_HTTP_SOCKET "http.sock" /* in the runtime directory */
#define KW_PATH_PINS "/sys/fs/bpf/kwitness"
#define KW_PATH_CGROUP_ROOT "/sys/fs/cgroup"
/* Below the runtime directory: the daemon's word on its hooks, for doctor. */
#define KW_NAME_HOOKS "hooks.json"
/* systemd decrypts the first; the second is for hosts that cannot (a unit can ask for both, under two names). */
#define KW_CREDENTIAL_KEY "kwitness.key"
#define KW_CREDENTIAL_KEY_PLAIN "kwitness.key.plain"

/* CellOS: the guest agent connects to CID 2, this port; Firecracker makes it <base>_9001. */
#define KW_GUEST_PORT 9001
#define KW_GUEST_SOCKET_SUFFIX "_9001"
