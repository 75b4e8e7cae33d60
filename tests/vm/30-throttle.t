#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# CPU throttling: episodes begin, go on and end; their sums are the kernel's own.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

type=host.v1.cpu_throttled
of() { echo ".data.cgroup.path == \"$(cgroup_path "$1")\" and .data.phase == \"$2\""; } # PATH PHASE -> jq condition
field() { event_field $type "$3" "$(of "$1" "$2")"; }                                  # PATH PHASE JQ
ended() { has_events $type 1 "$(of "$1" end)"; }                                       # PATH
near() { # GOT EXPECTED TOLERANCE NAME
	if [ "$1" -ge $(($2 - $3)) ] && [ "$1" -le $(($2 + $3)) ]; then
		ok "$4"
	else
		not_ok "$4" "'$1' is not within $3 of '$2'"
	fi
}

# What cpu.stat says of an episode that began when the cgroup was new is the episode.
compare_sums() { # PATH
	for key in stalled kernelStalled; do
		near "$(field "$1" end ".data.${key}Usec")" "$(counter "$1" cpu.stat throttled_usec)" 1 \
			"$1: ${key}Usec is cpu.stat's throttled_usec"
	done
	is "$(field "$1" end .data.unexplainedUsec)" 0 "$1: the two sums are one"
	is "$(field "$1" end .data.throttledPeriods)" "$(counter "$1" cpu.stat nr_throttled)" "$1: throttledPeriods is nr_throttled"
	is "$(field "$1" end '.data.throttles - .data.unthrottles')" 0 "$1: each throttle was lifted"
	diag "$1: $(field "$1" end '.data | {throttles, stalledUsec, kernelStalledUsec, episodeUsec, stalledPermille, cpus, histogramUsec} | tostring')"
	diag "$1: $(tr '\n' ' ' <"$(cgroup_dir "$1")/cpu.stat")"
}

spin_in() { # PATH SECONDS
	in_cgroup "$1" "$KW_VICTIMS/spin" --threads 3 --seconds "$2" >"$KW_TMP/spin.json"
	check "$1: the end is told" wait_for 30 ended "$1"
}

# What the programs cost, as the kernel measures it; under emulation a figure only beside others.
cost() {
	bpftool prog show -j | jq -r '.[] | select((.name // "" | test("throttl")) and .run_cnt > 0) |
		"\(.name): \(.run_time_ns / .run_cnt | floor) ns in the mean of \(.run_cnt) runs"'
}

echo 1 >/proc/sys/kernel/bpf_stats_enabled
start_kwitnessd || bail_out 'the daemon starts'

# ---- short: a beginning and an end ----
new_cgroup short cpu.max='20000 100000'
spin_in short 3
is "$(event_count $type "$(of short start)")" 1 'short: one episode begins'
is "$(event_count $type "$(of short end)")" 1 'short: and ends once'
is "$(field short end .data.episode)" "$(field short start .data.episode)" 'short: the same'
is "$(field short start .data.quotaUsec)" 20000 'short: of 20 ms'
is "$(field short start .data.periodUsec)" 100000 'short: each 100 ms'
is "$(field short end .data.hook)" fentry/throttle_cfs_rq 'short: seen by the hook'
is "$(field short end .data.lastComm)" spin 'short: who ran into it'
is "$(field short end .data.cgroup.id)" "$(cgroup_id short)" 'short: whose id is the inode of the directory'
is "$(field short end '[.data.histogramUsec[]] | add > 0')" true 'short: there is a histogram of its stalls'
compare_sums short

# ---- again: an episode of its own, only what is new ----
before=$(counter short cpu.stat throttled_usec)
in_cgroup short "$KW_VICTIMS/spin" --threads 3 --seconds 2 >"$KW_TMP/again.json"
check 'again: the second end is told' wait_for 30 has_events $type 2 "$(of short end)"
near "$(field short end .data.stalledUsec | tail -n 1)" $(($(counter short cpu.stat throttled_usec) - before)) 2 \
	'again: its stalls are the change of throttled_usec'

