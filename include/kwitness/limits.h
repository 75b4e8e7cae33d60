/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Every cap in one place: value, reason, what happens at the cap, and who counts it.
 * Compiles in bpf/ and user/.
 */

/*
 * Bytes of one cgroup path as copied at a hook (leaf-first components, each NUL-terminated).
 * Kubernetes' deepest usual path (kubepods.slice/…/cri-containerd-<64 hex>.scope) takes about 230.
 * At the cap: the components nearest the root are missing, KW_CGROUP_TRUNCATED is set, and
 * loss[kind][KW_LOSS_PATH_TRUNCATED] counts it.
 */
#define KW_CGROUP_PATH_BYTES 512

/* Components copied per path; kernel verifier needs a bound. At the cap: as above. */
#define KW_CGROUP_DEPTH_MAX 24

/* A path in user space, '/'-separated and NUL-terminated: what 512 leaf-first bytes can hold. */
#define KW_PATH_MAX 1024

/* comm, with its NUL (include/linux/sched.h, TASK_COMM_LEN). */
#define KW_COMM_BYTES 16

/*
 * Evidence ring. An OOM record takes about 2.2 KiB, so 512 KiB hold 200 kills nobody has read yet.
 * At the cap: the record is refused and loss[kind][KW_LOSS_RING_FULL] counts it.
 */
#define KW_EVIDENCE_RING_BYTES (512 * 1024)

/*
 * Bulk ring: what is sent for its volume and not as evidence (throttle episodes). Never shared with
 * evidence. A record takes about 1.3 KiB, so 256 KiB hold 200. At the cap: as above.
 */
#define KW_BULK_RING_BYTES (256 * 1024)

/*
 * Lifecycle ring: cgroups that come and go. A record takes 584 bytes, so 512 KiB hold 897; a
 * thousand cgroups made and removed a second bring 750 in the quarter of a second between two looks. Never shared
 * with evidence or episodes. At the cap: as above. From half of it on, records of cgroups that were filled
 * or emptied are not sent: loss[LIFECYCLE][KW_LOSS_BUDGET].
 */
#define KW_LIFECYCLE_RING_BYTES (512 * 1024)

/*
 * Records that one cgroup may put into the bulk ring within a window. An episode takes two, and one
 * more each ten seconds; episodes are at least a second apart. Above: loss[kind][KW_LOSS_BUDGET].
 */
#define KW_BULK_BUDGET_RECORDS 12
#define KW_BULK_BUDGET_WINDOW_NS 10000000000ULL

/*
 * Cgroups whose CPU throttling is followed at one time, 1.3 KiB each in the kernel, allocated at load
 * because the hooks may not allocate. At the cap: loss[THROTTLE][KW_LOSS_MAP_FULL], once a stall.
 */
#define KW_THROTTLES_MAX 2048

/* An episode of throttling is over when nothing was throttled for so long; it is told again as long. */
#define KW_THROTTLE_QUIET_NS 1000000000ULL
#define KW_THROTTLE_CONTINUE_NS 10000000000ULL

/*
 * A runqueue that is throttled is let go on within some periods, of at most a second each, as many as
 * its tasks have overdrawn. One that is not after so long never will be: its cgroup is gone.
 */
#define KW_THROTTLE_STUCK_NS 30000000000ULL

/*
 * Cgroups whose refused forks are counted at one time. At the cap: loss[PIDS][KW_LOSS_MAP_FULL], once a
 * refusal. After the first one, refusals of one cgroup are told at most so often, with their number.
 */
#define KW_REFUSALS_MAX 2048
#define KW_REFUSALS_EVERY_NS 1000000000ULL

/* Memory managers in user space that are known by their units. At the cap: a setting is refused. */
#define KW_KILLERS_MAX 16

/*
 * Cgroups whose memory.high throttling is followed at one time, 1.7 KiB each in the kernel when there are
 * such. At the cap: loss[HIGH][KW_LOSS_MAP_FULL], once a call.
 */
