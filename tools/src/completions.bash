
# The shell takes a colon for the end of a word, and devices have colons: the words are put together again before the
# program is asked, and what stands before the last colon is taken off its answers, because it is on the line already.
_outboard() {
    local line=$COMP_LINE words=() index=0 previous= word i
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i -gt 0 && $line != [[:space:]]* && ($word == :* || $previous == *:) ]]; then
            words[${#words[@]}-1]+=$word
        else
            line=${line#"${line%%[![:space:]]*}"}
            words+=("$word")
        fi
        line=${line#"$word"}
        previous=$word
        ((i == COMP_CWORD)) && index=$((${#words[@]} - 1))
    done
    local COMP_WORDS=("${words[@]}") COMP_CWORD=$index typed=${words[index]}
    _clap_complete_outboard outboard "$typed"
    if [[ $typed == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${typed%"${typed##*:}"}"}")
    fi
}
complete -o nospace -o bashdefault -F _outboard outboard
