#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# Daemon and programs are replaced by those of another build while OOMs go on: each is in the ledger exactly
# once, those that happened while nobody read with their true time, and the time without a reader is exact.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

pins=/sys/fs/bpf/kwitness
kills=0
oom() { # one OOM, waits for it
	kills=$((kills + 1))
	[ -d "$(cgroup_dir up)" ] || new_cgroup up memory.max=8M memory.swap.max=0
	in_cgroup up "$KW_VICTIMS/hog" --bytes 33554432 >"$KW_TMP/hog$kills.json"
}
keep_on() { # OOMs until the file is gone
	touch "$KW_TMP/on"
	new_cgroup on memory.max=8M memory.swap.max=0
	(
		while [ -f "$KW_TMP/on" ]; do
			in_cgroup on "$KW_VICTIMS/hog" --bytes 33554432 >>"$KW_TMP/hog-on.json"
		done
	) 2>/dev/null &
	keeper=$!
}
start_other() {
	kw_real=$KW_BUILD
	KW_BUILD=$KW_BUILD/vm/other
	start_kwitnessd --gate "$kw_real/kwitness-gate"
	kw_started=$?
	KW_BUILD=$kw_real
	return $kw_started
}
recorded() { event_field host.v1.oom_kill .data.victim.tgid | sort -n; }
died() { cat "$KW_TMP"/hog*.json | jq -r 'select(.role == "hog") | .pid' | sort -n; }
all_recorded() { [ "$(recorded | wc -l)" -ge "$(died | wc -l)" ]; }
restarts() { events host.v1.gap '.data.kind == "restart"'; }
build_id() { bpftool map dump pinned $pins/meta -j | md5sum; }

"$KW_BUILD/kwitnessd" --detach-bpf # what another test has left
start_kwitnessd || bail_out 'the daemon starts'
oom
check 'a kill is recorded' wait_for 60 has_events host.v1.oom_kill 1
first_build=$(build_id)
kill9_kwitnessd

# ---- nobody reads; then the other build ----
down_ns=$(($(now_cs) * 10000000))
oom
oom
oom
up_ns=$(($(now_cs) * 10000000))
keep_on
goes_on() { [ "$(grep -c '"hog"' "$KW_TMP/hog-on.json" 2>/dev/null || echo 0)" -ge "$1" ]; }
check 'OOMs go on' wait_for 60 goes_on 2
start_other || bail_out 'the other build starts'
so_far=$(grep -c '"hog"' "$KW_TMP/hog-on.json")
check_not 'the pins are those of the other build' test "$first_build" = "$(build_id)"
check_not 'its programs were not taken over' grep -q 'taken over' "$daemon_log"
check 'OOMs go on still' wait_for 60 goes_on $((so_far + 3))
# ---- and back, with OOMs going on and the daemon killed ----
kill9_kwitnessd
start_kwitnessd || bail_out 'the first build starts again'
so_far=$(grep -c '"hog"' "$KW_TMP/hog-on.json")
check 'OOMs go on to the end' wait_for 60 goes_on $((so_far + 3))
rm "$KW_TMP/on"
wait "$keeper"
check 'all that died is recorded' wait_for 60 all_recorded
is "$(recorded)" "$(died)" 'each that died is recorded, none twice'
is "$(event_field host.v1.oom_kill .id | sort | uniq -d)" '' 'no event id stands twice'
is "$(events host.v1.oom_kill ".data.bootNs >= $down_ns and .data.bootNs <= $up_ns + 10000000" | wc -l)" 3 \
	'those of the time without a daemon have the time at which they happened'

gap=$(restarts | head -n 1)
field() { printf '%s\n' "$gap" | jq -r "$1"; }
like "$(field .data.reason)" ', [0-9]+ records waited' 'the restart says how many records waited'
compare "$(field .data.reason | sed 's/.*, \([0-9]*\) records waited.*/\1/')" -ge 6 'no fewer than there were'
compare "$(field .data.from)" -gt 0 'and since when nobody read'
compare "$(field .data.from)" -le $((down_ns + 10000000)) 'not later than the daemon died'
compare "$(field .data.to)" -gt "$up_ns" 'until it was back'
is "$(restarts | wc -l)" 2 'both restarts are declared'
# A daemon that is killed between the end of an OOM and its summary takes the summary with it: its kills are told, and how
# many were open is declared.
open_when_killed() { event_field host.v1.gap .data.reason '.data.kind == "incident"' | awk '{ n += $1 } END { print n + 0 }'; }
incidents_told() { has_events host.v1.oom_incident "$(($(died | wc -l) - $(open_when_killed)))"; }
check 'each OOM is summed up, but those that are declared' wait_for 60 incidents_told
is "$(event_field host.v1.oom_incident .data.incident | sort | uniq -d)" '' 'none of them twice'
compare "$(event_count host.v1.oom_incident)" -le "$(died | wc -l)" 'nor one too many'
is "$(event_field host.v1.oom_incident .data.verdict.words '.data.verdict.result != "explained"')" '' 'and explained'
is "$(event_count host.v1.gap '.data.kind == "lost"')" 0 'nothing was lost'
check 'the daemon stops in order' stop_kwitnessd
check 'the ledger verifies' verify_ledger
diag "$(died | wc -l) OOMs, of them 3 without a daemon and $(grep -c '"hog"' "$KW_TMP/hog-on.json") across two replacements"
done_testing
