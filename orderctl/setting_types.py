"""Functions that turn the text or TOML value of a setting into its value.

Each raises ValueError with what is allowed. ``settings`` adds the key and its origin.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orderctl import hostnames, mailboxes, money, strength

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([smhd])", re.ASCII)


def text(value: Any) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"needs a string, not {value!r}")
    return value


def name(value: Any) -> str:
    """Return a text without white space."""
    if not isinstance(value, str) or not value or value.split() != [value]:
        raise ValueError(f"needs a string without spaces, not {value!r}")
    return value


def boolean(value: Any) -> bool:
    """Return the truth value of 1/0, true/false, yes/no, on/off or a TOML boolean."""
    if isinstance(value, bool):
        return value
    lowered = str(value).strip().lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError(f"needs true or false, not {value!r}")
    return lowered in _TRUE


def whole(low: int, high: int) -> Callable[[Any], int]:
    """Return a function that reads a whole number from low to high."""

    def read(value: Any) -> int:
        try:
            number = int(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        except ValueError:
            number = None
        if number is None or not low <= number <= high:
            raise ValueError(f"needs a whole number from {low} to {high}, not {value!r}")
        return number

    return read


def real(low: float, high: float) -> Callable[[Any], float]:
    """Return a function that reads a number from low to high."""

    def read(value: Any) -> float:
        try:
            number = float(value) if not isinstance(value, bool) else math.nan
        except (TypeError, ValueError):
            number = math.nan
        if not low <= number <= high:
            raise ValueError(f"needs a number from {low:g} to {high:g}, not {value!r}")
        return number

    return read


def span(low: float, high: float) -> Callable[[Any], float]:
    """Return a function that reads a length of time from low to high in seconds; ``90m``, ``24h`` and ``7d`` are, too."""

    def read(value: Any) -> float:
        found = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
        try:
            return real(low, high)(float(found[1]) * _SECONDS[found[2]] if found else value)
        except ValueError:
            raise ValueError(
                f"needs seconds from {low:g} to {high:g}, or a time such as 90m, 24h, 7d, not {value!r}"
            ) from None

    return read


def one_of(*allowed: str) -> Callable[[Any], str]:
    """Return a function that reads one of the given words."""

    def read(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"needs one of {', '.join(allowed)}, not {value!r}")
        return str(value)

    return read


def path(value: Any) -> Path:
    """Return an absolute path; ``~`` is the home folder."""
    if not text(value).isprintable():  # no URL of a file could have it
        raise ValueError(f"needs a path without control characters, not {value!r}")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"needs a path without ~, as this user has no home folder, not {value!r}") from None
    except FileNotFoundError:
        raise ValueError(
            f"needs an absolute path, as the current folder no longer exists, not {value!r}"
        ) from None


def listing(value: Any) -> tuple[str, ...]:
    """Return the texts of a TOML list, or of one text with commas."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError(f"needs strings separated by commas, not {value!r}")
    return tuple(item.strip() for item in items if item.strip())


def words(value: Any) -> tuple[str, ...]:
    """Return words in lower case, from a TOML list or from one text with commas."""
    return tuple(word.casefold() for word in listing(value))


def signing_secret(value: Any) -> str:
    """Return a secret that is too strong to be guessed from what it signs. Messages have no part of it."""
    weakness = strength.weakness(value) if isinstance(value, str) else "it is not a string"
    if weakness is not None:
        raise ValueError(f"needs {strength.MIN_LENGTH} random characters or more; {weakness}")
    return str(value)


def shared_key(value: Any) -> str:
    """Return a key that another system sends or signs with, without blanks at its ends. Messages have no part of it."""
    weakness = (
        strength.weakness(value, strength.MIN_SHARED) if isinstance(value, str) else "it is not a string"
    )
    if weakness is not None:
        raise ValueError(f"needs {strength.MIN_SHARED} characters or more; {weakness}")
    key = str(value).strip()
    if not key.isascii() or not key.isprintable():
        raise ValueError("needs printable ASCII characters: it is sent in a header of HTTP")
    return key


def amount(value: Any) -> Decimal:
    """Return an exact amount of money, 0 or more."""
    try:
        found = money.parse(str(value) if isinstance(value, float) else value)
    except (TypeError, ValueError):
        found = Decimal(-1)
    if found < 0:
        raise ValueError(f"needs an amount such as 1000 or 0.50, not {value!r}")
    return found


