#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# The poller of every cgroup: what it says is what the kernel's files say; cgroups that come and go.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

said=$KW_TMP/said.jsonl
start_sweep() { # [DESCRIPTORS]: interval of 2 s; commands go to file descriptor 4
	: >"$said"
	rm -f "$KW_TMP/commands"
	mkfifo "$KW_TMP/commands"
	"$KW_VICTIMS/sweepdump" /sys/fs/cgroup 2000 "${1:-8192}" "${KW_CGROUP#/sys/fs/cgroup}*" \
		<"$KW_TMP/commands" >"$said" &
	sweep_pid=$!
	exec 4>"$KW_TMP/commands"
}
stop_sweep() {
	exec 4>&-
	wait "$sweep_pid"
}
total() { jq -r "select(.totals) | .$1" "$said"; } # MEMBER
# The last line about a path: MEMBER; nothing when there is none.
last() { # PATH JQ
	jq -r --arg path "$(cgroup_path "$1")" -s "map(select(.path == \$path)) | last | $2" "$said"
}
says() { [ "$(last "$1" "$2")" = "$3" ]; }                     # PATH JQ VALUE; for wait_for
paths() { jq -r -s "[.[] | select(.path and $1) | .path] | unique | length" "$said"; } # CONDITION
count_is() { [ "$(paths "$1")" = "$2" ]; }                     # CONDITION NUMBER

# Every counter that the files have now, and nothing else.
same_as_files() { # PATH
	for same_file in memory.events memory.events.local pids.events pids.events.local cpu.stat; do
		[ -e "$(cgroup_dir "$1")/$same_file" ] || continue
		while read -r same_key same_value; do
			case $same_file:$same_key in
			memory.*:low | memory.*:sock_throttled | cpu.stat:usage_usec | cpu.stat:user_usec | cpu.stat:system_usec) continue ;;
			cpu.stat:nr_periods | cpu.stat:nice_usec | cpu.stat:core_sched.* | cpu.stat:*burst*) continue ;;
			esac
			echo "$same_file $same_key=$same_value"
		done <"$(cgroup_dir "$1")/$same_file"
	done | sort >"$KW_TMP/files"
	last "$1" 'to_entries[] | select(.key | test(" ")) | "\(.key)=\(.value)"' |
		grep -v -e '^cpu.stat usage_usec=' -e '^cpu.stat nr_periods=' | sort >"$KW_TMP/says"
	diff "$KW_TMP/files" "$KW_TMP/says"
}

# ---- what it says is what the files say ----
new_cgroup before memory.max=16M memory.swap.max=0
in_cgroup before "$KW_VICTIMS/hog" >"$KW_TMP/hog.json" 2>&1
start_sweep
check 'a kill from before is in the first reading' wait_for 60 says before '."memory.events oom_kill"' "$(counter before memory.events oom_kill)"
is "$(last before .first)" true 'which is the first'
is "$(last before .id)" "$(cgroup_id before)" 'its id is the inode of the directory'
check 'before: every counter is as in its file' same_as_files before

new_cgroup top/leaf memory.max=16M memory.swap.max=0
check 'a cgroup made meanwhile is seen' wait_for 30 says top/leaf .first true
in_cgroup top/leaf "$KW_VICTIMS/hog" >"$KW_TMP/hog.json" 2>&1
check 'a kill is told' wait_for 30 says top/leaf '."memory.events.local oom_kill"' 1
check 'and above it' wait_for 30 says top '."memory.events oom_kill"' 1
check 'top/leaf: every counter is as in its file' same_as_files top/leaf
check 'top: every counter is as in its file' same_as_files top

new_cgroup spin cpu.max='10000 100000'
in_cgroup spin "$KW_VICTIMS/spin" --threads 1 --seconds 1 >"$KW_TMP/spin.json"
check 'throttling is told in a round' wait_for 60 says spin '."cpu.stat throttled_usec"' "$(counter spin cpu.stat throttled_usec)"
new_cgroup forks pids.max=4
in_cgroup forks "$KW_VICTIMS/forks" >"$KW_TMP/forks.json" 2>&1
check 'refused forks are told' wait_for 30 same_as_files forks
diag "forks: $(last forks 'with_entries(select(.key | test("pids"))) | tostring')"

