#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The reference agent, in the place of a guest: what it sees, and what it does when the host goes away.
# Hundreds of processes under emulation: timeout: 600
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

base=$KW_TMP/fc.sock
start_agent() { # [OPTION]...
	"$KW_BUILD/kwitness-guest" --uds "${base}_9001" --interval 500 "$@" 2>>"$KW_OUT/agent.log" &
	agent=$!
}
all='.type | startswith("dev.cellos.events.cell.observability.guest.v1.")'
guest_events() { ledger_lines | jq -c -R "fromjson? | select($all) | select(${1:-true})"; } # [JQ CONDITION]
told() { # PROBE FILE-OF-PIDS: each pid has such an event
	events "guest.v1.$1" | jq -r .data.guestPid | sort -u >"$KW_TMP/told"
	! sort -u "$2" | grep -vxFf "$KW_TMP/told" >"$KW_TMP/untold"
}
short_lived() { # NUMBER: that many processes that end at once; their pids
	for _ in $(seq "$1"); do sh -c 'echo $$'; done
}

start_kwitnessd || bail_out 'the daemon starts'
printf '{"cellId":"web-7","runId":"run-1","vsockUdsBase":"%s"}\n' "$base" >"$cells/.new" && mv "$cells/.new" "$cells/web-7.json"
check 'the socket is bound' wait_for 20 test -S "${base}_9001"
check 'one heartbeat and out' "$KW_BUILD/kwitness-guest" --uds "${base}_9001" --once
start_agent
check 'heartbeats come' wait_for 30 has_events guest.v1.heartbeat 3
is "$(event_field guest.v1.heartbeat .data.guestBootId | sort -u)" "$(cat /proc/sys/kernel/random/boot_id)" 'of this boot'
is "$(event_field guest.v1.heartbeat .data.contentVersion | sort -u)" 257 'in version 0x0101'
is "$(event_field guest.v1.heartbeat .data.claim.source | sort -u)" proc_connector 'the kernel tells of processes'
threads=0
for stat in /proc/[0-9]*/stat; do # ") S 2 ": children of kthreadd
	case $(cat "$stat" 2>/dev/null) in *') '?' 2 '*) threads=$((threads + 1)) ;; esac
done
claimed=$(event_field guest.v1.heartbeat .data.claim.processes | tail -n 1)
compare "${claimed:-0}" -ge 3 'it says how many there are'
compare "${claimed:-0}" -lt "$threads" 'kernel threads aside'

# ---- processes that nobody could find by looking ----
short_lived 40 >"$KW_TMP/pids"
check 'each short-lived process is told when it begins' wait_for 60 told process_spawned "$KW_TMP/pids"
check 'and when it ends' wait_for 60 told process_exited "$KW_TMP/pids"
sh -c 'exit 3' || true
check 'with its status' wait_for 30 has_events guest.v1.process_exited 1 '.data.claim.status == 768'

# ---- an OOM kill inside ----
new_cgroup small memory.max=32M memory.swap.max=0
in_cgroup small "$KW_VICTIMS/hog" >"$KW_TMP/hog.json" 2>&1
victim=$(event_field host.v1.oom_kill .data.victim.tgid | head -n 1)
compare "${victim:-0}" -gt 0 'the host saw the kill'
check 'and the agent claims it' wait_for 30 has_events guest.v1.oom_killed 1 ".data.guestPid == $victim and .data.claim.source == \"kmsg\""
is "$(event_field guest.v1.oom_killed '[.data.guestComm, .data.claim.constraint, .data.claim.kills] | join(" ")' | head -n 1)" 'hog memcg 1' 'with its name'
counted() { event_field guest.v1.heartbeat .data.claim.oom_kills | tail -n 1 | grep -qx 1; }
check 'heartbeats count it' wait_for 30 counted
is "$(event_count guest.v1.oom_killed)" 1 'once'

# ---- throttling inside ----
new_cgroup slow 'cpu.max=5000 50000'
spawn_in slow "$KW_VICTIMS/spin" >/dev/null 2>&1
check 'throttling is claimed' wait_for 60 has_events guest.v1.cpu_throttled 1 '.data.claim.throttled_periods > 0'
like "$(event_field guest.v1.cpu_throttled .data.claim.cgroup | head -n 1)" '/slow$' 'with its cgroup'
kill_cgroup slow

