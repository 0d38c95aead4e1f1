"""The topics that concern all commands, for ``orderctl help`` and the manual pages: texts without a layout."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from orderctl import environment, setting_sections
from orderctl.cli import times
from orderctl.errors import ExitStatus

#: A line of a table: two spaces, a term, two spaces, its meaning.
_ROW: Final = re.compile(r" {2,}(\S(?:.*?\S)?) {2,}(\S.*)")
#: Least columns for the meanings; with fewer, they stand below their terms.
_LEAST: Final = 28

#: The meaning of each exit code.
EXIT_CODES: Final[dict[ExitStatus, str]] = {
    ExitStatus.DONE: "The command succeeded, or there was nothing to do.",
    ExitStatus.FAILED: "The order or task failed, part of a bulk change did, or a check found something.",
    ExitStatus.USAGE: "The command line or its input is not valid.",
    ExitStatus.NOT_FOUND: "The order, payment, task or worker was not found.",
    ExitStatus.CONFLICT: "The current state does not allow the change.",
    ExitStatus.UNAVAILABLE: "The database, Redis, the workers or the relay do not answer, and the command needs them.",
    ExitStatus.INTERNAL: "An error in orderctl itself; please report it.",
    ExitStatus.TRY_LATER: "Another process holds a lock; try again later.",
    ExitStatus.CONFIGURATION: "A setting is not valid, or forbids the change (read_only), or the database is not migrated.",
    ExitStatus.TIMED_OUT: "The timeout that was given has expired.",
    ExitStatus.INTERRUPTED: "The command was interrupted with Ctrl-C.",
}

LISTS: Final = "Lists are separated by commas; switches are 1, 0, true or false."

OUTPUT: Final = """\
Data goes to stdout, everything else to stderr. -o chooses the format:

  table     for people, cut to the width of the terminal (the default)
  wide      for people, every column, nothing cut
  json      one JSON document; an empty list is []
  jsonl     one JSON document on each line, each written at once
  csv       for spreadsheets; text that begins like a formula is preceded by an apostrophe
  tsv       for cut and awk; tabs and line breaks are written as \\t and \\n
  markdown  for tickets
  name      only ids or names, for xargs

--fields NAME,... chooses columns; --fields alone lists them. JSON keys are stable, times in JSON are in
UTC, and amounts are numbers. When the output is not a terminal, nothing is cut, coloured or animated;
NO_COLOR, TERM=dumb and CLICOLOR_FORCE are respected. Control characters in texts are shown as escapes.

Output that cannot be written (a full disk, a closed stdout) is an error, exit code 1. A reader that ends
early, as in "| head", is not. Messages that cannot be written to stderr are lost and change no exit code.
"""

TIMES: Final = f"""\
Options that take a time (--since, --until) accept {times.MOMENTS}.
A date or a time of day without a zone is in the time zone of the setting display.time_zone.

Options that take a length of time (--stale, --timeout) accept {times.SPANS};
a number without a unit is in seconds.

--time-format relative|iso|local chooses how tables show times.
"""


class Row(NamedTuple):
    """A term and its meaning."""

    term: str
    about: str


def blocks(text: str) -> Iterator[Row | str]:
    """Split a topic into the rows of its tables and its paragraphs."""
    for part in text.strip("\n").split("\n\n"):
        rows = [_ROW.fullmatch(line) for line in part.split("\n")]
        if all(rows):
            yield from (Row(row[1], row[2]) for row in rows if row)
        else:
            yield " ".join(part.split())


def laid_out(text: str, width: int) -> str:
    """Return a topic for a terminal of that width."""
    found = list(blocks(text))
    wide = max((len(block.term) for block in found if isinstance(block, Row)), default=0)
    shown: list[str] = []
    for before, block in zip([None, *found], found, strict=False):
        if before is not None and not (isinstance(before, Row) and isinstance(block, Row)):
            shown.append("")
        shown += _row(block, wide, width) if isinstance(block, Row) else textwrap.wrap(block, width)
    return "\n".join(shown) + "\n"


def _row(row: Row, wide: int, width: int) -> list[str]:
    if width - wide - 4 < _LEAST:
        return [
            f"  {row.term}",
            *textwrap.wrap(row.about, width, initial_indent=" " * 6, subsequent_indent=" " * 6),
        ]
    first = f"  {row.term.ljust(wide)}  "
    return textwrap.wrap(
        row.about, width, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )


def exit_codes() -> str:
    """Return the exit codes as a table."""
    return "".join(f"{status:>5}  {text}\n" for status, text in EXIT_CODES.items())


def variables() -> str:
    """Return the environment variables as a table."""
    lines = [f"Every setting has a variable. {LISTS}\n"]
    rows = [("ORDERCTL_CONFIG", "an additional configuration file, read last")]
    rows += [(environment.variable(key), about) for key, about in setting_sections.ABOVE.items()]
    for key, item in setting_sections.declared().items():
        rows.append((environment.variable(key), item.about))
        if item.secret:
            rows.append((environment.variable(f"{key}_file"), "a file that contains it"))
    rows += [
        ("ORDERCTL_DEBUG", "1: show the traceback of an internal error"),
        ("NO_COLOR, CLICOLOR_FORCE", "use colours never, or always"),
    ]
    wide = max(len(name) for name, _ in rows)
    return "\n".join([*lines, *(f"  {name.ljust(wide)}  {about}" for name, about in rows)]) + "\n"


TOPICS: Final[dict[str, tuple[str, Callable[[], str]]]] = {
    "exit-codes": ("what the exit codes mean", exit_codes),
    "environment": ("the environment variables", variables),
    "output": ("formats, fields, colours", lambda: OUTPUT),
    "times": ("how times and lengths of time are written", lambda: TIMES),
}
