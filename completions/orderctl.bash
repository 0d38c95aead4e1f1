_orderctl_completion() {
    local type value about program=orderctl
    [[ $1 == */* ]] && program=${1/#\~/$HOME}
    COMPREPLY=()
    while IFS=$'\t' read -r type value about; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(_ORDERCTL_COMPLETE=bash_complete "$program" "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
}

complete -o nosort -F _orderctl_completion orderctl 2>/dev/null || complete -F _orderctl_completion orderctl
