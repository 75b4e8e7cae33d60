# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# bash completion for kwitness(1) and kwitnessd(8). Commands and options are asked of the programs themselves, so that
# they are those of the version that is installed.
_kwitness_words() { # PROGRAM [COMMAND]: long options in its help
	# those that have a line of their own, not those that a sentence names
	"$@" --help 2>/dev/null | sed -n 's/^  *-/-/p' | sed 's/  .*//' | grep -oE -- '--[a-z][a-z-]*' | sort -u
}
_kwitness_ids() { # ids of incidents in the ledger that is named, or in the usual one
	local i ledger=()
	for ((i = 2; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} != --ledger ]] || ledger=(--ledger "${COMP_WORDS[i + 1]}")
	done
	"${COMP_WORDS[0]}" incidents "${ledger[@]}" 2>/dev/null | cut -d ' ' -f 1
}
_kwitness_readers() { # names of readers of the ledger that is named, or of the usual one
	local i ledger=()
	for ((i = 2; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} != --ledger ]] || ledger=(--ledger "${COMP_WORDS[i + 1]}")
	done
	"${COMP_WORDS[0]}" readers "${ledger[@]}" 2>/dev/null | cut -d ' ' -f 1
}
_kwitness() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]} command=${COMP_WORDS[1]-}
	COMPREPLY=()
	if [[ ${program##*/} == kwitness && $COMP_CWORD == 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z]*\)  .*/\1/p') --help --version" -- "$word")
		return
	fi
	case $before in
	--ledger | --runtime | --cells | --cgroup-root | --pins | -l)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	--keyring | --keyring-out | --key | --config | --proof | --since | --out | --socket | --gate | --http | --record | -k | -s | -o | -c)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	--tier)
		mapfile -t COMPREPLY < <(compgen -W 'auto fentry kprobe tracepoint files' -- "$word")
		return
		;;
	--color)
		mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$word")
		return
		;;
	--reader)
		mapfile -t COMPREPLY < <(compgen -W "$(_kwitness_readers)" -- "$word")
		return
		;;
	--kernel)
		mapfile -t COMPREPLY < <(compgen -W 'shared own' -- "$word")
		return
		;;
	--type)
		mapfile -t COMPREPLY < <(compgen -W 'host.v1.oom_kill host.v1.oom_incident host.v1.cpu_throttled host.v1.memory_high host.v1.pids_max host.v1.gap host.v1.parity host.v1.crosscheck host.v1.checkpoint' -- "$word")
		return
		;;
	esac
	if [[ $word == -* ]]; then
		if [[ ${program##*/} == kwitnessd ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(_kwitness_words "$program")" -- "$word")
		else
			mapfile -t COMPREPLY < <(compgen -W "$(_kwitness_words "$program" "$command")" -- "$word")
		fi
	elif [[ $command == incidents ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_kwitness_ids)" -- "$word")
	elif [[ $command == readers && ($before == keep || $before == forget) ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_kwitness_readers)" -- "$word")
	elif [[ $command == readers ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'list keep forget' -- "$word")
	elif [[ $command == cells && $COMP_CWORD == 2 ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'list add remove' -- "$word")
	elif [[ $command == verify || $command == sign || $command == pubkey ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}
complete -F _kwitness kwitness kwitnessd
