#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Lower tiers see less and say so; what they do say is true.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

ready_in() { sed -n 's/^kwitnessd: ready in tier \([a-z]*\),.*/\1/p' "$daemon_log" | tail -n 1; }
oom_in() { # CGROUP
	new_cgroup "$1" memory.max=16M memory.swap.max=0
	in_cgroup "$1" "$KW_VICTIMS/hog" --bytes 67108864 >"$KW_TMP/$1.json"
	pid=$(jq -r 'select(.role == "hog") | .pid' "$KW_TMP/$1.json")
}
kills() { event_field host.v1.oom_kill "$1" ".data.victim.tgid == $pid"; }

start_kwitnessd --tier kprobe --pins '' || bail_out 'the daemon starts with kprobes'
is "$(ready_in)" kprobe 'kprobe: reached'
oom_in kprobe
check 'kprobe: an incident is told' wait_for 20 has_events host.v1.oom_incident 1
is "$(kills .data.limitOwner.cgroup.path)" "$(cgroup_path kprobe)" 'kprobe: the limit owner is known'
is "$(event_field host.v1.oom_incident .data.verdict.result)" explained 'kprobe: counters explained'
check 'kprobe: the daemon stops in order' stop_kwitnessd

start_kwitnessd --tier tracepoint --pins '' || bail_out 'the daemon starts with the tracepoint'
is "$(ready_in)" tracepoint 'tracepoint: reached'
oom_in tracepoint
check 'tracepoint: the kill is recorded' wait_for 20 has_events host.v1.oom_kill 1 ".data.victim.tgid == $pid"
is "$(kills '.data.victim.cgroup.path')" "$(cgroup_path tracepoint)" 'tracepoint: with its cgroup'
is "$(kills '.data | has("limitOwner")')" false 'tracepoint: the limit owner is left out, not guessed'
check 'tracepoint: what is not seen is declared' has_events host.v1.gap 1 '.data.kind == "tier"'
check 'tracepoint: the daemon stops in order' stop_kwitnessd

start_kwitnessd --tier files --pins '' || bail_out 'the daemon starts without BPF'
is "$(ready_in)" files 'files: reached'
check 'files: what is not seen is declared' has_events host.v1.gap 2 '.data.kind == "tier"'
check 'files: the daemon stops in order' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
