"""Who may come in, from where, and what they may hear."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from orderctl.channels import Scope
from orderctl.errors import InvalidInput, Misconfigured, OrderctlError
from orderctl.relay.codecs.calls import Topic

#: Name of the cookie that our own page gets for its token.
COOKIE: Final = "orderctl_token"

_ADMIN: Final = "admin"
_ORDER: Final = re.compile(r"order:([1-9][0-9]{0,18})", re.ASCII)
_LOCAL_NAMES: Final = frozenset({"localhost"})


class Unauthorized(OrderctlError):
    """A valid token is needed."""

    http_status = 401


@dataclass(frozen=True, slots=True)
class Access:
    """What a token grants.

    Attributes:
        subject: Whose token it is, for the audit log.
        admin: Everything.
        orders: These orders and their tasks.
        expires: When it ends, in seconds since the epoch.
    """

    subject: str
    admin: bool = False
    orders: frozenset[int] = frozenset()
    expires: float = math.inf

    def allows(self, topic: Topic) -> bool | None:
        """Whether the topic may be heard; None where that depends on the task's order."""
        if self.admin:
            return True
        if topic.scope is Scope.ORDER:
            return topic.id in self.orders
        return None if self.orders else False


#: Everybody, on loopback without a secret.
EVERYBODY: Final = Access("local", admin=True)


def read_scopes(scopes: Iterable[str]) -> tuple[bool, frozenset[int]]:
    """What scopes grant: everything or not, and which orders.

    Raises:
        InvalidInput: When one is neither ``admin`` nor ``order:ID``.
    """
    admin, orders = False, set()
    for scope in scopes:
        match = _ORDER.fullmatch(scope)
        if scope == _ADMIN:
            admin = True
        elif match:
            orders.add(int(match[1]))
        else:
            raise InvalidInput(
                f"{scope!r} is not a valid scope: admin or order:ID",
                hint="orderctl relay token --scope order:123",
            )
    if not admin and not orders:
        raise InvalidInput(
            "a token needs a scope: admin or order:ID", hint="orderctl relay token --scope order:123"
        )
    return admin, frozenset(orders)


def require_secret(host: str, secret: str | None) -> None:
    """Refuse to open the relay to a network without tokens.

    Raises:
        Misconfigured: When the address is not loopback and there is no secret.
    """
    if secret is None and not is_loopback(host):
        raise Misconfigured(
            f"setting relay.host: other machines can reach {host}, so relay.token_secret must be set",
            hint='export ORDERCTL_RELAY_TOKEN_SECRET="$(openssl rand -hex 32)"',
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address."""
    if host.lower() in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Gate:
    """Checks the ``Host`` and ``Origin`` of a request.

    A page of a stranger can make a browser connect here, and can give our address a name of its own; the
    one shows in ``Origin``, the other in ``Host``.

    Args:
        host: The address that is listened on.
        hosts: Names under which the relay is reached, besides ``localhost`` and bare addresses.
        origins: Web origins that may connect, besides the relay's own.
    """

    def __init__(self, host: str, hosts: Iterable[str], origins: Iterable[str]) -> None:
        named = {name.lower().rstrip(".") for name in hosts}
        self._hosts = named | _LOCAL_NAMES | {host.lower()}
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    def knows(self, host: str | None) -> bool:
        """Whether the ``Host`` header is ours: a listed name, with any port, or a bare address."""
        name = _name(host or "")
        if name is None:
            return False
        return name in self._hosts or (host or "").lower() in self._hosts or _is_address(name)

    def lists(self, origin: str) -> bool:
        """Whether the origin is one of those that are configured."""
        return origin.lower() in self._origins

    def admits(self, origin: str | None, host: str | None) -> bool:
        """Whether a request of that origin may come in; programs that are no browsers send none."""
        if origin is None or self.lists(origin):
            return True
        scheme, _, authority = origin.lower().partition("://")
        return scheme in {"http", "https"} and authority == (host or "").lower()


def _name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    clean = not parts.path and not parts.query and not parts.fragment and parts.username is None
    return name.rstrip(".") if name and clean else None


def _is_address(name: str) -> bool:
    # A name can be made to point anywhere; an address is what it is.
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
