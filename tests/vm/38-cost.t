#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 300
# What the programs cost is told as the kernel counts it, those included that a daemon without CAP_SYS_ADMIN
# has taken over; and where the kernel does not count, that is said.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

socket=$runtime/http.sock
page() { curl -s --unix-socket "$socket" "http://kwitness/$1"; }
runs() { page status | jq -r ".cost.programs[] | select(.program == \"$1\") | .runs"; } # PROGRAM
oom() {
	new_cgroup cost memory.max=8M memory.swap.max=0
	in_cgroup cost "$KW_VICTIMS/hog" --bytes 33554432 >/dev/null
}
as_kernel() { # PROGRAM
	bpftool prog show -j | jq -r ".[] | select(.name == \"$1\") | .run_cnt // 0"
}

echo 0 >/proc/sys/kernel/bpf_stats_enabled
"$KW_BUILD/kwitnessd" --detach-bpf # programs that are taken over have counted already
start_kwitnessd --tier fentry || bail_out 'the daemon starts'
oom
check 'an OOM is recorded' wait_for 60 has_events host.v1.oom_kill 1
like "$(kwitness status --socket "$socket")" 'not counted now: kernel.bpf_stats_enabled is 0' 'nothing is counted, and that is said'
is "$(page status | jq -c '[.cost.statistics, ([.cost.programs[].runs] | add)]')" '["off",0]' 'and no figure is made up'
like "$(page metrics)" '^kwitness_bpf_stats_enabled 0$' 'nor in the metrics'

echo 1 >/proc/sys/kernel/bpf_stats_enabled
oom
oom
check 'more OOMs are recorded' wait_for 60 has_events host.v1.oom_kill 3
is "$(runs raw_tp_mark_victim)" 2 'each OOM that was counted, in its program'
is "$(runs fexit_oom_kill_process)" "$(as_kernel fexit_oom_kill_process)" 'as the kernel says itself'
like "$(kwitness status --socket "$socket")" ' 2 runs of raw_tp_mark_victim, [1-9][0-9]* ns each' 'in words'
like "$(page metrics)" '^kwitness_bpf_program_runs_total\{program="raw_tp_mark_victim"\} 2$' 'as a metric'
like "$(page metrics | grep 'run_seconds_total{program="raw_tp_mark_victim"}')" ' 0\.0*[1-9][0-9]*$' 'and their time'
is "$(page metrics | sed -n 's/^kwitness_hook_info{hook="\(.*\)",tier="\(.*\)"} 1$/\1 \2/p')" \
	"$(jq -r '.hooks[] | "\(.hook) \(.tier)"' "$runtime/hooks.json")" 'each hook with its tier'
like "$(page metrics)" '^kwitness_hook_info\{hook="throttle_cfs_rq",tier="fentry"\} 1$' 'one by name'
kill9_kwitnessd

oom # nobody is there
start_kwitnessd --tier fentry || bail_out 'the next daemon starts'
check 'it has taken the programs over' grep -q 'taken over' "$daemon_log"
check 'what happened meanwhile is recorded' wait_for 60 has_events host.v1.oom_kill 4
is "$(runs raw_tp_mark_victim)" 3 'their runs without a daemon are told'
check 'it stops in order' stop_kwitnessd

# As the service runs: bpffs' pins are what it may open, looking programs up by their ids is not.
start_limited() {
	kw_real=$KW_BUILD
	mkdir -p "$KW_TMP/limited"
	printf '#!/bin/sh\nexec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "%s/kwitnessd" "$@"\n' \
		"$kw_real" >"$KW_TMP/limited/kwitnessd"
	chmod +x "$KW_TMP/limited/kwitnessd"
	cp "$kw_real/kwitness" "$KW_TMP/limited/"
	KW_BUILD=$KW_TMP/limited
	start_kwitnessd --tier fentry --gate "$kw_real/kwitness-gate"
	kw_started=$?
	KW_BUILD=$kw_real
	return $kw_started
}
start_limited || bail_out 'a daemon without CAP_SYS_ADMIN starts'
is "$(runs raw_tp_mark_victim)" 3 'it can ask as well'
check 'it stops, too' stop_kwitnessd
echo 0 >/proc/sys/kernel/bpf_stats_enabled
"$KW_BUILD/kwitnessd" --detach-bpf
done_testing
