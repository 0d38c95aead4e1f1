"""Parse URLs of courses, manifests and redirects strictly into the parts that a request needs."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from orderctl import hostnames
from orderctl.downloads.errors import UrlRefused

_PORTS = {"http": 80, "https": 443}
_MAX_SHOWN = 200
# All characters that RFC 3986 allows in a path or query, and the percent sign of escaped ones.
_SAFE = "%/:?#[]@!$&'()*+,;=~"
_ASCII = "".join(map(chr, range(128)))


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL.

    Attributes:
        host: In ASCII, without the brackets of an IPv6 address.
        target: Path and query, as in the request line.
        userinfo: ``user:password`` as in the URL; sent to this origin only.
    """

    scheme: str
    host: str
    port: int
    target: str
    userinfo: str | None = field(default=None, repr=False)

    @property
    def authority(self) -> str:
        """Value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: a password is sent only to its own origin."""
        return self.scheme, self.host, self.port

    @property
    def authorization(self) -> str | None:
        """Value of the ``Authorization`` header, None without a password."""
        if self.userinfo is None:
            return None
        user, _, password = self.userinfo.partition(":")
        return f"Basic {b64encode(f'{unquote(user)}:{unquote(password)}'.encode()).decode()}"

    def __str__(self) -> str:
        userinfo = "" if self.userinfo is None else f"{self.userinfo}@"
        return f"{self.scheme}://{userinfo}{self.authority}{self.target}"

    @property
    def shown(self) -> str:
        """The URL for messages, without password and query, because both may be secret."""
        text = f"{self.scheme}://{self.authority}{self.target.partition('?')[0]}"
        return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def parse(text: str) -> Url:
    """Parse a URL.

    Raises:
        UrlRefused: The URL is malformed, or neither http nor https.
    """
    try:
        parts = urlsplit(text.strip())
        scheme = parts.scheme.lower()
        if scheme not in _PORTS:
            shown = f"not {quote(scheme)}:" if scheme else "but this one has no scheme"
            raise UrlRefused(f"only http and https URLs can be downloaded, {shown}")
        port = _PORTS[scheme] if parts.port is None else parts.port
        if "\\" in parts.netloc:
            raise UrlRefused(
                "malformed URL: there is a backslash before the path, which programs read differently"
            )
        return Url(scheme, _host(parts), port, _target(parts), _userinfo(parts))
    except ValueError as error:  # UnicodeError is one
        raise UrlRefused(f"malformed URL: {_reason(error)}") from None


def follow(base: Url, location: str) -> Url:
    """Return the URL to which a redirect leads.

    Args:
        base: The URL that redirects.
        location: The header's value, decoded as Latin-1; its bytes are often UTF-8.

    Raises:
        UrlRefused: The location is not a URL, is neither http nor https, or leads from https to http.
    """
    try:
        url = parse(urljoin(str(base), _text(location.strip().encode("latin-1"))))
    except ValueError as error:
        raise UrlRefused(f"malformed redirect: {_reason(error)}") from None
    if base.scheme == "https" and url.scheme == "http":
        raise UrlRefused(f"{base.shown} redirects from https to http, which is not allowed")
    return url


def _reason(error: ValueError) -> str:
    """Return what Python says of a URL without the part that it quotes: that may be a piece of a password."""
    return re.sub(r"'.*'|\".*\"", "...", str(error), flags=re.DOTALL)


def _host(parts: SplitResult) -> str:
    if not parts.hostname:
        raise UrlRefused("malformed URL: it has no host")
    host = unquote(parts.hostname, errors="strict")
    if "%" in host:  # also before the zone of an IPv6 address, which means something on one machine only
        raise UrlRefused("malformed URL: the host contains forbidden characters")
    return hostnames.to_ascii(host)


def _text(location: bytes) -> str:
    """Return a location with its letters, so that the host is read as in any other URL."""
    try:
        return location.decode()
    except UnicodeDecodeError:
        return quote(location, safe=_ASCII)  # the server knows its own bytes


def _target(parts: SplitResult) -> str:
    query = f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
    return (quote(parts.path, safe=_SAFE.replace("?", "").replace("#", "")) or "/") + query


def _userinfo(parts: SplitResult) -> str | None:
    userinfo, at, _ = parts.netloc.rpartition("@")
    return quote(userinfo, safe="%:!$&'()*+,;=~") if at else None
