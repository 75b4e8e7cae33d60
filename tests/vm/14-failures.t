#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What must fail, fails closed and says why: no key, a key that others may read, a ledger that cannot be
# written, a second daemon; and a disk that fills up and empties again loses nothing.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

refused() { # NAME ERE ARG...; the daemon must end by itself with exit 3 and this message
	kw_what=$1 kw_pattern=$2
	shift 2
	timeout 60 "$KW_BUILD/kwitnessd" --pins '' --cells "$cells" --runtime "$runtime" "$@" >"$KW_TMP/out" 2>"$KW_TMP/err" </dev/null
	is "$?" 3 "$kw_what: exit 3"
	like "$(tail -n 1 "$KW_TMP/err")" "$kw_pattern" "$kw_what: says so in one line"
}
mkdir -p "$cells" "$runtime"
kwitness keygen --out "$KW_TMP/key" >"$keyring" || bail_out 'a key is made'

refused 'no key' 'no key at .*kwitness keygen' --key "$KW_TMP/none" --ledger "$KW_TMP/none.d"
check_not 'no key: no ledger is begun' test -e "$KW_TMP/none.d"
cp "$KW_TMP/key" "$KW_TMP/open" && chmod 644 "$KW_TMP/open"
refused 'a key that others may read' 'may be read by others' --key "$KW_TMP/open" --ledger "$KW_TMP/none.d"
echo nonsense >"$KW_TMP/bad" && chmod 600 "$KW_TMP/bad"
refused 'a key that is none' 'is not a private key' --key "$KW_TMP/bad" --ledger "$KW_TMP/none.d"
mkdir "$KW_TMP/ro" && mount -t tmpfs -o ro tmpfs "$KW_TMP/ro"
refused 'a ledger on a read-only file system' 'cannot open the ledger' --key "$KW_TMP/key" --ledger "$KW_TMP/ro/ledger"
umount "$KW_TMP/ro"

# ---- a disk that fills up ----
mkdir "$KW_TMP/small" && mount -t tmpfs -o size=8M tmpfs "$KW_TMP/small"
ledger=$KW_TMP/small/ledger
start_kwitnessd || bail_out 'the daemon starts on a small disk'
refused 'a second daemon' 'another kwitnessd has the ledger' --key "$KW_TMP/key" --ledger "$ledger"
is "$(stat -c '%b %B' "$ledger/reserve" | awk '{ print $1 * $2 }')" 1048576 'blocks are set aside for its last words'
fill() { # the last block included; dd fails when it is done
	dd if=/dev/zero of="$KW_TMP/small/$1" bs=64k 2>/dev/null
	dd if=/dev/zero of="$KW_TMP/small/$1.rest" bs=4k 2>/dev/null
}
complains() { [ "$(grep -c 'takes no lines' "$daemon_log")" -ge "$1" ]; }
says_full() { [ "$(event_count host.v1.gap '.data.reason | startswith("the disk is full")')" = "$1" ]; }
fill filler
check 'a full disk is noticed' wait_for 20 complains 1
check 'and said in the ledger, on the full disk' wait_for 20 says_full 1
for i in 1 2 3; do
	new_cgroup "full$i" memory.max=8M memory.swap.max=0
	in_cgroup "full$i" "$KW_VICTIMS/hog" --bytes 33554432 >>"$KW_TMP/hogs.json"
done
is "$(event_count host.v1.oom_kill)" 0 'nothing is written while there is no room'
check 'and the daemon lives' kill -0 "$kwitnessd_pid"
rm "$KW_TMP/small"/filler*
check 'with room again every kill is recorded' wait_for 30 has_events host.v1.oom_kill 3
is "$(event_field host.v1.oom_kill .data.victim.tgid | sort -n)" "$(jq -r 'select(.role == "hog") | .pid' "$KW_TMP/hogs.json" | sort -n)" 'each once'
check 'and the time without room is declared' wait_for 20 has_events host.v1.gap 1 '.data.stage == "ledger"'
is_set_aside() { [ "$(stat -c %b "$ledger/reserve")" -ge 2048 ]; }
check 'the blocks are set aside again' wait_for 20 is_set_aside
fill filler
check 'a disk that is full again is noticed' wait_for 20 complains 2
check 'and said again' wait_for 20 says_full 2
fill more # what the first words left of what they were given
check 'the daemon stops in order on the full disk' stop_kwitnessd
like "$(ledger_lines | tail -n 1 | jq -r .type)" 'checkpoint$' 'with its last checkpoint'
check 'the ledger verifies' verify_ledger
rm "$KW_TMP/small"/filler* "$KW_TMP/small"/more*

# ---- a torn last line, as a crash leaves it ----
segment=$(find "$ledger" -name '[0-9]*.jsonl' | sort | tail -n 1)
size=$(stat -c %s "$segment")
truncate -s $((size - 100)) "$segment"
start_kwitnessd || bail_out 'the daemon starts on a torn ledger'
check 'a torn line is declared' wait_for 20 has_events host.v1.gap 1 '.data.kind == "torn"'
check 'and set aside' test -n "$(find "$ledger/torn" -type f)"
check 'the daemon stops in order again' stop_kwitnessd
check 'the ledger still verifies' verify_ledger
umount "$KW_TMP/small"
done_testing
