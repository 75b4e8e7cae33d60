#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Under emulation: timeout: 900
# The package as a host has it: installed, started by systemd under its own user, stopped, killed, hung, reloaded,
# upgraded, removed, purged; and every OOM of that time in the ledger, once.
. "${KW_VM:?runs in the VM: tests/vm/run --system}/lib.sh"
ledger=/var/lib/kwitness/ledger
keyring=/etc/kwitness/keyring.json
cells=/run/kwitness/cells.d
kwitness() { /usr/bin/kwitness "$@"; }
daemon_log=$KW_OUT/daemon.log

show() { systemctl show --value -p "$1" "${2:-kwitnessd}"; }   # PROPERTY [UNIT]
is_active() { [ "$(show ActiveState)" = active ]; }
restarted() { [ "$(show NRestarts)" -gt "$1" ] && is_active; } # NUMBER
keep_log() { journalctl -u kwitnessd -u kwitness-key -o short-monotonic >"$daemon_log" 2>&1; }
said() { journalctl -u kwitnessd -o cat | grep -q -- "$1"; }    # WORDS
in_unit() { echo ".data.limitOwner.cgroup.unit == \"$1\""; }     # UNIT -> jq condition
# UNIT; a service that wants more than its own limit
oom_in() { systemd-run --quiet --wait --unit="$1" -p MemoryMax=16M -p MemorySwapMax=0 "$KW_VICTIMS/hog" --bytes 67108864; }
is_told() { wait_for 60 has_events host.v1.oom_incident 1 "$(in_unit "$1")"; } # UNIT
trap 'keep_log; kw_at_exit' EXIT

# ---- installed in a minute ----
begin=$(now_cs)
check 'the package installs' dpkg -i "$KW_DEB"
wait_for 60 is_active || bail_out "the daemon is up: $(systemctl status --no-pager --full kwitnessd kwitness-key 2>&1)"
ok 'the daemon is up'
diag "installed and up after $((($(now_cs) - begin) / 100)) s"
check 'in the best tier' wait_for 10 said 'ready in tier fentry'
is "$(stat -c %a /etc/credstore.encrypted/kwitness.key /etc/credstore/kwitness.key.plain 2>/dev/null)" 600 'the key is readable by root alone'
check_not 'the daemon cannot find it in its own view of the disk' grep -q . "/proc/$(show MainPID)/root/etc/credstore/kwitness.key"
pid=$(show MainPID)
is "$(stat -c %U "/proc/$pid/mem")" root 'nobody of its own user can look into it'
is "$(awk '/^Uid:/ { print $2, $3, $4 }' "/proc/$pid/status")" "$(id -u kwitness) $(id -u kwitness) $(id -u kwitness)" 'it runs as its own user'
is "$(awk '/^CapEff:/ { print $2 }' "/proc/$pid/status")" 0000008000000004 'with CAP_BPF and CAP_DAC_READ_SEARCH, and no more'
is "$(awk '/^CapBnd:/ { print $2 }' "/proc/$pid/status")" 000000c000000004 'out of three that it could ever have'
is "$(awk '/^NoNewPrivs:/ { print $2 } /^Seccomp:/ { print $2 }' "/proc/$pid/status" | tr '\n' ' ')" '1 2 ' 'no new privileges, a filter for system calls'
is "$(cat "/proc/$pid/oom_score_adj")" -900 'and is not the one to be killed'
read -r gate _ <"/proc/$pid/task/$pid/children" # its only child
is "$(cat "/proc/$gate/oom_score_adj")" 0 'but its gate is'
security=$(systemd-analyze security --no-pager kwitnessd.service | sed -n 's/.*Overall exposure level[^:]*: \([0-9.]*\).*/\1/p')
diag "systemd-analyze security: $security"
check 'its exposure is 2.0 or less' awk -v s="$security" 'BEGIN { exit !(s != "" && s <= 2.0) }'

