#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The host itself is out of memory: no cgroup's limit, and the record says so. The OOM killer is called
# as sysrq-f calls it (drivers/tty/sysrq.c, moom_callback()): the same out_of_memory() without a memcg as
# when memory really ends, which in a small VM without swap thrashes for minutes before it gets there.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

is_ready() { [ "$(jq -r 'select(.role == "full") | .role' "$KW_TMP/hog.json")" = full ]; }

start_kwitnessd || bail_out 'the daemon starts'
new_cgroup all
spawn_in all "$KW_VICTIMS/hog" --bytes 67108864 --oom-score-adj 1000 >"$KW_TMP/hog.json"
wait_for 30 is_ready || bail_out 'the hog has its memory'
echo f >/proc/sysrq-trigger
wait "$spawned"
is "$?" 137 'the hog is killed'
check 'the kill is recorded' wait_for 30 has_events host.v1.oom_kill 1
check 'its incident is told' wait_for 30 has_events host.v1.oom_incident 1
is "$(event_field host.v1.oom_kill .data.victim.tgid)" "$(jq -r 'select(.role == "hog") | .pid' "$KW_TMP/hog.json")" 'the victim is the hog'
is "$(event_field host.v1.oom_kill .data.limitOwner.cgroup)" null 'no cgroup owns the limit'
is "$(event_field host.v1.oom_kill .data.constraint)" none 'constraint none'
like "$(event_field host.v1.oom_kill .data.trigger.comm)" '^kworker' 'the trigger is the worker that called it, not the victim'
is "$(event_field host.v1.oom_incident .data.verdict.result)" explained 'counters explained'
check 'the daemon stops in order' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
