#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# The account of throttling: throttled_usec to the microsecond for each episode, nr_throttled exactly; across
# a daemon that is killed in the middle of an episode, and where no hook sees throttling.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"
. "$KW_VM/parity-lib.sh"

type=host.v1.cpu_throttled
of() { echo ".data.cgroup.path == \"$(cgroup_path "$1")\" and .data.phase == \"$2\""; } # PATH PHASE -> jq condition
spin_in() { in_cgroup "$1" "$KW_VICTIMS/spin" --threads 3 --seconds "$2" >/dev/null; }  # PATH SECONDS
told() { has_events $type "$3" "$(of "$1" "$2")"; }                                    # PATH PHASE NUMBER
judged() { # PATH; both counters
	settled "$1" cpuThrottledUsec "$(counter "$1" cpu.stat throttled_usec)" &&
		settled "$1" cpuThrottled "$(counter "$1" cpu.stat nr_throttled)"
}
verdict() { # PATH COUNTER -> the newest
	event_field host.v1.parity ".data.counters[] | select(.counter == \"$2\") | .verdict" ".data.cgroup.path == \"$(cgroup_path "$1")\"" | tail -n 1
}
# PATH MICROSECONDS: what is unexplained of throttled_usec is no more than that; of nr_throttled, nothing.
is_balanced() {
	is "$(account_of "$1" cpuThrottled kernel)" "$(counter "$1" cpu.stat nr_throttled)" "$1: the account has nr_throttled"
	is "$(account_of "$1" cpuThrottled unexplained)" 0 "$1: each of them is explained"
	is "$(account_of "$1" cpuThrottledUsec kernel)" "$(counter "$1" cpu.stat throttled_usec)" "$1: the account has throttled_usec"
	unexplained=$(account_of "$1" cpuThrottledUsec unexplained)
	compare "${unexplained#-}" -le "$2" "$1: explained to within $2 us"
	diag "$1: $(counter "$1" cpu.stat throttled_usec) us in $(counter "$1" cpu.stat nr_throttled) periods, $unexplained us unexplained"
}

start_kwitnessd || bail_out 'the daemon starts'

# ---- episodes, one after the other ----
new_cgroup twice cpu.max='20000 100000'
spin_in twice 2
check 'twice: the first episode ends' wait_for 60 told twice end 1
spin_in twice 2
check 'twice: and the second' wait_for 60 told twice end 2
check 'twice: both counters are judged' wait_for 60 judged twice
like "$(verdict twice cpuThrottledUsec) $(verdict twice cpuThrottled)" '^(agree|late) (agree|late)$' 'twice: they agree, at once or later'

# ---- the limit of a parent, and two below it ----
new_cgroup top cpu.max='30000 100000'
new_cgroup top/a
new_cgroup top/b
spin_in top/a 2 &
spin_in top/b 2
wait $!
check 'top: its episode ends' wait_for 60 told top end 1
check 'top: judged' wait_for 60 judged top
like "$(verdict top cpuThrottledUsec)" '^(agree|late)$' 'top: the hooks tell of the cgroup with the limit'

# ---- the daemon is killed in the middle of an episode ----
new_cgroup through cpu.max='20000 100000'
spawn_in through "$KW_VICTIMS/spin" --threads 3 --seconds 6 >/dev/null
# shellcheck disable=SC2154 # set by spawn_in
spin=$spawned
check 'through: it begins' wait_for 60 told through start 1
kill9_kwitnessd
start_kwitnessd || bail_out 'the daemon starts again'
wait "$spin"
check 'through: it ends' wait_for 60 told through end 1
check 'through: judged' wait_for 60 judged through

check 'the daemon stops in order' stop_kwitnessd
read_account
is_balanced twice 2
is_balanced top 2
is_balanced through 3
check 'kwitness parity says so' kwitness parity --ledger "$ledger"

# ---- no hook sees it: the account says how far the counter moved, and blames nobody ----
rm -rf /sys/fs/bpf/kwitness
start_kwitnessd --tier tracepoint || bail_out 'the daemon starts with tracepoints'
before=$(counter twice cpu.stat nr_throttled)
spin_in twice 2
compare "$(counter twice cpu.stat nr_throttled)" -gt "$before" 'unseen: the kernel has throttled'
check 'unseen: that no hook sees it is declared' wait_for 20 has_events host.v1.gap 1 \
	'.data.kind == "tier" and (.data.reason | startswith("throttle_cfs_rq is not hooked"))'
check 'the daemon stops in order again' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
