#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The guest's channel: frames are stamped by the host, refused ones are counted and declared, and the
# channel stays up. A cell's counters are read as CellOS reads them.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

base=$KW_TMP/fc.sock
send() { "$KW_VICTIMS/sendframes" --uds "${base}_9001" "$@"; }
register() { # FILE JSON
	printf '%s\n' "$2" >"$cells/.new" && mv "$cells/.new" "$cells/$1"
}

echo -500 >"/proc/$$/oom_score_adj" # the service has -900
start_kwitnessd || bail_out 'the daemon starts'
echo 0 >"/proc/$$/oom_score_adj"
new_cgroup cell
register web-7.json "{\"cellId\":\"web-7\",\"runId\":\"run-1\",\"specSignatureHash\":\"abc=\",\"cgroupPath\":\"$(cgroup_path cell)\",\"vsockUdsBase\":\"$base\"}"
check 'the socket is bound when the cell is registered' wait_for 20 test -S "${base}_9001"
is "$(stat -c %a "${base}_9001")" 600 'for its owner alone'

send --count 3 --interval-ms 10 >"$KW_TMP/sent"
check 'three frames are recorded' wait_for 20 has_events guest.v1.process_spawned 3
is "$(event_field guest.v1.process_spawned .data.cellId | sort -u)" web-7 'stamped with the cell'
is "$(event_field guest.v1.process_spawned .data.runId | sort -u)" run-1 'and its run'
is "$(event_field guest.v1.process_spawned .subject | sort -u)" cell:web-7 'which is their subject'
is "$(event_field guest.v1.process_spawned '.data.guestMonotonicNs | type' | sort -u)" string 'big numbers are strings'

# ---- refusals: each counted with its reason, the channel stays up where framing allows ----
for vector in "$KW_REPO"/tests/vectors/frames/bad-*.bin; do
	[ -f "$vector" ] && send --raw "$vector" >/dev/null
done
check 'refusals are declared' wait_for 20 has_events host.v1.gap 3 '.data.kind == "guest"'
like "$(event_field host.v1.gap .data.reason '.data.kind == "guest"')" 'version' 'a foreign version is named'
send --count 1 >/dev/null
check 'and the channel lives on' wait_for 20 has_events guest.v1.process_spawned 4

# ---- the probe reading, as CellOS has it ----
check 'the cell is read' wait_for 30 has_events host.v1.cgroup 1
is "$(event_field host.v1.cgroup '.data.output.memory_events.oom_kill' | head -n 1)" "$(counter cell memory.events oom_kill)" 'with the numbers of the files'
is "$(event_field host.v1.cgroup '.data.inputs.files | join(" ")' | head -n 1)" 'memory.events cpu.stat pids.events' 'of three files'
is "$(event_field host.v1.cgroup .data.inputs.cgroupLeaf | head -n 1)" "$(cgroup_dir cell)" 'of its leaf'

# ---- cells that are refused do not disturb the others ----
register bad.json '{"cellId":"other","runId":"r"}'
check 'a bad cell file is declared' wait_for 20 has_events host.v1.gap 1 '.data.kind == "cell"'
send --count 1 >/dev/null
check 'and the good cell goes on' wait_for 20 has_events guest.v1.process_spawned 5

# ---- the gate dies: declared, started anew, listens again ----
gate_pid() { cut -d " " -f 1 "/proc/$kwitnessd_pid/task/$kwitnessd_pid/children"; } # its only child
gate=$(gate_pid)
is "$(cat "/proc/$kwitnessd_pid/oom_score_adj" "/proc/$gate/oom_score_adj" | tr '\n' ' ')" '-500 0 ' 'where memory is short it goes before the witness'
kill -KILL "$gate"
check "the gate's end is declared" wait_for 20 has_events host.v1.gap 1 '.data.kind == "gate"'
sent_one() { send --count 1 >/dev/null 2>&1; }
check 'a new one takes frames' wait_for 30 sent_one
check 'which are recorded' wait_for 20 has_events guest.v1.process_spawned 6
compare "$(gate_pid)" -ne "$gate" 'by another process'

rm "$cells/web-7.json"
gone() { [ ! -e "${base}_9001" ]; }
check 'the socket goes with the cell' wait_for 20 gone
check 'the daemon stops in order' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