# ---- an OOM, from systemd-run to the sentence ----
oom_in hungry.service
check 'an OOM in a service is told' is_told hungry.service
is "$(event_field host.v1.oom_incident .data.verdict.result "$(in_unit hungry.service)")" explained 'and its counters are explained'
like "$(kwitness incidents --ledger "$ledger")" hungry 'kwitness incidents has it'

# ---- the journal ----
message_id=$(sed -n 's/^#define KW_JOURNAL_OOM "\(.*\)"/\1/p' "$KW_REPO/user/daemon/journal.h")
in_journal() { journalctl -o json "MESSAGE_ID=$message_id" | jq -r "$1"; }
like "$(in_journal .MESSAGE)" '^hog\[[0-9]+\] in hungry.service was killed: it reached its own limit of 16 MiB; it asked for the memory itself$' \
	'the journal has the sentence'
is "$(in_journal .KWITNESS_UNIT)" hungry.service 'with fields to select by'
is "$(journalctl -o cat "KWITNESS_UNIT=hungry.service" | wc -l)" 1 'and can be asked for them'
like "$(journalctl -x "MESSAGE_ID=$message_id")" 'Subject: Processes were killed for lack of memory: /system.slice/hungry.service' 'the catalogue explains it'

# ---- the socket ----
http() { curl -s --unix-socket /run/kwitness/http.sock "http://localhost$1"; }
is "$(http /healthz)" ok 'it says that it is well'
is "$(http /metrics | grep -F 'kwitness_unit_oom_kills_total{unit="hungry.service"}')" 'kwitness_unit_oom_kills_total{unit="hungry.service"} 1' \
	'metrics count the kill by its unit'
like "$(kwitness status)" 'is working, since .* tier fentry' 'kwitness status says so in a line'
is "$(timeout 5 curl -sN --unix-socket /run/kwitness/http.sock 'http://localhost/events?from=1' | sed -n 's/^data: //p' |
	jq -r 'select(.type | endswith("oom_kill")) | .data.victim.comm')" hog 'and /events tells what the ledger holds'
is "$(stat -c '%U %G %a' /run/kwitness/http.sock)" 'kwitness kwitness 660' 'for its group alone'

# ---- reload ----
printf '[daemon]\npoll-interval-ms = banana\n' >/etc/kwitness/kwitness.conf.d/50-test.conf
systemctl reload kwitnessd
check 'a bad configuration is refused by name' wait_for 20 said '50-test.conf:2: bad value'
check 'and the old one kept' is_active
printf '[daemon]\npoll-interval-ms = 1000\n' >/etc/kwitness/kwitness.conf.d/50-test.conf
systemctl reload kwitnessd
check 'a good one is taken' wait_for 20 said 'poll-interval-ms changed'
is "$(show MainPID)" "$pid" 'by the same process'

# ---- stopped, killed, hung: programs go on recording ----
systemctl stop kwitnessd
oom_in while-stopped.service
check 'a loopback port for metrics, if one likes' systemctl start kwitnessd-http.socket
systemctl start kwitnessd
like "$(curl -s http://127.0.0.1:9619/metrics)" '^kwitness_build_info' 'serves them'
check 'an OOM while it was stopped is told' is_told while-stopped.service
restarts=$(show NRestarts)
kill -KILL "$(show MainPID)"
oom_in while-killed.service
check 'killed, it is back' wait_for 60 restarted "$restarts"
check 'and an OOM of that time is told' is_told while-killed.service

