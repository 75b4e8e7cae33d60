#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# Refused forks: who tried, whose limit it was, and how many, exactly.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

type=host.v1.pids_max
in_path() { echo ".data.cgroup.path == \"$(cgroup_path "$1")\""; }                            # PATH -> jq condition
told() { event_field $type .data.refusals "$(in_path "$1")" | awk '{ n += $1 } END { print n + 0 }'; } # PATH -> all
told_all() { [ "$(told "$1")" = "$2" ]; }                                                     # PATH NUMBER
field() { event_field $type "$2" "$(in_path "$1")"; }                                         # PATH JQ
refused() { jq -r 'select(.role == "forked") | .refused' "$1"; }

start_kwitnessd || bail_out 'the daemon starts'

# ---- own: the limit is where the fork is ----
new_cgroup own pids.max=5
in_cgroup own "$KW_VICTIMS/forks" --refusals 1 >"$KW_TMP/own.json"
check 'own: the refusal is told' wait_for 20 told_all own 1
pid=$(jq -r 'select(.role == "forks") | .pid' "$KW_TMP/own.json")
is "$(field own .data.tgid)" "$pid" 'own: the one who tried is the one that says so'
is "$(field own .data.comm)" forks 'own: its name'
is "$(field own .data.cgroup.id)" "$(cgroup_id own)" 'own: in its cgroup'
is "$(field own .data.limitOwner.cgroup.path)" "$(cgroup_path own)" 'own: by its own limit'
is "$(field own .data.maxPids)" 5 'own: of 5'
is "$(field own .data.hook)" fexit/pids_can_fork 'own: seen by the hook'
is "$(counter own pids.events max)" 1 'own: the kernel has counted it'

# ---- many: one event a second at most, the number exact ----
new_cgroup many pids.max=3
before=$(now_cs)
in_cgroup many "$KW_VICTIMS/forks" --refusals 20000 >"$KW_TMP/many.json"
check 'many: 20000 refusals are told' wait_for 30 told_all many 20000
seconds=$((($(now_cs) - before) / 100))
is "$(refused "$KW_TMP/many.json")" 20000 'many: as many as the process had'
is "$(counter many pids.events max)" 20000 'many: and as the kernel has counted'
compare "$(event_count $type "$(in_path many)")" -le $((seconds + 3)) 'many: in one event a second'
is "$(field many .data.refusalsTotal | tail -n 1)" 20000 'many: the total is in the last one'

# ---- nested: the limit is the parent's ----
new_cgroup nested pids.max=4
new_cgroup nested/child
in_cgroup nested/child "$KW_VICTIMS/forks" --refusals 7 >"$KW_TMP/nested.json"
check 'nested: the refusals are told of the child' wait_for 20 told_all nested/child 7
is "$(field nested/child .data.limitOwner.cgroup.path | sort -u)" "$(cgroup_path nested)" 'nested: by the limit of the parent'
is "$(field nested/child .data.maxPids | sort -u)" 4 'nested: of 4'
# Up to 6.10 the kernel counts where the fork is, from 6.11 where the limit is; there is a local file then.
if [ -e "$(cgroup_dir nested)/pids.events.local" ]; then
	is "$(counter nested pids.events.local max)" 7 'nested: the kernel counts at the limit'
	is "$(counter nested/child pids.events.local max)" 0 'nested: and not at the fork'
else
	is "$(counter nested/child pids.events max)" 7 'nested: the kernel counts at the fork'
	is "$(counter nested pids.events max)" 0 'nested: and not at the limit'
fi

# ---- while no daemon runs ----
check 'the daemon ends well' stop_kwitnessd
new_cgroup alone pids.max=3
in_cgroup alone "$KW_VICTIMS/forks" --refusals 9 >"$KW_TMP/alone.json"
start_kwitnessd || bail_out 'the daemon starts again'
check 'alone: the refusals are told' wait_for 20 told_all alone 9
is "$(told own)" 1 'own: not told again'
check 'alone: the daemon ends well' stop_kwitnessd

# ---- kretprobe ----
start_kwitnessd --tier kprobe --pins '' || bail_out 'the daemon starts with kprobes'
new_cgroup probed pids.max=3
in_cgroup probed "$KW_VICTIMS/forks" --refusals 5 >"$KW_TMP/probed.json"
check 'kprobe: the refusals are told' wait_for 20 told_all probed 5
is "$(field probed .data.hook | sort -u)" kretprobe/pids_can_fork 'kprobe: seen by the probe'
is "$(event_count host.v1.gap '.data.kind == "lost"')" 0 'nothing was lost'
check 'kprobe: the daemon ends well' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
