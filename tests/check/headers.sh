#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Each header compiles alone, so that it can be read and included alone.
# usage: headers.sh HEADER...
status=0
[ $# -gt 0 ] || { echo 'headers.sh: no files given'; exit 2; }
for header in "$@"; do
	if ! output=$(${CC:-gcc} -std=gnu11 -D_GNU_SOURCE -I. -Iinclude -Wall -Wextra -Werror -fsyntax-only \
		-include "$header" -x c /dev/null 2>&1); then
		printf '%s: does not compile alone\n%s\n' "$header" "$output"
		status=1
	fi
done
exit $status