# ---- the host dies and comes back ----
first=$(guest_events '.data.seq > 1' | jq -r .data.dropped | sort -u)
is "$first" 0 'nothing was dropped until now'
kill9_kwitnessd
short_lived 20 >"$KW_TMP/meanwhile"
check 'the agent lives on' kill -0 "$agent"
start_kwitnessd || bail_out 'the daemon starts again'
check 'what happened meanwhile is told' wait_for 60 told process_exited "$KW_TMP/meanwhile"
seq_again() { guest_events '.data.seq == 1' | wc -l | grep -qx 3; } # --once, and two connections
check 'a new connection counts from 1 again' wait_for 30 seq_again
gaps_of_seq() { # the agent's numbers on its last connection: each one more than the one before
	guest_events | jq -r .data.seq | awk '$1 != 1 && $1 != last + 1 { print last, $1 } { last = $1 }'
}
is "$(gaps_of_seq)" '' 'and no number is missing'
is "$(guest_events | jq -r .data.dropped | tail -n 1)" 0 'nor was anything dropped'

# ---- away for longer than the queue is long ----
kill9_kwitnessd
short_lived 400 >/dev/null
start_kwitnessd || bail_out 'the daemon starts once more'
dropped() { [ "$(guest_events '.data.probeSource == "heartbeat"' | jq -r .data.dropped | tail -n 1)" -gt 0 ]; }
check 'what did not fit is counted in every frame' wait_for 60 dropped
declared() { [ "$(event_field guest.v1.telemetry_dropped .data.claim.lost | awk '{ n += $1 } END { print n + 0 }')" = \
	"$(guest_events | jq -r .data.dropped | tail -n 1)" ]; }
check 'and declared, to the last one' wait_for 60 declared
is "$(gaps_of_seq)" '' 'of what was sent no number is missing'
kill "$agent" && wait "$agent" 2>/dev/null

# ---- a guest without the connector ----
before=$(event_count guest.v1.heartbeat '.data.claim.source == "proc"')
start_agent --no-connector
looks() { [ "$(event_count guest.v1.heartbeat '.data.claim.source == "proc"')" -gt "$before" ]; }
check 'without the connector it looks at /proc' wait_for 60 looks
sleep 300 &
sleeper=$!
check 'and says so with what it finds' wait_for 30 \
	has_events guest.v1.process_spawned 1 ".data.guestPid == $sleeper and .data.claim.source == \"proc\""
kill "$sleeper"
check 'and misses' wait_for 30 has_events guest.v1.process_exited 1 ".data.guestPid == $sleeper and .data.claim.source == \"proc\""
kill "$agent" && wait "$agent" 2>/dev/null

# ---- in a container: its own namespaces, and the host's kernel, which knows how many there were ----
new_cgroup box
printf '{"cellId":"box","runId":"run-1","kernel":"shared","cgroupPath":"%s","vsockUdsBase":"%s"}\n' "$(cgroup_path box)" "$KW_TMP/box" \
	>"$cells/.new" && mv "$cells/.new" "$cells/box.json"
check "the container's socket is bound" wait_for 30 test -S "$KW_TMP/box_9001"
spawn_in box unshare --pid --fork --mount-proc --kill-child sh -c 'sleep 1000 & sleep 1000 & exec "$0" "$@"' \
	"$KW_BUILD/kwitness-guest" --uds "$KW_TMP/box_9001" --interval 500 2>>"$KW_OUT/agent.log"
check 'it sees its own processes, to the last one' wait_for 60 has_events guest.v1.heartbeat 3 \
	'.data.cellId == "box" and .data.claim.processes == 3'
is "$(event_field guest.v1.heartbeat .data.claim.source '.data.cellId == "box"' | sort -u)" proc 'and does not take it that it is told of each'
kill_cgroup box
is "$(event_count host.v1.crosscheck '.data.cellId == "box" and .data.verdict.result == "contradicted"')" 0 'the host does not object'

check 'no frame of the agent was refused' test "$(event_count host.v1.gap '.data.kind == "guest" and (.data.reason | test("cut_short") | not)')" = 0
check 'the daemon stops in order' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
