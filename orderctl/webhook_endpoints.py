"""The endpoints that get webhooks: how the settings give them, and which events each of them wants."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orderctl import masking, setting_keys, setting_types, strength, texts
from orderctl.setting_keys import InvalidPart

if TYPE_CHECKING:
    from orderctl.setting_sections import Notify

#: The name of the endpoint of ``notify.webhook_url``.
WEBHOOK: Final = "webhook"
#: No endpoint may have this name: ``outbox test`` has it for the mail.
MAIL: Final = "mail"
#: What an endpoint may get.
EVENTS: Final = ("order_completed", "order_failed", "order_cancelled", "task_failed")
ALL: Final = ("*",)
#: Begins a secret of Standard Webhooks, before the base64 of its bytes.
PREFIX: Final = "whsec_"
#: The command that makes such a secret.
EXAMPLE: Final = 'echo "whsec_$(openssl rand -base64 32)"'
MOST: Final = 20
MOST_SECRETS: Final = 4
_LEAST_BYTES: Final = 24
_MOST_BYTES: Final = 64
_SETTING: Final = "notify.endpoint"
_KEYS: Final = ("name", "url", "url_file", "secret", "secret_file", "events")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_FORM: Final = 'needs [[notify.endpoint]] in TOML, or JSON such as [{"name": "crm", "url": "https://crm.example.com/hook"}]'
#: A part of a URL's path that is as long as this is taken for a token.
_TOKEN: Final = 16


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """A receiver of webhooks.

    Attributes:
        name: Stands with each message that goes to it.
        url: Where it listens.
        secrets: Each signs; the newest is the first. Empty: nothing is signed.
        events: Patterns of the events that it wants, such as ``order_*``.
        setting: The setting that gives it, for messages.
        files: From which its URL and its secrets were read.
    """

    name: str
    url: str
    secrets: tuple[str, ...] = ()
    events: tuple[str, ...] = ALL
    setting: str = ""
    files: tuple[Path, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        return f"Endpoint({self.name}, {masking.webhook(self.url)}, events={','.join(self.events)})"

    def wants(self, event: object) -> bool:
        """Whether an event is to be sent to it."""
        return any(fnmatchcase(str(event), pattern) for pattern in self.events)


def of(notify: Notify) -> tuple[Endpoint, ...]:
    """Return all endpoints that are configured; that of ``notify.webhook_url`` is the first."""
    if notify.webhook_url is None:
        return notify.endpoint
    secrets = notify.webhook_secret or ()
    single = Endpoint(WEBHOOK, notify.webhook_url, secrets, notify.events, "notify.webhook_url")
    return (single, *notify.endpoint)


def shown(endpoints: tuple[Endpoint, ...]) -> str:
    """Return the endpoints for people: names, and URLs without their secrets."""
    return ", ".join(f"{one.name} {masking.webhook(one.url)}" for one in endpoints)


def secrets_of(notify: Notify) -> Iterator[str]:
    """Yield what is secret in the endpoints, in each form in which it may stand in a text."""
    for secret in notify.webhook_secret or ():
        yield from _forms(secret)
    for endpoint in of(notify):
        yield from masking.secrets(endpoint.url)
        path = endpoint.url.partition("?")[0].split("/")[3:]
        yield from (part for part in path if len(part) >= _TOKEN)
        for secret in endpoint.secrets:
            yield from _forms(secret)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    if secret.startswith(PREFIX):
        yield (encoded := secret.removeprefix(PREFIX))
        yield encoded.rstrip("=")
        content = key_of(secret)
        if content.isascii() and (text := content.decode("ascii")).isprintable():
            yield text


def key_of(secret: str) -> bytes:
    """Return the bytes that sign: those in base64 behind ``whsec_``, or those of the text itself."""
    if secret.startswith(PREFIX):
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    return secret.encode()


def read(value: Any) -> tuple[Endpoint, ...]:
    """Return the endpoints of a TOML array of tables, or of a JSON text.

    Raises:
        ValueError: When they are not valid.
        InvalidPart: The same, of a part; the message has nothing of a secret.
    """
    tables = _parsed(value) if isinstance(value, str) else value
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(_FORM)
    if len(tables) > MOST:
        raise ValueError(f"needs at most {MOST} endpoints; these are {len(tables)}")
    found: list[Endpoint] = []
    for number, table in enumerate(tables, 1):
        endpoint = _endpoint(table, f"[{number}]")
        if endpoint.name in {one.name for one in found}:
            raise InvalidPart(f"[{number}].name", f"needs a name of its own; {endpoint.name} is taken")
        found.append(endpoint)
    return tuple(found)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(_FORM) from None


def _endpoint(table: Mapping[str, Any], place: str) -> Endpoint:
    name = _part(f"{place}.name", "", _name, table.get("name"))
    about = f"endpoint {name} "
    for key in table.keys() - {*_KEYS}:
        # Something else than the misspelt name of a key may be a secret.
        unknown = f" {key}" if re.fullmatch(r"[a-z_]{1,16}", key) else ""
        raise InvalidPart(place, f"{about}has an unknown key{unknown}; allowed are {', '.join(_KEYS)}")
    url, of_url = _given(table, "url", place, about)
    secret, of_secret = _given(table, "secret", place, about)
    return Endpoint(
        name,
        _part(f"{place}.url", about, setting_types.http_url, url),
        () if secret is None else _part(f"{place}.secret", about, read_secrets, secret),
        _part(f"{place}.events", about, read_events, table["events"]) if "events" in table else ALL,
        f"{_SETTING} {name}",
        (*of_url, *of_secret),
    )


def _part(place: str, about: str, how: Callable[[Any], Any], value: Any) -> Any:
    try:
        return how(value)
    except ValueError as error:
        raise InvalidPart(place, f"{about}{error}", getattr(error, "hint", None)) from None


def _given(table: Mapping[str, Any], key: str, place: str, about: str) -> tuple[Any, tuple[Path, ...]]:
    """Return the value of a key, from the table or from the files that are named in it, and these files."""
    named = table.get(f"{key}_file")
    if named is None:
        return table.get(key), ()
    if key in table:
        raise InvalidPart(f"{place}.{key}_file", f"{about}has {key}, too; only one of them is allowed")
    files = named if isinstance(named, list) else [named]
    found = [
        setting_keys.secret_of(one, f"{_SETTING}{place}.{key}_file") for one in files[: MOST_SECRETS + 1]
    ]
    texts_of = [text for text, _ in found]
    return texts_of if isinstance(named, list) else texts_of[0], tuple(file for _, file in found)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            "needs 1 to 32 characters out of a-z, 0-9, _ and -, of which the first is a letter or digit"
        )
    if value == MAIL:
        raise ValueError(f"needs another name: {MAIL} stands for the mail in 'orderctl outbox test'")
    return value


def read_secrets(value: Any) -> tuple[str, ...]:
    """Return one secret, or a list of them. Messages have no part of it."""
    given = value if isinstance(value, list) else [value]
    if not 1 <= len(given) <= MOST_SECRETS:
        raise ValueError(f"needs 1 to {MOST_SECRETS} secrets")
    try:
        return tuple(_secret(one) for one in given)
    except ValueError as error:
        standard = any(isinstance(one, str) and PREFIX in one.lower() for one in given)
        raise InvalidPart("", str(error), EXAMPLE if standard else strength.EXAMPLE) from None


def _secret(value: Any) -> str:
    if isinstance(value, str) and re.match(r"[\s'\"]*whsec_", value, re.IGNORECASE):
        return _standard_secret(value.strip())
    return setting_types.signing_secret(
        value if isinstance(value, str) and texts.is_storable(value) else None
    )


def _standard_secret(secret: str) -> str:
    form = f"needs whsec_ and the base64 of {_LEAST_BYTES} to {_MOST_BYTES} random bytes"
    if not secret.startswith(PREFIX):
        raise ValueError(f"{form}; it begins with a quotation mark, or whsec_ is in capitals")
    try:
        key = key_of(secret)
    except (binascii.Error, ValueError):
        raise ValueError(f"{form}; this is not base64 as in RFC 4648, section 4, with its padding") from None
    if not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(f"{form}; these are {len(key)} bytes")
    # As characters none of which is white space.
    weakness = strength.weakness("".join(chr(0x100 + byte) for byte in key), _LEAST_BYTES)
    if weakness is not None:
        raise ValueError(f"{form}; {weakness.replace('character', 'byte')}")
    return secret


def read_events(value: Any) -> tuple[str, ...]:
    """Return patterns of events, each of which some event has."""
    patterns = tuple(dict.fromkeys(setting_types.listing(value)))
    for pattern in patterns:
        known = re.fullmatch(r"[a-z_*]{1,40}", pattern) and any(fnmatchcase(one, pattern) for one in EVENTS)
        if not known:
            raise ValueError(
                f"needs some of {', '.join(EVENTS)}, or patterns such as order_*, not {pattern!r}"
            )
    if not patterns:
        raise ValueError(f"needs at least one of {', '.join(EVENTS)}")
    return patterns
