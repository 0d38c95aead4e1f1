"""Hides e-mail addresses of customers from those who may not see them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from orderctl.masking import HIDDEN

_OTHERS: Final = r"""\s"'<>()\[\],;:|/@\\?&=#"""
_AT: Final = re.compile("@|%(?:25)*40|\uff20")
#: What may stand before an ``@``; a part of it may be URL-encoded.
_NAME: Final = re.compile(rf"""(?:"[^"@]+"|[^{_OTHERS}]+)\Z""")
#: What may stand behind it. A domain has a dot: ``root@host`` is how the audit log names an admin.
_DOMAIN: Final = re.compile(
    rf"\[[0-9A-Fa-f:.]{{2,45}}\]|(?:[^{_OTHERS}%.\u3002]{{1,253}}[.\u3002]){{1,30}}[^{_OTHERS}%.\u3002]{{1,253}}"
)
#: How much of a name is looked at, in characters.
_LONGEST: Final = 200
#: Keys whose whole value is an address, in whatever form.
_KEY: Final = re.compile(
    r"(?:.*[._-])?(?:(?:user|customer)?_?e-?mail(?:_?address)?|recipient|rcpt)", re.IGNORECASE
)
#: The shortest address of an order's that is looked for in other texts.
_LEAST: Final = 4


def hide(text: str, known: Collection[str] = ()) -> str:
    """Return a text without the addresses in it.

    Args:
        text: Any text.
        known: Further texts to hide, in any case: what stands in an order's ``user_email``.
    """
    for one in known:
        text = re.sub(re.escape(one), HIDDEN, text, flags=re.IGNORECASE)
    pieces, done = [], 0
    for at in _AT.finditer(text):
        domain = _DOMAIN.match(text, at.end())
        if domain is None or at.start() <= done:
            continue
        before = max(done, at.start() - _LONGEST)
        name = _NAME.search(text[before : at.start()])
        if name is not None:
            pieces += [text[done : before + name.start()], HIDDEN]
            done = domain.end()
    return "".join([*pieces, text[done:]])


def hidden(value: Any) -> Any:
    """Return a value of JSON without addresses: those of keys such as ``user_email``, and all in texts.

    What stands in ``user_email`` is hidden in the other texts, too, whether it looks like an address or not.
    """
    return _hidden(value, tuple({one for one in _known(value) if len(one) >= _LEAST}))


def _known(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str) and _KEY.fullmatch(str(key)):
                yield inner.strip()
            else:
                yield from _known(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _known(inner)


def _hidden(value: Any, known: Collection[str]) -> Any:
    if isinstance(value, str):
        return hide(value, known)
    if isinstance(value, dict):
        return {
            hide(str(key), known): HIDDEN if inner and _KEY.fullmatch(str(key)) else _hidden(inner, known)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_hidden(inner, known) for inner in value]
    return value
