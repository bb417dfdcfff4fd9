# Completion of share for bash: the program is asked what a word may become.
# Works with bash 3.2, too, as macOS has it, and without bash-completion.

_share() {
	local rest=${COMP_LINE:0:COMP_POINT} n=-1 i space word words
	words=()
	# bash breaks words at = and :, where share does not.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		space=${rest%%[![:space:]]*}
		rest=${rest:${#space}}
		word=${COMP_WORDS[i]}
		if ((i == COMP_CWORD)); then word=$rest; fi
		if ((n < 0)) || [[ -n $space ]]; then
			n=$((n + 1))
			words[n]=$word
		else
			words[n]=${words[n]}$word
		fi
		rest=${rest:${#word}}
	done
	COMPREPLY=()
	if ((n < 1)); then return; fi
	local cur=${words[n]} skip='' beside='' IFS=$'\n'
	if [[ $cur == *[=:]* && $COMP_WORDBREAKS == *=* && $COMP_WORDBREAKS == *:* ]]; then
		skip=${cur%"${cur##*[=:]}"} # which readline leaves as it is
	fi
	while IFS=$'\t' read -r word _; do
		if [[ -z $beside ]]; then
			beside=$word
		elif [[ $word == "$cur"* ]]; then
			COMPREPLY+=("${word#"$skip"}")
		fi
	done < <(command share complete -- "${words[@]:1:n-1}" "=$cur" 2>/dev/null)
	case $beside in
	files) COMPREPLY+=($(compgen -f -- "${cur#"$skip"}")) ;;
	folders) COMPREPLY+=($(compgen -d -- "${cur#"$skip"}")) ;;
	programs) COMPREPLY+=($(compgen -c -- "${cur#"$skip"}")) ;;
	esac
	case $beside in
	files | folders) compopt -o filenames 2>/dev/null ;;
	esac
}

complete -F _share share
