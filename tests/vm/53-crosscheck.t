#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A guest's word against what the host sees: kills and stalls. What its frames show of
# themselves: 54-frames.t; silences: 55-silence.t.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

register() { # ID [MEMBERS]; its cgroup is named alike
	printf '{"cellId":"%s","runId":"run-1","cgroupPath":"%s","vsockUdsBase":"%s"%s}\n' "$1" \
		"$(cgroup_path "$1")" "$KW_TMP/$1" "${2:+,$2}" >"$cells/.new" &&
		mv "$cells/.new" "$cells/$1.json" && wait_for 30 test -S "$KW_TMP/${1}_9001"
}
send() { # ID OPTION...
	kw_cell=$1
	shift
	"$KW_VICTIMS/sendframes" --uds "$KW_TMP/${kw_cell}_9001" "$@"
}
go_on_sending() { # ID OPTION...; the sender's pid is in $sender
	kw_cell=$1
	shift
	"$KW_VICTIMS/sendframes" --uds "$KW_TMP/${kw_cell}_9001" --count 1000 "$@" >/dev/null &
	sender=$!
}
verdict() { echo ".data.cellId == \"$1\" and .data.rule == \"$2\" and .data.verdict.result == \"$3\""; } # ID RULE RESULT
said() { has_events host.v1.crosscheck 1 "$(verdict "$1" "$2" "$3")"; }
of() { echo ".data.cellId == \"$1\""; } # ID
exists() { ledger_lines | grep -qF "\"id\":\"$1\""; } # EVENT ID

printf '[daemon]\npoll-interval-ms = 1500\n' >"$KW_TMP/conf"
start_kwitnessd --config "$KW_TMP/conf" || bail_out 'the daemon starts'

# ---- a process of the cell is OOM-killed by the host; then somebody goes on talking ----
new_cgroup dead memory.max=32M memory.swap.max=0
register dead '"silenceSeconds":600'
spawn_in dead sleep 1000
sleeper=$spawned
send dead --count 1 >/dev/null
check 'dead: its guest speaks' wait_for 30 has_events guest.v1.process_spawned 1 "$(of dead)"
in_cgroup dead "$KW_VICTIMS/hog" >"$KW_TMP/hog.json" 2>/dev/null
kill -KILL "$sleeper"
check 'dead: nobody lives there any more' wait_for 30 unpopulated dead
go_on_sending dead --interval-ms 500
check 'dead: whoever speaks in its name is told' wait_for 60 said dead dead_speaks contradicted
check 'dead: and that the guest told nothing of the kill' wait_for 60 said dead oom_unsaid silent
kill_event=$(event_field host.v1.oom_kill .id "$(of dead)")
is "$(event_field host.v1.crosscheck '.data.hostEvents[0]' "$(verdict dead oom_unsaid silent)")" "$kill_event" 'dead: by the event of the kill'
is "$(event_field host.v1.crosscheck .data.hostState.populated "$(verdict dead dead_speaks contradicted)" | head -n 1)" false 'dead: with what the host saw'
claim=$(event_field host.v1.crosscheck '.data.claimEvents[0]' "$(verdict dead dead_speaks contradicted)" | head -n 1)
check 'dead: the claim stands in the ledger' exists "$claim"
kill "$sender"
compare "$(event_count host.v1.crosscheck "$(verdict dead dead_speaks contradicted)")" -le 3 'dead: not once a frame'

# ---- stalled by the host, and talking on; then it says so ----
new_cgroup stalled cpu.max='10000 100000'
register stalled '"silenceSeconds":600'
go_on_sending stalled --interval-ms 300
in_cgroup stalled "$KW_VICTIMS/spin" --threads 1 --seconds 3 >/dev/null
# Where this machine is slow its frames come late as well, and that shows the stall.
judged() { said "$@" silent || said "$@" confirmed; }
check 'stalled: what the guest shows of it is told' wait_for 60 judged stalled throttle_unsaid
kill "$sender"
in_cgroup stalled "$KW_VICTIMS/spin" --threads 1 --seconds 2 >/dev/null
send stalled --probe cpu.throttled --count 1 >/dev/null
check 'stalled: a claim of it is confirmed' wait_for 60 said stalled throttle_claimed confirmed

check 'the daemon ends well' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
