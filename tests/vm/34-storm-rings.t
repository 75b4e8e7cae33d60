#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 600
# Rings far too small: a storm of throttling in 50 cgroups fills the bulk ring while 40 OOMs happen. Every OOM
# is in the ledger; what the rings refused is declared, to the last record, as the producers counted it. Then
# the evidence ring is too small as well: OOMs are lost, their number is exact, and nothing else breaks.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

pins=/sys/fs/bpf/kwitness
export KW_TMP
throttled=50

storm() { # HOW MANY; four OOMs at a time
	i=0
	while [ $i -lt "$1" ]; do
		oom_pids=
		for slot in 1 2 3 4; do
			new_cgroup "oom$slot" memory.max=8M memory.swap.max=0
			spawn_in "oom$slot" "$KW_VICTIMS/hog" --bytes 33554432 >>"$KW_TMP/hog$slot.json"
			oom_pids="$oom_pids $spawned"
		done
		# shellcheck disable=SC2086 # a list of pids
		wait $oom_pids
		i=$((i + 4))
	done
}
died() { cat "$KW_TMP"/hog*.json | jq -r 'select(.role == "hog") | .pid' | sort -n; }
recorded() { event_field host.v1.oom_kill .data.victim.tgid '.data | has("provenance") | not' | sort -n; } # by hooks
all_recorded() { [ "$(recorded | wc -l)" -ge "$(died | wc -l)" ]; }
# As the producers have counted: those of cgroups and the rest. Kinds 1 and 2 are OOMs, 3 is throttling.
counted() { # KIND
	cgroups=$(bpftool map dump pinned $pins/cgroup_losses -j |
		jq "[.[].formatted | select(.key.kind == $1 and .key.reason == 0) | .value] | add // 0")
	rest=$(bpftool map dump pinned $pins/losses -j | jq "[.[].formatted | select(.key == $1 * 4) | .value] | add // 0")
	echo $((cgroups + rest))
}
declared() { # NOUN
	event_field host.v1.gap .data.lost ".data.kind == \"lost\" and (.data.reason | test(\"^[0-9]+ $1 records were lost\"))" |
		awk '{ sum += $1 } END { print sum + 0 }'
}
# Every loss that the producers have counted since they were loaded: cgroup (0: no one's), kind, reason, how many.
counted_all() {
	{
		bpftool map dump pinned $pins/cgroup_losses -j |
			jq -r '.[].formatted | "\(.key.cgroup) \(.key.kind) \(.key.reason) \(.value)"'
		bpftool map dump pinned $pins/losses -j |
			jq -r '.[].formatted | select(.value > 0) | "0 \(.key / 4 | floor) \(.key % 4) \(.value)"'
	} | awk '{ sum[$1 " " $2 " " $3] += $4 } END { for (what in sum) print what, sum[what] }' | sort
}
# The same as the ledger declares it, from the words of its gaps.
declared_all() {
	event_field host.v1.gap '"\(.data.cgroup.id // 0) \(.data.reason)"' '.data.kind == "lost"' | awk '
		BEGIN {
			split("oom_kill oom_end throttle pids memory_high cgroup userspace", nouns)
			for (kind in nouns) kinds[nouns[kind]] = kind
		}
		{
			reason = /ring was full/ ? 0 : /not counted|could not be counted/ ? 1 : /lack the part/ ? 2 : /had sent its share/ ? 3 : "?"
			sum[$1 " " kinds[$3] " " reason] += $2
		}
		END { for (what in sum) print what, sum[what] }' | sort
}
# From the hook to the signed line, in us: p50 p99 max.
latency() {
	events host.v1.oom_kill | jq -r '[.time, .recordedtime] | @tsv' | awk '
		function ns(t) { split(t, p, /[T:Z]/); return (p[2] * 3600 + p[3] * 60 + p[4]) * 1000000 }
		{ d = ns($2) - ns($1); if (d < 0) d += 86400 * 1000000; printf "%d\n", d }' | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR - 1) * .5) + 1], v[int((NR - 1) * .99) + 1], v[NR] }'
}