def pattern(value: Any) -> re.Pattern[str]:
    """Return a regular expression that matches letters in either case, and never nothing."""
    try:
        found = re.compile(text(value), re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"needs a regular expression, not {value!r}: {error}") from None
    if found.fullmatch(""):
        raise ValueError(f"needs a regular expression that does not match an empty text, not {value!r}")
    return found


def database_zone(value: Any) -> str:
    """Return a time zone: ``UTC``, an offset such as ``+07:00``, or a name of the IANA database."""
    if re.fullmatch(r"[+-](?:0\d|1[0-4]):[0-5]\d", text(value)):
        return str(value)
    with suppress(ValueError):
        if value != "local":  # hosts in several zones may read the same database
            return time_zone(value)
    raise ValueError(f"needs UTC, an offset such as +07:00 or a zone such as Asia/Ho_Chi_Minh, not {value!r}")


def time_zone(value: Any) -> str:
    """Return ``local``, ``UTC`` or the name of a time zone of the IANA database."""
    if value == "local":
        return "local"
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - needed only where a zone is set

    try:
        ZoneInfo(value)
    except (OSError, TypeError, ValueError, KeyError):
        raise ValueError(f"needs local, UTC or a zone such as Asia/Ho_Chi_Minh, not {value!r}") from None
    return str(value)


def database_url(value: Any) -> str:
    """Return the URL of a MySQL, MariaDB or SQLite database, with the driver that orderctl installs."""
    from orderctl import database_urls  # noqa: PLC0415 - needed only where a URL is set

    return database_urls.read(value)


def redis_prefix(value: Any) -> str:
    """Return the prefix of all names in Redis; it may be empty."""
    # RQ allows these characters, and none of them has a meaning in a pattern of Redis.
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.:-]{0,64}", value):
        raise ValueError("needs at most 64 characters out of A-Z, a-z, 0-9 and _ . : -, such as shop1:")
    if value.startswith(("task:", "order:", "rq:", "orderctl:")):
        raise ValueError("begins like a name without a prefix (task:, order:, rq: or orderctl:)")
    return value


def redis_url(value: Any) -> str:
    """Return the URL of a Redis or Valkey server."""
    from orderctl import redis_urls  # noqa: PLC0415 - needed only where a URL is set

    if not isinstance(value, str):
        raise ValueError(f"needs {redis_urls.FORMS}")  # noqa: TRY004 - settings expect it
    redis_urls.parse(value)
    return value


def http_url(value: Any) -> str:
    """Return an http or https URL as it was given, without white space around it."""
    given = value.strip() if isinstance(value, str) else ""
    if not given.lower().startswith(("http://", "https://")):
        raise ValueError("needs http://... or https://...")
    if not given.isprintable():
        raise ValueError("needs a URL without control characters")
    _require_server(given, "https://host/path")
    return given


def base_url(value: Any) -> str:
    """Return an http or https URL to which paths can be added: it does not end in a slash."""
    given = http_url(value)
    if "?" in given or "#" in given:
        raise ValueError("needs a URL without ? and #: paths are added to it")
    return given.rstrip("/")


def mailbox(value: Any) -> str:
    """Return an e-mail address, with or without a name: ``The shop <shop@example.com>``."""
    example = "shop@example.com or The shop <shop@example.com>"
    if not isinstance(value, str):
        raise ValueError(f"needs one e-mail address such as {example}")  # noqa: TRY004 - settings expect it
    try:
        mailboxes.parse_named(value)
    except ValueError as error:
        raise ValueError(f"needs one e-mail address such as {example}, not {value!r}: {error}") from None
    return value.strip()


def smtp_url(value: Any) -> str:
    """Return the URL of a mail server: smtp (STARTTLS where offered) or smtps (TLS from the start)."""
    example = "smtp://user:password@host:587"
    if not isinstance(value, str) or urlsplit(value).scheme not in {"smtp", "smtps"}:
        raise ValueError(f"needs {example} or smtps://...")
    _require_server(value, example)
    return value


def _require_server(url: str, example: str) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        hostnames.to_ascii(host or "")
    except ValueError:
        raise ValueError(f"needs a host and a valid port: {example}") from None
    # Behind the first "/", "?" or "#" an "@" means that the host was read in the middle of the user or the password.
    # A path on the web may have one.
    elsewhere = "@" in url.partition("://")[2].removeprefix(parts.netloc)
    if port == 0 or "\\" in parts.netloc or (elsewhere and not parts.scheme.startswith("http")):
        raise ValueError(f"needs a host and a valid port: {example}")
