# Completion of share for fish: the program is asked what a word may become.

function __share_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l word (commandline -ct)
    set -l answer (command share complete -- $words "=$word" 2>/dev/null)
    set -l beside $answer[1]
    set -e answer[1]
    if test (count $answer) -gt 0
        printf '%s\n' $answer
    end
    set -l before (string match -r -- '^-[^=]*=' $word; or echo)
    set -l path (string replace -r -- '^-[^=]*=' '' $word)
    switch "$beside"
        case files
            printf '%s\n' "$before"(__fish_complete_path "$path")
        case folders
            printf '%s\n' "$before"(__fish_complete_directories "$path" '')
        case programs
            __fish_complete_command
    end
end

complete -c share -f -a '(__share_complete)'