#define KW_HIGHS_MAX 2048

/*
 * Tasks that may be held up by a memory.high at one time and have their stall measured. At the cap: the
 * call that is longest under way is not measured; it is counted, without a return.
 */
#define KW_HIGH_CALLS_MAX 8192

/* Stall lengths: bucket n counts those below 2^n us, the last one all that are longer. */
#define KW_THROTTLE_BUCKETS 24

/* CPUs whose runqueues are told apart, 64 a word. Above: not in the set, KW_THROTTLE_MORE_CPUS is set. */
#define KW_THROTTLE_CPU_WORDS 16

/* Cgroups with in-kernel counts at one time. At the cap: loss[kind][KW_LOSS_MAP_FULL]. */
#define KW_CGROUP_COUNTS_MAX 8192

/*
 * Losses that are told by cgroup: entries of (cgroup, kind, reason), for the whole boot, allocated at load
 * because a hook that loses may not allocate. At the cap: counted for the host as a whole, exact still.
 */
#define KW_CGROUP_LOSSES_MAX 1024

/*
 * Kills in the ring of programs that are being replaced, remembered so that those of their successors
 * are not told again. The overlap is some ms, the old ring holds some 200. At the cap: the later ones
 * would be told twice, under two ids.
 */
#define KW_HANDOVER_KILLS_MAX 512

/* A ledger line, newline included. CloudEvents: intermediaries must forward 64 KiB. */
#define KW_EVENT_MAX (64 * 1024)

/*
 * What the CellOS envelope adds to a line: its fixed text and time are 350 bytes, the source is 1 KiB at most.
 * At the cap: the line is not made, as one that is too long.
 */
#define KW_ENVELOPE_EXTRA_MAX 2048

/*
 * Envelopes that are made at a start for lines that have none: so many take 2 s of a core (57 us each were
 * measured). A crash leaves a few. More, when the profile was another for long: none is made, and a gap says
 * how many are missing.
 */
#define KW_BESIDE_CATCH_UP_MAX 32768

/* A line that verify is willing to read; longer is malformed. CellOS's JSONL sink allows 1 MiB. */
#define KW_LINE_MAX (1024 * 1024)

/*
 * A compressed segment's window, as a power of two: 8 MiB, what `zstd -19` takes (kwitnessd writes 1 MiB).
 * It is what reading one costs in memory. Above: the file is damaged, as far as verify is concerned.
 */
#define KW_SEGMENT_WINDOW_LOG_MAX 23

/* Threads that check signatures in one verifier. More: refused. Each has at most two lines of memory; one
 * thread puts the results in order, and could not keep up with many more. */
#define KW_VERIFY_THREADS_MAX 64

/* Frame body of the guest's protocol (cellos: at most 4096). At the cap: refused, counted. */
#define KW_FRAME_BODY_MAX 4096

/* guest_comm. TASK_COMM_LEN is 16; an agent may send longer names. Above: refused, counted. */
#define KW_GUEST_COMM_MAX 256

/* probe_source: [a-z0-9._]{1,64}. */
#define KW_PROBE_SOURCE_MAX 64

/* Registered cells. At the cap: the file is refused with a gap event. */
#define KW_CELLS_MAX 4096

/* cellId and runId: [A-Za-z0-9._:-]{1,128}. specSignatureHash: the same alphabet plus '/+='. */
#define KW_CELL_ID_MAX 128

/* A cell file. Larger: refused. */
#define KW_CELL_FILE_MAX (16 * 1024)

/* Connections of one cell at a time. At the cap: the oldest lives on, the new one is closed. */
#define KW_CONNECTIONS_PER_CELL 8

/*
 * A cell's budget at the gate: frames a second and what it may send at once after a rest. An
 * accepted connection costs as much as a frame. Above: the frame is not decoded, FLOOD counts it.
 */
#define KW_GATE_FRAMES_PER_SEC 200
#define KW_GATE_FRAMES_BURST 400

