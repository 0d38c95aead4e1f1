"""Access to the relay: from which hosts and origins, and what a token allows."""

from __future__ import annotations

import hashlib
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

#: Name of the cookie in which orderctl's own page keeps its token.
COOKIE: Final = "orderctl_token"

#: What may be changed by a POST, each by a right of its own.
RETRY: Final = "retry"
CANCEL: Final = "cancel"
ACTIONS: Final = (RETRY, CANCEL)

_ADMIN: Final = "admin"
_VIEWER: Final = "viewer"
_EMAILS: Final = "emails"
_ACTION: Final = "action:"
_ORDER: Final = re.compile(r"order:([1-9][0-9]{0,18})", re.ASCII)
_SCOPES: Final = f"admin, viewer, emails, {', '.join(f'{_ACTION}{name}' for name in ACTIONS)} or order:ID"
_MAKE: Final = "orderctl relay token --scope order:123"
#: Rights that add to the scope viewer.
_READER: Final = "orderctl relay token --scope viewer"
#: What a scope that is not valid may begin with: who writes so wants a viewer's rights.
_OF_VIEWERS: Final = (_VIEWER, _EMAILS, _ACTION.rstrip(":"), *ACTIONS)
#: What a browser can send: no wildcard, no path. A host may have a port.
_ORIGIN: Final = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/?#*@\s]+/?", re.IGNORECASE)
_HOST: Final = re.compile(r"[^/?#*@\s]+")
_EXAMPLES: Final = {
    "relay.origins": ("an origin", "https://shop.example"),
    "relay.hosts": ("a host name", "shop.example"),
}
_SHOW: Final = "orderctl config show"
_LOCAL_NAMES: Final = frozenset({"localhost"})


class Unauthorized(OrderctlError):
    """A valid token is required."""

    http_status = 401


class Forbidden(OrderctlError):
    """The token does not allow this."""

    http_status = 403


@dataclass(frozen=True, slots=True)
class Access:
    """What a token allows.

    Attributes:
        subject: The token's owner, for the audit log.
        admin: Whether it allows everything.
        viewer: Whether it allows to read everything but customers' addresses.
        emails: Whether a viewer also sees these.
        actions: What a viewer may also do: some of :data:`ACTIONS`.
        orders: Ids of the orders that it allows, with their tasks.
        expires: When it expires, in seconds since the epoch.
        token_id: The token's id, by which it is revoked.
        session: Names the cookie from which the token comes; empty if it comes from elsewhere.
    """

    subject: str
    admin: bool = False
    orders: frozenset[int] = frozenset()
    expires: float = math.inf
    token_id: str = ""
    session: str = ""
    viewer: bool = False
    emails: bool = False
    actions: frozenset[str] = frozenset()

    @property
    def reads(self) -> bool:
        """Whether it allows to read all orders."""
        return self.admin or self.viewer

    @property
    def hides_addresses(self) -> bool:
        """Whether the addresses of customers are hidden from its holder."""
        return self.viewer and not (self.admin or self.emails)

    def may(self, action: str) -> bool:
        """Whether it allows one of :data:`ACTIONS`."""
        return self.admin or action in self.actions

    def require(self, action: str) -> None:
        """Raise Forbidden, which names the right that lacks, unless the action is allowed."""
        if not self.may(action):
            raise Forbidden(f"the token lacks the right {_ACTION}{action}")

    def allows(self, topic: Topic) -> bool | None:
        """Whether a client may subscribe to the topic; None when that depends on the task's order."""
        if self.reads:
            return True
        if topic.scope is Scope.ORDER:
            return topic.id in self.orders
        return None if self.orders else False


#: What every client gets on loopback without a secret.
LOCAL_ADMIN: Final = Access("local", admin=True)


