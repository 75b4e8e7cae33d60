#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# No program comes near the verifier's limit of a million instructions, in either tier: a kernel that is a
# little more thorough must not refuse them. The verifier's own words are kept as an artefact.
. "${KW_VM:?runs in the VM: tests/vm/run}/lib.sh"

half=500000
for tier in fentry kprobe; do
	start_kwitnessd --tier $tier --pins '' || bail_out "the daemon starts in tier $tier"
	jq -r '.programs[] | "\(.verifiedInsns) \(.program)"' "$runtime/hooks.json" | sort -rn >"$KW_OUT/verified-$tier.txt"
	compare "$(wc -l <"$KW_OUT/verified-$tier.txt")" -ge 9 "$tier: every program is told of"
	compare "$(tail -n 1 "$KW_OUT/verified-$tier.txt" | cut -d ' ' -f 1)" -gt 0 "$tier: the kernel says how far it went"
	compare "$(head -n 1 "$KW_OUT/verified-$tier.txt" | cut -d ' ' -f 1)" -le $half "$tier: none above half the limit"
	diag "$(cat "$KW_OUT/verified-$tier.txt")"
	check "$tier: the daemon stops in order" stop_kwitnessd
done
check 'the verifier is content with every program at once' "$KW_BUILD/vm/verifier" "$KW_OUT/verifier.log"
diag "$(grep -h '^processed' "$KW_OUT/verifier.log" | sort -u -k 2,2rn | head -n 3)"
compare "$(grep -c '^processed' "$KW_OUT/verifier.log")" -ge 15 'and its log is kept'
done_testing
