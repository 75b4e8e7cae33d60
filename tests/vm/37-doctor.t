#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What doctor says is so: everything on this kernel, less in a lower tier, nothing where it may not look.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

examine() { # EXIT NAME; the answer is in $KW_TMP/answer
	kwitness doctor --json --runtime "$runtime" --ledger "$ledger" >"$KW_TMP/answer" 2>"$KW_TMP/doctor.err"
	is "$?" "$1" "$2"
	diag "$(cat "$KW_TMP/doctor.err")"
}
answer() { jq -r "$1" "$KW_TMP/answer"; }

start_kwitnessd || bail_out 'the daemon starts'
examine 0 'best tier: nothing is lost'
is "$(answer '.tier')" fentry 'and it says so'
is "$(answer '[.hooks[] | select(.lost)] | length')" 0 'each hook is there'
is "$(answer '[.checks[] | select(.result == "lost") | .check] | join(" ")')" '' 'and nothing else is lost'
is "$(answer '[.checks[] | select(.result == "ok") | .check | select(. == "memory" or . == "cpu" or . == "pids" or . == "gate")] | length')" 4 \
	'controllers and gate are looked at'
check 'the daemon stops in order' stop_kwitnessd

start_kwitnessd --tier tracepoint --pins '' || bail_out 'the daemon starts with the tracepoint'
examine 1 'tracepoint: something is lost'
is "$(answer '.source')" "the running daemon's report" 'the daemon is asked, not the kernel'
is "$(answer '.hooks[] | select(.hook == "oom_kill_process") | .tier')" files 'which hook'
like "$(answer '.hooks[] | select(.hook == "oom_kill_process") | .lost')" 'limit owner' 'and what is not seen'
check 'the daemon stops again' stop_kwitnessd

examine 0 'without a daemon root tries: all can be had'
like "$(answer '.source')" 'tried now' 'and it says that it tried'
setpriv --reuid 65534 --clear-groups "$KW_BUILD/kwitness" doctor --runtime "$runtime" >"$KW_TMP/out" 2>&1
is "$?" 3 'others cannot look'
like "$(cat "$KW_TMP/out")" 'only root can try' 'and are told so'
done_testing
