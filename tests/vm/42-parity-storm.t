#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# OOMs over fifty cgroups while the daemon is killed ten times: every count of every cgroup is explained in
# the end, no kill twice. Under emulation an OOM takes a tenth of a second and more: KW_STORM_OOMS (1000)
# says how many; the default here is what a test's time limit allows.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"
. "$KW_VM/parity-lib.sh"

cgroups=50
ooms=${KW_STORM_OOMS:-200}
kills=10

start_kwitnessd || bail_out 'the daemon starts'
for i in $(seq 1 "$cgroups"); do
	new_cgroup "group$((i % 5))/c$i" memory.max=8M memory.swap.max=0
done
each=$((ooms / kills))
for round in $(seq 1 "$kills"); do
	pids=
	for i in $(seq 1 "$each"); do
		n=$((((round - 1) * each + i) % cgroups + 1))
		spawn_in "group$((n % 5))/c$n" "$KW_VICTIMS/hog" --bytes 33554432 >/dev/null
		pids="$pids $spawned"
		[ $((i % 5)) != 0 ] || { # shellcheck disable=SC2086 # a list of pids
			wait $pids
			pids=
		}
		[ "$i" != $((each / 2)) ] || kill9_kwitnessd
	done
	# shellcheck disable=SC2086 # a list of pids
	wait $pids
	start_kwitnessd || bail_out "the daemon starts after it was killed $round times"
done
kernel=$(counter . memory.events oom_kill)
diag "the kernel has counted $kernel kills"
compare "$kernel" -ge "$ooms" 'everybody was killed'
check 'the counter over all is judged' wait_for 240 settled . oomKill "$kernel"
for i in 0 1 2 3 4; do
	check "group$i: judged" wait_for 120 settled_now "group$i"
done
check 'the daemon stops in order' stop_kwitnessd
read_account
bad=0
for i in $(seq 1 "$cgroups"); do
	balanced "group$((i % 5))/c$i" || bad=$((bad + 1))
done >"$KW_TMP/bad"
is "$(cat "$KW_TMP/bad")" '' 'each of the fifty is explained'
check 'and all together' balanced .
is "$(totals kernel)" "$kernel" 'the account has as many counts as the kernel'
is "$(totals unexplained)" 0 'nothing is unexplained'
is "$(($(totals byHook) + $(totals byCounter) + $(totals duplicates)))" "$kernel" 'hooks, counters and doubles make up the sum'
is "$(event_field host.v1.oom_kill .id | sort | uniq -d)" '' 'no event stands twice'
check 'the ledger verifies' verify_ledger
done_testing
