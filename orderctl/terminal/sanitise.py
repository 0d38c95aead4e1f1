"""Makes text from the stores safe to show.

Anyone who can order a course can choose its title. So before text from a store is shown on a terminal, all
characters that move the cursor, change the direction of writing or are invisible are escaped.
"""

from __future__ import annotations

import re
from typing import Final

from orderctl.texts import UNSAFE

#: Colours, with which programs mark their own messages. They carry no information and are removed.
_COLOUR: Final = re.compile("\x1b\\[[0-9;:]*m")
_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_BMP: Final = 0xFFFF
_BYTE: Final = 0xFF


def line(text: str) -> str:
    r"""Return the text on one line, without colours; unsafe characters become escapes such as ``\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return UNSAFE.sub(_escape, _COLOUR.sub("", text))


def block(text: str) -> str:
    """Return the text as :func:`line` does, but keep its line breaks; tabs become spaces."""
    return "\n".join(line(part.expandtabs(4)) for part in text.replace("\r\n", "\n").split("\n"))


def json(document: str) -> str:
    """Return a JSON document with every unsafe character as an escape of JSON; its meaning is the same.

    Args:
        document: Compact or indented JSON. Its line breaks are kept, since they are outside of strings.
    """
    if document.isascii():
        return document.replace("\x7f", "\\u007f")
    return UNSAFE.sub(_json_escape, document)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if code > _BMP:
        return f"\\U{code:08x}"
    return _NAMED.get(character) or (f"\\x{code:02x}" if code <= _BYTE else f"\\u{code:04x}")


def _json_escape(match: re.Match[str]) -> str:
    if match[0] in "\n\t\r":
        return match[0]
    encoded = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{encoded[at : at + 2].hex()}" for at in range(0, len(encoded), 2))
