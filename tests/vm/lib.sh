# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Helpers for the tests that run in the VM. A test starts with
#   #!/bin/sh
#   . "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"
# and ends with `done_testing`. README.md says more.
#
# From the init: KW_REPO KW_BUILD KW_VICTIMS KW_VM KW_KERNEL KW_MODULES KW_TEST KW_TIMEOUT,
#   KW_TMP     directory of this test, gone afterwards
#   KW_OUT     directory of this test on the host (build/vm/KERNEL/TEST)
#   KW_CGROUP  cgroup of this test, controllers enabled; no process may be in it directly
set -u

# ---- TAP ----
kw_checks=0
kw_failures=0

diag() { printf '%s\n' "$*" | sed 's/^/# /'; }

ok() { # NAME
	kw_checks=$((kw_checks + 1))
	echo "ok $kw_checks - $1"
}

not_ok() { # NAME [WHY]
	kw_checks=$((kw_checks + 1))
	kw_failures=$((kw_failures + 1))
	echo "not ok $kw_checks - $1"
	[ $# = 1 ] || diag "$2"
	return 1
}

skip() { # NAME REASON; for one check
	kw_checks=$((kw_checks + 1))
	echo "ok $kw_checks - $1 # SKIP $2"
}

skip_all() { # REASON; ends the test
	echo "1..0 # SKIP $1"
	exit 0
}

# The last line of a test: one that ends earlier has failed.
done_testing() {
	echo "1..$kw_checks"
	[ "$kw_failures" = 0 ]
	exit $?
}

bail_out() { # WHY; nothing more can be found out
	not_ok "${1%%:*}" "$1"
	exit 1
}

check() { # NAME COMMAND...; the command succeeds
	kw_name=$1
	shift
	if "$@" >"$KW_TMP/check.out" 2>&1; then
		ok "$kw_name"
	else
		not_ok "$kw_name" "$* (exit $?) said: $(tail -n 20 "$KW_TMP/check.out")"
	fi
}

check_not() { # NAME COMMAND...; the command fails
	kw_name=$1
	shift
	if "$@" >"$KW_TMP/check.out" 2>&1; then
		not_ok "$kw_name" "$* succeeded, and said: $(tail -n 20 "$KW_TMP/check.out")"
	else
		ok "$kw_name"
	fi
}

is() { # GOT EXPECTED NAME
	if [ "$1" = "$2" ]; then
		ok "$3"
	else
		not_ok "$3" "     got: $1
expected: $2"
	fi
}

like() { # GOT ERE NAME
	if printf '%s\n' "$1" | grep -Eq -- "$2"; then
		ok "$3"
	else
		not_ok "$3" "           got: $1
does not match: $2"
	fi
}

compare() { # GOT OPERATOR NUMBER NAME; operators of test: -ge -lt -ne ...
	if test "$1" "$2" "$3" 2>/dev/null; then
		ok "$4"
	else
		not_ok "$4" "not true: '$1' $2 '$3'"
	fi
}

# ---- time ----
# Hundredths of a second since boot, from the kernel: no process to start.
now_cs() {
	read -r kw_up _ </proc/uptime
	kw_up=${kw_up%.*}${kw_up#*.}
	echo "${kw_up#"${kw_up%%[!0]*}"}" # a leading 0 would make it octal
}

# Polls until the command succeeds; fails when SECONDS are over. The one place that sleeps.
# The deadline is an argument, not a variable: COMMAND may wait for something itself.
wait_for() { # SECONDS COMMAND...
	kw_wait_until $(($(now_cs) + $1 * 100)) "$@"
}
kw_wait_until() { # DEADLINE SECONDS COMMAND...
	until kw_third "$@"; do
		[ "$(now_cs)" -lt "$1" ] || return 1
		sleep 0.05
	done
}
kw_third() {
	shift 2
	"$@"
}

# ---- cgroups; PATH is below the test's own cgroup, or with a leading / below the root ----
cgroup_dir() { # PATH -> directory
	case $1 in
	/*) echo "/sys/fs/cgroup$1" ;;
	.) echo "$KW_CGROUP" ;;
	*) echo "$KW_CGROUP/$1" ;;
	esac
}

cgroup_path() { # PATH -> as /proc/PID/cgroup and the events name it
	kw_dir=$(cgroup_dir "$1")
	echo "${kw_dir#/sys/fs/cgroup}"
}

cgroup_id() { # PATH -> 64-bit id, as the kernel and the events have it
	stat -c %i "$(cgroup_dir "$1")"
}

# Makes the cgroup and its parents, each with its controllers enabled for the next.
new_cgroup() { # PATH [FILE=VALUE]...
	kw_dir=$(cgroup_dir "$1")
	shift
	kw_parent=/sys/fs/cgroup
	kw_rest=${kw_dir#/sys/fs/cgroup/}
	while [ "$kw_rest" != "${kw_rest#*/}" ]; do
		kw_parent=$kw_parent/${kw_rest%%/*}
		kw_rest=${kw_rest#*/}
		[ -d "$kw_parent" ] || mkdir "$kw_parent" || return 1
		echo '+memory +cpu +pids' >"$kw_parent/cgroup.subtree_control" || return 1
	done
	[ -d "$kw_dir" ] || mkdir "$kw_dir" || return 1
	for kw_setting; do
		echo "${kw_setting#*=}" >"$kw_dir/${kw_setting%%=*}" || return 1
	done
}

in_cgroup() { # PATH COMMAND...; waits for it
	kw_dir=$(cgroup_dir "$1")
	shift
	(
		echo 0 >"$kw_dir/cgroup.procs" || exit 125
		exec "$@"
	)
}

# Goes on at once; the command's own pid is in $spawned.
spawn_in() { # PATH COMMAND...
	kw_dir=$(cgroup_dir "$1")
	shift
	(
		echo 0 >"$kw_dir/cgroup.procs" || exit 125
		exec "$@"
	) &
	# shellcheck disable=SC2034 # for the test
	spawned=$!
}

populated() { grep -q '^populated 1' "$(cgroup_dir "$1")/cgroup.events"; } # PATH
unpopulated() { ! populated "$1"; }                                        # PATH

kill_cgroup() { # PATH; everybody in it, and waits until they are gone
	echo 1 >"$(cgroup_dir "$1")/cgroup.kill" && wait_for 30 unpopulated "$1"
}

counter() { # PATH FILE KEY -> number; nothing if the kernel has no such key
	while read -r kw_key kw_value; do
		[ "$kw_key" != "$3" ] || echo "$kw_value"
	done <"$(cgroup_dir "$1")/$2"
}

counter_is() { [ "$(counter "$1" "$2" "$3")" = "$4" ]; }                    # PATH FILE KEY NUMBER
counter_reaches() { [ "$(counter "$1" "$2" "$3" | grep . || echo 0)" -ge "$4" ]; } # PATH FILE KEY NUMBER

victim() { # NAME OPTION... ; a program of tests/vm/victims
	kw_victim=$KW_VICTIMS/$1
	shift
	"$kw_victim" "$@"
}

# ---- modules ----
# Works whatever the host's own kmod can read: the files are in the kernel package, maybe compressed.
load_module() { # NAME
	kw_module=$(echo "$1" | tr - _)
	[ ! -d "/sys/module/$kw_module" ] || return 0
	awk -v want="$kw_module" '
		{ base = $1; sub(/:$/, "", base); sub(/.*\//, "", base); sub(/\.ko.*/, "", base); gsub(/-/, "_", base) }
		base == want { for (i = NF; i > 1; i--) print $i; sub(/:$/, "", $1); print $1; exit }
	' "$KW_MODULES/modules.dep" >"$KW_TMP/modules"
	if [ ! -s "$KW_TMP/modules" ]; then
		grep -q "/$kw_module\.ko" "$KW_MODULES/modules.builtin" && return 0
		echo "load_module: this kernel has no module $1" >&2
		return 1
	fi
	while read -r kw_file; do
		kw_base=$(basename "$kw_file" | sed 's/\.ko.*//; s/-/_/g')
		[ -d "/sys/module/$kw_base" ] && continue
		case $kw_file in
		*.xz)
			xz -dc "$KW_MODULES/$kw_file" >"$KW_TMP/module.ko"
			busybox insmod "$KW_TMP/module.ko"
			;;
		*) busybox insmod "$KW_MODULES/$kw_file" ;;
		esac || return 1
	done <"$KW_TMP/modules"
	rm -f "$KW_TMP/module.ko" "$KW_TMP/modules"
}

# ---- kwitness ----
# One daemon a test, in which a system call that is not on its list is fatal, with a ledger, a key and a runtime directory of its own. A second start goes on with the same.
ledger=$KW_TMP/ledger
keyring=$KW_TMP/keyring.json
cells=$KW_TMP/cells
runtime=$KW_TMP/runtime
daemon_log=$KW_OUT/daemon.log # on the host at once: it is needed most when the VM dies
kwitnessd_pid=

kwitness() { "$KW_BUILD/kwitness" "$@"; }

kw_ready_lines() { grep -c '^kwitnessd: ready' "$daemon_log"; }
kw_ready_or_dead() { [ "$(kw_ready_lines)" -gt "$kw_ready_before" ] || ! kill -0 "$kwitnessd_pid" 2>/dev/null; }
kw_daemon_gone() { ! kill -0 "$kwitnessd_pid" 2>/dev/null; }

start_kwitnessd() { # [ARG]...; returns when it is ready
	[ -z "$kwitnessd_pid" ] || {
		echo 'start_kwitnessd: one is running' >&2
		return 1
	}
	mkdir -p "$ledger" "$cells" "$runtime"
	if [ ! -f "$KW_TMP/key" ]; then
		kwitness keygen --out "$KW_TMP/key" >"$keyring" || return 1
	fi
	touch "$daemon_log"
	kw_ready_before=$(kw_ready_lines)
	"$KW_BUILD/kwitnessd" --ledger "$ledger" --key "$KW_TMP/key" --cells "$cells" --runtime "$runtime" \
		--tier "${KW_TIER:-auto}" --syscall-filter kill "$@" >>"$KW_OUT/daemon.stdout" 2>>"$daemon_log" </dev/null &
	kwitnessd_pid=$!
	if ! wait_for 60 kw_ready_or_dead; then
		diag 'kwitnessd is not ready after 60 s'
		kill9_kwitnessd
		return 1
	fi
	[ "$(kw_ready_lines)" -gt "$kw_ready_before" ] && return 0
	wait "$kwitnessd_pid"
	diag "kwitnessd ended with $? before it was ready: $(tail -n 1 "$daemon_log")"
	kwitnessd_pid=
	return 1
}

stop_kwitnessd() { # returns its exit status
	[ -n "$kwitnessd_pid" ] || return 0
	kill -TERM "$kwitnessd_pid" 2>/dev/null
	if ! wait_for 30 kw_daemon_gone; then
		diag 'kwitnessd does not end on SIGTERM; killed'
		kill -KILL "$kwitnessd_pid" 2>/dev/null
	fi
	wait "$kwitnessd_pid"
	kw_status=$?
	kwitnessd_pid=
	return "$kw_status"
}

kill9_kwitnessd() {
	[ -n "$kwitnessd_pid" ] || return 0
	kill -KILL "$kwitnessd_pid" 2>/dev/null
	wait "$kwitnessd_pid" 2>/dev/null
	kwitnessd_pid=
}

# ---- the ledger, by jq; a torn last line is nobody's business here ----
ledger_lines() { # every event, in order, one a line
	find "$ledger" -name '[0-9]*.jsonl' | sort | while read -r kw_segment; do cat "$kw_segment"; done
}

events() { # TYPE [JQ CONDITION]: events whose type ends in TYPE (host.v1.oom_kill) and for which it is true
	# jq is slow under emulation: it gets the lines that may be meant only.
	ledger_lines | grep -F -- "$1" | jq -c -R --arg type "dev.cellos.events.cell.observability.$1" \
		"fromjson? | select(.type == \$type and (${2:-true}))"
}

event_count() { events "$@" | wc -l; } # TYPE [JQ CONDITION]

event_field() { # TYPE JQ-EXPRESSION [JQ CONDITION] -> values, one a line
	events "$1" "${3:-true}" | jq -r "$2"
}

has_events() { [ "$(event_count "$1" "${3:-true}")" -ge "$2" ]; } # TYPE NUMBER [JQ CONDITION]; for wait_for

verify_ledger() { kwitness verify --keyring "$keyring" "$ledger"; }

# ---- the end ----
kw_at_exit() {
	kw_exit=$?
	trap - EXIT
	[ -z "$kwitnessd_pid" ] || stop_kwitnessd
	exit "$kw_exit"
}
trap kw_at_exit EXIT
trap 'exit 143' TERM # the time limit: without this, dash would not get to the line above
