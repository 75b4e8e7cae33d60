#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# Evidence that never came: each kill that no hook has told is missed, is told by the counter, and the sum
# is right all the same; after the hooks were taken away as well, and over a restart.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"
. "$KW_VM/parity-lib.sh"

oom_in() { # PATH
	new_cgroup "$1" memory.max=8M memory.swap.max=0
	in_cgroup "$1" "$KW_VICTIMS/hog" --bytes 33554432 >>"$KW_TMP/hogs.json"
}
by_counter() { # PATH -> kills
	event_field host.v1.oom_kill .data.kills ".data.provenance == \"counter\" and .data.victim.cgroup.path == \"$(cgroup_path "$1")\"" |
		awk '{ n += $1 } END { print n + 0 }'
}
counted() { [ "$(by_counter "$1")" = "$2" ]; }

# ---- a ring that is full: nobody reads while so many die that their records do not fit ----
start_kwitnessd || bail_out 'the daemon starts'
oom_in first
check 'first: told by the hook' wait_for 60 settled first oomKill 1
new_cgroup crowd memory.max=96M memory.swap.max=0 memory.oom.group=1
kill -STOP "$kwitnessd_pid"
for i in 1 2 3 4 5 6; do
	in_cgroup crowd "$KW_VICTIMS/hog" --children 47 --child-bytes 64K >/dev/null
done
kill -CONT "$kwitnessd_pid"
kernel=$(counter crowd memory.events oom_kill)
diag "crowd: the kernel has counted $kernel"
check 'crowd: records were lost' wait_for 60 has_events host.v1.gap 1 '.data.kind == "lost"'
check 'crowd: the counter is judged' wait_for 120 settled_now crowd
compare "$(by_counter crowd)" -ge 1 'crowd: what no record told is told by the counter'
lost=$(event_field host.v1.gap .data.lost '.data.kind == "lost" and (.data.reason | contains("oom_kill"))' | awk '{ n += $1 } END { print n + 0 }')
compare "$(by_counter crowd)" -ge "$lost" 'crowd: no lost kill is absent'
is "$(($(event_count host.v1.oom_kill "(.data | has(\"provenance\") | not) and .data.victim.cgroup.path == \"$(cgroup_path crowd)\"") + \
	$(by_counter crowd) + $(event_field host.v1.parity '.data.counters[] | select(.counter == "oomKillLocal") | .arithmetic' ".data.cgroup.path == \"$(cgroup_path crowd)\"" | tail -n 1)))" \
	"$kernel" 'crowd: hooks, doubles and the counter make up what the kernel counted'
check 'the daemon stops in order' stop_kwitnessd

# ---- while nobody watches: neither daemon nor programs ----
rm -rf /sys/fs/bpf/kwitness
oom_in first
oom_in unwatched
start_kwitnessd --tier files || bail_out 'the daemon starts without hooks'
check 'first: the kill of the time between is found' wait_for 120 counted first 1
check 'unwatched: so is one of a cgroup that was made meanwhile' wait_for 120 counted unwatched 1
oom_in files
check 'files: a kill is told by its counter' wait_for 120 counted files 1
check 'files: and judged' wait_for 60 settled_now files
is "$(event_field host.v1.parity '.data.counters[] | select(.counter == "oomKill") | .verdict' ".data.cgroup.path == \"$(cgroup_path files)\"" | tail -n 1)" \
	missed 'files: as missed'
check 'the daemon stops in order again' stop_kwitnessd
read_account
for cgroup in first crowd unwatched files .; do
	check "$cgroup: the sum is right" balanced "$cgroup"
done
is "$(totals kernel)" "$(counter . memory.events oom_kill)" 'the account has as many counts as the kernel'
check 'the ledger verifies' verify_ledger
done_testing
