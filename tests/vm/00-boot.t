#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The VM is what the other tests take it for, and its kernel counts OOM kills as docs and code assume: needs
# no kwitness, so that a failure here speaks of the harness or the kernel.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

case $(uname -r) in
"$KW_KERNEL".*) ok 'the kernel is the one asked for' ;;
*) not_ok 'the kernel is the one asked for' "got $(uname -r), expected $KW_KERNEL" ;;
esac

controllers=" $(cat /sys/fs/cgroup/cgroup.subtree_control) "
for c in memory cpu pids; do
	like "$controllers" " $c " "cgroup2 hands on the $c controller"
done
is "$(stat -f -c %T /sys/fs/bpf)" bpf_fs 'bpffs is mounted'
check 'the kernel has BTF' test -s /sys/kernel/btf/vmlinux
check 'tracefs is mounted' test -d /sys/kernel/tracing/events/oom/mark_victim
check 'the loopback is up' grep -q 127.0.0.1 /proc/net/fib_trie
like "$(cat /etc/machine-id)" '^[0-9a-f]{32}$' 'there is a machine id'
# Not even a root that means to: the write must be refused by the host, not by this mount's flags.
mkdir "$KW_TMP/host"
mount -t virtiofs -o ro root "$KW_TMP/host" && mount -o remount,rw "$KW_TMP/host"
check_not 'the shared root is read-only' touch "$KW_TMP/host$KW_REPO/written-by-the-vm"
umount "$KW_TMP/host"
check 'the VM has a writable layer over it' touch "$KW_REPO/written-by-the-vm"
echo here >"$KW_OUT/here"
is "$(cat "$KW_OUT/here")" here 'results reach the host'

# The clock: a VM with none of its own would sign events of 1970.
compare "$(date +%s)" -gt 1700000000 'the clock is set'

# ---- one victim ----
new_cgroup one memory.max=32M memory.swap.max=0
in_cgroup one "$KW_VICTIMS/hog" --children 3 >"$KW_TMP/one.json" 2>"$KW_TMP/one.err"
is "$?" 137 'a hog in a small cgroup is killed'
check 'it is counted' wait_for 10 counter_reaches one memory.events oom_kill 1
is "$(counter one memory.events oom_kill)" 1 'once, though it has three children'
is "$(counter one memory.events oom_group_kill)" 0 'and not as a group'
is "$(counter one memory.events.local oom_kill)" 1 'and the same locally'
is "$(grep -c . "$(cgroup_dir one)/cgroup.procs")" 3 'its children live on'
is "$(jq -r 'select(.role == "hog") | .cgroup' "$KW_TMP/one.json")" "$(cgroup_path one)" 'it knew its cgroup'
kill_cgroup one

# ---- a group of four ----
new_cgroup group memory.max=32M memory.swap.max=0 memory.oom.group=1
in_cgroup group "$KW_VICTIMS/hog" --children 3 >"$KW_TMP/group.json" 2>"$KW_TMP/group.err"
is "$?" 137 'a hog in a group is killed'
check 'and everybody with it' wait_for 10 unpopulated group
is "$(jq -r .pid "$KW_TMP/group.json" | sort -u | grep -c .)" 4 'four processes it was'
is "$(counter group memory.events oom_kill)" 5 'oom_kill counts the chosen one twice'
is "$(counter group memory.events oom_group_kill)" 1 'oom_group_kill counts the group'

# ---- what the other victims say ----
new_cgroup pids pids.max=8
in_cgroup pids "$KW_VICTIMS/forks" --refusals 3 >"$KW_TMP/forks.json"
is "$(jq -r 'select(.role == "forked") | "\(.forked) \(.refused)"' "$KW_TMP/forks.json")" '7 3' 'pids.max refuses forks'

new_cgroup cpu 'cpu.max=20000 100000'
in_cgroup cpu "$KW_VICTIMS/spin" --threads 2 --seconds 1 >"$KW_TMP/spin.json"
compare "$(counter cpu cpu.stat nr_throttled)" -ge 1 'cpu.max throttles'

# ---- modules ----
check 'vsock_loopback loads' load_module vsock_loopback
check 'vhost_vsock loads' load_module vhost_vsock
check '/dev/vhost-vsock is there' wait_for 10 test -c /dev/vhost-vsock

done_testing
