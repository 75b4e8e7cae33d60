#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# One OOM at a time: who was killed, by whose limit, triggered by whom, and whether the counters agree.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

owned_by() { echo ".data.limitOwner.cgroup.path == \"$(cgroup_path "$1")\""; } # PATH -> jq condition
victim_in() { echo ".data.victim.cgroup.path == \"$(cgroup_path "$1")\""; }    # PATH -> jq condition
incident() { event_field host.v1.oom_incident "$2" "$(owned_by "$1")"; }       # PATH JQ
kill_field() { event_field host.v1.oom_kill "$2" "$(victim_in "$1")"; }        # PATH JQ
wait_for_incident() { wait_for 20 has_events host.v1.oom_incident 1 "$(owned_by "$1")"; } # PATH

start_kwitnessd || bail_out 'the daemon starts'
tier=$(sed -n 's/^kwitnessd: ready in tier \([a-z]*\),.*/\1/p' "$daemon_log")
is "$tier" fentry 'the best tier is reached'

# ---- single: the limit is the victim's own ----
new_cgroup single memory.max=16M memory.swap.max=0
in_cgroup single "$KW_VICTIMS/hog" --bytes 67108864 >"$KW_TMP/single.json"
check 'single: an incident is told' wait_for_incident single
pid=$(jq -r 'select(.role == "hog") | .pid' "$KW_TMP/single.json" | head -n 1)
is "$(kill_field single .data.victim.tgid)" "$pid" 'single: the victim is the process that said so, once'
is "$(kill_field single .data.trigger.tgid)" "$pid" 'single: it triggered its own end'
is "$(kill_field single .data.victim.comm)" hog 'single: its name'
is "$(kill_field single .data.limitOwner.cgroup.path)" "$(cgroup_path single)" 'single: by its own limit'
is "$(kill_field single .data.limitOwner.cgroup.id)" "$(cgroup_id single)" 'single: whose id is the directory'\''s inode'
is "$(kill_field single .data.limitOwner.maxBytes)" 16777216 'single: of 16 MiB'
is "$(kill_field single .data.constraint)" memcg 'single: constraint memcg'
compare "$(kill_field single .data.victim.anonRssKb)" -gt 8192 'single: its anonymous memory is most of the limit'
is "$(incident single .data.verdict.result)" explained 'single: counters explained'
is "$(incident single .data.counters.file.oomKill)" "$(counter single memory.events oom_kill)" \
	'single: the counter in the ledger is the one in the file'
is "$(incident single .data.counters.after.oomKill)" 1 'single: and the one read at the hook'

# ---- nested: limit on the parent, victim in the child ----
new_cgroup nest/child
echo 16M >"$(cgroup_dir nest)/memory.max"
echo 0 >"$(cgroup_dir nest)/memory.swap.max"
in_cgroup nest/child "$KW_VICTIMS/hog" --bytes 67108864 >/dev/null
check 'nested: an incident is told' wait_for_incident nest
is "$(event_count host.v1.oom_kill "$(victim_in nest/child)")" 1 'nested: the victim was in the child'
is "$(incident nest .data.verdict.result)" explained 'nested: counters explained'
is "$(incident nest '.data.victims[0].cgroup.path')" "$(cgroup_path nest/child)" 'nested: the incident names the victim'

# ---- group kill of 4 ----
new_cgroup group memory.max=32M memory.swap.max=0 memory.oom.group=1
in_cgroup group "$KW_VICTIMS/hog" --children 3 >"$KW_TMP/group.json"
check 'group: an incident is told' wait_for_incident group
is "$(kill_field group .data.victim.tgid | sort -n)" "$(jq -r .pid "$KW_TMP/group.json" | sort -nu)" \
	'group: each of the four that died is named once'
is "$(incident group .data.verdict.result)" explained 'group: counters explained'
is "$(incident group .data.groupKill)" true 'group: said to be a group kill'
is "$(incident group .data.verdict.duplicates)" 1 "group: the kernel's double count is named"
is "$(counter group memory.events oom_kill)" 5 'group: and stands in the file'
is "$(kill_field group .data.member | sort -n | tr '\n' ' ')" '1 2 3 4 ' 'group: members are numbered'

# ---- removed at once: only what was copied at the hook is left ----
new_cgroup brief memory.max=16M memory.swap.max=0
in_cgroup brief "$KW_VICTIMS/hog" --bytes 67108864 >/dev/null
check 'removed: the cgroup goes' wait_for 5 rmdir "$(cgroup_dir brief)"
check 'removed: an incident is told' wait_for_incident brief
is "$(event_count host.v1.oom_kill "$(victim_in brief)")" 1 'removed: the kill has its path all the same'
is "$(incident brief .data.verdict.result)" explained "removed: explained by the kernel's own counters"

is "$(event_count host.v1.gap '.data.kind == "lost"')" 0 'nothing was lost'
check 'the daemon stops in order' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
