"""How a request proves who sent it: a key in a header, or a signature. All comparisons take constant time. No I/O."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterator
from typing import Final

#: By how many seconds a signature's time may be off, so that a request that was recorded is soon worth nothing.
MOST_OFF: Final = 300
#: How many values of one header are looked at: each may cost a hash of the whole body, before it is known who asks.
_MOST_VALUES: Final = 8
_SECONDS: Final = re.compile(r"\d{1,12}", re.ASCII)


def is_key(header: str | None, key: str | None, schemes: Collection[str] = ()) -> bool:
    """Whether a header has the key.

    Args:
        header: The value of the header, of which several are joined by commas; None: it is missing.
        key: The key; None: not set, so nothing is it.
        schemes: The words before the key, one of which is needed, in lower case; empty: the key stands alone.
    """
    if not header or not key:
        return False
    return any(_is_equal(given, key) for given in _credentials(header, schemes))


def is_signature(given: str, secret: str, time: str, body: bytes, algorithm: str) -> bool:
    """Whether hexadecimal digits are the HMAC of a time, a dot and a body.

    Args:
        given: The digits.
        secret: The secret.
        time: The time, as it was sent.
        body: The body of the request.
        algorithm: The hash function, such as ``sha256``.
    """
    message = time.encode("utf-8", "surrogatepass") + b"." + body
    return _is_equal(given.strip().lower(), hmac.new(secret.encode(), message, algorithm).hexdigest())


def values(header: str | None) -> list[str]:
    """Return the first values of a header, of which several are joined by commas.

    Args:
        header: The value of the header; None: it is missing.
    """
    return [value.strip() for value in (header or "").split(",", _MOST_VALUES)[:_MOST_VALUES]]


def stamps(header: str | None) -> list[tuple[str, str]]:
    """Return the times and signatures of a header such as ``t=1767225600,v1=6d0c``.

    There may be several signatures for one time, while the sender changes its secret.

    Args:
        header: The value of the header; None: it is missing.
    """
    time, found = "", []
    for part in values(header):
        name, _, value = part.partition("=")
        if name == "t":
            time = value.strip()
        elif name == "v1" and time:
            found.append((time, value.strip()))
    return found


def is_recent(time: str, now: float) -> bool:
    """Whether a signature's time is near enough.

    Args:
        time: The seconds since 1970, as they were sent.
        now: The time now, in seconds since 1970.
    """
    return _SECONDS.fullmatch(time) is not None and abs(now - int(time)) <= MOST_OFF


def _credentials(header: str, schemes: Collection[str]) -> Iterator[str]:
    """Yield what may be the key. The header as a whole comes first: a key may have commas."""
    for value in (header, *values(header)):
        scheme, *rest = value.split(None, 1) or [""]
        if not schemes:
            yield value.strip()
        elif rest and scheme.casefold() in schemes:
            yield rest[0].strip()


def _is_equal(given: str, expected: str) -> bool:
    """Compare in constant time. As bytes: of texts, only those in ASCII can be compared."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())
