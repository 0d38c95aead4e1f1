"""How bash, zsh and fish ask for completions, and in what form each takes the answer.

A shell passes the words before the cursor as arguments of the program, and reads lines of a type (plain, dir or file), a
value and a description, with a TAB character between them. Click's own scripts join words with blanks and values with
commas, and so break values that contain either.
"""

from __future__ import annotations

import re
import sys
from typing import ClassVar, Final

import click
from click.shell_completion import CompletionItem, ShellComplete

from orderctl.cli import completing
from orderctl.cli.lazy import Group

#: Characters at which bash, besides blanks and quotes, begins a new word of its own.
_BREAKS: Final = "@><=;|&(:"
#: What bash needs quoted. Letters outside ASCII it takes as they are, and they are read more easily so.
_SPECIAL: Final = re.compile(r"([^\w@%+=:,./~^\-\u0080-\U0010ffff])", re.ASCII)


class Completion(ShellComplete):
    """What the shells have in common: the words are the arguments of the process."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one at the cursor, without the program's name, and that word up to the cursor."""
        *before, current = sys.argv[1:] or [""]
        return before, current

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """Return what Click knows, and what stands in the shop."""
        from click import shell_completion

        ctx = shell_completion._resolve_context(self.cli, self.ctx_args, self.prog_name, args)  # noqa: SLF001
        asked, rest = shell_completion._resolve_incomplete(ctx, args, incomplete)  # noqa: SLF001 - as Click's own method
        found = asked.shell_complete(ctx, rest)
        if isinstance(asked, Group) and asked.default is not None:
            asked = asked.commands[asked.default].params[0]  # what may stand in the command's place
        if isinstance(asked, click.Parameter):
            known = {item.value for item in found}
            found += [one for one in completing.complete(ctx, asked, rest) if one.value not in known]
        option = incomplete.removesuffix(rest) if incomplete.startswith("--") else ""
        for item in found if option.endswith("=") else ():
            item.value = option + item.value
        return found

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Return the line of one value."""
        return f"{item.type}\t{item.value}\t{item.help or ''}"


class Bash(Completion):
    """bash: the line up to the cursor is the only argument, since bash has split its words at ``:`` and ``=``."""

    name = "bash"
    source_template: ClassVar[str] = """\
_orderctl_completion() {
    local type value about program=orderctl
    [[ $1 == */* ]] && program=${1/#\\~/$HOME}
    COMPREPLY=()
    while IFS=$'\\t' read -r type value about; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(_ORDERCTL_COMPLETE=bash_complete "$program" "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
}

complete -o nosort -F _orderctl_completion orderctl 2>/dev/null || complete -F _orderctl_completion orderctl
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Split the line as bash does."""
        line = sys.argv[1] if len(sys.argv) > 1 else ""
        words, self._raw, self._quote = split(line)
        return words[1:-1], words[-1]

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Return the line of one value, quoted, and without what bash keeps of the word."""
        breaks = sys.argv[2] if len(sys.argv) > 2 else _BREAKS  # noqa: PLR2004
        item.value = quoted(str(item.value), self._raw, self._quote, breaks)
        return super().format_completion(item)


def split(line: str) -> tuple[list[str], str, str]:
    """Split the beginning of a line of bash into words.

    Returns:
        The words without their quotes, of which the last is the one at the cursor; that one as it is typed; and the quote
        that is open at its end, if any.
    """
    words, raw, quote, begun = [""], "", "", False
    letters = iter(line)
    for letter in letters:
        if not quote and letter.isspace():
            if begun:
                words.append("")
            raw, begun = "", False
            continue
        begun, raw = True, raw + letter
        if quote in {"", letter} and letter in "'\"":
            quote = "" if quote else letter
        elif letter == "\\" and quote != "'":
            escaped = next(letters, "")
            raw += escaped
            words[-1] += escaped
        else:
            words[-1] += letter
    return words, raw, quote


def quoted(value: str, raw: str, quote: str, breaks: str) -> str:
    """Return what bash has to put in place of the word at the cursor, as far as it replaces it.

    Args:
        value: The whole word.
        raw: What is typed of it.
        quote: The quote that is open, which bash closes.
        breaks: COMP_WORDBREAKS: behind the last of these in what is typed begins what bash replaces.
    """
    if quote == "'":
        return value.replace("'", "'\\''")
    if quote:
        return re.sub(r'([\\"$`])', r"\\\1", value)
    escaped = _SPECIAL.sub(r"\\\1", value)
    typed = [letter for letter in raw if letter in breaks and letter in _BREAKS]
    places = [at for at, letter in enumerate(escaped) if letter in breaks and letter in _BREAKS][: len(typed)]
    if not places:
        return escaped
    # Bash replaces the last "@", too: a host's name could follow.
    return escaped[places[-1] + (typed[-1] != "@") :]


class Zsh(Completion):
    """zsh: it quotes values itself, and shows descriptions from a list of their own."""

    name = "zsh"
    source_template: ClassVar[str] = """\
#compdef orderctl

_orderctl_completion() {
    local -a values shown
    local type value about program=orderctl
    [[ ${words[1]} == */* ]] && program=${~words[1]}
    while IFS=$'\\t' read -r type value about; do
        case $type in
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            plain)
                values+=("$value")
                shown+=("$value${about:+  -- $about}")
                ;;
        esac
    done < <(_ORDERCTL_COMPLETE=zsh_complete $program "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    (( $#values )) && compadd -l -V orderctl -d shown -a values
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    # autoload from fpath: called for the first time
    _orderctl_completion "$@"
else
    # eval, source or "."
    compdef _orderctl_completion orderctl
fi
"""


class Fish(Completion):
    """fish: it takes values with descriptions as they are printed."""

    name = "fish"
    source_template: ClassVar[str] = """\
function _orderctl_completion
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l plain (string unescape -- $current 2>/dev/null; or string trim --left --chars "'\\"" -- $current)
    set -l program orderctl
    string match -q '*/*' -- $words[1]; and set program $words[1]
    for line in (_ORDERCTL_COMPLETE=fish_complete $program $words[2..-1] "$plain" 2>/dev/null)
        set -l parts (string split --max 1 \\t -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $current
            case file
                __fish_complete_path $current
            case plain
                printf '%s\\n' $parts[2]
        end
    end
end

complete --command orderctl --erase
complete --keep-order --no-files --command orderctl --arguments '(_orderctl_completion)'
"""


SHELLS: Final[dict[str, type[Completion]]] = {kind.name: kind for kind in (Bash, Zsh, Fish)}


def answer(cli: click.Command, program: str, asked: str, context: dict[str, object]) -> str | None:
    """Return the answer to a shell; None if it asks for something else.

    Args:
        cli: The root command.
        program: Its name.
        asked: What the script has set, such as ``bash_complete``.
        context: Arguments of the root's context.
    """
    shell, _, what = asked.partition("_")
    if shell not in SHELLS or what != "complete":
        return None
    return SHELLS[shell](cli, context, program, "").complete()
