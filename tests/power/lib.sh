# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the tests of power cuts share: disks, and what is left on them. Uses $tally, $passed, $failed; sets $why.
# shellcheck disable=SC2034,SC2154

diag() { printf '# %s\n' "$*"; }

say() { # STATUS NAME [WHY]
	if [ "$1" = 0 ]; then
		passed=$((passed + 1))
		echo "ok power: $2"
	else
		failed=$((failed + 1))
		echo "not ok power: $2"
		printf '    %s\n' "${@:3}"
	fi
}

done_here() { # STAGE
	echo "$passed passed, $failed failed, 0 skipped" | tee "$tally"
	[ "$failed" = 0 ] && [ "$passed" != 0 ]
	exit
}

wait_for() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# 64 MiB of ext4, and behind it a block for markers, which no file system knows of.
new_disk() { # FILE
	truncate -s 68157440 "$1" && mkfs.ext4 -q -F -b 4096 "$1" 64M
}

# A line that is being written when its reader is cut is none.
whole_lines() { { tr -dc '\n' <"$1" | wc -c; } 2>/dev/null || echo 0; }
last_durable() { { head -n "$(whole_lines "$1/durable")" "$1/durable" | tail -n 1; } 2>/dev/null | grep . || echo 0; }

# The directory tree of the image as a boot would find it: the journal is replayed on a copy.
extract() { # IMAGE DIRECTORY
	rm -rf "$2" && mkdir -p "$2" && cp --sparse=always "$1" "$2/image" || return 1
	e2fsck -fy "$2/image" >"$2/fsck" 2>&1
	debugfs -R "rdump /ledger $2" "$2/image" >"$2/rdump" 2>&1
	rm -f "$2/image"
	mkdir -p "$2/ledger"
}

lines_of() { # LEDGER: whole lines, in order; where a segment is there twice, the plain one counts
	local file
	find "$1" -maxdepth 1 -name '[0-9]*.jsonl*' -printf '%f\n' | cut -d . -f 1 | sort -u | while read -r file; do
		if [ -e "$1/$file.jsonl" ]; then cat "$1/$file.jsonl"; else zstd -dcq "$1/$file.jsonl.zst"; fi
	done
}

# Whether the first DURABLE lines are there, as the reader saw them. Sets why.
is_there() { # LEDGER DURABLE SEEN
	local known
	why="$2 lines were reported durable, $(lines_of "$1" | tr -dc '\n' | wc -c) are there"
	[ "$(lines_of "$1" | tr -dc '\n' | wc -c)" -ge "$2" ] || return 1
	[ "$2" != 0 ] || return 0
	known=$(whole_lines "$3") # the reader may be behind the daemon
	[ "$known" -lt "$2" ] || known=$2
	why="the first $known lines are not those that were seen"
	cmp -s <(lines_of "$1" | head -n "$known") <(head -n "$known" "$3")
}
