"""Texts that users and other programs give: what no store can hold, what is kept of them, and long ones in messages."""

from __future__ import annotations

import re
from typing import Final

#: Lone surrogates, which UTF-8 cannot encode (bytes in other encodings arrive as such), and NUL.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
#: C0 and C1 controls, invisible characters, changes of the direction of writing, lone surrogates, tags.
#: U+200C and U+200D are not among them, because scripts and emoji need them.
UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_MOST: Final = 80
_MOST_OF_ID: Final = 120
_BLANKS: Final = re.compile(r"\s+")


def is_storable(text: str) -> bool:
    """Whether the text can be encoded in UTF-8, and has no NUL character."""
    return (text.isascii() and text.isprintable()) or not _UNSTORABLE.search(text)


def arguments(*words: str) -> str:
    """Return words as the last arguments of a command that can be pasted: quoted, and never taken for options."""
    import shlex  # noqa: PLC0415 - as hashlib below

    return f"-- {shlex.join(words)}" if any(word.startswith("-") for word in words) else shlex.join(words)


def shown(value: object) -> str:
    """Return the value as Python writes it, shortened, for a message."""
    text = repr(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}... ({len(text):,} characters)"


def line(text: str | None, most: int) -> str | None:
    """Return a text in one line, without what no database holds; None for nothing.

    Args:
        text: The text.
        most: The number of characters that are kept.
    """
    if text is None:
        return None
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    return _BLANKS.sub(" ", kept).strip()[:most].rstrip() or None


def legible(text: str, most: int) -> str:
    """Return a text of a stranger in one line, without characters that are invisible or change the direction of writing.

    Args:
        text: The text.
        most: The number of characters that are kept; three dots stand for the others.
    """
    kept = _BLANKS.sub(" ", UNSAFE.sub(lambda found: " " if found[0].isspace() else "", text)).strip()
    return kept if len(kept) <= most else f"{kept[: most - 1].rstrip()}…"


def identifier(text: str | None) -> str | None:
    """Return an id of others as it is stored: at most 120 characters; None for nothing.

    It is never cut, which would make two of one. A blank at its ends does not count.
    """
    stripped = (text or "").strip()
    if not stripped:
        return None
    if len(stripped) > _MOST_OF_ID or not is_storable(stripped) or not stripped.isprintable():
        import hashlib  # noqa: PLC0415 - takes 3 ms, which --help and the TAB key do not need

        digest = hashlib.sha256(stripped.encode("utf-8", "surrogatepass")).hexdigest()
        return f"sha256:{digest}"
    return stripped