# ---- long: told again after ten seconds ----
new_cgroup long cpu.max='10000 50000'
spin_in long 13
compare "$(event_count $type "$(of long continue)")" -ge 1 'long: it is told that it goes on'
compare "$(field long continue .data.episodeUsec | head -n 1)" -ge 10000000 'long: after ten seconds'
compare "$(field long end .data.stalledUsec)" -ge "$(field long continue .data.stalledUsec | tail -n 1)" 'long: sums only grow'
compare_sums long

# ---- unlimited: nothing is said of who is not throttled ----
new_cgroup unlimited
in_cgroup unlimited "$KW_VICTIMS/spin" --threads 2 --seconds 2 >"$KW_TMP/unlimited.json"
is "$(event_count $type ".data.cgroup.path == \"$(cgroup_path unlimited)\"")" 0 'unlimited: nothing is said'

# ---- gone: removed at once, its path is known all the same ----
new_cgroup gone cpu.max='5000 100000'
gone=$(cgroup_path gone)
in_cgroup gone "$KW_VICTIMS/spin" --threads 1 --seconds 1 >"$KW_TMP/gone.json"
check 'gone: the cgroup is removed' rmdir "$(cgroup_dir gone)"
check 'gone: its end is told' wait_for 30 has_events $type 1 ".data.cgroup.path == \"$gone\" and .data.phase == \"end\""

is "$(event_count host.v1.gap '.data.kind == "lost"')" 0 'nothing was lost'
diag "$(cost)"
check 'the daemon ends well' stop_kwitnessd

# ---- while no daemon runs, the kernel counts on; the next daemon tells it, once ----
new_cgroup alone cpu.max='20000 100000'
in_cgroup alone "$KW_VICTIMS/spin" --threads 2 --seconds 2 >"$KW_TMP/alone.json"
start_kwitnessd || bail_out 'the daemon starts again'
check 'alone: the end is told' wait_for 30 ended alone
is "$(event_count $type "$(of alone start)")" 1 'alone: so is the beginning'
compare_sums alone
check 'alone: the daemon ends well' stop_kwitnessd
start_kwitnessd || bail_out 'the daemon starts a third time'
new_cgroup third cpu.max='20000 100000'
spin_in third 2
is "$(event_count $type "$(of alone end)")" 1 'alone: nothing is told again'
check 'third: the daemon ends well' stop_kwitnessd

# ---- kprobes see the same ----
start_kwitnessd --tier kprobe --pins '' || bail_out 'the daemon starts with kprobes'
new_cgroup kprobe cpu.max='20000 100000'
spin_in kprobe 2
is "$(field kprobe end .data.hook)" kprobe/throttle_cfs_rq 'kprobe: seen by the probe'
# The kernel passes over a kprobe that is met while another one runs on that CPU (kprobe_running() in
# arch/x86/kernel/kprobes/ftrace.c), and tells nobody: then a stall has only one end. The kernel's sum stays
# right, and the event says by how much the other differs from it.
near "$(field kprobe end .data.kernelStalledUsec)" "$(counter kprobe cpu.stat throttled_usec)" 1 \
	"kprobe: kernelStalledUsec is cpu.stat's throttled_usec"
near "$(field kprobe end '.data.stalledUsec + .data.unexplainedUsec')" "$(field kprobe end .data.kernelStalledUsec)" 1 \
	'kprobe: what the two sums differ by is said'
is "$(field kprobe end .data.throttledPeriods)" "$(counter kprobe cpu.stat nr_throttled)" 'kprobe: throttledPeriods is nr_throttled'
compare "$(field kprobe end .data.throttles)" -ge 1 'kprobe: throttles are seen'
diag "kprobe: $(field kprobe end '.data | {throttles, unthrottles, stalledUsec, kernelStalledUsec, unexplainedUsec} | tostring')"
check 'kprobe: the daemon ends well' stop_kwitnessd

# ---- where no hook sees it, that is said ----
start_kwitnessd --tier tracepoint --pins '' || bail_out 'the daemon starts with the tracepoint'
check 'tracepoint: that throttling is not seen is declared' has_events host.v1.gap 1 \
	'.data.kind == "tier" and (.data.reason | startswith("throttle_cfs_rq is not hooked"))'
check 'tracepoint: the daemon ends well' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
