#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The wall clock is set forwards and backwards while OOMs happen, with the capabilities that are left and a filter
# that ends the daemon for a system call too many: each step is declared with its amount, each kill is dated by the
# clock of its side, the order is that of the sequence, and the ledger verifies.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

victim_in() { echo ".data.victim.cgroup.path == \"$(cgroup_path "$1")\""; } # PATH -> jq condition
oom() { # NAME: one, told; the wall clock before and after it into $before and $after
	new_cgroup "$1" memory.max=16M memory.swap.max=0
	before=$(date +%s)
	in_cgroup "$1" "$KW_VICTIMS/hog" --bytes 67108864 >/dev/null
	after=$(date +%s)
	check "$1: the kill is told" wait_for 60 has_events host.v1.oom_kill 1 "$(victim_in "$1")"
	time=$(event_field host.v1.oom_kill '.time[:19] + "Z" | fromdate' "$(victim_in "$1")")
	compare "$time" -ge "$before" "$1: its time is not before the clock of its side"
	compare "$time" -le "$after" "$1: nor behind it"
}
sequence_of() { event_field "$1" .sequence "$2"; } # TYPE JQ-CONDITION
step() { # NAME SECONDS: sets the clock and waits until it is declared
	victim setclock --step "$2" >"$KW_TMP/setclock.json" || bail_out "$1: the clock is set"
	check "$1: a gap declares it" wait_for 60 has_events host.v1.gap 1 "$(stepped_by "$2")"
	# The two readings may be apart by what the event says, and slewing does not count.
	is "$(event_field host.v1.gap '.data.lost' "$(stepped_by "$2")")" 0 "$1: nothing is lost by it"
	like "$(event_field host.v1.gap '.data.reason' "$(stepped_by "$2")")" '^the wall clock was set' "$1: in words"
}
stepped_by() { # SECONDS -> jq condition: by so much, as exactly as the event says that it is
	echo ".data.kind == \"clock\" and (.data.clock.stepNs // 0) != 0 and ((.data.clock.stepNs - $1 * 1000000000) | fabs) <= (.data.clock.errorNs // 0)"
}
state_is() { [ "$(ledger_lines | grep -F '"clock":' | tail -n 1 | jq -r .data.clock.state)" = "$1" ]; }

start_kwitnessd || bail_out 'the daemon starts'
is "$(event_field host.v1.gap .data.clock.state '.data.kind == "start"')" unsynchronised 'the start says how the clock stands'
oom before
step forwards 3600
oom ahead
victim setclock --synchronised >"$KW_TMP/setclock.json"
check 'that it is synchronised now is declared' wait_for 60 has_events host.v1.gap 1 \
	'.data.kind == "clock" and .data.clock.state == "synchronised" and .data.clock.maxErrorUsec >= 1234'
kwitness status --socket "$runtime/http.sock" >"$KW_TMP/status"
like "$(cat "$KW_TMP/status")" '^  clock     synchronised, at most [0-9]+ us off' 'status says so'
curl -s --unix-socket "$runtime/http.sock" http://kwitness/metrics >"$KW_TMP/metrics"
like "$(cat "$KW_TMP/metrics")" '^kwitness_clock_synchronised 1$' 'and the metrics'
like "$(cat "$KW_TMP/metrics")" '^kwitness_clock_steps_total 1$' 'with the step'
step backwards -7200
check 'and that it is not any more: who sets a clock ends that' state_is unsynchronised
oom behind
check 'a checkpoint says how the clock stands' wait_for 60 has_events host.v1.checkpoint 1 \
	'.data.clock.state == "unsynchronised" and .data.openLosses == 0'

# ---- the order is that of the sequence, whatever the clock said ----
compare "$(sequence_of host.v1.oom_kill "$(victim_in ahead)")" -lt "$(sequence_of host.v1.oom_kill "$(victim_in behind)")" \
	'the kill behind the step backwards stands behind the one before it'
check 'the daemon stops in order: no system call was too many' stop_kwitnessd
check 'the ledger verifies' verify_ledger
kwitness tail --ledger "$ledger" --from 1 --json >"$KW_TMP/tail" 2>/dev/null
is "$(jq -r .sequence "$KW_TMP/tail")" "$(ledger_lines | jq -r .sequence)" 'tail tells all lines, in their order'
like "$(kwitness incidents --ledger "$ledger")" before 'incidents lists the one before'
like "$(kwitness incidents --ledger "$ledger")" behind 'and the one behind the steps'

# ---- a clock that is set while nobody looks is a matter of the next start ----
date -s "@$(($(date +%s) + 100))" >/dev/null
start_kwitnessd || bail_out 'the daemon starts behind a step'
date -s "@$(($(date +%s) - 1000))" >/dev/null
check 'clock_settime(2) is declared as well' wait_for 60 has_events host.v1.gap 1 \
	'.data.kind == "clock" and (.data.clock.stepNs // 0) < -998000000000 and .data.clock.stepNs > -1002000000000'
oom last
check 'the daemon stops in order' stop_kwitnessd
check 'all of it verifies' verify_ledger
done_testing
