#compdef share
# Completion of share for zsh: the program is asked what a word may become.

_share() {
	local beside word usage
	local -a asked matches
	if (( CURRENT > 2 )); then asked=("${(@Q)words[2,CURRENT-1]}"); fi
	asked+=("=${(Q)PREFIX}")
	command share complete -- "${asked[@]}" 2>/dev/null | while IFS=$'\t' read -r word usage; do
		if [[ -z $beside ]]; then
			beside=$word
		else
			matches+=("${word//:/\\:}${usage:+:$usage}")
		fi
	done
	if (( $#matches )); then _describe -V share matches; fi
	if [[ $PREFIX == -*=* ]]; then compset -P '*='; fi
	case $beside in
	files) _files ;;
	folders) _files -/ ;;
	programs) _command_names -e ;;
	esac
}

# It is sourced, or found in $fpath and called by the name of its file.
if [[ ${funcstack[1]} == _share ]]; then
	_share "$@"
else
	compdef _share share
fi
