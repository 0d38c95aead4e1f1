"""Hides e-mail addresses of customers from those who may not see them.

What stands under a key such as ``user_email`` is hidden, whatever it is. In all other texts, what has an ``@`` between
a name and a host is hidden. Nothing is looked for by the value of another field: an odd address, such as ``paid``,
would be found in every status.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from typing import Any, Final

from orderctl.masking import HIDDEN

_AT: Final = re.compile("@|%(?:25)*40|\uff20")
#: What ends a host, and what ends a name: more in a URL, whose parts stay legible. A part of both may be URL-encoded.
_OTHERS: Final = r"""\s"'<>()\[\],;:|/@\\?&=#"""
_NEVER: Final = r"""\s"'<>()\[\],;:@\\"""


def _backwards(others: str) -> re.Pattern[str]:
    """Return what finds a name from its end to its begin: an apostrophe is inside of it, a slash not at its end."""
    return re.compile(rf"""(?:"[^"@]+"|[^{others}/](?:(?:[^{others}]|')*[^{others}])?)""")


_NAME: Final = _backwards(_NEVER)
_NAME_IN_URL: Final = _backwards(_OTHERS)
_URL: Final = re.compile(r"\S*?//")
_LABEL: Final = rf"[^{_OTHERS}%.\u3002]{{1,253}}"
_LITERAL: Final = r"\[[0-9A-Fa-f:.]{2,45}\]"
_HOST: Final = re.compile(rf"{_LITERAL}|{_LABEL}(?:[.\u3002]{_LABEL}){{0,30}}")
#: Of an actor a host has a dot: ``root@host`` is how the audit log names an admin.
_DOMAIN: Final = re.compile(rf"{_LITERAL}|{_LABEL}(?:[.\u3002]{_LABEL}){{1,30}}")
#: How much of a name is looked at, in characters.
_LONGEST: Final = 200

#: Keys whose whole value is hidden, in whatever form.
_KEY: Final = re.compile(
    r"(?:.*[._-])?(?:(?:user|customer)?_?e-?mail(?:_?address)?|recipients?|rcpt|receivers?|customer)",
    re.IGNORECASE,
)
_ACTORS: Final = frozenset({"actor", "worker", "source"})


class _Kind(IntEnum):
    TEXT = 0
    ACTOR = 1
    ADDRESS = 2


def hide(text: str, *, actor: bool = False) -> str:
    """Return a text without the addresses in it, in a time that grows with its length only.

    Args:
        text: Any text.
        actor: Whether it names who did something: then ``root@host`` stays.
    """
    host_of = _DOMAIN if actor else _HOST
    pieces: list[str] = []
    done = 0
    for at in _AT.finditer(text):
        if at.start() < done or (host := host_of.match(text, at.end())) is None:
            continue
        if pieces and at.start() == done:  # the rest of a@b@c
            done = host.end()
            continue
        before = max(done, at.start() - _LONGEST)
        begin = at.start() - _name_length(text[before : at.start()])
        if begin < at.start():
            pieces += [text[done:begin], HIDDEN]
            done = host.end()
    return "".join([*pieces, text[done:]])


def _name_length(before: str) -> int:
    """Return how many characters at the end of what stands before an ``@`` are the name."""
    backwards = before[::-1]
    name = (_NAME_IN_URL if _URL.match(backwards) else _NAME).match(backwards)
    return name.end() if name else 0


def hidden(value: Any) -> Any:
    """Return a value of JSON without addresses: those of keys such as ``user_email``, and all in texts."""
    return _hidden(value, _Kind.TEXT)


def _hidden(value: Any, kind: _Kind) -> Any:
    if kind is _Kind.ADDRESS and value:
        return HIDDEN
    if isinstance(value, str):
        return hide(value, actor=kind is _Kind.ACTOR)
    if isinstance(value, dict):
        found = {}
        for key, inner in value.items():
            name, kind_of_inner = _key(str(key))
            found[name] = inner if isinstance(inner, bool) else _hidden(inner, kind_of_inner)
        return found
    if isinstance(value, list | tuple):
        return [_hidden(inner, kind) for inner in value]
    return value


@lru_cache(maxsize=1024)
def _key(key: str) -> tuple[str, _Kind]:
    """Return how a key is shown, and what its value is."""
    kind = _Kind.ADDRESS if _KEY.fullmatch(key) else _Kind.ACTOR if key in _ACTORS else _Kind.TEXT
    return hide(key), kind
