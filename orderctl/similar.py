"""Order codes that resemble one that does not exist. It reads a few hundred entries of indexes, however many orders there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Connection, Select, String, select, type_coerce

from orderctl import deletion, foreign, prefixes
from orderctl.schema import orders

_CODE: Final = type_coerce(orders.c.order_code, String)
_NEWEST: Final = 300
#: How many codes on either side of the wanted one are looked at.
_BESIDE: Final = 5
#: How many of the beginnings of the newest codes (``DH`` of ``DH70025``) are tried before what was typed.
_BEGINNINGS: Final = 5
#: The least share of what two codes have in common, in order.
_LEAST: Final = 0.7
#: A shorter text is a part of too many codes.
_PART: Final = 3
#: A longer text is a slip of another kind, and slow to compare.
_LONGEST: Final = 64


def codes(connection: Connection, wanted: str, *, most: int = 3) -> list[str]:
    """Return existing codes that resemble one, the most similar one first.

    Args:
        connection: A connection for reading.
        wanted: What was typed.
        most: The maximum number of codes.
    """
    text = wanted.strip()
    if not text or len(text) > _LONGEST or not text.isprintable():
        return []
    newest = _read(connection, select(_CODE).order_by(orders.c.id.desc()).limit(_NEWEST))
    found = [*newest, *_beside(connection, text), *_completed(connection, text, newest)]
    likely = {code: _likeness(text.casefold(), code.casefold()) for code in found}
    best = sorted((code for code, share in likely.items() if share >= _LEAST), key=lambda code: -likely[code])
    return best[:most]


def _read(connection: Connection, query: Select[Any]) -> list[str]:
    there = query.where(deletion.not_deleted(orders))
    return [code for value in connection.execute(there).scalars() if (code := foreign.text(value))]


def _beside(connection: Connection, text: str) -> Iterator[str]:
    """Yield the codes that stand beside a text in the index, and beside its beginning."""
    for spelled in prefixes.spellings(text):
        begins = prefixes.begins(connection, orders.c.order_code, spelled)
        yield from _read(connection, select(_CODE).where(begins).order_by(_CODE).limit(_BESIDE))
        if spelled.isascii():
            yield from _read(connection, select(_CODE).where(spelled < _CODE).order_by(_CODE).limit(_BESIDE))
            below = select(_CODE).where(spelled > _CODE).order_by(_CODE.desc()).limit(_BESIDE)
            yield from _read(connection, below)


def _completed(connection: Connection, text: str, newest: list[str]) -> list[str]:
    """Return the codes that end with a text, behind one of the beginnings that the newest codes have."""
    beginnings = dict.fromkeys(match[0] for code in newest if (match := re.match(r"\D+", code)))
    tried = [beginning + text for beginning in list(beginnings)[:_BEGINNINGS]]
    return _read(connection, select(_CODE).where(_CODE.in_(tried))) if tried else []


def _likeness(one: str, other: str) -> float:
    """Return how much two codes have in common, from 0 to 1."""
    from difflib import SequenceMatcher  # noqa: PLC0415 - for what is not found only

    if one == other or (len(one) >= _PART and other.endswith(one)):
        return 1.0
    if len(one) >= _PART and one in other:
        return 0.9
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= _LEAST else 0.0
