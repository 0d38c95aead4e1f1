"""Reads the URL of a database: its parts, and the options after the question mark.

Each function raises ValueError with what is allowed, and never shows the user's name or password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import parse_qsl, unquote

_EXAMPLE: Final = "mysql://user:password@host:3306/name"
_FORMS: Final = "mysql://user:password@host/name, mariadb://... or sqlite:///file"
#: The spellings of each kind of URL, and SQLAlchemy's name for the kind with the driver that orderctl installs.
_DRIVERS: Final = {
    "mysql": "mysql+pymysql",
    "mysql+pymysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mariadb+pymysql": "mariadb+pymysql",
    "sqlite": "sqlite",
}
# As SQLAlchemy reads it: a password may contain ":", "/", "?" and "#".
_SERVER: Final = re.compile(
    r"(?:(?P<user>[^:/@]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<host>[^/:?\[\]@]*))(?::(?P<port>[^/?@]*))?"
    r"(?:/(?P<name>[^?]*))?(?:\?(?P<query>.*))?\Z",
    re.DOTALL,
)
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True)
class Address:
    """A database.

    Attributes:
        driver: SQLAlchemy's name of the kind, such as ``mysql+pymysql``.
        user: The account; None: the driver's default.
        password: Its password.
        host: Name or address of the server; None with a socket.
        port: The server's port.
        name: The database on the server, or the path of the SQLite file.
        options: The options, spelled with underscores; see :data:`OPTIONS`.
    """

    driver: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    host: str | None = None
    port: int | None = None
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        """Whether it is a SQLite file."""
        return self.driver == "sqlite"


class Located(str):
    """A URL with the origin of the setting, for messages, and with the time zone of the database.

    Attributes:
        origin: Such as ``environment ORDERCTL_DATABASE_URL``.
        time_zone: As ``settings.database.time_zone``.
    """

    __slots__ = ("origin", "time_zone")

    origin: str
    time_zone: str

    def __new__(cls, url: str, origin: str, time_zone: str = "UTC") -> Self:
        """Return the URL."""
        made = super().__new__(cls, url)
        made.origin, made.time_zone = origin, time_zone
        return made


#: The origin of a setting that is not set.
DEFAULT: Final = "default"


def read(value: object) -> str:
    """Return the URL of a setting, with the driver that orderctl installs."""
    if not isinstance(value, str) or "://" not in value:
        raise ValueError(f"needs {_FORMS}")
    found = parse(value)
    if not found.name.strip("/"):
        raise ValueError(
            "an SQLite database in memory ends with each command: needs sqlite:///file"
            if found.is_file
            else f"needs the database's name: {_EXAMPLE}"
        )
    return f"{found.driver}://{value.partition('://')[2]}"


def parse(url: str) -> Address:
    """Return the parts of a URL; the name of the database may be missing."""
    scheme, separator, rest = url.partition("://")
    driver = _DRIVERS.get(scheme.lower())
    if not separator:
        raise ValueError(f"needs {_FORMS}")
    if driver is None:
        shown = f", not {scheme}://" if re.fullmatch(r"[\w+]{1,30}", scheme, re.ASCII) else ""
        raise ValueError(f"needs a mysql://, mariadb:// or sqlite:/// URL{shown}")
    _check_text(rest)
    return _file(rest) if driver == "sqlite" else _server(driver, rest)


def _check_text(text: str) -> None:
    for part in (text, unquote(text)):
        if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in part):  # noqa: PLR2004
            raise ValueError("needs text without control characters in UTF-8")


def _file(rest: str) -> Address:
    path, _, query = rest.partition("?")
    if query:
        raise ValueError(f"a SQLite URL takes no options, but it has {_names(query)}: needs sqlite:///file")
    if path and not path.startswith("/"):
        raise ValueError("needs three slashes: sqlite:///file, or sqlite:////folder/file")
    name = unquote(path[1:])
    return Address("sqlite", name="" if name == ":memory:" else name)


def _names(query: str) -> str:
    return ", ".join(_named(name) for name, _ in parse_qsl(query, keep_blank_values=True)) or "an empty one"


def _named(option: str) -> str:
    """Return the name of an option for a message; another text may be a part of a password."""
    return option if re.fullmatch("[A-Za-z_-]{1,40}", option) else "of an odd name"


def _server(driver: str, rest: str) -> Address:
    found = _SERVER.match(rest)
    # An "@" elsewhere: the user or the password is not written as it has to be, and would be read as something else.
    if found is None or rest.count("@") > (found["user"] is not None):
        raise ValueError(
            f"is not valid after ://: needs {_EXAMPLE}, with special characters in user and password written as"
            " %40 for @, %25 for %"
        )
    options = _options(found["query"] or "")
    host = _host(found["v6"] or unquote(found["host"]))
    if host is None and "unix_socket" not in options:
        raise ValueError(f"needs a host and a valid port: {_EXAMPLE}, or ?unix_socket=/path/to/socket")
    return Address(
        driver,
        None if found["user"] is None else unquote(found["user"]) or None,
        None if found["password"] is None else unquote(found["password"]),
        host,
        _port(found["port"]),
        unquote(found["name"] or ""),
        options,
    )


def _host(text: str) -> str | None:
    try:
        text.encode("idna")
    except UnicodeError:
        raise ValueError(f"needs a host and a valid port: {_EXAMPLE}") from None
    if text.split() not in ([], [text]):
        raise ValueError(f"needs a host without spaces and a valid port: {_EXAMPLE}")
    return text or None


def _port(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not 0 < int(text[:6]) <= _HIGHEST_PORT:
        raise ValueError(f"needs a host and a valid port, 1 to {_HIGHEST_PORT}: {_EXAMPLE}")
    return int(text)


# --- The options


def _socket(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("needs the absolute path of a socket")
    return value


def _file_path(value: str) -> str:
    if not value:
        raise ValueError("needs the path of a file")
    return value


def _charset(value: str) -> str:
    if value.lower() != "utf8mb4":
        raise ValueError("needs utf8mb4: another character set cannot hold every name and title")
    return "utf8mb4"


def _mode(value: str) -> str:
    if value.upper() not in MODES:
        raise ValueError(f"needs one of {', '.join(MODES)}")
    return value.upper()


def _boolean(value: str) -> bool:
    lowered = value.lower()
    if lowered not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
        raise ValueError("needs true or false")
    return lowered in {"1", "true", "yes", "on"}


def _seconds(value: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", value, re.ASCII) or not 1 <= int(value) <= 3600:  # noqa: PLR2004
        raise ValueError("needs a whole number of seconds from 1 to 3600")
    return int(value)


#: Values of ``ssl-mode``, as MySQL's own programs spell them.
MODES: Final = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
#: The options of a server's URL, with what reads them. "-" and "_" are the same.
OPTIONS: Final[dict[str, Callable[[str], Any]]] = {
    "charset": _charset,
    "unix_socket": _socket,
    "ssl": _boolean,
    "ssl_mode": _mode,
    "ssl_ca": _file_path,
    "ssl_cert": _file_path,
    "ssl_key": _file_path,
    "ssl_verify_cert": _boolean,
    "ssl_verify_identity": _boolean,
    "connect_timeout": _seconds,
    "read_timeout": _seconds,
    "write_timeout": _seconds,
}
#: Why some options that drivers know are refused.
_REASONS: Final = {
    "timezone": "sessions are always in UTC",
    "time_zone": "sessions are always in UTC",
    "sql_mode": "sessions set their own sql_mode",
    "init_command": "sessions are set up by orderctl",
    "autocommit": "orderctl works with transactions",
    "isolation_level": "transactions are always READ COMMITTED",
}


def _options(query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for written, value in parse_qsl(query, keep_blank_values=True):
        name = written.lower().replace("-", "_")
        if name not in OPTIONS:
            reason = f": {_REASONS[name]}" if name in _REASONS else ""
            known = ", ".join(option.replace("_", "-") if "ssl" in option else option for option in OPTIONS)
            raise ValueError(f"option {_named(written)} is not allowed{reason}; the options are {known}")
        if name in options:
            raise ValueError(f"option {written} is given twice")
        try:
            options[name] = OPTIONS[name](value)
        except ValueError as error:
            raise ValueError(f"option {written}: {error}, not {value!r}") from None
    _check_together(options)
    return options


def _check_together(options: Mapping[str, Any]) -> None:
    files = [name for name in ("ssl_ca", "ssl_cert", "ssl_key") if name in options]
    if tls_mode(options) == "DISABLED" and (files or options.get("ssl")):
        raise ValueError(f"options {', '.join(files) or 'ssl'} and no TLS exclude each other")
    if options.get("ssl") is False and tls_mode(options) != "DISABLED":
        raise ValueError("options ssl=false and ssl-mode exclude each other")
    if ("ssl_cert" in options) != ("ssl_key" in options):
        raise ValueError("options ssl-cert and ssl-key need each other")


def tls_mode(options: Mapping[str, Any]) -> str:
    """Return the mode of TLS that the options ask for, as MySQL's own programs understand them."""
    if "ssl_mode" in options:
        return str(options["ssl_mode"])
    if options.get("ssl_verify_identity"):
        return "VERIFY_IDENTITY"
    if options.get("ssl_verify_cert") or (
        "ssl_ca" in options and options.get("ssl_verify_cert") is not False
    ):
        return "VERIFY_CA"
    if options.get("ssl") or {"ssl_ca", "ssl_cert"} & options.keys():
        return "REQUIRED"
    return "DISABLED" if options.get("ssl") is False else "PREFERRED"
