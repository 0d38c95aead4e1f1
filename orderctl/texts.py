"""Texts that users and other programs give: what no store can hold, and long ones in messages."""

from __future__ import annotations

import re
from typing import Final

#: Lone surrogates, which UTF-8 cannot encode (bytes in other encodings arrive as such), and NUL.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_MOST: Final = 80


def is_storable(text: str) -> bool:
    """Whether the text can be encoded in UTF-8, and has no NUL character."""
    return (text.isascii() and text.isprintable()) or not _UNSTORABLE.search(text)


def shown(value: object) -> str:
    """Return the value as Python writes it, shortened, for a message."""
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}... ({len(text):,} characters)"
