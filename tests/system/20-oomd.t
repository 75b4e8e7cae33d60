#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The real systemd-oomd kills; that it was not the kernel is told, and who it was. The package's own configuration
# knows it.
. "${KW_VM:?runs in the VM: tests/vm/run --system}/lib.sh"
ledger=/var/lib/kwitness/ledger
keyring=/etc/kwitness/keyring.json
daemon_log=$KW_OUT/daemon.log
trap 'journalctl -u kwitnessd -u systemd-oomd -o short-monotonic >"$daemon_log" 2>&1; kw_at_exit' EXIT
# Not dpkg-deb -x: it would put directories in the place of the links of a merged /usr.
unpack() { dpkg-deb --fsys-tarfile "$1" | tar -C / -x --keep-directory-symlink; } # PACKAGE
active() { [ "$(systemctl show --value -p ActiveState "$1")" = active ]; } # UNIT

[ -e /proc/pressure/memory ] || skip_all 'this kernel has no pressure stall information'
for deb in "$KW_BUILD"/guests/systemd-oomd_*.deb; do unpack "$deb"; done
# There may be no D-Bus here; it is needed for oomctl alone. 20 s of pressure is the packaged default.
mkdir -p /run/systemd/system/systemd-oomd.service.d /etc/systemd/oomd.conf.d
printf '[Service]\nBusName=\n' >/run/systemd/system/systemd-oomd.service.d/no-bus.conf
printf '[OOM]\nDefaultMemoryPressureDurationSec=2s\n' >/etc/systemd/oomd.conf.d/90-test.conf
systemd-sysusers
systemctl daemon-reload
check 'systemd-oomd starts' systemctl start systemd-oomd
check 'the package installs' dpkg -i "$KW_DEB"
wait_for 60 active kwitnessd || bail_out 'the daemon is up'

# More than MemoryHigh= lets it have: pressure, but no limit that the kernel kills for.
systemd-run --quiet --unit=pressed -p MemoryHigh=16M -p MemorySwapMax=0 -p ManagedOOMMemoryPressure=kill \
	-p ManagedOOMMemoryPressureLimit=1% "$KW_VICTIMS/hog" --bytes 128M
of_user_space='.data.constraint == "userspace"'
check 'a kill by user space is told' wait_for 120 has_events host.v1.oom_kill 1 "$of_user_space"
is "$(event_field host.v1.oom_kill .data.killer.cgroup.unit "$of_user_space" | sort -u)" systemd-oomd.service 'by systemd-oomd'
is "$(event_field host.v1.oom_kill .data.killer.comm "$of_user_space" | sort -u)" systemd-oomd 'as it calls itself'
is "$(event_field host.v1.oom_kill .data.victim.cgroup.unit "$of_user_space" | sort -u)" pressed.service 'the victim in its unit'
is "$(event_field host.v1.oom_kill .data.victim.comm "$of_user_space" | sort -u)" hog 'by its name'
is "$(event_field host.v1.oom_kill .data.memory.highBytes "$of_user_space" | sort -u)" 16777216 'with the state of its memory'
like "$(journalctl -o cat -u systemd-oomd)" 'Killed .*pressed.service' 'systemd-oomd says the same'
message_id=$(sed -n 's/^#define KW_JOURNAL_USERSPACE_KILL "\(.*\)"/\1/p' "$KW_REPO/user/daemon/journal.h")
like "$(journalctl -o cat "MESSAGE_ID=$message_id")" '^hog\[[0-9]+\] in pressed.service was killed by user space: by systemd-oomd\[[0-9]+\] in systemd-oomd.service$' \
	'and the journal has a sentence'

# What systemd itself kills is no lack of memory.
systemd-run --quiet --unit=bystander sleep 1000
check 'systemctl kill' systemctl kill -s KILL bystander
is "$(event_count host.v1.oom_kill "$of_user_space and .data.victim.cgroup.unit == \"bystander.service\"")" 0 'is not told'
systemctl stop kwitnessd
check 'the ledger verifies' /usr/bin/kwitness verify --keyring "$keyring" "$ledger"
systemctl stop systemd-oomd 2>/dev/null
check 'the package is purged' dpkg -P kwitness # the next test begins with none
done_testing
