#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# Mounted with memory_localevents or pids_localevents, the files count something else: the account follows
# them. And tier tracepoint, which sees victims and nothing of whose limit it was.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"
. "$KW_VM/parity-lib.sh"

remount() { mount -o "remount,$1" /sys/fs/cgroup; }
# With source and target named, mount takes no options over from before.
plain() { mount -t cgroup2 -o remount cgroup2 /sys/fs/cgroup && ! grep -q "cgroup2.*_localevents" /proc/mounts; }
nested_oom() { # PATH; the limit on it, the victim in a child
	new_cgroup "$1/child"
	echo 8M >"$(cgroup_dir "$1")/memory.max"
	echo 0 >"$(cgroup_dir "$1")/memory.swap.max"
	in_cgroup "$1/child" "$KW_VICTIMS/hog" --bytes 33554432 >/dev/null
}
verdict_of() { # PATH COUNTER
	event_field host.v1.parity ".data.counters[] | select(.counter == \"$2\") | .verdict" ".data.cgroup.path == \"$(cgroup_path "$1")\"" | tail -n 1
}

# ---- memory_localevents ----
check 'memory_localevents: mounted so' remount memory_localevents
start_kwitnessd || bail_out 'the daemon starts'
nested_oom local
is "$(counter local memory.events oom_kill)" 0 'memory_localevents: the limit owner does not count the kill'
check 'memory_localevents: the child is judged' wait_for 120 settled local/child oomKillLocal 1
like "$(verdict_of local/child oomKillLocal)" '^(agree|late)$' 'memory_localevents: and agrees'
check 'the daemon stops in order' stop_kwitnessd
check 'mounted as before' plain
is "$(verdicts missed) $(verdicts extra)" '0 0' 'memory_localevents: nothing missed, nothing extra'

# ---- pids: where the kernel counts depends on its version and on pids_localevents ----
pids_case() { # NAME
	new_cgroup "$1" pids.max=4
	new_cgroup "$1/child"
	in_cgroup "$1/child" "$KW_VICTIMS/forks" --refusals 7 >/dev/null
	for at in "$1" "$1/child"; do
		kernel=$(counter "$at" pids.events max)
		[ "$kernel" = 0 ] || check "$at: pids.events is judged" wait_for 120 settled "$at" pidsMax "$kernel"
	done
}
if remount pids_localevents 2>/dev/null; then
	start_kwitnessd || bail_out 'the daemon starts with pids_localevents'
	pids_case pids-local
	is "$(counter pids-local/child pids.events max)" 7 'pids_localevents: counted where the fork was'
	check 'the daemon stops in order again' stop_kwitnessd
	check 'mounted as before once more' plain
fi
start_kwitnessd || bail_out 'the daemon starts once more'
pids_case pids
check 'and stops in order' stop_kwitnessd

# ---- tier tracepoint ----
start_kwitnessd --tier tracepoint --pins '' || bail_out 'the daemon starts with the tracepoint alone'
nested_oom traced
check 'tracepoint: the parent is judged' wait_for 120 settled traced oomKill 1
like "$(verdict_of traced oomKill)" '^(agree|late)$' 'tracepoint: explained by the victim alone'
check 'tracepoint: the daemon stops in order' stop_kwitnessd
is "$(verdicts missed) $(verdicts extra)" '0 0' 'nothing missed, nothing extra'
check 'kwitness parity: nothing unexplained' kwitness parity --ledger "$ledger"
check 'the ledger verifies' verify_ledger
done_testing
