#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# CO-RE without loading: the relocations of the programs, resolved against a kernel's BTF, must find each
# field that hooks of this family read. bpftool keeps in its output just what they found.
# usage: core.sh OBJECT BTF    exit: 0 all found, 1 something is missing, 2 could not be tried
set -u
object=$1 btf=$2
[ -r "$btf" ] || {
	echo "no BTF at $btf" >&2
	exit 2
}
for bpftool in /usr/sbin/bpftool /usr/local/sbin/bpftool bpftool; do
	command -v "$bpftool" >/dev/null && break
done
found=$(mktemp) || exit 2
trap 'rm -f "$found" "$found.txt"' EXIT
"$bpftool" gen min_core_btf "$btf" "$found" "$object" || exit 2
"$bpftool" btf dump file "$found" format raw >"$found.txt" || exit 2
missing=0
while read -r type fields; do
	for field in $fields; do
		awk -v type="'$type'" -v field="'$field'" '
			/^\[/ { inside = $2 == "STRUCT" && $3 == type }
			inside && $1 == field { seen = 1 }
			END { exit !seen }' "$found.txt" && continue
		echo "struct $type has no $field that the programs could read"
		missing=1
	done
done <<-'FIELDS'
	cfs_rq rq tg throttled_clock throttled
	rq clock cpu
	task_group css parent cfs_bandwidth
	cfs_bandwidth period quota nr_periods nr_throttled throttled_time
	cgroup_subsys_state cgroup serial_nr
	cgroup kn level
	kernfs_node id name
	pids_cgroup css counter limit
	mem_cgroup css memory oom_group memory_events_local
	cgroup_root hierarchy_id subsys_mask
	page_counter usage high max
	task_struct memcg_nr_pages_over_high mm cgroups
FIELDS
exit "$missing"
