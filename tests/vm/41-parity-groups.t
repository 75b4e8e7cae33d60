#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# Group kills of every shape: each count of oom_kill and oom_group_kill, of the cgroup and of its parents,
# is explained by events and by the one victim that the kernel counts twice.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"
. "$KW_VM/parity-lib.sh"

start_kwitnessd || bail_out 'the daemon starts'
cases=

# The limit and memory.oom.group on the leaf, then the same on the parent.
for n in 1 2 4 16; do
	new_cgroup "leaf$n" memory.max=48M memory.swap.max=0 memory.oom.group=1
	in_cgroup "leaf$n" "$KW_VICTIMS/hog" --children $((n - 1)) >/dev/null
	new_cgroup "parent$n/child"
	for setting in memory.max=48M memory.swap.max=0 memory.oom.group=1; do
		echo "${setting#*=}" >"$(cgroup_dir "parent$n")/${setting%%=*}"
	done
	in_cgroup "parent$n/child" "$KW_VICTIMS/hog" --children $((n - 1)) >/dev/null
	cases="$cases leaf$n parent$n parent$n/child"
done

# The limit on the parent, memory.oom.group on the child only; three deep.
new_cgroup deep/middle/leaf memory.oom.group=1
echo 32M >"$(cgroup_dir deep)/memory.max"
echo 0 >"$(cgroup_dir deep)/memory.swap.max"
in_cgroup deep/middle/leaf "$KW_VICTIMS/hog" --children 2 >/dev/null
cases="$cases deep deep/middle deep/middle/leaf"

# One member that may not be killed.
new_cgroup immune memory.max=32M memory.swap.max=0 memory.oom.group=1
spawn_in immune "$KW_VICTIMS/hog" --bytes 1M --oom-score-adj -1000 >/dev/null
immune=$spawned
in_cgroup immune "$KW_VICTIMS/hog" --children 1 >/dev/null
check 'immune: the member with -1000 lives' kill -0 "$immune"
# Threads; processes that share the victim's memory.
new_cgroup threads memory.max=32M memory.swap.max=0 memory.oom.group=1
in_cgroup threads "$KW_VICTIMS/hog" --threads 3 --children 1 >/dev/null
new_cgroup shared memory.max=32M memory.swap.max=0 memory.oom.group=1
in_cgroup shared "$KW_VICTIMS/hog" --share-mm 2 >/dev/null
new_cgroup alone memory.max=32M memory.swap.max=0
in_cgroup alone "$KW_VICTIMS/hog" --share-mm 2 >/dev/null
cases="$cases immune threads shared alone"

for cgroup in $cases; do
	compare "$(counter "$cgroup" memory.events oom_kill)" -ge 1 "$cgroup: the kernel has killed"
	check "$cgroup: its counter is judged" wait_for 120 settled_now "$cgroup"
done
kill_cgroup immune
check 'the daemon stops in order' stop_kwitnessd
read_account
for cgroup in $cases .; do
	check "$cgroup: every count is explained" balanced "$cgroup"
done
is "$(totals unexplained)" 0 'nothing is unexplained'
is "$(totals byCounter)" 0 'nothing was seen by a counter alone'
is "$(totals kernel)" "$(counter . memory.events oom_kill)" 'the account has as many counts as the kernel'
is "$(totals byHook)" "$(event_count host.v1.oom_kill)" 'each kill of a hook is an event'
is "$(verdicts missed) $(verdicts extra)" '0 0' 'no verdict of missed or extra'
check 'kwitness parity says so' kwitness parity --ledger "$ledger"
check 'the ledger verifies' verify_ledger
done_testing
