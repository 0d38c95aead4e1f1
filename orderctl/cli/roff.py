"""Writes roff, the language of manual pages: paragraphs, lists, and lines that stay as they are.

Pages are for terminals of 80 columns or more: words are not split, lines are not padded, and a long command goes on in
the next line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Final

from orderctl import __version__
from orderctl.cli.topics import Row, blocks

#: Characters in a line that stays as it is: it is indented by 11 columns, and man leaves two free.
_WIDEST: Final = 66
_INDENT: Final = "    "
#: The words of a command: blanks in quotes belong to a word.
_WORD: Final = re.compile(r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"]|['\"])+")


def title(page: str, section: int, about: str) -> str:
    """Return the head of a page."""
    kinds = {1: "User commands", 5: "File formats", 7: "Miscellaneous"}
    head = f'.TH "{page.upper()}" "{section}" "" "orderctl {__version__}" "{kinds[section]}"\n.nh\n.ad l\n'
    return f"{head}.SH NAME\n{escape(page)} \\- {escape(about)}\n"


def link(page: str, section: int) -> str:
    """Return the name of a page, for running text."""
    return f"\\fB{escape(page)}\\fR({section})"


def tagged(tag: str, text: str) -> str:
    """Return an entry of a list. The tag is roff already."""
    return f".TP\n{tag}\n{escape(' '.join(text.split()))}\n"


def bold(text: str) -> str:
    """Return a text in bold."""
    return f"\\fB{escape(text)}\\fR"


def prose(text: str) -> str:
    """Return the paragraphs of a text, which blank lines separate."""
    paragraphs = (" ".join(part.split()) for part in dedent(text).split("\n\n"))
    return "\n.PP\n".join(map(escape, paragraphs)) + "\n"


def topic(text: str) -> str:
    """Return a topic of ``orderctl help``."""
    made = (
        tagged(bold(block.term), block.about) if isinstance(block, Row) else f".PP\n{escape(block)}\n"
        for block in blocks(text)
    )
    return "".join(made)


def commands(text: str) -> str:
    """Return command lines as they are; a long one goes on in the next line."""
    lines = (part for line in text.strip("\n").split("\n") for part in _folded(line))
    return verbatim("\n".join(lines))


def verbatim(text: str) -> str:
    """Return lines as they are."""
    return ".PP\n.nf\n.RS 4\n" + "\n".join(map(escape, text.strip("\n").split("\n"))) + "\n.RE\n.fi\n"


def _folded(line: str) -> Iterator[str]:
    """Split a command between an option with its value and the next one, so that a shell joins the lines."""
    while len(line) > _WIDEST:
        starts = [
            found.start()
            for found in _WORD.finditer(line)
            if found[0].startswith(("-", "|", ">", "&&")) and len(_INDENT) < found.start() <= _WIDEST - 2
        ]
        if not starts:
            break
        yield line[: starts[-1]] + "\\"
        line = _INDENT + line[starts[-1] :]
    yield line


def escape(text: str) -> str:
    """Escape text so that roff shows it unchanged, and takes no line for a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha")
    escaped = escaped.replace("~", "\\(ti").replace("`", "\\(ga")
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