# ---- killed while a guest comes: systemd keeps its socket, and the guest waits ----
mkdir -p /run/systemd/system/kwitnessd.service.d
printf '[Service]\nRestartSec=5\n' >/run/systemd/system/kwitnessd.service.d/slowly.conf
systemctl daemon-reload
printf '{"cellId":"kept:1","runId":"run-1","vsockUdsBase":"/run/kwitness/kept"}\n' >"$cells/.new"
mv "$cells/.new" "$cells/kept:1.json"
guest=/run/kwitness/kept_9001
check 'a guest has a socket' wait_for 20 test -S "$guest"
inode=$(stat -c %i "$guest")
restarts=$(show NRestarts)
kill -KILL "$(show MainPID)"
check_not 'while nobody runs' wait_for 0 is_active
check 'a guest is not refused' "$KW_VICTIMS/sendframes" --uds "$guest" --count 3
check 'the daemon is back' wait_for 60 restarted "$restarts"
is "$(stat -c %i "$guest")" "$inode" 'with the same socket'
check 'and hears what was said meanwhile' wait_for 20 has_events guest.v1.process_spawned 3 '.data.cellId == "kept:1"'
rm "$cells/kept:1.json"
check 'when the cell goes, so does the socket' wait_for 20 eval '[ ! -e "$guest" ]'
is "$(systemctl show --value -p NFileDescriptorStore kwitnessd)" 0 'and systemd keeps nothing'
rm /run/systemd/system/kwitnessd.service.d/slowly.conf
printf '[Service]\nWatchdogSec=4\n' >/run/systemd/system/kwitnessd.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart kwitnessd
check 'a shorter watchdog' wait_for 60 is_active
restarts=$(show NRestarts)
kill -STOP "$(show MainPID)"
oom_in while-hung.service
check 'hung, it is killed and back' wait_for 90 restarted "$restarts"
check 'and an OOM of that time is told' is_told while-hung.service

# ---- upgraded while processes die ----
dpkg-deb -R "$KW_DEB" "$KW_TMP/next"
sed -i 's/^Version: .*/&+next/' "$KW_TMP/next/DEBIAN/control"
dpkg-deb -b "$KW_TMP/next" "$KW_TMP/next.deb" >/dev/null
(
	n=0
	until [ -e "$KW_TMP/upgraded" ]; do
		n=$((n + 1))
		oom_in "during-$n.service"
		echo "$n" >"$KW_TMP/ooms"
	done
) &
killer=$!
check 'there is one before' wait_for 60 test -s "$KW_TMP/ooms"
check 'the upgrade installs' dpkg -i "$KW_TMP/next.deb"
check 'and is up' wait_for 60 is_active
before=$(cat "$KW_TMP/ooms")
wait_for 60 eval '[ "$(cat "$KW_TMP/ooms")" -gt "$before" ]'
touch "$KW_TMP/upgraded"
wait "$killer"
ooms=$(cat "$KW_TMP/ooms")
all_told() { [ "$(event_field host.v1.oom_incident .data.limitOwner.cgroup.unit | grep -c '^during-')" -ge "$ooms" ]; }
check "each of the $ooms OOMs meanwhile is told" wait_for 60 all_told
is "$(event_field host.v1.oom_incident .data.limitOwner.cgroup.unit | grep '^during-' | sort | uniq -d)" '' 'none of them twice'

# ---- the end ----
systemctl stop kwitnessd
kwitness verify --keyring "$keyring" "$ledger" >"$KW_OUT/verdict" 2>&1
is "$?" 0 'the ledger verifies'
cp -r "$ledger" "$keyring" "$KW_OUT/"
is "$(event_count host.v1.gap '.data.kind == "lost"')" 0 'nothing was lost in all this time'
check 'the package is removed' dpkg -r kwitness
is "$(find /sys/fs/bpf/kwitness -mindepth 1 2>/dev/null)" '' 'and no program is left in the kernel'
check 'what it witnessed is left' test -d "$ledger"
check 'until it is purged' dpkg -P kwitness
is "$(find /etc /lib/systemd /usr/lib/systemd /usr/lib/sysusers.d /usr/lib/tmpfiles.d /var/lib/kwitness /run/kwitness -name '*kwitness*' \
	! -path '/run/systemd/*' ! -name 'kwitness-test*' 2>/dev/null)" '' 'then nothing is'
done_testing