# ---- gone, and made anew ----
old=$(cgroup_id top/leaf)
rmdir "$(cgroup_dir top/leaf)" && mkdir "$(cgroup_dir top/leaf)"
check 'made anew: another id' wait_for 30 says top/leaf .id "$(cgroup_id top/leaf)"
is "$(last top/leaf .first)" true 'made anew: first again'
is "$(jq -r --argjson id "$old" 'select(.id == $id and .gone) | ."memory.events.local oom_kill"' "$said")" 1 \
	'made anew: the old one is gone once, with what was read last'

# ---- a controller that comes late ----
mkdir "$KW_CGROUP/late"
check 'late: seen' wait_for 30 says late .first true
mkdir "$KW_CGROUP/late/child"
check 'late: a child without the controller is seen' wait_for 30 says late/child '.first and (has("memory.events oom_kill") | not)' true
echo '+memory' >"$KW_CGROUP/late/cgroup.subtree_control"
check 'late: its memory counters are told once it has them' wait_for 60 says late/child 'has("memory.events oom_kill")' true
echo '-memory' >"$KW_CGROUP/late/cgroup.subtree_control"
check 'late: and are not known when it has them no more' wait_for 90 says late/child 'has("memory.events oom_kill")' false
is "$(last late/child .gone)" false 'late: which does not make it gone'

# ---- many come and go ----
many=500
i=0
while [ $i -lt $many ]; do
	echo "$KW_CGROUP/many$i"
	i=$((i + 1))
done >"$KW_TMP/names"
for turn in 1 2 3 4; do
	xargs mkdir <"$KW_TMP/names"
	[ $turn = 4 ] || xargs rmdir <"$KW_TMP/names"
done
check "the last $many of $((4 * many)) are seen" wait_for 120 count_is '(.path | test("/many[0-9]+$")) and .first' "$many"
still_there() { # those that are told first and not gone, by id
	[ "$(jq -s '[.[] | select(.path and (.path | test("/many[0-9]+$")))] | group_by(.id) | map(select(all(.gone | not))) | length' "$said")" = "$many" ]
}
check 'all others are gone' wait_for 120 still_there
echo r >&4
xargs rmdir <"$KW_TMP/names"
none_left() { [ "$(jq -s '[.[] | select(.path and (.path | test("/many[0-9]+$")))] | group_by(.id) | map(select(map(.gone) | (.[-1] | not) or ([.[] | select(.)] | length) != 1)) | length' "$said")" = 0 ]; }
check 'each that was told first is told gone, once' wait_for 120 none_left
stop_sweep
is "$(total malformed)" 0 'no file was refused'
diag "totals: $(jq -c 'select(.totals)' "$said")"
# A turn is 2 ms of work and one step more; under emulation, beside others, a step may be preempted.
compare "$(total longestNs)" -lt 1000000000 'no turn held the loop up for a second'
diag "longest turn: $(($(total longestNs) / 1000)) us of $(total turns)"

# ---- without descriptors ----
start_sweep 0
check 'none kept: says the same' wait_for 60 says before '."memory.events oom_kill"' "$(counter before memory.events oom_kill)"
in_cgroup before "$KW_VICTIMS/hog" >"$KW_TMP/hog.json" 2>&1
check 'none kept: a kill is told' wait_for 30 says before '."memory.events oom_kill"' "$(counter before memory.events oom_kill)"
rmdir "$(cgroup_dir before)"
check 'none kept: gone' wait_for 30 says before .gone true
stop_sweep
is "$(total descriptors)" 0 'none kept: none'

# ---- in the daemon ----
start_kwitnessd --tier files || bail_out 'the daemon starts'
fds() { find "/proc/$kwitnessd_pid/fd" -lname '*/cpu.stat' | wc -l; }
fds_reach() { [ "$(fds)" -ge "$1" ]; }
check 'the daemon keeps the files of every cgroup' wait_for 60 fds_reach "$(find /sys/fs/cgroup -mindepth 1 -type d | wc -l)"
check 'the daemon ends well' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
