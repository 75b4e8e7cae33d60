/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * guest: the agent inside a VM. It holds no key, and what it says is a claim that the host checks.
 *
 * In: the guest's kernel (proc connector, /dev/kmsg, /proc/vmstat, PSI, cpu.stat). Out: frames of
 * content_version 0x0101 (docs/events.md) on one connection to the host.
 * Owned: a queue of KW_QUEUE_SLOTS encoded frames. Nothing blocks: what does not fit into the queue is
 * dropped and counted, and the count goes out with every frame; a host that is away is tried again.
 * May fail: every source, on its own; the others go on, and heartbeats say which one is in use.
 * Static and small; includes user/base only.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <kwitness/gate.h>

#include "user/base/cleanup.h"
#include "user/base/clock.h"

/* ---- writer.c: reports to bytes; pure ---- */

#define KW_REPORT_PAIRS_MAX 8
#define KW_FRAME_PREFIX_BYTES 4
/* A frame of ours, prefix included: the longest is cpu.throttled's, about 400 bytes. */
#define KW_QUEUE_SLOT_BYTES 512

struct kw_report_pair {
	const char *key;
	const char *text; /* NULL: number */
	uint64_t number;
};

struct kw_report {
	const char *probe; /* "process.spawned" … */
	uint32_t pid;
	const char *comm; /* any bytes: what the host would refuse goes out as '?' */
	uint64_t monotonic_ns;
	size_t count;
	struct kw_report_pair pairs[KW_REPORT_PAIRS_MAX];
};

void kw_report_add_text(struct kw_report *report, const char *key, const char *text);
void kw_report_add_number(struct kw_report *report, const char *key, uint64_t number);

/* Encodes a report into frame, but for its seq and dropped, which are known when it is sent. Returns
 * bytes used, 0 when it does not fit. */
size_t kw_writer_begin(const struct kw_report *report, const char *boot_id,
		       unsigned char frame[static KW_QUEUE_SLOT_BYTES]);
/* Adds them to the length bytes that kw_writer_begin() made, and sets the prefix. Returns bytes. */
size_t kw_writer_finish(unsigned char frame[static KW_QUEUE_SLOT_BYTES], size_t length,
			uint64_t seq, uint64_t dropped);

/* ---- queue.c ---- */

/* 256 KiB: at the cap a report is dropped and counted. Of these the last are kept from process.*, so
 * that a fork bomb does not silence the OOM kill that ends it. */
#define KW_QUEUE_SLOTS 512
#define KW_QUEUE_RESERVED 64

struct kw_queue {
	const char *boot_id; /* borrowed */
	uint64_t dropped;    /* since the agent began, by the queue and by the sources before it */
	uint64_t told;	     /* of these, in telemetry.dropped */
	unsigned int first, count;
	uint16_t lengths[KW_QUEUE_SLOTS];
	unsigned char slots[KW_QUEUE_SLOTS][KW_QUEUE_SLOT_BYTES];
};

/* Puts a report in, or counts it as dropped. */
void kw_queue_put(struct kw_queue *queue, const struct kw_report *report);
/* Counts what a source has lost before it could be put in, and says so. */
void kw_queue_lost(struct kw_queue *queue, const char *where, uint64_t count, uint64_t now_ns);
/* The oldest, or NULL. It stays until kw_queue_remove(). */
unsigned char *kw_queue_first(struct kw_queue *queue, size_t *ret_length);
void kw_queue_remove(struct kw_queue *queue);
/* Says what was dropped since it was said last, if anything and if there is room. */
void kw_queue_tell(struct kw_queue *queue, uint64_t now_ns);

/* ---- uplink.c: the connection ---- */

struct kw_uplink_target {
	const char *uds; /* NULL: AF_VSOCK */
	uint32_t cid;
	uint32_t port;
};

struct kw_uplink {
	struct kw_uplink_target target;
	int fd; /* -1: not connected */
	bool is_connecting;
	uint64_t retry_ns; /* not before */
	uint64_t backoff_ns;
	uint64_t random; /* of the jitter; never 0 */
	uint64_t seq;	 /* of this connection */
	uint64_t sent;	 /* whole frames since the agent began */
	size_t frame_bytes, frame_sent;
	unsigned char frame[KW_QUEUE_SLOT_BYTES]; /* the first of the queue, finished */
};

