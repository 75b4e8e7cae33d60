#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The host itself runs out of memory: no cgroup's limit, and the record says so.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

start_kwitnessd || bail_out 'the daemon starts'
# The witness must not be the victim; the hog asks to be it.
echo -900 >"/proc/$kwitnessd_pid/oom_score_adj"
new_cgroup all
in_cgroup all "$KW_VICTIMS/hog" --bytes 17179869184 --oom-score-adj 1000 >"$KW_TMP/hog.json"
is "$?" 137 'the hog is killed'
check 'the kill is recorded' wait_for 30 has_events host.v1.oom_kill 1
check 'its incident is told' wait_for 30 has_events host.v1.oom_incident 1
is "$(event_field host.v1.oom_kill .data.victim.tgid)" "$(jq -r 'select(.role == "hog") | .pid' "$KW_TMP/hog.json" | sort -u)" 'the victim is the hog'
is "$(event_field host.v1.oom_kill .data.limitOwner.cgroup)" null 'no cgroup owns the limit'
is "$(event_field host.v1.oom_kill .data.constraint)" none 'constraint none'
is "$(event_field host.v1.oom_incident .data.verdict.result)" explained 'counters explained'
check 'the daemon lives' kill -0 "$kwitnessd_pid"
check 'and stops in order' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
