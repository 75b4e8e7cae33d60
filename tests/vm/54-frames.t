#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What a guest's frames show of themselves: sent again, left out, another boot, a lying clock. And nothing is
# said of an honest one.
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

printf '[daemon]\npoll-interval-ms = 5000\n' >"$KW_TMP/conf"
start_kwitnessd --config "$KW_TMP/conf" || bail_out 'the daemon starts'

new_cgroup liar
register liar '"silenceSeconds":600'
spawn_in liar sleep 1000
send liar --seq 7 --seq-step 0 --count 20 --interval-ms 50 >/dev/null
check 'liar: a frame sent again is told' wait_for 30 said liar repeated contradicted
send liar --seq 1 --seq-step 3 --count 3 --dropped 9 >/dev/null
check 'liar: missing numbers are told' wait_for 30 said liar missing silent
check 'liar: and what its agent dropped' wait_for 30 said liar dropped silent
is "$(event_field host.v1.crosscheck .data.measured.droppedFrames "$(verdict liar dropped silent)" | head -n 1)" 9 'liar: with the number'
send liar --boot-id one --count 1 >/dev/null
send liar --boot-id two --count 1 >/dev/null
check 'liar: another boot is told' wait_for 30 said liar boot_changed unverifiable
new_cgroup clock
register clock '"silenceSeconds":600'
spawn_in clock sleep 1000
go_on_sending clock --clock-percent 150 --interval-ms 300
check 'clock: one that runs wrong is told' wait_for 120 said clock clock_rate contradicted
compare "$(event_field host.v1.crosscheck .data.measured.ratePpb "$(verdict clock clock_rate contradicted)" | head -n 1)" -gt 300000000 'clock: by how much'
check 'clock: an offset is stamped on frames' has_events guest.v1.process_spawned 1 "$(of clock) and .data.guestClock.errorNs > 0"

kill "$sender"

# ---- an honest guest: nothing is said of it ----
new_cgroup honest
register honest '"kernel":"shared","silenceSeconds":600'
spawn_in honest sleep 1000
go_on_sending honest --seq 1 --boot-id same --probe heartbeat --interval-ms 300
check 'honest: its frames have an offset' wait_for 30 has_events guest.v1.heartbeat 1 "$(of honest) and .data.guestClock"
is "$(event_count host.v1.crosscheck "$(of honest)")" 0 'honest: nothing is said of it'
kill "$sender"

check 'the daemon ends well' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
