#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The key changes while OOMs happen, with the capabilities that are left and a filter that ends the daemon for a
# system call too many; and again by epochs, with the daemon killed in between. The first key verifies all of it.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

victim_in() { echo ".data.victim.cgroup.path == \"$(cgroup_path "$1")\""; } # PATH -> jq condition
oom() { # NAME: one, told and signed
	new_cgroup "$1" memory.max=16M memory.swap.max=0
	in_cgroup "$1" "$KW_VICTIMS/hog" --bytes 67108864 >/dev/null
	check "$1: the kill is told" wait_for 30 has_events host.v1.oom_kill 1 "$(victim_in "$1")"
}
signer() { # NAME: who signed its kill
	event_field host.v1.oom_kill '.dssematerial | @base64d | fromjson | .signatures[0].keyid' "$(victim_in "$1")"
}
key_is() { grep -qx "kid: $1" "$KW_TMP/key" && [ ! -e "$KW_TMP/key.next" ]; }
epoch_is_past() { [ "$(event_count host.v1.key '.data.reason == "epoch"')" -ge "$1" ]; }

kwitness keygen --out "$KW_TMP/key" --kid first >"$keyring" || bail_out 'a key is made'
start_kwitnessd || bail_out 'the daemon starts'
check 'no core file' grep -Eq '^Max core file size +0 +0 ' "/proc/$kwitnessd_pid/limits"
compare "$(sed -n 's/^VmLck:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$kwitnessd_pid/status")" -gt 0 'memory is locked'
oom before
check 'the key is changed in the running daemon' kwitness rotate --key "$KW_TMP/key" --kid second --pid "$kwitnessd_pid"
check 'the file has the new key' key_is second
is "$(stat -c %a "$KW_TMP/key")" 600 'for its owner alone'
oom after
is "$(signer before)" first 'the first key signed before'
is "$(signer after)" second 'the second one after'
check 'the first key verifies both' verify_ledger

# ---- a key that waits, and a daemon that is killed ----
kwitness rotate --key "$KW_TMP/key" --kid third >/dev/null 2>&1
kill9_kwitnessd
start_kwitnessd || bail_out 'the daemon starts with a key that waits'
check 'it was put in force' wait_for 30 key_is third
oom third

# ---- epochs ----
stop_kwitnessd || bail_out 'the daemon stops'
printf '[key]\nepoch-seconds = 2\n' >"$KW_TMP/epochs.conf"
start_kwitnessd -c "$KW_TMP/epochs.conf" || bail_out 'the daemon starts with epochs'
check 'two epochs pass' wait_for 120 epoch_is_past 2
kill9_kwitnessd
start_kwitnessd -c "$KW_TMP/epochs.conf" || bail_out 'the daemon goes on after it was killed'
check 'and another epoch passes' wait_for 120 epoch_is_past 3
oom epoch
check 'the daemon stops in order: no system call was too many' stop_kwitnessd
case $(signer epoch) in
third.[0-9]*) pass=true ;;
*) pass=false ;;
esac
check 'an epoch key signed the last kill' $pass
check 'the first key verifies everything' verify_ledger
done_testing
