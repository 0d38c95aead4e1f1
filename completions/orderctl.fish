function _orderctl_completion
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l plain (string unescape -- $current 2>/dev/null; or string trim --left --chars "'\"" -- $current)
    set -l program orderctl
    string match -q '*/*' -- $words[1]; and set program $words[1]
    for line in (_ORDERCTL_COMPLETE=fish_complete $program $words[2..-1] "$plain" 2>/dev/null)
        set -l parts (string split --max 1 \t -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $current
            case file
                __fish_complete_path $current
            case plain
                printf '%s\n' $parts[2]
        end
    end
end

complete --command orderctl --erase
complete --keep-order --no-files --command orderctl --arguments '(_orderctl_completion)'
