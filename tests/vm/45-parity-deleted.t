#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# A hundred cgroups that are removed within milliseconds of their kill: each kill is in the ledger once, and
# the parent's counter, which is all that is left of them, is explained to the last count.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

count=100
in_brief() { echo ".data.victim.cgroup.path | startswith(\"$(cgroup_path brief)/\")"; }
parent_item() { # JQ; of the newest verdict on the parent's oom_kill
	event_field host.v1.parity ".data.counters[] | select(.counter == \"oomKill\") | $1" \
		".data.cgroup.path == \"$(cgroup_path brief)\"" | tail -n 1
}
parent_reaches() { [ "$(parent_item .after)" = "$1" ]; }

start_kwitnessd || bail_out 'the daemon starts'
new_cgroup brief/first # the parent's controllers
for i in $(seq 1 "$count"); do
	new_cgroup "brief/c$i" memory.max=8M memory.swap.max=0
	in_cgroup "brief/c$i" "$KW_VICTIMS/hog" --bytes 33554432 >"$KW_TMP/hog$i.json"
	rmdir "$(cgroup_dir "brief/c$i")" || wait_for 5 rmdir "$(cgroup_dir "brief/c$i")"
done
is "$(counter brief memory.events oom_kill)" "$count" 'the kernel has counted them in the parent'
check 'each kill is recorded' wait_for 120 has_events host.v1.oom_kill "$count" "$(in_brief)"
check "the parent's counter is judged" wait_for 120 parent_reaches "$count"
is "$(parent_item .unexplained)" 0 'nothing is unexplained'
is "$(parent_item .byCounter)" 0 'and nothing was seen by the counter alone'
is "$(parent_item .explained)" "$count" 'each by an event'
is "$(event_field host.v1.oom_kill .data.victim.tgid "$(in_brief)" | sort -n)" \
	"$(cat "$KW_TMP"/hog*.json | jq -r 'select(.role == "hog") | .pid' | sort -nu)" 'of the process that died'
is "$(event_count host.v1.parity '[.data.counters[].verdict] | any(. == "missed" or . == "extra")')" 0 'no verdict of missed or extra'
check 'the daemon stops in order' stop_kwitnessd
check 'kwitness parity: nothing unexplained' kwitness parity --ledger "$ledger"
check 'the ledger verifies' verify_ledger
done_testing
