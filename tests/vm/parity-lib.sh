# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the tests of parity share: the account in the ledger against the kernel's own files.

read_account() { kwitness parity --json --ledger "$ledger" >"$KW_TMP/account.json" || true; } # after the daemon's last line

account_of() { # PATH COUNTER PART -> number; nothing if it is not in the account
	jq -r --arg path "$(cgroup_path "$1")" --arg counter "$2" --arg part "$3" \
		'[.cgroups[] | select(.path == $path and (.gone | not))][-1].counters[$counter][$part] // empty' "$KW_TMP/account.json"
}

account_sum() { # PATH COUNTER -> everything that explains it
	jq -r --arg path "$(cgroup_path "$1")" --arg counter "$2" \
		'[.cgroups[] | select(.path == $path and (.gone | not))][-1].counters[$counter] |
		 .base + .explained + .arithmetic + .byCounter + .unexplained' "$KW_TMP/account.json"
}

# The four counters of OOMs that a cgroup has, each as its file says and explained to the last count.
balanced() { # PATH
	kw_bad=
	for kw_row in 'oomKill memory.events oom_kill' 'oomKillLocal memory.events.local oom_kill' \
		'oomGroupKill memory.events oom_group_kill' 'oomGroupKillLocal memory.events.local oom_group_kill'; do
		# shellcheck disable=SC2086 # three words
		set -- "$1" $kw_row
		kw_file=$(counter "$1" "$3" "$4")
		kw_account=$(account_of "$1" "$2" kernel)
		if [ "${kw_file:-0}" != "${kw_account:-0}" ]; then
			kw_bad="$kw_bad $2: file $kw_file, account $kw_account;"
		elif [ -n "$kw_account" ] && [ "$(account_sum "$1" "$2")" != "$kw_account" ]; then
			kw_bad="$kw_bad $2: $kw_account explained by $(account_sum "$1" "$2");"
		fi
	done
	[ -z "$kw_bad" ] || echo "$1: $kw_bad"
	[ -z "$kw_bad" ]
}

# Over the whole ledger: kills by hooks, doubles, by counters, unexplained.
totals() { jq -r ".totals.oomKill.$1" "$KW_TMP/account.json"; } # PART

verdicts() { # VERDICT -> how many counters got it
	event_field host.v1.parity ".data.counters[] | select(.verdict == \"$1\") | .counter" | wc -l
}

settled() { # PATH COUNTER NUMBER; the ledger's newest verdict has the counter there; for wait_for
	[ "$(event_field host.v1.parity ".data.counters[] | select(.counter == \"$2\") | .after" \
		".data.cgroup.path == \"$(cgroup_path "$1")\"" | tail -n 1)" = "$3" ]
}
settled_now() { settled "$1" oomKill "$(counter "$1" memory.events oom_kill)"; } # PATH
