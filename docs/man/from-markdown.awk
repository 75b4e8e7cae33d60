# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A page of docs/ as a manual page, so that both say the same. Knows what those pages use of Markdown: headings,
# paragraphs, lists with one level, tables with a header, fenced code, `code`, **strong**, [text](link).
# awk -v name=kwitness-events -v section=7 -v what="..." -v date="..." -f from-markdown.awk docs/events.md

# POSIX awk has no gensub(): what stands between two marks, bold.
function bold(text, mark,	out, at, rest, end) {
	out = ""
	while ((at = index(text, mark)) > 0) {
		rest = substr(text, at + length(mark))
		end = index(rest, mark)
		if (end == 0)
			break
		out = out substr(text, 1, at - 1) "\\fB" substr(rest, 1, end - 1) "\\fP"
		text = substr(rest, end + length(mark))
	}
	return out text
}
function unlink(text,	at, close_at) { # [text](link)
	while (match(text, /\[[^]]*\]\([^)]*\)/)) {
		at = RSTART
		close_at = index(substr(text, at), "]")
		text = substr(text, 1, at - 1) substr(text, at + 1, close_at - 2) substr(text, at + RLENGTH)
	}
	return text
}
function inline(text) {
	gsub(/\\\|/, "|", text)
	gsub(/\\/, "\\e", text)
	return bold(bold(unlink(text), "**"), "`")
}
# Each sentence on a line of its own, as manual pages want it; no line that looks like a request.
function put(text,	line) {
	text = inline(text)
	while (text != "") {
		line = text
		if (match(text, /[A-Za-z0-9)"][.!?][)]? +([A-Z(]|\\fB)/)) {
			line = substr(text, 1, RSTART + 1)
			if (substr(text, RSTART + 2, 1) == ")")
				line = line ")"
		}
		text = substr(text, length(line) + 1)
		sub(/^ +/, "", text)
		sub(/^ +/, "", line)
		sub(/ +$/, "", line)
		fold(line)
	}
}
# Lines of at most 78 characters, none of which looks like a request.
function fold(line,	words, n, i, out) {
	n = split(line, words, " ")
	out = ""
	for (i = 1; i <= n; i++) {
		if (out != "" && length(out) + length(words[i]) > 77) {
			print (out ~ /^[.']/ ? "\\&" : "") out
			out = ""
		}
		out = out (out == "" ? "" : " ") words[i]
	}
	print (out ~ /^[.']/ ? "\\&" : "") out
}
function flush() {
	if (paragraph == "")
		return
	if (in_list == "" && !after_heading)
		print ".Pp"
	if (in_list != "" && !is_item)
		print ".Pp"
	put(paragraph)
	paragraph = ""
	after_heading = is_item = 0
}
function end_list() {
	flush()
	if (in_list != "")
		print ".El"
	in_list = ""
}
function begin_list(kind) {
	if (in_list == kind)
		return
	end_list()
	print ".Bl -" kind
	in_list = kind
	after_heading = 0
}
BEGIN {
	print ".\\\" SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause"
	print ".\\\" Made from docs/ by docs/man/from-markdown.awk."
	print ".Dd " date
	print ".Dt " toupper(name) " " section
	print ".Os"
	print ".Sh NAME"
	print ".Nm " name
	print ".Nd " what
	print ".Sh DESCRIPTION"
	after_heading = 1
}
/^```/ {
	if (in_code) {
		print ".Ed"
		in_code = 0
	} else {
		flush()
		print ".Bd -literal -offset indent"
		in_code = 1
	}
	after_heading = 0
	next
}
in_code {
	gsub(/\\/, "\\e")
	print ($0 ~ /^[.']/ ? "\\&" : "") $0
	next
}
/^# / { next }
/^##+ / {
	end_list()
	heading = $0
	sub(/^#+ /, "", heading)
	gsub(/`/, "", heading)
	print ($1 == "##" ? ".Sh " toupper(heading) : ".Ss " heading)
	after_heading = 1
	next
}
/^\|[-|: ]+\|$/ { next }
/^\|/ {
	if (!in_table) { # its header
		end_list()
		in_table = 1
		begin_list("tag -width Ds")
		next
	}
	row = substr($0, 2)
	sub(/ *\|[ ]*$/, "", row)
	gsub(/\\\|/, "\001", row)
	n = split(row, cells, /\|/)
	for (i = 1; i <= n; i++) {
		gsub(/\001/, "|", cells[i])
		gsub(/^ +| +$/, "", cells[i])
	}
	print ".It " inline(cells[1])
	for (i = 2; i <= n; i++)
		if (cells[i] != "")
			put(cells[i] (i < n && cells[i + 1] != "" && cells[i] !~ /[.;:]$/ ? ";" : ""))
	next
}
in_table { in_table = 0; end_list() }
/^$/ {
	flush()
	blank = 1
	next
}
/^- / { flush(); begin_list("bullet"); print ".It"; is_item = 1; paragraph = substr($0, 3); blank = 0; next }
/^[0-9]+\. / { flush(); begin_list("enum"); print ".It"; is_item = 1; sub(/^[0-9]+\. /, ""); paragraph = $0; blank = 0; next }
{
	if (blank && in_list != "" && $0 !~ /^ /)
		end_list()
	blank = 0
	sub(/^ +/, "")
	paragraph = paragraph (paragraph == "" ? "" : " ") $0
}
END { end_list() }
