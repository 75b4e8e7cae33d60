# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A file over 500 lines or a function over 60 wants splitting. Functions begin at column 0 with an
# opening brace alone on its line and end at a brace in column 0 (kernel style).
FNR == 1 {
	if (previous != "" && count > 500)
		bad(previous ": " count " lines (at most 500)")
	previous = FILENAME
	inside = 0
	files++
}
{ count = FNR }
/^\{/ { inside = 1; start = FNR }
/^\}/ && inside {
	if (FNR - start - 1 > 60)
		bad(FILENAME ":" start ": function of " (FNR - start - 1) " lines (at most 60)")
	inside = 0
}
function bad(text) {
	print text
	errors++
}
END {
	if (count > 500)
		bad(previous ": " count " lines (at most 500)")
	if (files == 0) {
		print "sizes.awk: no files given"
		exit 2
	}
	exit errors > 0
}
