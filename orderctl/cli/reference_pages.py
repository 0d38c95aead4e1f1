"""The manual pages that are no command's: the settings and their files, and the exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from orderctl import environment, setting_keys, setting_sections, setting_sources
from orderctl.cli import roff, topics
from orderctl.setting_keys import Key

CONFIG: Final = "orderctl-config"
EXIT_CODES: Final = "orderctl-exit-codes"
_CONFIG_TEXT: Final = """\
Files of settings are in TOML: a table for each section, a line for each setting. A setting is taken from the first of
these places that has it: an option of the command line; the environment, where section.key is the variable
ORDERCTL_SECTION_KEY; the file of --config or ORDERCTL_CONFIG; the user's file; the machine's file; its default.

A secret can be in a file of its own, which key_file names. That file belongs to orderctl's user or to root, no other
user can write it, and it has one line of UTF-8.

"orderctl config init" writes a file with every setting commented out, "orderctl config show" prints each value and where
it comes from, and "orderctl config check" checks them. A value that is not valid ends every command with exit code 78.
Changes are for processes that start afterwards: workers and relays have to be started again.
"""
_EXAMPLE: Final = """\
state_dir = "/var/lib/orderctl"
[database]
url_file = "/etc/orderctl/database-url"
[worker]
concurrency = 4
"""
_CODES_TEXT: Final = """\
Every command of orderctl ends with one of these codes. A script can rely on them: those from 64 to 78 have the meanings
of sysexits.h, 124 and 130 those of timeout(1) and of shells. The reason is one line on stderr, and often a hint: a
command that helps.
"""
_CODES_EXAMPLE: Final = """\
orderctl tail order DH123456 --exit-status --timeout 2h
case $? in
  0) echo delivered ;;
  1) orderctl logs errors ;;
  69|75|124) echo 'later again' ;;
  *) echo 'look at it' >&2 ;;
esac
"""


def config() -> str:
    """Return the page of the settings."""
    parts = [roff.title(CONFIG, 5, "the settings of orderctl, and their files")]
    parts += [".SH DESCRIPTION\n", roff.prose(_CONFIG_TEXT), ".SH SETTINGS\n"]
    parts += [roff.tagged(roff.bold(key), about) for key, about in setting_sections.ABOVE.items()]
    for section, kind in setting_sections.SECTIONS.items():
        parts.append(f".SS [{section}]\n{roff.prose(kind.__doc__ or '')}")
        parts += [_setting(section, item) for item in setting_keys.keys_of(kind).values()]
    parts.append(f".SH ENVIRONMENT\nEach setting names its variable. {topics.LISTS}\n")
    parts += [files(), ".SH EXIT STATUS\nSee ", roff.link(EXIT_CODES, 7), ".\n"]
    parts += [".SH EXAMPLES\n", roff.verbatim(_EXAMPLE)]
    return "".join([*parts, _see_also(roff.link(CONFIG, 1), roff.link(EXIT_CODES, 7))])


def exit_codes() -> str:
    """Return the page of the exit codes."""
    parts = [roff.title(EXIT_CODES, 7, "what the exit codes of orderctl mean")]
    parts += [".SH DESCRIPTION\n", roff.prose(_CODES_TEXT)]
    parts += [".SH EXIT STATUS\n", roff.topic(topics.exit_codes())]
    parts += [".SH ENVIRONMENT\nNo variable changes an exit code.\n"]
    parts += [".SH EXAMPLES\n", roff.verbatim(_CODES_EXAMPLE)]
    return "".join([*parts, _see_also(roff.link(CONFIG, 5))])


def files() -> str:
    """Return the section of the files."""
    rows = {
        str(setting_sources.SYSTEM_FILE): "Settings for all users of this machine.",
        "~/.config/orderctl/config.toml": "Settings of this user.",
        "~/.local/state/orderctl": "The embedded database, the embedded Redis and the downloads.",
    }
    return ".SH FILES\n" + "".join(
        roff.tagged(f"\\fI{roff.escape(path)}\\fR", about) for path, about in rows.items()
    )


def _setting(section: str, item: Key[Any]) -> str:
    key = f"{section}.{item.name}"
    return roff.tagged(roff.bold(item.name), f"{item.about}.") + "".join(
        f".IP\n{roff.escape(line)}\n" for line in _facts(key, item)
    )


def _facts(key: str, item: Key[Any]) -> Iterator[str]:
    yield f"{_allowed(item)} {_default(item)}"
    secret = f"; from a file: {item.name}_file" if item.secret else ""
    yield f"Variable {environment.variable(key)}{secret}."


def _allowed(item: Key[Any]) -> str:
    """Return what a value has to be, as its own error message says."""
    try:
        item.read(object())
    except ValueError as error:
        text = str(error).partition(", not <")[0].partition("; it is not")[0]
        return f"{text[:1].upper()}{text[1:]}."
    raise AssertionError(item.name)


def _default(item: Key[Any]) -> str:
    value = item.default
    if value is None or value in ("", ()):
        return "Default: unset."
    shown = (
        ", ".join(value)
        if isinstance(value, tuple)
        else str(value).lower()
        if isinstance(value, bool)
        else value
    )
    return f"Default: {shown:g}." if isinstance(shown, float) else f"Default: {shown}."


def _see_also(*pages: str) -> str:
    return f".SH SEE ALSO\n{', '.join([roff.link('orderctl', 1), *pages])}\n"
