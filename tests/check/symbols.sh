#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What each program may need at run time: the gate meets hostile bytes, so it is linked without keys,
# BPF and JSON; the user's command never loads BPF.
# usage: symbols.sh GATE COMMAND
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
[ $# = 2 ] || { echo 'usage: symbols.sh GATE COMMAND'; exit 2; }
forbid "$1" libsodium libbpf libjansson libsystemd libcrypto libssl
forbid "$2" libbpf libcbor libseccomp
exit $status