def name_session(cookie: str) -> str:
    """Return the name of the session that a cookie's value begins: its digest, as the value is a secret."""
    return hashlib.sha256(cookie.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Scopes:
    """What scopes allow; see :class:`Access`."""

    admin: bool = False
    viewer: bool = False
    emails: bool = False
    actions: frozenset[str] = frozenset()
    orders: frozenset[int] = frozenset()


def read_scopes(scopes: Iterable[str]) -> Scopes:
    """Return what scopes allow.

    Raises:
        InvalidInput: When one is not valid, none is given, or one is given that adds to a missing ``viewer``.
    """
    words, orders = set(), set()
    for scope in scopes:
        if match := _ORDER.fullmatch(scope):
            orders.add(int(match[1]))
        elif scope in {_ADMIN, _VIEWER, _EMAILS} or scope.removeprefix(_ACTION) in _named(scope):
            words.add(scope)
        else:
            raise InvalidInput(f"{scope!r} is not a valid scope: {_SCOPES}", hint=_meant(scope))
    if not words and not orders:
        raise InvalidInput(f"a token needs a scope: {_SCOPES}", hint=_MAKE)
    added = sorted(words - {_ADMIN, _VIEWER})
    if added and len(added) == len(words):
        raise InvalidInput(
            f"the scope {added[0]} adds to the scope viewer, which is missing",
            hint=" --scope ".join([_READER, *added]),
        )
    actions = frozenset(name for name in ACTIONS if _ACTION + name in words)
    return Scopes(_ADMIN in words, _VIEWER in words, _EMAILS in words, actions, frozenset(orders))


def _meant(scope: str) -> str:
    """Return the command for what a scope that is not valid most likely means."""
    words = [word.strip() for word in re.split(r"[,\s]+", scope)]
    rights = {_EMAILS, *(_ACTION + name for name in ACTIONS)}
    adding = [word for word in dict.fromkeys(words) if word in rights]
    if not scope.strip().startswith(_OF_VIEWERS):
        return _MAKE
    return " --scope ".join([_READER, *(adding or [_ACTION + RETRY])])


def _named(scope: str) -> tuple[str, ...]:
    return ACTIONS if scope.startswith(_ACTION) else ()


def require_secret(host: str, secret: str | None) -> None:
    """Refuse to serve a network without tokens.

    Raises:
        Misconfigured: When the address is not loopback and there is no secret.
    """
    if secret is None and not is_loopback(host):
        raise Misconfigured(
            f"setting relay.host: other machines can reach {host}, so relay.token_secret must be set",
            hint='export ORDERCTL_RELAY_TOKEN_SECRET="$(openssl rand -hex 32)"',
        )


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach the address."""
    if host.lower() in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_loopback_host(host: str | None) -> bool:
    """Whether a ``Host`` header names this machine as only its own programs do, with any port."""
    name = _name(host or "")
    return name is not None and is_loopback(name)


class Gate:
    """Checks the ``Host`` and ``Origin`` of a request.

    A foreign web page can make a browser connect to the relay, which ``Origin`` shows. It can also give the
    relay's address a name of its own (DNS rebinding), which ``Host`` shows.

    Args:
        host: The address on which the relay listens.
        hosts: Names under which the relay is reached, besides ``localhost`` and bare addresses.
        origins: Web origins that may connect, besides the relay's own.

    Raises:
        Misconfigured: When no client could ever send one of these.
    """

    def __init__(self, host: str, hosts: Iterable[str], origins: Iterable[str]) -> None:
        named = {_require("relay.hosts", name, _HOST).lower().rstrip(".") for name in hosts}
        self._hosts = named | _LOCAL_NAMES | {host.lower()}
        self._origins = {_require("relay.origins", one, _ORIGIN).lower().rstrip("/") for one in origins}

    def knows(self, host: str | None) -> bool:
        """Whether the ``Host`` header is allowed: a listed name with any port, or a bare address."""
        name = _name(host or "")
        if name is None:
            return False
        return name in self._hosts or (host or "").lower() in self._hosts or _is_address(name)

    def lists(self, origin: str) -> bool:
        """Whether the origin is one of the configured ones."""
        return origin.lower() in self._origins

    def admits(self, origin: str | None, host: str | None) -> bool:
        """Whether a request with that origin is allowed. Programs other than browsers send no origin."""
        if origin is None or self.lists(origin):
            return True
        scheme, _, authority = origin.lower().partition("://")
        return scheme in {"http", "https"} and authority == (host or "").lower()


def _require(setting: str, text: str, form: re.Pattern[str]) -> str:
    if form.fullmatch(text) is None:
        kind, example = _EXAMPLES[setting]
        raise Misconfigured(f"setting {setting}: {text!r} is not {kind}, such as {example}", hint=_SHOW)
    return text


def _name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return None
    clean = not parts.path and not parts.query and not parts.fragment and parts.username is None
    return name.rstrip(".") if name and clean else None


def _is_address(name: str) -> bool:
    # A name can be made to point to any address; a bare address cannot.
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