/*
 * Over-budget frames of one cell that are read within one second. Above: the cell's sockets are left
 * alone until the second is over, so that its flood costs the guest's time and not the host's.
 */
#define KW_GATE_DROPS_PER_SEC 4000

/* From a frame's first byte to its last. Above: READ_DEADLINE, the connection is closed. */
#define KW_GATE_READ_DEADLINE_MS 10000

/* Pairs of a frame's map: today's agents send 5. Above: MALFORMED, counted. */
#define KW_CLAIM_KEYS_MAX 64

/*
 * Pairs of the claim map that minor version 0x0101 adds, bytes of a key and of a text in it, bytes of
 * boot_id (a UUID has 36). They make up five sixths of a gate message. Above: OUT_OF_RANGE for the
 * pairs, BAD_TEXT for the rest; the frame is refused, counted.
 */
#define KW_CLAIM_PAIRS_MAX 16
#define KW_CLAIM_KEY_MAX 32
#define KW_CLAIM_TEXT_MAX 64
#define KW_BOOT_ID_MAX 64

/*
 * How old a gate's message may be against the last time the daemon found the link empty. Above (or in
 * the future): the message is not the gate's, the link is dropped.
 */
#define KW_GATE_MESSAGE_AGE_MS 60000

/*
 * Cgroups whose paths are remembered, past their rmdir too. At the cap: of those that were removed the one
 * that was so first is forgotten; when there is none, the longest unused.
 */
#define KW_CGROUPS_REMEMBERED_MAX 16384

/* Containers whose names are remembered. At the cap: the oldest is forgotten, and looked up again. */
#define KW_CONTAINERS_REMEMBERED_MAX 256

/* Keys of one flat key-value file (memory.events has 9, cpu.stat about 20). Above: refused. */
#define KW_FLAT_KEYS_MAX 64
#define KW_FLAT_KEY_BYTES 48
#define KW_FLAT_FILE_MAX (8 * 1024)

/* OOM incidents that may be open (not settled) at once. At the cap: the oldest settles at once. */
#define KW_INCIDENTS_MAX 256

/* Victims that one incident names in full. Above: counted in victimsOmitted. */
#define KW_INCIDENT_VICTIMS_MAX 64

/*
 * Cgroups whose oom_kill counters are followed from one OOM to the next. At the cap: the longest unused
 * is forgotten, and what moved between its last OOM and its next one is not checked.
 */
#define KW_ACCOUNTS_MAX 1024

/*
 * Cgroups whose counters are held against events. At the cap: those that are gone are forgotten first;
 * if all live, a new one is not followed: what it counts shows in its parents, and checkpoints say how many.
 */
#define KW_PARITY_CGROUPS_MAX 16384

/* Events that one verdict names for one counter. Above: counted in eventsOmitted. */
#define KW_PARITY_EVENTS_MAX 16

/* Kills told by a counter alone that a late record of a hook can still be tied to, events a cgroup.
 * Above: the oldest is forgotten, and a record that late would be declared as extra. */
#define KW_PARITY_COUNTER_KILLS_MAX 8

/* Rows of one account event, and bytes that they are estimated to take. Above: the next event. */
#define KW_ACCOUNT_ROWS_MAX 64
#define KW_ACCOUNT_BYTES_MAX (40 * 1024)

/* Rows of one whole account. Above: left out and counted in `omitted`; after a restart their counters
 * begin where they are found. */
#define KW_ACCOUNT_CGROUPS_MAX 8192

/*
 * Reasons of gaps that are held back and counted at one time, one per cell and reason. At the cap: the
 * oldest is said at once, counts and all, and forgotten.
 */
#define KW_GAP_COUNTS_MAX 1024

/* Lines at a ledger's end that are read back at start: ids, open incidents. Older ones are not. */
#define KW_LEDGER_TAIL_LINES 1024

/* Keys in a keyring, bytes of a keyring file, bytes of a key id. */
#define KW_KEYS_MAX 256
#define KW_KEYRING_MAX (256 * 1024)
#define KW_KID_MAX 128

