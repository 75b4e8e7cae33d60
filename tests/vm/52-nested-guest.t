#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A real guest: QEMU in the VM, vhost-vsock, CID 42, the same Debian kernel, and the agent on a busybox
# initramfs. An OOM inside it is claimed; then the host kills the guest itself, and that is witnessed.
# Emulation in emulation is slow. timeout: 1500
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

[ "$KW_KERNEL" = 6.12 ] || skip_all 'a guest is emulated in an emulation once: it takes minutes'

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
printf '[daemon]\npoll-interval-ms = 1500\n' >"$KW_TMP/conf"
start_kwitnessd --config "$KW_TMP/conf" || bail_out 'the daemon starts'
new_cgroup guest memory.max=600M memory.swap.max=0
printf '{"cellId":"nested","runId":"run-1","kernel":"own","silenceSeconds":600,"cgroupPath":"%s","vsockCid":42}\n' \
	"$(cgroup_path guest)" >"$cells/.new" && mv "$cells/.new" "$cells/nested.json"
check 'the cell is registered' wait_for 60 has_events host.v1.cgroup 1 '.data.cellId == "nested"'

# What a guest of a test can do without takes its time here: tables in AML, AppArmor's policy, self-tests. Its clock must
# be right, or the host objects: the PM timer is (0x600 is where SeaBIOS puts it), while the TSC cannot be calibrated.
: >"$nested_log"
spawn_in guest qemu-system-x86_64 -accel tcg,thread=single,tb-size=64 -machine pc,hpet=off -cpu qemu64,cx16=off -m 128 \
	-nodefaults -no-user-config -no-reboot -display none -serial "file:$nested_log" \
	-kernel "$KW_MODULES/../vmlinuz" -initrd "$KW_TMP/initramfs.cpio" -append "console=ttyS0 quiet panic=-1 \
	mitigations=off nokaslr nowatchdog no_timer_check acpi=off pmtmr=0x608 clocksource=acpi_pm tsc=unstable lsm=capability audit=0 cryptomgr.notests" \
	-device vhost-vsock-pci,guest-cid=42 >"$KW_OUT/qemu.log" 2>&1
qemu=$spawned
alive() { kill -0 "$qemu" 2>/dev/null; }
heard() { ! alive || has_events guest.v1.heartbeat 2; }
check 'the guest boots and is heard' wait_for 900 heard
alive || bail_out "the guest lives: $(tail -n 20 "$nested_log")"
is "$(event_field guest.v1.heartbeat '[.data.cellId, .data.channel] | join(" ")' | sort -u)" 'nested cid:42' 'as the cell of its CID'
boot=$(event_field guest.v1.heartbeat .data.guestBootId | sort -u)
like "$boot" '^[0-9a-f-]{36}$' 'with a boot of its own'
check_not 'which is not this one' grep -qx "$boot" /proc/sys/kernel/random/boot_id
compare "$(event_field guest.v1.heartbeat .data.claim.processes | sort -n | tail -n 1)" -lt 20 'and a handful of processes'

# ---- an OOM inside it ----
claimed() { ! alive || has_events guest.v1.oom_killed 1 '.data.claim.source == "kmsg"'; }
check 'an OOM kill inside it is claimed' wait_for 300 claimed
is "$(event_field guest.v1.oom_killed '[.data.cellId, .data.guestComm, .data.claim.constraint] | join(" ")' | head -n 1)" \
	'nested hog memcg' 'with its name'
is "$(event_count host.v1.oom_kill)" 0 'of which this kernel knows nothing'
verdict() { echo ".data.cellId == \"nested\" and .data.rule == \"$1\""; } # RULE
result() { event_field host.v1.crosscheck '[.data.verdict.result, .data.claimEvents[0], .data.hostEvents[0]] | join(" ")' "$(verdict "$1")" | head -n 1; }
check 'the host judges that' wait_for 60 has_events host.v1.crosscheck 1 "$(verdict oom_claimed)"
like "$(result oom_claimed)" "^unverifiable $(event_field guest.v1.oom_killed .id | head -n 1) " 'it cannot see into the guest'
compare "$(event_field host.v1.crosscheck .data.hostState.memoryBytes "$(verdict oom_claimed)" | head -n 1)" -gt 67108864 \
	'and says what it saw: the memory of the whole guest'

# ---- and now the guest itself ----
echo 48M >"$(cgroup_dir guest)/memory.max"
check 'this kernel kills the guest' wait_for 120 has_events host.v1.oom_kill 1 ".data.victim.tgid == $qemu"
is "$(event_field host.v1.oom_kill '[.data.cellId, .subject] | join(" ")' | head -n 1)" 'nested cell:nested' 'a finding about the same cell'
wait "$qemu" 2>/dev/null
check 'the host judges the silence after it' wait_for 120 has_events host.v1.crosscheck 1 "$(verdict oom_unsaid)"
like "$(result oom_unsaid)" "^silent [^ ]+ $(event_field host.v1.oom_kill .id | head -n 1)\$" 'it was killed, and said nothing since'
like "$(event_field host.v1.crosscheck .data.verdict.words "$(verdict oom_unsaid)" | head -n 1)" 'nobody lives in it any more' 'for nobody is left to say it'
# But its clock, whose timer (24 bits at 3.58 MHz) wraps every 4.7 s: a guest that this machine lets stand so long loses them.
is "$(event_field host.v1.crosscheck '.data | [.rule, .verdict.words] | join(": ")' \
	'.data.verdict.result == "contradicted" and .data.rule != "clock_rate"')" '' 'nothing of what the guest said was untrue'
diag "its clock: $(event_field host.v1.crosscheck .data.verdict.words '.data.rule == "clock_rate"' | sort | uniq -c)"
check 'the daemon stops in order' stop_kwitnessd
check 'the ledger verifies' verify_ledger
done_testing
