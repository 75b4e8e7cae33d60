#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# Hooks that see less than all, or nothing: an evidence ring that holds two records, programs that are taken away
# half-way, tier tracepoint. Whatever they miss the counters tell, and the sum is right.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"
. "$KW_VM/parity-lib.sh"

oom_in() { # PATH
	new_cgroup "$1" memory.max=8M memory.swap.max=0
	in_cgroup "$1" "$KW_VICTIMS/hog" --bytes 33554432 >>"$KW_TMP/hogs.json"
}
of() { echo ".data.victim.cgroup.path == \"$(cgroup_path "$1")\""; } # PATH -> jq condition
by_hook() { event_count host.v1.oom_kill "(.data | has(\"provenance\") | not) and $(of "$1")"; }
by_counter() { # PATH -> kills
	event_field host.v1.oom_kill .data.kills ".data.provenance == \"counter\" and $(of "$1")" | awk '{ n += $1 } END { print n + 0 }'
}
verdict() { # PATH -> the newest of oomKillLocal
	event_field host.v1.parity '.data.counters[] | select(.counter == "oomKillLocal") | .verdict' \
		".data.cgroup.path == \"$(cgroup_path "$1")\"" | tail -n 1
}
lost() { event_field host.v1.gap .data.lost '.data.kind == "lost" and (.data.reason | contains("oom_kill"))' | awk '{ n += $1 } END { print n + 0 }'; }
doubles() { # PATH
	account_of "$1" oomKillLocal arithmetic
}

# ---- a ring of one page ----
start_kwitnessd --evidence-ring-bytes 4096 --pins '' || bail_out 'the daemon starts with a tiny ring'
crowds=
for i in 1 2 3 4; do
	new_cgroup "crowd$i" memory.max=48M memory.swap.max=0 memory.oom.group=1
	in_cgroup "crowd$i" "$KW_VICTIMS/hog" --children 15 --child-bytes 64K >/dev/null
	crowds="$crowds crowd$i"
done
for cgroup in $crowds; do
	compare "$(counter "$cgroup" memory.events oom_kill)" -ge 16 "$cgroup: the kernel has killed all"
	check "$cgroup: its counter is judged" wait_for 120 settled_now "$cgroup"
done
check 'records were lost' wait_for 60 has_events host.v1.gap 1 '.data.kind == "lost"'
diag "lost: $(lost) of the kills' records"
compare "$(lost)" -ge 1 'kills among them'
compare "$(verdicts missed)" -ge 1 'the counters missed them'
check 'the daemon stops in order' stop_kwitnessd
read_account
told=0 counted=0 twice=0 killed=0
for cgroup in $crowds; do
	check "$cgroup: every count is explained" balanced "$cgroup"
	told=$((told + $(by_hook "$cgroup"))) counted=$((counted + $(by_counter "$cgroup"))) twice=$((twice + $(doubles "$cgroup")))
	killed=$((killed + $(counter "$cgroup" memory.events.local oom_kill)))
done
diag "$killed counted by the kernel: $told by hooks, $counted by counters, $twice counted twice"
is "$((told + counted + twice))" "$killed" 'hooks, counters and doubles make up what the kernel counted'
compare "$counted" -ge "$(lost)" 'no lost kill is absent'

# ---- hooks that are gone half-way: the programs' pins with a daemon that is killed, then kprobes that are disarmed ----
start_kwitnessd || bail_out 'the daemon starts'
oom_in before
check 'before: told by the hook' wait_for 60 settled_now before
is "$(by_hook before) $(by_counter before)" '1 0' 'before: by it alone'
kill9_kwitnessd
rm -f /sys/fs/bpf/kwitness/link_*
oom_in between
start_kwitnessd --tier kprobe || bail_out 'the daemon starts again'
check 'between: the counter is judged' wait_for 120 settled_now between
is "$(by_hook between) $(by_counter between)" '0 1' 'between: told by the counter'
is "$(verdict between)" missed 'between: as missed'
if [ -w /sys/kernel/debug/kprobes/enabled ]; then
	echo 0 >/sys/kernel/debug/kprobes/enabled
	oom_in disarmed
	echo 1 >/sys/kernel/debug/kprobes/enabled
	check 'disarmed: the counter is judged' wait_for 120 settled_now disarmed
	is "$(by_hook disarmed) $(by_counter disarmed)" '1 0' 'disarmed: told by the tracepoint that is left'
else
	skip 'disarmed: told by the tracepoint that is left' 'debugfs is not mounted'
fi
check 'the daemon stops in order again' stop_kwitnessd
"$KW_BUILD/kwitnessd" --detach-bpf

# ---- tier tracepoint: kills are seen, owners are not ----
start_kwitnessd --tier tracepoint || bail_out 'the daemon starts with tracepoints'
oom_in traced
new_cgroup group memory.max=48M memory.swap.max=0 memory.oom.group=1
in_cgroup group "$KW_VICTIMS/hog" --children 3 >/dev/null
for cgroup in traced group; do
	check "$cgroup: judged" wait_for 120 settled_now "$cgroup"
done
is "$(by_hook traced) $(by_counter traced)" '1 0' 'traced: told by the hook'
is "$(by_hook group)" 4 'group: each of the four is'
check 'the daemon stops in order at last' stop_kwitnessd
read_account
for cgroup in before between disarmed traced .; do
	check "$cgroup: every count is explained" balanced "$cgroup"
done
# Which cgroup's limit it was, and so whose group kill, is not seen there: that count is only bounded.
is "$(account_sum group oomKill) $(account_of group oomKill unexplained)" "$(counter group memory.events oom_kill) 0" 'group: every kill is explained'
is "$(totals kernel)" "$(counter . memory.events oom_kill)" 'the account has as many counts as the kernel'
is "$(totals unexplained)" 0 'nothing is unexplained'
check 'the ledger verifies' verify_ledger
done_testing