void kw_uplink_init(struct kw_uplink *uplink, const struct kw_uplink_target *target, uint64_t seed);
/* Connects when it is time, and sends what it can without waiting. */
void kw_uplink_turn(struct kw_uplink *uplink, struct kw_queue *queue, uint64_t now_ns);
/* What poll() should wait for; 0: nothing, there is no connection. */
short kw_uplink_wants(const struct kw_uplink *uplink, const struct kw_queue *queue);
/* poll() said events. */
void kw_uplink_events(struct kw_uplink *uplink, short events, uint64_t now_ns);

/* ---- processes.c: the proc connector; procscan.c: /proc, where there is none ---- */

struct kw_processes;

/* A table without a socket behind it; NULL: no memory. */
struct kw_processes *kw_processes_new(void);
void kw_processes_free(struct kw_processes *processes);
KW_DEFINE_CLEANUP(struct kw_processes *, kw_processes_free)
/* 0 or -errno: no connector (CONFIG_PROC_EVENTS, CAP_NET_ADMIN, a container's namespace). */
int kw_processes_open(struct kw_processes **ret_processes) kw_must_check;
int kw_processes_fd(const struct kw_processes *processes);
/* Reads what is there, a bounded number of events. */
void kw_processes_read(struct kw_processes *processes, struct kw_queue *queue, uint64_t now_ns);
/* Reports those that have not called execve() for a while. Returns when to be called next. */
uint64_t kw_processes_due(struct kw_processes *processes, struct kw_queue *queue, uint64_t now_ns);
/* One event as the kernel sends it (struct proc_event, length bytes): for the test. */
void kw_processes_event(struct kw_processes *processes, const void *event, size_t length,
			struct kw_queue *queue, uint64_t now_ns);

struct kw_procscan;
int kw_procscan_open(struct kw_procscan **ret_scan) kw_must_check;
void kw_procscan_turn(struct kw_procscan *scan, struct kw_queue *queue, uint64_t now_ns);

/* /proc/PID/comm; empty when it is gone. */
void kw_procscan_comm(uint32_t pid, char ret_comm[static KW_COMM_BYTES]);

/* ---- census.c: how many processes there are ---- */

struct kw_census;
/* proc: where /proc is. 0 or -errno. */
int kw_census_open(const char *proc, struct kw_census **ret_census) kw_must_check;
void kw_census_free(struct kw_census *census);
/* How many processes were there at one time, kernel threads aside; never more than there were. False: it
 * cannot be said (more than 8192, or nothing is in sight). */
bool kw_census_count(struct kw_census *census, uint64_t *ret_processes);

/* ---- kmsg.c: OOM kills ---- */

struct kw_oom_line {
	uint32_t pid;
	char comm[KW_COMM_BYTES];
	bool is_memcg;
	uint64_t anon_rss_kb, total_vm_kb;
};

/* Parses one record of /dev/kmsg. Whether it is the kernel's word of a kill. Pure. */
bool kw_kmsg_parse(const char *record, struct kw_oom_line *ret_line);

struct kw_kmsg {
	int fd; /* -1: none */
	bool has_sequence;
	uint64_t sequence;   /* of the next record */
	uint64_t kills;	     /* read */
	uint64_t told;	     /* counted and never read, but said */
	uint64_t behind;     /* counted and not read at the last look */
	uint64_t base;	     /* the counter when we began */
	const char *counter; /* "vmstat", "memory.events"; NULL: none */
};

void kw_kmsg_open(struct kw_kmsg *kmsg);
void kw_kmsg_read(struct kw_kmsg *kmsg, struct kw_queue *queue, uint64_t now_ns);
/* Compares with the counter; what it counted and no record told is reported without a name. */
void kw_kmsg_count(struct kw_kmsg *kmsg, struct kw_queue *queue, uint64_t now_ns);
uint64_t kw_kmsg_kills(const struct kw_kmsg *kmsg);

/* ---- pressure.c: PSI and CPU throttling ---- */

struct kw_pressure_watch {
	int fd; /* -1: none */
	uint64_t some_usec, full_usec;
};

void kw_pressure_open(struct kw_pressure_watch *pressure);
void kw_pressure_read(struct kw_pressure_watch *pressure, struct kw_queue *queue, uint64_t now_ns);

struct kw_throttled;
int kw_throttled_open(const char *cgroup_root, struct kw_throttled **ret_throttled) kw_must_check;
void kw_throttled_turn(struct kw_throttled *throttled, struct kw_queue *queue, uint64_t now_ns);

/* Value after key ("key value" a line, or "key=value" in words); false: none. Pure. */
bool kw_pressure_value(const char *text, const char *key, uint64_t *ret_value);
/* Reads a small file into text, NUL-terminated. Bytes or -errno. */
long kw_pressure_slurp(int directory_fd, const char *path, char *text, size_t size);
