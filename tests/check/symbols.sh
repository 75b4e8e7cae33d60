#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What each program may need at run time: the gate meets hostile bytes, so it is linked without keys,
# BPF and JSON; the user's command never loads BPF.
# The guest's agent needs nothing and is small.
# usage: symbols.sh GATE COMMAND [AGENT]
status=0
forbid() {
	program=$1
	shift
	needed=$(objdump -p "$program" | awk '$1 == "NEEDED" { print $2 }') || exit 2
	[ -n "$needed" ] || { echo "$program: no NEEDED entries found"; exit 2; }
	for library in "$@"; do
		case $needed in
		*"$library"*)
			echo "$program: must not be linked with $library"
			status=1
			;;
		esac
	done
}
[ $# = 2 ] || [ $# = 3 ] || { echo 'usage: symbols.sh GATE COMMAND [AGENT]'; exit 2; }
forbid "$1" libsodium libbpf libjansson libsystemd libcrypto libssl
forbid "$2" libbpf libcbor libseccomp
if [ $# = 3 ]; then
	if objdump -p "$3" | grep -q -e NEEDED -e INTERP; then
		echo "$3: is not static"
		status=1
	fi
	size=$(stat -c %s "$3") || exit 2
	if [ "$size" -ge 1048576 ]; then
		echo "$3: $size bytes; 1 MiB is the bound"
		status=1
	fi
fi
exit $status
