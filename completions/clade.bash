# Completion of clade and clade-double for bash. The program knows what may come next; see src/cli/complete.c.

_clade()
{
    local word=${COMP_WORDS[COMP_CWORD]} line
    [ "$word" = "=" ] && word=
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        :file | :folder)
            compopt -o filenames 2>/dev/null
            while IFS= read -r line; do
                COMPREPLY+=("$line")
            done < <(compgen "$([ "$line" = :file ] && echo -f || echo -d)" -- "$word")
            ;;
        *) COMPREPLY+=("$line") ;;
        esac
    done < <("${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}

complete -F _clade clade clade-double
