#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A real guest: QEMU in the VM, vhost-vsock, CID 42, the same Debian kernel, and the agent on a busybox
# initramfs. An OOM inside it is claimed; then the host kills the guest itself, and that is witnessed.
# Emulation in emulation is slow. timeout: 1500
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

tree=$KW_TMP/initramfs
nested_log=$KW_OUT/nested-console.log

# Modules of the guest, numbered in the order in which they go in; busybox reads no .xz.
add_module() { # NAME
	awk -v want="$1" '
		{ base = $1; sub(/:$/, "", base); sub(/.*\//, "", base); sub(/\.ko.*/, "", base); gsub(/-/, "_", base) }
		base == want { for (i = NF; i > 1; i--) print $i; sub(/:$/, "", $1); print $1; exit }
	' "$KW_MODULES/modules.dep" | while read -r file; do
		name=$(basename "$file" | sed 's/\.ko.*//')
		[ -z "$(find "$tree/modules" -name "*-$name.ko")" ] || continue
		number=$(printf %02d "$(find "$tree/modules" -name '*.ko' | wc -l)")
		case $file in
		*.xz) xz -dc "$KW_MODULES/$file" >"$tree/modules/$number-$name.ko" ;;
		*) cp "$KW_MODULES/$file" "$tree/modules/$number-$name.ko" ;;
		esac
	done
}

make_initramfs() {
	mkdir -p "$tree/bin" "$tree/modules" "$tree/proc" "$tree/sys" "$tree/dev" || return 1
	cp /bin/busybox "$KW_BUILD/kwitness-guest" "$KW_VICTIMS/hog" "$tree/bin/" || return 1
	for module in virtio_pci vmw_vsock_virtio_transport; do add_module "$module"; done
	cat >"$tree/init" <<-'INIT'
		#!/bin/busybox sh
		b=/bin/busybox
		$b mount -t proc proc /proc
		$b mount -t sysfs sys /sys
		$b mount -t devtmpfs dev /dev
		$b mount -t cgroup2 cgroup2 /sys/fs/cgroup
		for module in /modules/*.ko; do $b insmod "$module"; done
		echo +memory >/sys/fs/cgroup/cgroup.subtree_control
		$b mkdir /sys/fs/cgroup/small
		echo 16M >/sys/fs/cgroup/small/memory.max
		echo 'nested: up'
		/bin/kwitness-guest &
		$b sleep 5
		$b sh -c 'echo 0 >/sys/fs/cgroup/small/cgroup.procs; exec /bin/hog'
		echo "nested: hog ended with $?"
		while :; do $b sleep 60; done
	INIT
	chmod +x "$tree/init"
	(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null) >"$KW_TMP/initramfs.cpio"
}

load_module vhost_vsock || bail_out 'vhost_vsock is loaded'
check 'there is /dev/vhost-vsock' wait_for 20 test -c /dev/vhost-vsock
check "the guest's initramfs is made" make_initramfs
start_kwitnessd || bail_out 'the daemon starts'
new_cgroup guest memory.max=600M memory.swap.max=0
printf '{"cellId":"nested","runId":"run-1","cgroupPath":"%s","vsockCid":42}\n' "$(cgroup_path guest)" \
	>"$cells/.new" && mv "$cells/.new" "$cells/nested.json"
check 'the cell is registered' wait_for 60 has_events host.v1.cgroup 1 '.data.cellId == "nested"'

boot_guest() {
	: >"$nested_log"
	spawn_in guest qemu-system-x86_64 -accel tcg,thread=single -cpu qemu64 -m 256 -nodefaults -no-reboot \
		-display none -kernel "$KW_MODULES/../vmlinuz" -initrd "$KW_TMP/initramfs.cpio" \
		-serial "file:$nested_log" -append 'console=ttyS0 quiet panic=-1 mitigations=off nowatchdog no_timer_check' \
		-device vhost-vsock-pci,guest-cid=42 >"$KW_OUT/qemu.log" 2>&1
	qemu=$spawned
}
# The inner emulation crashes its kernel now and then: a guest that ended is started again, twice.
starts=1
heard() {
	has_events guest.v1.heartbeat 2 && return 0
	if ! kill -0 "$qemu" 2>/dev/null && [ "$starts" -lt 3 ]; then
		starts=$((starts + 1))
		boot_guest
	fi
	return 1
}
boot_guest
check 'the guest boots and is heard' wait_for 900 heard
is "$(event_field guest.v1.heartbeat '[.data.cellId, .data.channel] | join(" ")' | sort -u)" 'nested cid:42' 'as the cell of its CID'
boot=$(event_field guest.v1.heartbeat .data.guestBootId | sort -u)
like "$boot" '^[0-9a-f-]{36}$' 'with a boot of its own'
check_not 'which is not this one' grep -qx "$boot" /proc/sys/kernel/random/boot_id

claimed() { ! kill -0 "$qemu" 2>/dev/null || has_events guest.v1.oom_killed 1 '.data.claim.source == "kmsg"'; }
check 'an OOM kill inside it is claimed' wait_for 300 claimed
is "$(event_field guest.v1.oom_killed '[.data.cellId, .data.guestComm, .data.claim.constraint] | join(" ")' | head -n 1)" \
	'nested hog memcg' 'with its name'
is "$(event_count host.v1.oom_kill)" 0 'of which this kernel knows nothing'

# ---- and now the guest itself ----
echo 48M >"$(cgroup_dir guest)/memory.max"
check 'this kernel kills the guest' wait_for 120 has_events host.v1.oom_kill 1 ".data.victim.tgid == $qemu"
is "$(event_field host.v1.oom_kill '[.data.cellId, .subject] | join(" ")' | head -n 1)" 'nested cell:nested' 'a finding about the same cell'
wait "$qemu" 2>/dev/null
check 'the daemon stops in order' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
