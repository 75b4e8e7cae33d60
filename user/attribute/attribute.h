/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * attribute: whose is it?
 *
 * In: an observation. Out: the same observation with identities: each cgroup's path, systemd unit and
 * slice, container, pod, and the registered cell it lies in.
 * Owned: the table of cgroups (id to path, kept past rmdir), the registry of cells.
 * Promised: what is not known stays absent (empty string here, no member in the event), never guessed.
 * An id is the truth, a path only a hint.
 */
#include <stdbool.h>
#include <stdint.h>

#include "user/capture/capture.h"

/* A cgroup as a person knows it. Empty strings: not known. Bytes are the kernel's, not escaped. */
struct kw_identity {
	bool known;
	uint64_t id;
	bool truncated; /* path lacks components near the root */
	bool v1;
	char path[KW_PATH_MAX];
	char unit[256];	       /* "nginx.service" */
	char slice[256];       /* "system.slice" */
	char container_id[72]; /* 64 hex digits */
	char runtime[16];      /* docker, containerd, cri-o, podman */
	char pod_uid[40];
	char qos[12]; /* guaranteed, burstable, besteffort */
	/* From files of the kubelet and the engines (containers.c); in findings of OOMs only. */
	char container[128];
	char pod_name[254]; /* DNS subdomain, RFC 1123 */
	char pod_namespace[64];
	char cell_id[KW_CELL_ID_MAX + 1];
};

/* pods.c and units.c: pure, from a path alone. */
void kw_units_parse(const char *path, struct kw_identity *identity);
void kw_pods_parse(const char *path, struct kw_identity *identity);

/* ---- cells.c: the registry ---- */

/* Whose kernel the cell's processes run on. */
enum kw_cell_kernel {
	KW_KERNEL_UNKNOWN, /* not given: no verdict is built on either */
	KW_KERNEL_SHARED,  /* the host's: a container; its processes are the host's */
	KW_KERNEL_OWN,	   /* its own: a VM; the host sees the VMM alone */
};

struct kw_cell {
	uint32_t handle; /* of this registration: counted up, never reused while the daemon lives */
	char cell_id[KW_CELL_ID_MAX + 1];
	char run_id[KW_CELL_ID_MAX + 1];
	char spec_signature_hash[KW_CELL_ID_MAX + 1]; /* empty: not given */
	char cgroup_path[KW_PATH_MAX]; /* below the cgroup root, "/" first; empty: none */
	char vsock_uds_base[108];      /* empty: none */
	uint32_t vsock_cid;	       /* 0: none */
	uint32_t silence_seconds;      /* its own window of silence; 0: the daemon's */
	enum kw_cell_kernel kernel;
	bool has_uds_uid; /* who may connect to the socket, else the daemon's settings */
	bool has_uds_gid;
	uint32_t vsock_uds_uid;
	uint32_t vsock_uds_gid;
};

struct kw_cells;

/* A change in the registry, for the daemon: bind or forget a socket, declare a refusal. */
enum kw_cell_change { KW_CELL_ADDED, KW_CELL_REMOVED, KW_CELL_REFUSED };
/* refusal: the reason in words (KW_CELL_REFUSED), else NULL; file: the file's name, escaped.
 * cell: NULL when refused. All borrowed. */
typedef void (*kw_cell_fn)(void *context, enum kw_cell_change change, const struct kw_cell *cell,
			   const char *file, const char *refusal);

/* Opens directory (made 0700 when missing), starts watching it, reads nothing yet. cgroup_root: the
 * prefix to take off a cgroupPath that is given as an absolute path below it. */
int kw_cells_open(const char *directory, const char *cgroup_root, struct kw_cells **ret_cells)
	kw_must_check;
void kw_cells_free(struct kw_cells *cells);
KW_DEFINE_CLEANUP(struct kw_cells *, kw_cells_free)
/* inotify descriptor, for the loop. */
int kw_cells_fd(const struct kw_cells *cells);
/* Whether that becomes readable at all; false: no watch could be had, refresh now and then. */
bool kw_cells_is_watched(const struct kw_cells *cells);
/* Reads what inotify has and rescans the directory: one callback per change. 0 or -errno. */
int kw_cells_refresh(struct kw_cells *cells, kw_cell_fn callback, void *context);
/* Parses one cell file's text; pure. 0, or -EBADMSG with ret_refusal (size bytes) filled. */
int kw_cells_parse(const char *text, size_t length, const char *cgroup_root,
		   struct kw_cell *ret_cell, char *ret_refusal, size_t size) kw_must_check;
const struct kw_cell *kw_cells_by_handle(const struct kw_cells *cells, uint32_t handle);
/* The cell whose cgroupPath is path or the nearest ancestor of it; NULL: none. */
const struct kw_cell *kw_cells_by_cgroup(const struct kw_cells *cells, const char *path);
size_t kw_cells_count(const struct kw_cells *cells);
/* Calls callback(KW_CELL_ADDED) for each registered cell. */
void kw_cells_each(const struct kw_cells *cells, kw_cell_fn callback, void *context);

/* ---- the room's work ---- */

/* An observation and whose it is. Cells are copied: a registration may end before the finding. */
struct kw_attributed {
	const struct kw_observation *observation; /* borrowed */
	struct kw_identity
		victim; /* OOM_KILL: the victim's cgroup; THROTTLE, HIGH: the throttled one;
				     * PIDS: the one of the fork; COUNTS: the one that was read; LIFECYCLE: the one that came or went; LOST: whose
				     * record it was */
	struct kw_identity owner;   /* OOM_KILL, OOM_END, PIDS, HIGH: the limit owner's cgroup */
	struct kw_identity trigger; /* OOM_KILL, OOM_END */
	bool has_cell;
	struct kw_cell cell; /* victim's cell, reading's cell, guest's cell */
};

struct kw_attribute;
/* cells: borrowed, outlives the object; may be NULL. */
int kw_attribute_open(const struct kw_cells *cells, struct kw_attribute **ret_attribute)
	kw_must_check;
/* The same with another place than "/" to look for the names of containers in: for tests. */
int kw_attribute_open_below(const char *root, const struct kw_cells *cells,
			    struct kw_attribute **ret_attribute) kw_must_check;
void kw_attribute_free(struct kw_attribute *attribute);
KW_DEFINE_CLEANUP(struct kw_attribute *, kw_attribute_free)
/* Fills ret_attributed, which borrows observation. Never fails: unknown stays absent. */
void kw_attribute_observation(struct kw_attribute *attribute,
			      const struct kw_observation *observation,
			      struct kw_attributed *ret_attributed);
/* Identity of a cgroup that is known by its path only (id 0). */
void kw_attribute_path(struct kw_attribute *attribute, const char *path,
		       struct kw_identity *ret_identity);
