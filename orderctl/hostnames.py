"""Host names in ASCII, as the network knows them: ``müller.de`` is ``xn--mller-kva.de``."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

#: RFC 1035, 2.3.4.
_LONGEST: Final = 253
#: With underscores, which names in private networks have.
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)


def to_ascii(host: str) -> str:
    """Return a host name in ASCII and in lower case, by IDNA 2008 after the mapping of UTS 46.

    Args:
        host: A name, with or without a dot at its end, or an IP address without brackets.

    Raises:
        ValueError: It is not a host name; the message says why.
    """
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    if len(host) > _LONGEST + 1:
        raise ValueError(f"a host name has at most {_LONGEST} characters")
    name = host.lower() if host.isascii() else _encode(host)
    labels = name.removesuffix(".").split(".")
    wrong = next((label for label in labels if not _LABEL.fullmatch(label)), None)
    if wrong is not None:
        raise ValueError(f"{wrong[:80]!r} cannot be a part of a host name")
    if len(name.removesuffix(".")) > _LONGEST:
        raise ValueError(f"a host name has at most {_LONGEST} characters")
    return name


def _encode(host: str) -> str:
    import idna  # noqa: PLC0415 - few host names need its tables

    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"{host[:80]!r} is not a host name: {error}") from None
