#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Guests that fall silent: idle or at work, once a silence, and not again after a restart.
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
verdict() { echo ".data.cellId == \"$1\" and .data.rule == \"$2\" and .data.verdict.result == \"$3\""; } # ID RULE RESULT
said() { has_events host.v1.crosscheck 1 "$(verdict "$1" "$2" "$3")"; }
of() { echo ".data.cellId == \"$1\""; } # ID
silenced() { has_events guest.v1.agent_silenced 1 "$(of "$1")"; } # ID

printf '[daemon]\npoll-interval-ms = 1500\n' >"$KW_TMP/conf"
start_kwitnessd --config "$KW_TMP/conf" || bail_out 'the daemon starts'

# ---- idle, and it says nothing: quiet; it speaks: resumed ----
new_cgroup idle
spawn_in idle sleep 1000
# Its start is work, under emulation more than two in a hundred: the window begins behind it.
waits() { grep -q '(sleep) S' "/proc/$spawned/stat"; }
wait_for 30 waits
register idle '"silenceSeconds":5'

# ---- at work, and it says nothing: silenced ----
new_cgroup busy
register busy '"silenceSeconds":5'
send busy --count 1 >/dev/null
spawn_in busy "$KW_VICTIMS/spin" --threads 1 --seconds 600 >/dev/null
busy=$spawned
check 'idle: it is told' wait_for 60 silenced idle
is "$(event_field guest.v1.agent_silenced .data.judgement "$(of idle)")" quiet 'idle: as quiet'
check 'busy: it is told' wait_for 60 silenced busy
is "$(event_field guest.v1.agent_silenced .data.judgement "$(of busy)")" silenced 'busy: as silenced'
compare "$(event_field guest.v1.agent_silenced .data.cpuUsec "$(of busy)")" -gt 100000 'busy: with the time it used'
check 'busy: which is a verdict, too' wait_for 30 said busy silent_at_work silent
send idle --count 1 >/dev/null
check 'idle: it speaks again' wait_for 30 has_events guest.v1.agent_resumed 1 "$(of idle)"
is "$(event_field guest.v1.agent_resumed .data.silencedEvent "$(of idle)")" "$(event_field guest.v1.agent_silenced .id "$(of idle)" | head -n 1)" 'idle: which ends that silence'
kill -KILL "$busy"

# ---- the same silence is not told twice, after a restart ----
before=$(event_count guest.v1.agent_silenced "$(of busy)")
kill9_kwitnessd
start_kwitnessd --config "$KW_TMP/conf" || bail_out 'the daemon starts again'
new_cgroup later
register later '"silenceSeconds":10'
check 'restart: a silence of its own is told' wait_for 60 silenced later
is "$(event_count guest.v1.agent_silenced "$(of busy)")" "$before" 'restart: the old one is not told again'

check 'the daemon ends well' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
