# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Data moves forward, includes point back: a file of a room may include base, its own room, and of an
# earlier room only that room's header. Side rooms (verify, gate, guest) know base alone; daemon and cli
# know every room, through the rooms' headers (cli also verify's).
# usage: awk -f rooms.awk FILE...   (paths as user/<room>/<file>, any prefix)
BEGIN {
	split("base capture attribute reconcile attest deliver", order, " ")
	for (i in order)
		rank[order[i]] = i + 0
	rank["daemon"] = rank["cli"] = 100
	side["verify"] = side["gate"] = side["guest"] = side["forward"] = 1
}
FNR == 1 {
	n = split(FILENAME, part, "/")
	room = part[n - 1]
	files++
}
/^#include "user\// {
	split($2, quoted, "\"")
	n = split(quoted[2], target, "/")
	other = target[2]
	header = target[3]
	if (other == room || other == "base")
		next
	if (room in side) {
		bad("a side room may include base only")
	} else if (!(room in rank)) {
		bad("unknown room")
	} else if (!(other in rank) && !(other in side)) {
		bad("unknown room included")
	} else if (other in side) {
		if (room != "cli" || other != "verify")
			bad("only cli may include verify's headers")
	} else if (rank[other] > rank[room]) {
		bad("a room may not include a later one")
	} else if (header != other ".h" && room != "cli") {
		bad("of another room only its " other ".h")
	}
}
/^#include "bpf\// && room != "capture" {
	bad("only capture may know of bpf/")
}
function bad(why) {
	printf "%s:%d: %s: %s\n", FILENAME, FNR, $2, why
	errors++
}
END {
	if (files == 0) {
		print "rooms.awk: no files given"
		exit 2
	}
	exit errors > 0
}
