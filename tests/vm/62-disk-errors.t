#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A disk that fails to write, and recovers (device mapper's flakey target): what had been reported durable stays all that
# is reported, evidence waits in the ring, lines in doubt are written again and declared, and all of it is on the
# disk when the page cache is gone.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

for module in loop dm_mod dm_flakey; do
	load_module "$module" || bail_out "module $module"
done
truncate -s 64M "$KW_TMP/image"
# Without a journal: with one, ext4 makes the file system read-only for good when it fails.
mkfs.ext4 -q -F -O ^has_journal "$KW_TMP/image" || bail_out 'a file system is made'
loop=$(losetup -f --show "$KW_TMP/image") || bail_out 'a loop device'
good="0 131072 linear $loop 0"
bad="0 131072 flakey $loop 0 0 600 1 error_writes"
table() {
	dmsetup suspend --nolockfs --noflush disk && echo "$1" | dmsetup reload disk && dmsetup resume disk
}
echo "$good" | dmsetup create --noudevsync disk || bail_out 'a mapped device'
disk=/dev/dm-$(dmsetup info -c --noheadings -o minor disk | tr -d ' ')
mkdir "$KW_TMP/disk" && mount -t ext4 "$disk" "$KW_TMP/disk" || bail_out 'it is mounted'
ledger=$KW_TMP/disk/ledger

durable() {
	kwitness status --json --socket "$runtime/http.sock" 2>/dev/null | sed -n 's/.*"durableSequence": \([0-9]*\).*/\1/p'
}
sequence() {
	kwitness status --json --socket "$runtime/http.sock" 2>/dev/null | sed -n 's/.*"sequence": \([0-9]*\).*/\1/p'
}
all_durable() { [ "$(durable)" -gt 0 ] && [ "$(durable)" = "$(sequence)" ]; }
kill_one() { # NAME
	new_cgroup "$1" memory.max=8M memory.swap.max=0
	in_cgroup "$1" "$KW_VICTIMS/hog" --bytes 33554432 >>"$KW_TMP/hogs.json" 2>/dev/null
}
complains() { grep -q 'takes no lines' "$daemon_log"; }

start_kwitnessd || bail_out 'the daemon starts'
kill_one before
check 'a kill is recorded' wait_for 30 has_events host.v1.oom_incident 1
check 'and durable' wait_for 60 all_durable

before=$(durable)
check 'the disk fails from now on' table "$bad"
kill_one during1
check 'the failure is noticed' wait_for 60 complains
kill_one during2
compare "$(durable)" -ge "$before" 'what was durable is'
stuck=$(durable)
# The daemon asks the disk again each second.
dmesg_errors() { [ "$(dmesg | grep -c 'I/O error')" -ge "$1" ]; }
wait_for 10 dmesg_errors 5
is "$(durable)" "$stuck" 'and nothing more is reported durable while it fails'
check 'the daemon lives' kill -0 "$kwitnessd_pid"
check 'the disk works again' table "$good"
check 'the lines in doubt are declared' wait_for 60 has_events host.v1.gap 1 \
	'.data.kind == "file" and .data.stage == "ledger" and (.data.reason | contains("were written again"))'
check 'every kill is recorded' wait_for 60 has_events host.v1.oom_kill 3
is "$(event_field host.v1.oom_kill .data.victim.tgid | sort -n)" \
	"$(jq -r 'select(.role == "hog") | .pid' "$KW_TMP/hogs.json" | sort -n)" 'each once'
check 'and durable' wait_for 60 all_durable
check 'the daemon stops in order' stop_kwitnessd
said=$(ledger_lines | sha256sum)
umount "$KW_TMP/disk" && mount -t ext4 -o ro "$disk" "$KW_TMP/disk"
is "$(ledger_lines | sha256sum)" "$said" 'the disk has what the page cache had'
check 'the ledger verifies' verify_ledger
umount "$KW_TMP/disk"
dmsetup remove --noudevsync disk
losetup -d "$loop"
done_testing
