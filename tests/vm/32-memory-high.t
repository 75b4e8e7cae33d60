#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# memory.high: episodes begin, go on and end; whose limit it was; the owner's own count is the kernel's.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

type=host.v1.memory_high
of() { echo ".data.cgroup.path == \"$(cgroup_path "$1")\" and .data.phase == \"$2\""; } # PATH PHASE -> jq condition
field() { event_field $type "$3" "$(of "$1" "$2")"; }                                  # PATH PHASE JQ
told() { has_events $type 1 "$(of "$1" "$2")"; }                                       # PATH PHASE

# Run from memory that nothing reclaims: else its own program is all that reclaim finds, over and over again.
hog=$KW_TMP/hog
cp "$KW_VICTIMS/hog" "$hog"

# Above the limit by what the program itself needs: held up again and again, but for less than a second each time (the delay grows with
# the square of the excess, calculate_high_delay(), mm/memcontrol.c).
hog_in() { # PATH
	before=$(now_cs)
	in_cgroup "$1" "$hog" --bytes 64M --step 256K --exit >"$KW_TMP/hog.json"
	wall_usec=$((($(now_cs) - before + 1) * 10000))
	check "$1: the end is told" wait_for 60 told "$1" end
}

look_at() { # PATH OWNER
	is "$(event_count $type "$(of "$1" end)")" "$(event_count $type "$(of "$1" start)")" "$1: what begins ends"
	is "$(field "$1" end .data.limitOwner.cgroup.path | sort -u)" "$(cgroup_path "$2")" "$1: by the limit of $2"
	is "$(field "$1" end .data.highBytes | sort -u)" 67108864 "$1: of 64 MiB"
	is "$(field "$1" end .data.cgroupsOver | sort -u)" 1 "$1: and no other"
	is "$(field "$1" end .data.highEvents | awk '{ n += $1 } END { print n }')" "$(counter "$2" memory.events.local high)" \
		"$1: highEvents is the high of memory.events.local"
	is "$(field "$1" end '.data.calls - .data.returns' | sort -u)" 0 "$1: each call returned"
	is "$(field "$1" end '.data.returns - ([.data.histogramUsec[]] | add)' | sort -u)" 0 "$1: and is in the histogram"
	compare "$(field "$1" end .data.stalledUsec | awk '{ n += $1 } END { print n }')" -gt 0 "$1: it was held up"
	compare "$(field "$1" end .data.stalledUsec | awk '{ n += $1 } END { print n }')" -le "$wall_usec" \
		"$1: for no longer than it ran"
	compare "$(field "$1" end .data.usageBytes | tail -n 1)" -gt 67108864 "$1: it was above"
	is "$(field "$1" end .data.lastComm | sort -u)" hog "$1: who was held up"
	diag "$1: $(field "$1" end '.data | {calls, highEvents, stalledUsec, episodeUsec, histogramUsec} | tostring')"
	diag "$1: wall $wall_usec us; $(grep full "$(cgroup_dir "$1")/memory.pressure" 2>/dev/null)"
}

# What the programs cost, as the kernel measures it; under emulation a figure only beside others.
cost() {
	bpftool prog show -j | jq -r '.[] | select((.name // "" | test("over_high")) and .run_cnt > 0) |
		"\(.name): \(.run_time_ns / .run_cnt | floor) ns in the mean of \(.run_cnt) runs"'
}

echo 1 >/proc/sys/kernel/bpf_stats_enabled
start_kwitnessd || bail_out 'the daemon starts'

# ---- own: the limit is where the memory is ----
new_cgroup own memory.high=64M
hog_in own
is "$(field own end .data.episode)" "$(field own start .data.episode)" 'own: the same that began'
is "$(field own end .data.hook | sort -u)" fentry/mem_cgroup_handle_over_high 'own: seen by the hook'
is "$(field own start '[.data.calls, .data.returns, .data.stalledUsec] | tostring')" '[1,0,0]' 'own: the start is the first call'
look_at own own

# ---- nested: the limit is the parent's ----
new_cgroup nested memory.high=64M
new_cgroup nested/child
hog_in nested/child
look_at nested/child nested

# ---- below: calls with nothing to do are none ----
new_cgroup below memory.high=64M
in_cgroup below "$hog" --bytes 32M --exit >"$KW_TMP/below.json"
is "$(event_count $type ".data.cgroup.path == \"$(cgroup_path below)\"")" 0 'below: nothing is said'

# ---- long: told again after ten seconds; killed on the way ----
new_cgroup long memory.high=64M
spawn_in long "$hog" --bytes 200M --step 256K >"$KW_TMP/long.json"
check 'long: it is told that it goes on' wait_for 120 told long continue
kill_cgroup long
check 'long: the end is told' wait_for 60 told long end
compare "$(field long continue .data.episodeUsec | head -n 1)" -ge 10000000 'long: after ten seconds'
compare "$(field long end .data.stalledUsec)" -ge "$(field long continue .data.stalledUsec | tail -n 1)" 'long: sums only grow'
is "$(field long end .data.highEvents)" "$(counter long memory.events.local high)" 'long: highEvents is the high of memory.events.local'

is "$(event_count host.v1.gap '.data.kind == "lost"')" 0 'nothing was lost'
diag "$(cost)"
check 'the daemon ends well' stop_kwitnessd

# ---- while no daemon runs, the kernel counts on; the next daemon tells it, once ----
new_cgroup alone memory.high=64M
in_cgroup alone "$hog" --bytes 64M --step 256K --exit >"$KW_TMP/alone.json"
start_kwitnessd || bail_out 'the daemon starts again'
check 'alone: the end is told' wait_for 60 told alone end
is "$(field alone end .data.highEvents)" "$(counter alone memory.events.local high)" 'alone: whole'
is "$(event_count $type "$(of own end)")" "$(event_count $type "$(of own start)")" 'own: not told again'
check 'alone: the daemon ends well' stop_kwitnessd

# ---- kprobes see the same ----
start_kwitnessd --tier kprobe --pins '' || bail_out 'the daemon starts with kprobes'
new_cgroup kprobe memory.high=64M
hog_in kprobe
is "$(field kprobe end .data.hook | sort -u)" kprobe/mem_cgroup_handle_over_high 'kprobe: seen by the probe'
look_at kprobe kprobe
check 'kprobe: the daemon ends well' stop_kwitnessd

# ---- where no hook sees it, that is said ----
start_kwitnessd --tier tracepoint --pins '' || bail_out 'the daemon starts with the tracepoint'
check 'tracepoint: that it is not seen is declared' has_events host.v1.gap 1 \
	'.data.kind == "tier" and (.data.reason | startswith("mem_cgroup_handle_over_high is not hooked"))'
check 'tracepoint: the daemon ends well' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