/*
 * Keys that a ledger announced and that a verifier remembers, besides those of the keyring; at least as many
 * as lines are checked at a time. At the cap: the oldest is forgotten, and what it signs from then on is by an
 * unknown key instead of a retired one: a fault all the same.
 */
#define KW_KEYS_ANNOUNCED_MAX 128

/*
 * Lines of a segment that get an index, of which 16 bytes each are held while it is made (32 MiB; a segment of
 * 64 MiB has some 100,000). Above: that segment and those behind it have none, and proofs read the ledger.
 */
#define KW_INDEX_LINES_MAX (1U << 21)

/* Text in one frame of a compressed segment; the last one may have less. A line is had by decompressing one of them. */
#define KW_SEGMENT_FRAME_BYTES (1U << 20)

/* Index files that are used, 8 bytes of memory each. Above: none is, and proofs read the ledger. */
#define KW_INDEX_FILES_MAX (1U << 16)

/*
 * Steps of the wall clock that are remembered, to tell the time of what happened before them. One a second is
 * seen at most, and what waits in a ring waits for seconds. Above: the oldest is forgotten, and what happened
 * before it would be dated without it; nothing is removed by age while all of them are of the last hour.
 */
#define KW_CLOCK_STEPS_MAX 16

/*
 * Lines that may come between those a checkpoint covers and the checkpoint itself, while its head is
 * made durable. A verifier remembers so many leaf hashes (128 KiB). Above: the daemon begins a new one.
 */
#define KW_CHECKPOINT_LAG_MAX 4096

/*
 * A guest's clock is told from the least delayed frame of each window, of so many windows: 512 bytes a
 * cell, a minute of frames that come often, five of heartbeats. At the cap: the oldest is forgotten. An
 * offset is said from _KNOWN windows on, a rate from _RATE_WINDOWS that span _RATE_SPAN_NS.
 */
#define KW_GUESTCLOCK_WINDOWS 32
#define KW_GUESTCLOCK_WINDOW_NS 2000000000ULL
#define KW_GUESTCLOCK_KNOWN 3
#define KW_GUESTCLOCK_RATE_WINDOWS 8
#define KW_GUESTCLOCK_RATE_SPAN_NS 10000000000ULL

/* silenceSeconds of a cell's file: a day. Above: the file is refused. */
#define KW_SILENCE_SECONDS_MAX 86400

/*
 * A rule's first verdict on a cell is said at once, another one _WAIT after the last; the same again after
 * _WAIT, then twice as late each time, to _WAIT_MAX at most, with the number of its occurrences.
 */
#define KW_CROSSCHECK_WAIT_NS 10000000000ULL
#define KW_CROSSCHECK_WAIT_MAX_NS 600000000000ULL

/* How old the state of a guest's cgroup may be when its word is judged. Older: it is read anew. */
#define KW_STATE_FRESH_NS 5000000000ULL

/*
 * A silent cell that uses so much of one CPU's time works: 2 in a hundred. An idle guest's timers take
 * less, an agent that polls /proc as well.
 */
#define KW_SILENCE_WORK_PERMILLE 20

/*
 * `kwitness tail --merged`: how long a line waits for what happened before it and is recorded later, and
 * how much waits at most. At the cap: the earliest is shown.
 */
#define KW_MERGE_WINDOW_NS 2000000000ULL
#define KW_MERGE_LINES_MAX 1024
#define KW_MERGE_BYTES_MAX (16 * 1024 * 1024)

/*
 * Lines at a ledger's end in which a start looks for silences that were told: some 25 MB. A silence that
 * was told before is told again.
 */
#define KW_SILENCE_TAIL_LINES 16384

/* Units, and cells, whose OOM kills are counted by name for metrics. At the cap: the rest is one counter. */
#define KW_TALLY_LABELS_MAX 1024

