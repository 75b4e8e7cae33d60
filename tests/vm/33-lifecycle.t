#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Cgroups that come and go: every one is seen, with its path; a name used again is another cgroup; and a
# host full of them does not push an OOM out of its ring.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

recording=$KW_TMP/recording
seen() { node "$KW_REPO/tests/vm/tools/lifecycle.mjs" "$recording"; }                # all of them
of() { seen | awk -v path="$(cgroup_path "$1")" '$6 == path'; }                       # PATH
of_id() { seen | awk -v id="$1" -v what="$2" '$2 == id && $1 == what'; }              # ID WHAT
has_of() { [ "$(of "$1" | awk -v what="$2" '$1 == what' | wc -l)" -ge "$3" ]; }       # PATH WHAT NUMBER
has_of_id() { [ -n "$(of_id "$1" "$2")" ]; }                                         # ID WHAT
oom_in() { # PATH; a hog that is killed for its cgroup's limit
	in_cgroup "$1" "$KW_VICTIMS/hog" >"$KW_TMP/oom.json"
}
killed() { has_events host.v1.oom_kill "$2" ".data.victim.cgroup.path == \"$(cgroup_path "$1")\""; } # PATH NUMBER

start_kwitnessd --record "$recording" || bail_out 'the daemon starts'

# ---- made, used, killed in, removed, made again ----
new_cgroup one memory.max=16M memory.swap.max=0 || new_cgroup one memory.max=16M
first=$(cgroup_id one)
oom_in one
check 'one: the kill is told' wait_for 30 killed one 1
check 'one: the cgroup is removed' wait_for 10 rmdir "$(cgroup_dir one)"
check 'one: its rmdir is seen' wait_for 10 has_of_id "$first" rmdir
new_cgroup one memory.max=16M memory.swap.max=0 || new_cgroup one memory.max=16M
second=$(cgroup_id one)
compare "$second" -ne "$first" 'one: made again, it has another id'
check 'one: that is seen too' wait_for 10 has_of one mkdir 2
oom_in one
check 'one: the second kill is told' wait_for 30 killed one 2
is "$(event_field host.v1.oom_kill .data.victim.cgroup.id ".data.victim.cgroup.path == \"$(cgroup_path one)\"" | tr '\n' ' ')" \
	"$first $second " 'one: each with its own id, under the same path'
is "$(of one | awk '$1 == "mkdir" { print $2 }' | tr '\n' ' ')" "$first $second " 'one: made twice, as two'
is "$(of one | awk '$1 == "mkdir" { print $3 }' | sort -u | wc -l)" 2 'one: with two serial numbers'
is "$(of_id "$first" rmdir | awk '{ print $6 }')" "$(cgroup_path one)" 'one: removed under its path'
is "$(of_id "$first" mkdir | awk '{ print $4 }')" 0 'one: of the unified hierarchy'
is "$(of_id "$first" populated | awk '{ print $5 }' | sort -u | tr '\n' ' ')" '0 1 ' 'one: filled and emptied'

# ---- v2 has no rename ----
new_cgroup parent/child
check_not 'rename: the kernel refuses it' mv -T "$(cgroup_dir parent)" "$(cgroup_dir renamed)"
check 'rename: nothing has changed' test -d "$(cgroup_dir parent/child)"
is "$(seen | awk '$1 == "rename"' | wc -l)" 0 'rename: none is seen'

# ---- churn: all of it is seen or declared, and no OOM is lost ----
new_cgroup churn
new_cgroup among memory.max=16M memory.swap.max=0 || new_cgroup among memory.max=16M
churn=$(cgroup_dir churn)
made=0
while [ "$made" -lt 2000 ]; do
	made=$((made + 1))
	echo "$churn/c$made"
done >"$KW_TMP/names"
xargs mkdir <"$KW_TMP/names" &
oom_in among
wait $!
xargs rmdir <"$KW_TMP/names"
check 'churn: the kill among it is told' wait_for 30 killed among 1
count_of() { seen | awk -v what="$1" -v path="$(cgroup_path churn)/" '$1 == what && index($6, path) == 1' | wc -l; }
lost() { event_field host.v1.gap .data.lost '.data.kind == "lost" and (.data.reason | test("cgroup lifecycle"))' | awk '{ n += $1 } END { print n + 0 }'; }
all_known() { [ $(($(count_of mkdir) + $(count_of rmdir) + $(lost))) -ge 4000 ]; }
check 'churn: each mkdir and rmdir is seen, or declared as lost' wait_for 60 all_known
diag "churn: $(count_of mkdir) mkdir, $(count_of rmdir) rmdir, $(count_of release) release seen; $(lost) declared as lost"
is "$(event_count host.v1.gap '.data.kind == "lost" and (.data.reason | test("oom_"))')" 0 'churn: no record of an OOM was lost'
check 'the daemon ends well' stop_kwitnessd

# ---- where inotify has no watch left, the poller hears of cgroups from the hooks, not in its next round ----
printf '[poller]\ninterval-ms = 600000\n' >"$KW_TMP/rare.conf"
start_kwitnessd -c "$KW_TMP/rare.conf" || bail_out 'the daemon starts with a rare poller'
polls() { find "/proc/$kwitnessd_pid/fd" -lname "$(cgroup_dir "$1")/cpu.stat*" | grep -q .; } # PATH
not_polled() { ! polls "$1"; }
check 'poller: its first round has found this cgroup' wait_for 60 polls .
watches=$(cat /proc/sys/fs/inotify/max_user_watches)
echo 0 >/proc/sys/fs/inotify/max_user_watches
mkdir "$(cgroup_dir unwatched)" # told by the watch above it; has none itself
check 'poller: a cgroup without a watch is polled' wait_for 60 polls unwatched
echo '+memory +cpu +pids' >"$(cgroup_dir unwatched)/cgroup.subtree_control"
mkdir "$(cgroup_dir unwatched/below)"
check 'poller: one below it too, long before the next round' wait_for 60 polls unwatched/below
rmdir "$(cgroup_dir unwatched/below)"
check 'poller: and no more once it is gone' wait_for 60 not_polled unwatched/below
echo "$watches" >/proc/sys/fs/inotify/max_user_watches
check 'poller: the daemon ends well' stop_kwitnessd

# ---- the tracepoint tier has them too ----
recording=$KW_TMP/recording.tracepoint
start_kwitnessd --tier tracepoint --pins '' --record "$recording" || bail_out 'the daemon starts with tracepoints'
new_cgroup traced
check 'tracepoint: mkdir is seen' wait_for 10 has_of traced mkdir 1
check 'tracepoint: the daemon ends well' stop_kwitnessd

# ---- that watches are missing is said ----
echo 0 >/proc/sys/fs/inotify/max_user_watches
printf '[poller]\ninterval-ms = 2000\n' >"$KW_TMP/often.conf"
start_kwitnessd -c "$KW_TMP/often.conf" || bail_out 'the daemon starts without watches'
check 'watches: that they are missing is declared' wait_for 60 has_events host.v1.gap 1 '.data.reason | test("max_user_watches")'
echo "$watches" >/proc/sys/fs/inotify/max_user_watches
check 'watches: the daemon ends well' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