"$KW_BUILD/kwitnessd" --detach-bpf # programs that are taken over keep their rings
start_kwitnessd --bulk-ring-bytes 4096 || bail_out 'the daemon starts with a bulk ring of one page'
storm 8
check 'OOMs before the storm are recorded' wait_for 60 all_recorded
diag "latency without a storm, us (p50 p99 max): $(latency)"
i=0
while [ $i -lt $throttled ]; do
	new_cgroup "b$i"
	spawn_in "b$i" "$KW_VICTIMS/spin" --threads 1 --seconds 20 >/dev/null
	spins="${spins-} $spawned"
	i=$((i + 1))
done
# All at once, so that their first records come within one turn of the poll.
i=0
while [ $i -lt $throttled ]; do
	echo '1000 50000' >"$KW_CGROUP/b$i/cpu.max"
	i=$((i + 1))
done
storm 40
# shellcheck disable=SC2086 # a list of pids
wait $spins
check 'every OOM is recorded' wait_for 60 all_recorded
is "$(recorded)" "$(died)" 'each that died, once'
# In time: what an operator sees as at once. An emulated CPU that 50 cgroups fight for is slow, and this is
# far above what is measured; without a ring of its own an OOM would wait for the poll or be lost.
read -r p50 p99 longest <<EOF
$(latency)
EOF
diag "latency with the storm, us (p50 p99 max): $p50 $p99 $longest"
compare "$p99" -lt 5000000 'in time: within 5 s, in 99 of 100'
check 'the daemon stops in order' stop_kwitnessd
bulk=$(counted 3)
diag "records of throttling that the bulk ring refused: $bulk"
compare "$bulk" -gt 0 'the bulk ring was too small'
is "$(declared throttle)" "$bulk" 'what it refused is declared, to the last record'
counted_all >"$KW_OUT/counted"
is "$(declared_all)" "$(cat "$KW_OUT/counted")" 'as it was counted: by cgroup, kind and reason'
compare "$(awk '$1 != 0 && $2 == 3 && $3 == 0' "$KW_OUT/counted" | wc -l)" -ge $((throttled / 5)) 'in many of the cgroups'
diag "losses (cgroup, kind, reason, number): $(tr '\n' ';' <"$KW_OUT/counted")"
is "$(declared 'oom_kill')" 0 'no OOM was refused'
compare "$(event_count host.v1.gap '.data.kind == "lost" and (.data.cgroup.path // "" | test("/b[0-9]+$"))')" -gt 0 'by cgroup'
check 'the ledger verifies' verify_ledger
"$KW_BUILD/kwitnessd" --detach-bpf

# ---- the evidence ring: a page holds two records; the reader stands still meanwhile ----
ledger=$KW_TMP/ledger2
rm -f "$KW_TMP"/hog*.json
start_kwitnessd --evidence-ring-bytes 4096 || bail_out 'the daemon starts with an evidence ring of one page'
kill -STOP "$kwitnessd_pid"
storm 12
kill -CONT "$kwitnessd_pid"
told_or_lost() { [ $(($(recorded | wc -l) + $(declared oom_kill))) -ge 12 ]; }
check 'every OOM is recorded or declared lost' wait_for 60 told_or_lost
check 'the daemon lives and stops in order' stop_kwitnessd
lost=$(counted 1)
compare "$lost" -gt 0 'the evidence ring was too small'
is "$(declared oom_kill)" "$lost" 'lost kills are declared, to the last one'
is "$(declared oom_end)" "$(counted 2)" 'and lost ends'
is "$(declared_all)" "$(counted_all)" 'each as it was counted: by cgroup, kind and reason'
is $(($(recorded | wc -l) + lost)) 12 'told and lost are all there were'
is "$(event_field host.v1.gap '.data.cgroup.id' '.data.kind == "lost" and (.data.reason | test("oom_kill"))' | sort -u | grep -c .)" \
	"$(bpftool map dump pinned $pins/cgroup_losses -j | jq '[.[].formatted.key | select(.kind == 1 and .reason == 0) | .cgroup] | unique | length')" \
	'by cgroup'
check 'the ledger verifies as well' verify_ledger
"$KW_BUILD/kwitnessd" --detach-bpf
done_testing
