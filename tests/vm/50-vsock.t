#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Every way in for a guest: AF_VSOCK by CID (the loopback's peer is CID 1, VMADDR_CID_LOCAL), a Unix
# socket as Firecracker uses it, sockets for another user, sockets that the service manager has bound.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

base=$KW_TMP/fc.sock
vsock() { "$KW_VICTIMS/sendframes" --cid "${vsock_cid:-1}" "$@"; }
uds() { "$KW_VICTIMS/sendframes" --uds "${base}_9001" "$@"; }
register() { # CELL MEMBERS
	printf '{"cellId":"%s","runId":"run-1"%s}\n' "$1" "$2" >"$cells/.new" && mv "$cells/.new" "$cells/$1.json"
}
frames() { event_count guest.v1.process_spawned "$1"; } # JQ CONDITION
has_frames() { [ "$(frames "$2")" -ge "$1" ]; }          # NUMBER JQ CONDITION

start_kwitnessd || bail_out 'the daemon starts'

# ---- a kernel without AF_VSOCK: said only when a cell wants it ----
is "$(event_count host.v1.gap '.data.kind == "cell"')" 0 'nobody asks for AF_VSOCK, nothing is said'
if [ ! -d /sys/module/vsock ]; then
	register early ',"vsockCid":77'
	check 'a cell that wants it where there is none is declared' \
		wait_for 20 has_events host.v1.gap 1 '.data.reason | test("AF_VSOCK")'
	rm "$cells/early.json"
fi
load_module vsock_loopback || bail_out 'the loopback is loaded'

# ---- by CID ----
register other ',"vsockCid":42'
unknown() { vsock --count 1 >/dev/null 2>&1; has_events host.v1.gap 1 '.data.reason | test("CID 1, which no cell has")'; }
check 'a CID that no cell has is refused and declared' wait_for 60 unknown
is "$(event_count guest.v1.process_spawned)" 0 'unread'
register web-7 ',"vsockCid":1'
known() { vsock --count 1 >/dev/null 2>&1; has_frames 1 '.data.channel == "cid:1"'; }
check 'a registered one is heard' wait_for 60 known
before=$(frames true)
vsock --count 20 >"$KW_TMP/sent"
check 'each frame is recorded' wait_for 30 has_frames "$((before + 20))" '.data.cellId == "web-7"'
is "$(event_field guest.v1.process_spawned .data.channel | sort -u)" cid:1 'as what came from that CID'
is "$(event_field guest.v1.process_spawned .subject | sort -u)" cell:web-7 'and for its cell'
before=$(frames true)
vsock_cid=2 vsock --count 1 >/dev/null
check "CID 2, as a guest's agent has it, leads here too" wait_for 30 has_frames "$((before + 1))" true

# ---- the gate dies: the listener and whose CID is whose are handed to the next ----
gate_pid() { cut -d " " -f 1 "/proc/$kwitnessd_pid/task/$kwitnessd_pid/children"; }
kill -KILL "$(gate_pid)"
check "the gate's end is declared" wait_for 20 has_events host.v1.gap 1 '.data.kind == "gate"'
before=$(frames true)
vsock --count 3 >/dev/null
check 'what waited in the backlog is read by the next gate' wait_for 30 has_frames "$((before + 3))" true

# ---- the cell goes, and its CID with it; another may have it ----
rm "$cells/web-7.json"
register next ',"vsockCid":1'
taken() { vsock --count 1 >/dev/null 2>&1; has_frames 1 '.data.cellId == "next"'; }
check 'the CID is the next cell'"'"'s' wait_for 60 taken
before=$(frames '.data.cellId == "web-7"')
vsock --count 3 >/dev/null
check 'whose guest it is from now on' wait_for 30 has_frames 4 '.data.cellId == "next"'
is "$(frames '.data.cellId == "web-7"')" "$before" 'and not the one before any more'

# ---- as Firecracker does it: <base>_9001, no handshake; a restored snapshot resets connections ----
register fc ",\"vsockUdsBase\":\"$base\",\"vsockCid\":43"
check 'the socket is bound' wait_for 20 test -S "${base}_9001"
uds --count 2 >/dev/null
check 'the guest is heard' wait_for 30 has_frames 2 '.data.cellId == "fc" and .data.channel == "uds"'
uds --raw "$KW_REPO/tests/vectors/frames/bad-cut_short.bin" >/dev/null # ends inside a frame
check 'a connection that is reset inside a frame is declared' \
	wait_for 30 has_events host.v1.gap 1 '.data.reason | test("fc.*cut_short")'
