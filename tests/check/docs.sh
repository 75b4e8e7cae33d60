#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Every option and configuration key stands in a man page; every event type and gap kind in docs/events.md.
# usage: docs.sh ROOT
cd "$1" || exit 2
status=0
want() { # WORD FILE WHAT
	grep -qF -- "$1" "$2" || {
		echo "$2: $3 \"$1\" is not documented"
		status=1
	}
}
options=$(sed -n 's/^\t{ "\([a-z-]*\)", \(required\|no\)_argument.*/\1/p' user/daemon/options.c)
keys=$(sed -n 's/^\t{ "[a-z]*", "\([a-z-]*\)", TYPE_.*/\1/p' user/daemon/settings.c)
types=$(sed -n 's/^#define KW_TYPE_[A-Z_]* KW_TYPE_PREFIX "\(.*\)"$/\1/p' include/kwitness/names.h)
[ -n "$options" ] && [ -n "$keys" ] && [ -n "$types" ] || { echo 'docs.sh: found nothing to check'; exit 2; }
for option in $options; do want "Fl -$option" docs/man/kwitnessd.8 option; done
for key in $keys; do want "Va $key" docs/man/kwitness.conf.5 key; done
for type in $types; do want "$type" docs/events.md 'event type'; done
exit $status