/* Connections to the status socket at one time. At the cap: the new one is refused. */
#define KW_HTTP_CONNECTIONS_MAX 16

/* A metrics or status page: about 1,024 labels of 256 bytes, twice. Above: 500 Internal Server Error. */
#define KW_HTTP_PAGE_MAX (2 * 1024 * 1024)

/*
 * Cgroups whose counters are polled, about 300 bytes each. At the cap: those that are met later are not
 * read, counted in kw_sweep_totals.refused, and declared in a gap; the walk of each minute tries again.
 */
#define KW_SWEEP_CGROUPS_MAX 32768

/*
 * Descriptors that the poller keeps open, five a cgroup: so 1,638 cgroups. The kernel keeps a page and
 * about half a kilobyte for each (fs/seq_file.c), which is charged to the daemon's own cgroup: 37 MiB at
 * the cap. RLIMIT_NOFILE may make it less. At the cap: the other cgroups' files are opened, read and
 * closed each time; those whose counters move take over the descriptors of those whose do not.
 */
#define KW_SWEEP_DESCRIPTORS_MAX 8192

/* Descriptors that the rest of the daemon may need below RLIMIT_NOFILE: cells' sockets, BPF, the ledger. */
#define KW_SWEEP_DESCRIPTORS_RESERVED 512

/*
 * One turn of the poller: so many cgroups, directory blocks or notifications, or so much time, whatever is
 * reached first. Above: the rest waits for the next turn, after whatever is more urgent.
 */
#define KW_SWEEP_TURN_STEPS 256
#define KW_SWEEP_TURN_NS 2000000ULL

/*
 * Rounds from one walk over all directories to the next; in between inotify tells what is new. A directory
 * that has no watch is looked at in every round.
 */
#define KW_SWEEP_WALK_ROUNDS 12

/* Patterns in [poller] cgroups. Above: the configuration is refused. */
#define KW_SWEEP_GLOBS_MAX 16

/*
 * The last minute of memory.current: samples, time between two, cgroups of which it is kept (80 bytes
 * each). At the cap: cgroups that are met later have none, and their incidents no `history`.
 */
#define KW_HISTORY_SAMPLES 12
#define KW_HISTORY_EVERY_NS 5000000000ULL
#define KW_HISTORIES_MAX 4096

/*
 * Lines that are kept in memory until they are on disk, so that they can be written again after a failed
 * fdatasync: twice what one turn may append. At the cap the oldest are given up; when the disk then fails, the
 * daemon ends, and its next start takes them from the kernel's page cache.
 */
#define KW_UNSYNCED_MAX_BYTES (1024U * 1024U)
#define KW_UNSYNCED_MAX_LINES 4096U

/* Bytes at the ledger's end that a start writes anew, because a daemon before it may have met a failed fdatasync. */
#define KW_REWRITE_MAX_BYTES (4U * 1024U * 1024U)

/*
 * Allocated ahead in the ledger's directory, for when the disk is full: the lines that say so, of which each takes a few
 * KiB, come out of the first part; the end in order, with the account of counters and the last checkpoint, out of
 * the rest. What does not fit there waits in the kernel's ring for the next start.
 */
#define KW_RESERVE_BYTES (1024 * 1024)
#define KW_RESERVE_WORDS_BYTES (128 * 1024)

/*
 * What the verdict of `kwitness verify` lists: types of event, kinds and reasons of loss, gaps (the longest),
 * keys (the first and the last). A ledger may have a million of each, and somebody is to read it. Above: the rest
 * is added up in one sentence. Bytes of a type, of a gap's kind and of a reason, escaped: longer ones are cut.
 */
#define KW_VERDICT_TYPES_MAX 48
#define KW_VERDICT_LOSSES_MAX 32
#define KW_VERDICT_GAPS_MAX 50
#define KW_VERDICT_KEYS_MAX 16
#define KW_VERDICT_TYPE_BYTES 160
#define KW_VERDICT_KIND_BYTES 32
#define KW_VERDICT_TEXT_BYTES 640