uds --count 2 >/dev/null
check 'and the next one is heard' wait_for 30 has_frames 4 '.data.cellId == "fc"'
printf 'CONNECT 9001\n' >"$KW_TMP/handshake" # what the host would send to connect to a guest
uds --raw "$KW_TMP/handshake" >/dev/null
check 'a handshake that is not meant for this end is no frame' \
	wait_for 30 has_events host.v1.gap 1 '.data.reason | test("fc.*too_long")'

# ---- claims ----
for vector in "$KW_REPO"/tests/vectors/frames/good-claims*.bin; do uds --raw "$vector" >/dev/null; done
check 'claims are recorded' wait_for 30 has_events guest.v1.process_spawned 1 '.data.claim.source == "kmsg"'
is "$(event_field guest.v1.process_spawned '[.data.seq, .data.dropped, .data.guestBootId, .data.claim.kills] | join(" ")' \
	'.data.claim.source == "kmsg"')" '7 2 d2719cbb-0c3c-4b5e-9d3b-0d6a2a0a4b1c 3' 'with what the frame said'
is "$(event_field guest.v1.process_spawned .data.cellId '.data.claim.cellid == "mine"')" fc 'and stand for nothing of the host'
check 'the daemon stops in order' stop_kwitnessd
check 'the ledger verifies' verify_ledger

# ---- a socket for somebody else ----
chmod 755 "$KW_TMP"
printf '[guests]\nsocket-user = nobody\nsocket-mode = 0600\n' >"$KW_TMP/conf"
start_kwitnessd -c "$KW_TMP/conf" || bail_out 'the daemon starts again'
check 'the socket is bound again' wait_for 20 test -S "${base}_9001"
is "$(stat -c '%U %a' "${base}_9001")" 'nobody 600' 'for the user that the configuration names'
jail=$KW_TMP/jail
mkdir -m 700 "$jail" && chown 1234:1234 "$jail"
register jailed ",\"vsockUdsBase\":\"$jail/v.sock\",\"vsockUdsUid\":1234,\"vsockUdsGid\":1234"
check "a jail's socket is bound" wait_for 20 test -S "$jail/v.sock_9001"
is "$(stat -c '%u %g %a' "$jail/v.sock_9001")" '1234 1234 600' 'for the jail'
as() { setpriv --reuid="$1" --regid="$1" --clear-groups "$KW_VICTIMS/sendframes" --uds "$jail/v.sock_9001" --count 1; }
check 'who is in the jail may connect' as 1234
check_not 'who is not may not' as 1235
check 'and is heard' wait_for 30 has_frames 1 '.data.cellId == "jailed"'
ln -s /etc "$KW_TMP/link"
register linked ",\"vsockUdsBase\":\"$KW_TMP/link/v.sock\""
check 'a link in the path is refused' wait_for 20 has_events host.v1.gap 1 '.data.reason | test("symbolic link")'
check_not 'and nothing is made behind it' test -e /etc/v.sock_9001
rm "$cells/jailed.json" "$cells/linked.json" "$cells/fc.json"
check 'the daemon stops in order again' stop_kwitnessd

# ---- sockets that the service manager has bound ----
register handed ''
rm -f "$cells/next.json"
register local ',"vsockCid":1'
systemd-socket-activate -l "$KW_TMP/handed.sock" -l vsock::9001 --fdname=cell-handed:vsock \
	"$KW_BUILD/kwitnessd" --ledger "$ledger" --key "$KW_TMP/key" --cells "$cells" --runtime "$runtime" \
	--tier "${KW_TIER:-auto}" >>"$KW_OUT/daemon.stdout" 2>>"$daemon_log" </dev/null &
kwitnessd_pid=$!
check 'the socket is there before the daemon' wait_for 30 test -S "$KW_TMP/handed.sock"
first() { "$KW_VICTIMS/sendframes" --uds "$KW_TMP/handed.sock" --count 2 >/dev/null 2>&1; }
check 'a guest connects before it runs' wait_for 30 first
check 'and is heard when it does' wait_for 60 has_frames 2 '.data.cellId == "handed"'
vsock --count 2 >/dev/null
check 'the AF_VSOCK listener was taken over as well' wait_for 60 has_frames 2 '.data.cellId == "local"'
rm "$cells/handed.json"
register handed ',"specSignatureHash":"again"'
again() { first; has_frames 1 '.data.specSignatureHash == "again"'; }
check 'a cell that is registered anew has it again' wait_for 60 again
check 'the daemon stops in order once more' stop_kwitnessd
check 'the socket is still there' test -S "$KW_TMP/handed.sock"
check 'the whole ledger verifies' verify_ledger
done_testing
