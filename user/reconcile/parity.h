/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * The account of all counters: what its files share; private to reconcile. Events come in as facts, after
 * they went into the ledger and in its order, so that the next daemon, which reads the same lines, arrives
 * at the same books.
 */
#include "user/reconcile/books.h"

/* Where the kernel counts a refused fork (kernel/cgroup/pids.c). */
enum kw_pids_mode {
	KW_PIDS_UNKNOWN,
	KW_PIDS_AT_FORK,  /* up to 6.10, and with pids_localevents */
	KW_PIDS_AT_LIMIT, /* from 6.11 */
};

/* What the parity of the host consists of. */
#define KW_PARITY_BIT(counter) (1U << (counter))

/* Counters of memory.events, which are sums over what is below, unless it is mounted with memory_localevents. */
#define KW_PARITY_HIERARCHICAL                                                                     \
	(KW_PARITY_BIT(KW_COUNTER_MEMORY_HIGH) | KW_PARITY_BIT(KW_COUNTER_MEMORY_MAX) |            \
	 KW_PARITY_BIT(KW_COUNTER_OOM) | KW_PARITY_BIT(KW_COUNTER_OOM_KILL) |                      \
	 KW_PARITY_BIT(KW_COUNTER_OOM_GROUP_KILL))

struct kw_parity_state {
	struct kw_books *books;
	enum kw_pids_mode pids_mode;
	bool scanned;	  /* a cgroup that is first read now is new */
	bool resumed;	  /* an account of this boot was taken over … */
	bool complete;	  /* … in which whoever is not named stood at zero */
	bool was_local;	  /* … when memory.events had only what is local, as now it has not */
	bool is_reboot;	  /* to be said with the first account */
	bool was_said;	  /* an account has been said by this daemon */
	uint64_t nowhere; /* kills whose cgroup is not known */
	uint64_t from_boot_ns;	   /* when the account began */
	uint64_t next_due_boot_ns; /* the first page that is to be judged; UINT64_MAX: none */
	struct kw_parity_totals totals;
	struct kw_parity parity; /* scratch: too large for a stack frame */
	struct kw_parity_row rows[KW_ACCOUNT_ROWS_MAX];
	struct kw_page *row_pages[KW_ACCOUNT_ROWS_MAX];
	struct kw_fact fact; /* the same */
};

int kw_parity_new(struct kw_parity_state **ret_parity);
void kw_parity_free(struct kw_parity_state *parity);

struct kw_reconcile;
struct kw_attributed;

/* ---- parity.c ---- */

/* A reading of a cgroup's counters. 0, or the finding callback's error. */
int kw_parity_counts(struct kw_reconcile *reconcile, const struct kw_attributed *attributed);
uint64_t kw_parity_deadline(const struct kw_reconcile *reconcile);
int kw_parity_due(struct kw_reconcile *reconcile, uint64_t now);
/* Something of the page has changed: it is looked at when it has settled. */
void kw_parity_arm(const struct kw_reconcile *reconcile, struct kw_page *page, uint64_t now);

/* ---- parity_judge.c ---- */

/* One page whose time has come. 0 or the finding callback's error: then the rest is done later. */
int kw_parity_judge(struct kw_reconcile *reconcile, struct kw_page *page, uint64_t now);

/* ---- parity_say.c ---- */

/* Whose page it is, as findings name it. */
void kw_parity_identify(const struct kw_page *page, struct kw_identity *ret_identity);
/* Says what is new of the page's counters, where it matters. 0, or the finding callback's error: then it is
 * still new. */
int kw_parity_say(struct kw_reconcile *reconcile, struct kw_page *page);

/* ---- parity_told.c ---- */

/* A finding stands in the ledger. */
void kw_parity_told(struct kw_reconcile *reconcile, const struct kw_finding *finding);
void kw_parity_fact(struct kw_reconcile *reconcile, const struct kw_fact *fact, uint64_t now);
/* Before a kill is said: whether a counter has told it already; its event's id into
 * finding->of_event_id. */
void kw_parity_before_kill(struct kw_reconcile *reconcile, struct kw_finding *finding);

/* ---- parity_fact.c: findings as facts ---- */

/* false: nothing that moves a counter. */
bool kw_fact_of_finding(const struct kw_finding *finding, struct kw_fact *ret_fact);
