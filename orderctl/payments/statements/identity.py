"""Which lines of a statement are one transfer, and what each is known by."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from orderctl import money
from orderctl.payments.statements.line import Line
from orderctl.payments.transfer import Direction

#: A name that as many different transfers of one direction have identifies none: it is the name of a branch or a kind.
_SHARED: Final = 3
#: Letters and digits of a name that is nobody else's: the short numbers of a bank begin anew, and two accounts have them.
_UNIQUE: Final = 10

_Content = tuple[object, ...]
_Name = tuple[Direction, str]


class Identified(NamedTuple):
    """The lines with their keys, the numbers of those left out as repeated, and the names that identify nothing."""

    lines: tuple[Line, ...]
    repeated: tuple[int, ...]
    shared: tuple[str, ...]


def identify(lines: Sequence[Line]) -> Identified:
    """Give each line its key, and leave out what is exactly an earlier one with a name of its own.

    Lines without such a name may be equal and still be two transfers: their keys count them.

    Args:
        lines: The lines, in the order of the file.
    """
    transfers: dict[_Name, set[_Content]] = defaultdict(set)
    for line in lines:
        for name in line.names:
            transfers[line.direction, name].add(_content(line))
    shared = {name for name, contents in transfers.items() if len(contents) >= _SHARED}
    own = {name for name, contents in transfers.items() if len(contents) == 1}
    kept, repeated = _once(lines, own)
    keyed = _keyed(kept, own, shared)
    return Identified(tuple(keyed), tuple(repeated), tuple(sorted({name for _, name in shared})))


def _content(line: Line) -> _Content:
    return line.names, line.amount, line.begin, line.end, line.content


def _once(lines: Sequence[Line], own: set[_Name]) -> tuple[list[Line], list[int]]:
    seen: set[_Content] = set()
    kept, repeated = [], []
    for line in lines:
        same = (line.direction, *_content(line))
        if same in seen and any((line.direction, name) in own for name in line.names):
            repeated.append(line.number)
        else:
            seen.add(same)
            kept.append(line)
    return kept, repeated


def _keyed(lines: Sequence[Line], own: set[_Name], shared: set[_Name]) -> list[Line]:
    counts: Counter[str] = Counter()
    incoming = {line.names[0] for line in lines if line.names and line.direction is Direction.IN}
    found = []
    for line in lines:
        best = line.names[0] if line.names and (line.direction, line.names[0]) in own else None
        if best is not None and sum(map(str.isalnum, best)) < _UNIQUE:
            best = None
        if best is not None and line.direction is Direction.OUT and best in incoming:
            best = None  # a fee has the reference of its transfer
        if best is None:
            text = _described(line)
            counts[text] += 1
            best = f"sha256:{hashlib.sha256(f'{text}{counts[text]}'.encode()).hexdigest()}"
        names = tuple(name for name in line.names if (line.direction, name) not in shared)
        found.append(replace(line, key=best, names=names))
    return found


def _described(line: Line) -> str:
    """Return what is known of a line, in ASCII; texts of other encodings may have lone surrogates."""
    balance = None if line.balance is None else money.shown(line.balance)
    begin = line.begin.isoformat()
    return json.dumps([begin, money.shown(line.amount), line.direction, line.content, balance, line.names])
