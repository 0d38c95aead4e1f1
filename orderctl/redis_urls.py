"""Reads the URL of Redis, once for all clients: where the server is, and who logs in; ``redis_tls`` reads the rest.

Each function raises ValueError with what is allowed, and never shows the user's name or password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote_to_bytes

from orderctl import redis_tls
from orderctl.redis_tls import Tls

EXAMPLE: Final = "redis://:password@host:6379/0"
FORMS: Final = f"{EXAMPLE}, rediss://... (TLS) or unix:///path/to/socket"
#: The spellings of each kind of URL.
_SCHEMES: Final = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
}
_USER: Final = r"(?:(?P<user>[^:/?#]*?)(?::(?P<password>[^/?#]*))?@)?"
# An "@" further behind means that a password was cut there: it would be read as something else, and shown in errors.
_SERVER: Final = re.compile(
    _USER + r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^/:?#\[\]@\s]+))(?::(?P<port>[^/?#@]*))?"
    r"(?P<path>/[^?#@]*)?(?:\?(?P<query>[^#@]*))?\Z"
)
_SOCKET: Final = re.compile(_USER + r"(?P<path>/[^?#]*)(?:\?(?P<query>[^#@]*))?\Z")
_HIGHEST_PORT: Final = 65535
#: What Linux takes, without the final NUL.
_LONGEST_SOCKET: Final = 107


class Prefixed(str):
    """A URL of Redis with the prefix of all names there.

    Pub/Sub knows no database numbers: without a prefix, ``redis://host/0`` and ``redis://host/5`` have the same
    channels.

    Attributes:
        prefix: As ``settings.redis.prefix``.
    """

    __slots__ = ("prefix",)

    prefix: str

    def __new__(cls, url: str, prefix: str) -> Self:
        """Return the URL."""
        made = super().__new__(cls, url)
        made.prefix = prefix
        return made


@dataclass(frozen=True)
class Endpoint:
    """A server, and who logs in.

    Attributes:
        host: Name or address; None with a socket.
        port: The server's port.
        path: The unix socket; None over TCP.
        db: The number of the database.
        username: The user; None: the server's default one.
        password: Its password; None: do not log in. A user without one logs in with an empty one.
        tls: None without TLS.
    """

    host: str | None = None
    port: int = 6379
    path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None

    def __str__(self) -> str:
        """The place, for messages."""
        return self.path or f"{self.host}:{self.port}"


@lru_cache(maxsize=8)
def parse(url: str) -> Endpoint:
    """Return the parts of a URL."""
    scheme, separator, rest = url.partition("://")
    kind = _SCHEMES.get(scheme.lower())
    if not separator or kind is None:
        shown = f", not {scheme}://" if separator and re.fullmatch(r"[\w+]{1,30}", scheme, re.ASCII) else ""
        raise ValueError(f"needs {FORMS}{shown}")
    if not rest.isprintable() or rest != rest.strip():
        raise ValueError("needs a URL without spaces at its end and without control characters")
    return _socket(rest) if kind == "unix" else _server(rest, secure=kind == "rediss")


def _server(rest: str, *, secure: bool) -> Endpoint:
    found = _SERVER.match(rest)
    if found is None:
        raise ValueError(
            f"needs a host and a valid port: {EXAMPLE}, with special characters in user and password written as"
            " %2F for /, %3F for ?, %23 for #, %25 for %"
        )
    options = _options(found["query"] or "")
    tls = redis_tls.read(options, secure=secure)
    user, password = _account(found, options)
    return Endpoint(
        host=_host(found["v6"] or found["host"]),
        port=_port(found["port"]),
        db=_database(found["path"] or "", options),
        username=user,
        password=password,
        tls=tls,
    )


def _socket(rest: str) -> Endpoint:
    found = _SOCKET.match(rest)
    path = _text(found["path"], "the path") if found else "/"
    if found is None or not path.strip("/") or "\0" in path:
        raise ValueError("needs the absolute path of a socket: unix:///path/to/socket?db=0")
    if len(path.encode()) > _LONGEST_SOCKET:
        raise ValueError(f"needs a path of a socket of at most {_LONGEST_SOCKET} bytes")
    options = _options(found["query"] or "")
    redis_tls.read(options, secure=False)
    user, password = _account(found, options)
    return Endpoint(path=path, db=_database("", options), username=user, password=password)


def _text(written: str, what: str) -> str:
    try:
        return unquote_to_bytes(written).decode()
    except UnicodeDecodeError:
        raise ValueError(
            f"{what} is not UTF-8: write other characters than ASCII as UTF-8, then as %.."
        ) from None


def _account(found: re.Match[str], options: Mapping[str, Any]) -> tuple[str | None, str | None]:
    parts = {}
    for name, part in (("username", found["user"]), ("password", found["password"])):
        parts[name] = _text(part, f"the {name}") if part else options.get(name)
        if part and name in options:
            raise ValueError(f"option {name} and the {name} before the host exclude each other")
    user, password = parts["username"] or None, parts["password"] or None
    # A user without a password is one that Redis lets in with any (``nopass``).
    return user, password if user is None else password or ""


def _host(written: str) -> str:
    host = _text(written, "the host")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError(f"needs a valid host name: {EXAMPLE}") from None
    if not host or host.split() != [host]:
        raise ValueError(f"needs a host without spaces: {EXAMPLE}")
    return host


def _port(text: str | None) -> int:
    if not text:
        return Endpoint.port
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) <= _HIGHEST_PORT:
        raise ValueError(f"needs a host and a valid port, 1 to {_HIGHEST_PORT}: {EXAMPLE}")
    return int(text)


def _database(path: str, options: Mapping[str, Any]) -> int:
    text = path.strip("/")
    if text and not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"needs a number as database: {EXAMPLE}")
    if text and "db" in options and options["db"] != int(text):
        raise ValueError("option db and the database behind the host exclude each other")
    return int(options.get("db", text or 0))


# --- The options


def _whole(value: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", value):
        raise ValueError("needs a number")
    return int(value)


#: The options of a URL, with what reads them.
OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    "db": _whole,
    "username": str,
    "password": str,
    **redis_tls.OPTIONS,
}
#: Options of redis-py that a URL shared with another program may contain: orderctl sets them itself.
IGNORED: Final = {
    "socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_read_size", "timeout",
    "retry_on_timeout", "retry_on_error", "max_connections", "health_check_interval", "protocol",
    "decode_responses", "client_name", "legacy_responses", "encoding", "encoding_errors", "lib_name", "lib_version",
}  # fmt: skip
#: What else redis-py knows, and why it is refused.
_REASONS: Final = {
    "host": "it stands before the port",
    "port": "it stands behind the host",
    "path": "it is the path of unix:///path/to/socket",
    "ssl": "TLS is asked for by rediss://",
    "ssl_validate_ocsp": "orderctl does not ask OCSP servers",
    "ssl_validate_ocsp_stapled": "orderctl does not ask OCSP servers",
}


def _options(query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in _pairs(query):
        if name in IGNORED:
            continue
        if name not in OPTIONS:
            reason = f": {_REASONS[name]}" if name in _REASONS else ""
            shown = repr(name) if re.fullmatch("[A-Za-z_-]{1,40}", name) else "there"
            raise ValueError(f"unknown option {shown}{reason}; the options are {', '.join(OPTIONS)}")
        if name in options:
            raise ValueError(f"option {name} is given twice")
        try:
            options[name] = OPTIONS[name](value)
        except ValueError as error:
            shown = "" if "password" in name else f", not {value!r}" if value else ""
            raise ValueError(f"option {name} {error}{shown}") from None
    return options


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("an option is not UTF-8") from None


def arguments(server: Endpoint) -> tuple[str, ...]:
    """Return the options of redis-cli that name a server; nothing of who logs in. It connects to 127.0.0.1 without any."""
    if server.path is not None:
        return ("-s", server.path)
    host = () if server.host in {None, "localhost", "127.0.0.1"} else ("-h", str(server.host))
    port = () if server.port == Endpoint.port else ("-p", str(server.port))
    return (*host, *port, *(() if server.tls is None else ("--tls",)))
