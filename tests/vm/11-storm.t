#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# 40 OOMs at once, with the daemon killed in the middle and started again: no kill lost, none twice, and
# the chain is whole. The programs go on recording while no daemon runs.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

storm() { # FIRST LAST; one OOM each, eight at a time
	for i in $(seq "$1" "$2"); do
		new_cgroup "storm$i" memory.max=8M memory.swap.max=0
		spawn_in "storm$i" "$KW_VICTIMS/hog" --bytes 33554432 >"$KW_TMP/hog$i.json"
		storm_pids="${storm_pids-} $spawned"
	done
}
killed() { # how many cgroups have counted their kill
	total=0
	for i in $(seq 1 "$1"); do
		n=$(counter "storm$i" memory.events oom_kill)
		total=$((total + ${n:-0}))
	done
	echo "$total"
}
killed_reaches() { [ "$(killed 40)" -ge "$1" ]; }
recorded() { [ "$(event_count host.v1.oom_kill)" -ge "$1" ]; }

start_kwitnessd || bail_out 'the daemon starts'
storm 1 20
check 'some kills are recorded' wait_for 60 recorded 5
kill9_kwitnessd
storm 21 40
# shellcheck disable=SC2086 # a list of pids
wait $storm_pids
check 'all 40 die' wait_for 60 killed_reaches 40
start_kwitnessd || bail_out 'the daemon starts again'
check 'all 40 are recorded' wait_for 60 recorded 40
check 'the daemon stops in order' stop_kwitnessd

event_field host.v1.oom_kill .data.victim.tgid | sort -n >"$KW_TMP/recorded"
cat "$KW_TMP"/hog*.json | jq -r 'select(.role == "hog") | .pid' | sort -nu >"$KW_TMP/died"
is "$(cat "$KW_TMP/recorded")" "$(cat "$KW_TMP/died")" 'each that died is recorded, none twice'
is "$(event_field host.v1.oom_kill .id | sort | uniq -d)" '' 'no event id stands twice'
is "$(event_count host.v1.gap '.data.kind == "restart"')" 1 'the restart is declared'
is "$(event_count host.v1.gap '.data.kind == "lost"')" 0 'and nothing was lost'
is "$(event_field host.v1.oom_incident .data.verdict.words '.data.verdict.result != "explained"')" '' 'every incident that was told is explained'
check 'the ledger verifies' verify_ledger
done_testing
