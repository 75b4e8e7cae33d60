#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 400
# Kills by memory managers in user space: who, whom, and nothing about other people's signals.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

type=host.v1.oom_kill
of() { echo ".data.constraint == \"userspace\" and .data.victim.tgid == $1"; } # PID -> jq condition
told() { [ "$(event_count $type "$(of "$1")")" = 1 ]; }                         # PID
field() { event_field $type "$2" "$(of "$1")"; }                                # PID JQ
sleeper() { spawn_in "$1" sleep 1000 >/dev/null; }                              # CGROUP -> $spawned

new_cgroup manager
new_cgroup web memory.max=64M
new_cgroup bystander
manager=$(cgroup_path manager)
config() { printf '[daemon]\nuserspace-killers = %s\n' "$1" >"$KW_TMP/conf"; } # UNITS
config "absent.service $manager"
start_kwitnessd --config "$KW_TMP/conf" || bail_out 'the daemon starts'

# ---- kill(2), pid by pid, as systemd-oomd does ----
sleeper web
# shellcheck disable=SC2154 # set by spawn_in
victim=$spawned
in_cgroup manager sh -c 'echo $$ >"$1"; kill -KILL "$2"' sh "$KW_TMP/killer" "$victim"
check 'kill: it is told' wait_for 20 told "$victim"
is "$(field "$victim" .data.killer.tgid)" "$(cat "$KW_TMP/killer")" 'kill: by the one who did it'
is "$(field "$victim" .data.killer.cgroup.path)" "$manager" 'kill: in its cgroup'
is "$(field "$victim" .data.victim.comm)" sleep 'kill: the victim by name'
is "$(field "$victim" .data.victim.cgroup.path)" "$(cgroup_path web)" 'kill: the cgroup of the victim'
is "$(field "$victim" .data.memory.maxBytes)" 67108864 'kill: the limit that it had not reached'
is "$(field "$victim" .data.hook)" raw_tp/signal_generate 'kill: seen by the hook'
is "$(field "$victim" '.data | has("limitOwner") or has("incident")')" false 'kill: no limit is blamed'
is "$(counter web memory.events oom_kill)" 0 'kill: the kernel counts no OOM kill'

# ---- cgroup.kill, all of a cgroup at once ----
new_cgroup group
pids=
for _ in 1 2 3; do
	sleeper group
	pids="$pids $spawned"
done
in_cgroup manager sh -c 'echo 1 >"$1"' sh "$(cgroup_dir group)/cgroup.kill"
for pid in $pids; do
	check "cgroup.kill: $pid is told" wait_for 20 told "$pid"
done

# ---- other people's signals, and other signals, are nobody's business ----
sleeper web
other=$spawned
in_cgroup bystander sh -c 'kill -KILL "$1"' sh "$other"
sleeper web
term=$spawned
in_cgroup manager sh -c 'kill -TERM "$1"' sh "$term"

# ---- an OOM of the kernel that the manager itself runs into is the kernel's ----
new_cgroup manager/small memory.max=8M memory.swap.max=0
spawn_in manager/small "$KW_VICTIMS/hog" --bytes 33554432 >/dev/null
hog=$spawned
wait "$hog" 2>/dev/null
check 'the OOM in the manager is told' wait_for 20 has_events $type 1 ".data.victim.tgid == $hog"

# ---- a unit that is started anew has a new cgroup ----
rmdir "$(cgroup_dir manager)/small" "$(cgroup_dir manager)"
new_cgroup manager
again() { # until the daemon has looked again
	sleeper web
	in_cgroup manager sh -c 'kill -KILL "$1"' sh "$spawned"
	wait_for 10 told "$spawned"
}
check 'again: found in its new cgroup' wait_for 120 again

# ---- while no daemon runs ----
check 'the daemon ends well' stop_kwitnessd
sleeper web
alone=$spawned
in_cgroup manager sh -c 'kill -KILL "$1"' sh "$alone"
start_kwitnessd --config "$KW_TMP/conf" || bail_out 'the daemon starts again'
check 'alone: it is told' wait_for 20 told "$alone"
is "$(event_count $type "$(of "$other")")" 0 'a bystander that kills is not told'
is "$(event_count $type "$(of "$term")")" 0 'a signal that does not kill is not told'
is "$(event_count $type "$(of "$hog")")" 0 'the kernel'\''s kill is not told as one of user space'
is "$(event_count host.v1.gap '.data.kind == "lost"')" 0 'nothing was lost'
check 'the daemon ends well again' stop_kwitnessd
is "$(kwitness parity --ledger "$ledger" --json | jq .totals.oomKill.unexplained)" 0 'parity: nothing is unexplained'
check 'the ledger verifies' verify_ledger
done_testing
