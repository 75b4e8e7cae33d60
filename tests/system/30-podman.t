#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A real container of podman's is killed by the kernel: it is told by the name its user gave it.
. "${KW_VM:?runs in the VM: tests/vm/run --system}/lib.sh"
ledger=/var/lib/kwitness/ledger
keyring=/etc/kwitness/keyring.json
daemon_log=$KW_OUT/daemon.log
trap 'journalctl -u kwitnessd -o short-monotonic >"$daemon_log" 2>&1; kw_at_exit' EXIT
# Not dpkg-deb -x: it would put directories in the place of the links of a merged /usr.
unpack() { dpkg-deb --fsys-tarfile "$1" | tar -C / -x --keep-directory-symlink; } # PACKAGE
active() { [ "$(systemctl show --value -p ActiveState "$1")" = active ]; } # UNIT

# podman 4.3 cannot put an overlay on the VM's own: its storage is a tmpfs.
mount -t tmpfs containers /var/lib/containers 2>/dev/null || { mkdir -p /var/lib/containers && mount -t tmpfs containers /var/lib/containers; }
for deb in "$KW_BUILD"/guests/*.deb; do
	case $deb in */systemd* | */login_* | */passwd_*) ;; *) unpack "$deb" ;; esac
done
ldconfig
check 'the package installs' dpkg -i "$KW_DEB"
wait_for 60 active kwitnessd || bail_out 'the daemon is up'
mkdir "$KW_TMP/root"
cp "$KW_VICTIMS/hog" "$KW_TMP/root/hog"
check 'an image is made' sh -c 'tar -C "$1" -c hog | podman import - localhost/hog' sh "$KW_TMP/root"
podman run --cgroup-manager cgroupfs --network none --name cart-web --memory 16m --memory-swap 16m localhost/hog /hog --bytes 64M \
	>"$KW_OUT/podman" 2>&1
is "$?" 137 'the container was killed'
id=$(podman inspect --format '{{.Id}}' cart-web)
ours=".data.victim.cgroup.containerId == \"$id\""
check 'its kill is told' wait_for 60 has_events host.v1.oom_kill 1 "$ours"
is "$(event_field host.v1.oom_kill .data.victim.cgroup.container "$ours")" cart-web 'by the name of the container'
is "$(event_field host.v1.oom_kill .data.victim.cgroup.runtime "$ours")" podman 'as one of podman'\''s'
is "$(event_field host.v1.oom_kill .data.limitOwner.maxBytes "$ours")" 16777216 'by its limit'
incident=$(event_field host.v1.oom_incident .data.incident ".data.victims[0].cgroup.containerId == \"$id\"")
like "$(kwitness incidents --ledger "$ledger" "$incident")" '^container cart-web: hog\[[0-9]+\] was killed: it reached its own limit of 16 MiB; trigger was itself$' \
	'kwitness incidents has the sentence'
like "$(journalctl -o cat -t kwitnessd)" 'in container cart-web was killed' 'and so does the journal'
systemctl stop kwitnessd
check 'the ledger verifies' /usr/bin/kwitness verify --keyring "$keyring" "$ledger"
systemctl stop systemd-oomd 2>/dev/null
check 'the package is purged' dpkg -P kwitness # the next test begins with none
done_testing
