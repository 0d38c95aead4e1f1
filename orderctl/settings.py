"""Settings, from flags, the environment, TOML files or the defaults, in this order of precedence.

Each key is declared once, as an attribute of its section, with the function that reads it. The key
``section.name`` is ``ORDERCTL_SECTION_NAME`` in the environment; a secret can also come from a file
named by ``section.name_file``. :func:`load` is the only place that reads ``os.environ``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from orderctl import environment, masking, setting_keys, setting_sources, setting_types
from orderctl.errors import Misconfigured
from orderctl.setting_keys import Key, Section, keys_of

#: A part of a webhook's path that is as long as this is taken for a token.
_TOKEN: Final = 16


class Database(Section):
    """The SQL database."""

    url = Key(
        setting_types.database_url,
        None,
        "mysql://, mariadb:// or sqlite:/// URL; unset: embedded SQLite",
        secret=True,
        show=masking.setting,
    )
    pool_size = Key(setting_types.whole(1, 100), 5, "number of connections that are kept open")
    time_zone = Key(
        setting_types.database_zone,
        "UTC",
        "how the shop's DATETIMEs are meant: UTC, an offset such as +07:00, or Area/City",
    )


class Redis(Section):
    """Redis or Valkey."""

    url = Key(
        setting_types.redis_url,
        None,
        "redis://, rediss:// or unix:// URL; unset: embedded Redis",
        secret=True,
        show=masking.setting,
    )
    prefix = Key(
        setting_types.redis_prefix,
        "",
        "put before the name of each channel and key, if several shops use one Redis server; such as shop1:",
    )


class Worker(Section):
    """The workers, which carry out the tasks."""

    queue = Key(setting_types.name, "orderctl", "RQ queue that wakes the workers")
    concurrency = Key(setting_types.whole(1, 256), 1, "number of workers of one supervisor")
    handler = Key(
        setting_types.name, "http", "download handler: an entry point of the group orderctl.handlers"
    )
    take = Key(
        setting_types.one_of("managed", "all"),
        "managed",
        "managed: only orderctl's own tasks; all: the shop's tasks, too",
    )
    lease_seconds = Key(setting_types.real(1, 3600), 30.0, "how long a claim is valid without a heartbeat")
    max_attempts = Key(setting_types.whole(1, 100), 3, "number of attempts before a task fails permanently")
    retry_transient = Key(
        setting_types.boolean,
        True,
        "try again what may pass by itself: TIMEOUT and NETWORK failures, HTTP 429, 503",
    )
    give_up_after = Key(
        setting_types.span(0, 10 * 365 * 86400),
        86_400.0,
        "how long a task is tried again for such failures, without using up attempts: seconds, or 90m, 24h, 7d",
    )
    max_retry_after = Key(
        setting_types.span(0, 10 * 365 * 86400),
        3600.0,
        "longest pause that a course's server may ask for (Retry-After): seconds, or 90m, 24h, 7d",
    )
    drain_timeout_seconds = Key(
        setting_types.real(0, 86400), 60.0, "how long a stop waits for running downloads"
    )


class Progress(Section):
    """Live progress."""

    interval_seconds = Key(
        setting_types.real(0, 3600), 5.0, "minimum time between two progress messages of a task"
    )


class Download(Section):
    """The http handler, which downloads the courses."""

    directory = Key(
        setting_types.path, None, "folder of downloaded files; unset: downloads in the state folder"
    )
    public_url = Key(
        setting_types.base_url,
        None,
        "URL that serves the directory; drive_link begins with it",
        show=masking.url,
    )
    allow_private_hosts = Key(
        setting_types.boolean, False, "allow downloads from addresses of private networks"
    )
    max_bytes = Key(setting_types.whole(1, 2**60), 100 * 2**30, "maximum size of a file")
    timeout_seconds = Key(
        setting_types.real(0.1, 86400), 30.0, "how long to wait for a server that sends nothing"
    )
    min_bytes_per_second = Key(setting_types.whole(0, 2**40), 1024, "minimum rate over a minute; 0: any rate")


class Relay(Section):
    """The relay for dashboards."""

    host = Key(setting_types.name, "127.0.0.1", "address to listen on")
    port = Key(setting_types.whole(0, 65535), 3001, "port to listen on; 0: any free port")
    origins: Key[tuple[str, ...]] = Key(setting_types.listing, (), "web origins that may connect")
    hosts: Key[tuple[str, ...]] = Key(
        setting_types.listing, (), "host names by which clients reach the relay"
    )
    token_secret = Key(
        setting_types.signing_secret,
        None,
        "secret that signs tokens, 32 random characters or more",
        secret=True,
    )
    max_connections = Key(setting_types.whole(1, 1_000_000), 10_000, "maximum number of clients")
    max_connections_per_address = Key(
        setting_types.whole(0, 1_000_000), 1000, "maximum number of clients from one address; 0: no limit"
    )
    max_subscriptions = Key(
        setting_types.whole(1, 1_000_000), 1000, "maximum number of subscriptions of one connection"
    )
    max_messages_per_second = Key(
        setting_types.whole(1, 1_000_000), 1000, "maximum number of messages per second from one connection"
    )


class Mail(Section):
    """Mails to customers and to the admin."""

    url = Key(
        setting_types.smtp_url,
        None,
        "smtp://user:password@host:587; unset: no mail",
        secret=True,
        show=masking.setting,
    )
    sender = Key(setting_types.mailbox, None, "sender's address (From)")
    admin = Key(setting_types.mailbox, None, "address that receives alerts")


class Notify(Section):
    """Webhooks that notify other systems."""

    webhook_url = Key(
        setting_types.http_url,
        None,
        "URL that gets a POST when an order ends or a task fails permanently",
        secret=True,
        show=masking.webhook,
    )
    webhook_secret = Key(
        setting_types.signing_secret,
        None,
        "secret that signs the body (HMAC-SHA256), 32 random characters or more",
        secret=True,
    )


class Payments(Section):
    """Payments that come in."""

    pending_statuses: Key[tuple[str, ...]] = Key(
        setting_types.words,
        ("pending", "failed"),
        "payment statuses of orders that can be paid, in the shop's words",
    )


class Reconcile(Section):
    """Finding and repairing what is wrong."""

    expected_statuses: Key[tuple[str, ...]] = Key(
        setting_types.words, (), "statuses of the shop's own, which reconcile --check does not report"
    )


class Display(Section):
    """How values are shown."""

    currency = Key(setting_types.name, "VND", "currency of total_amount")
    time_zone = Key(setting_types.time_zone, "local", "for --time-format local: local, UTC or Area/City")


class Audit(Section):
    """Seals over the audit log."""

    seal_key = Key(
        setting_types.signing_secret,
        None,
        "secret key of the seals (HMAC), 32 random characters or more",
        secret=True,
    )
    seal_margin_seconds = Key(setting_types.whole(0, 86400), 60, "age below which events are not sealed yet")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, with the origin of each.

    Attributes:
        state_dir: Folder of the embedded database, the embedded Redis and downloads.
        origins_of: The origin of each key that is set, such as ``environment ORDERCTL_RELAY_PORT``.
        secret_files: The files from which secrets were read.
    """

    state_dir: Path
    database: Database
    redis: Redis
    worker: Worker
    progress: Progress
    download: Download
    relay: Relay
    mail: Mail
    notify: Notify
    payments: Payments
    reconcile: Reconcile
    display: Display
    audit: Audit
    origins_of: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_files: tuple[Path, ...] = ()

    @property
    def download_directory(self) -> Path:
        """The folder of downloaded files."""
        return self.download.directory or self.state_dir / "downloads"

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{key}={shown}' for key, shown, _ in self.shown())})"

    def shown(self) -> list[tuple[str, str, str]]:
        """Return each key with its value, secrets masked, and its origin."""
        rows = [("state_dir", str(self.state_dir), self.origins_of.get("state_dir", "default"))]
        for section, kind in SECTIONS.items():
            for name, declaration in keys_of(kind).items():
                key = f"{section}.{name}"
                value = getattr(getattr(self, section), name)
                rows.append(
                    (key, setting_keys.shown(value, declaration), self.origins_of.get(key, "default"))
                )
        return rows


SECTIONS: dict[str, type[Section]] = {
    "database": Database,
    "redis": Redis,
    "worker": Worker,
    "progress": Progress,
    "download": Download,
    "relay": Relay,
    "mail": Mail,
    "notify": Notify,
    "payments": Payments,
    "reconcile": Reconcile,
    "display": Display,
    "audit": Audit,
}


def declared() -> dict[str, Key[Any]]:
    """Return every key ``section.name`` with its declaration."""
    return {
        f"{section}.{name}": key for section, kind in SECTIONS.items() for name, key in keys_of(kind).items()
    }


def is_secret(key: str) -> bool:
    """Return whether the value of a key is a secret, or may contain one."""
    return key in declared() and declared()[key].secret


def read(key: str, value: object) -> Any:
    """Return the value of a setting for a text or a TOML value.

    Raises:
        ValueError: When it is not valid; the message says what is allowed.
    """
    if key == "state_dir":
        return setting_keys.checked(value, setting_types.path)
    return setting_keys.checked(value, declared()[key].read, secret=declared()[key].secret)


def load(
    flags: Mapping[str, str] | None = None,
    *,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read all settings.

    Args:
        flags: Values from the command line by key; they override everything else.
        config: An additional TOML file, which must exist.
        environ: The environment; the process's own when None.

    Raises:
        Misconfigured: For an unknown key, a value that is not valid, or a file that cannot be read. The
            message names the key, its origin and what is allowed.
    """
    environ = os.environ if environ is None else environ
    config_variable = environ.get(environment.CONFIG)
    config = config or (Path(config_variable) if config_variable else None)
    found: dict[str, tuple[Any, str]] = {}
    alone = environ.get(environment.ALONE, "0") not in {"", "0"}
    keys = declared()
    for path in setting_sources.files(config, alone=alone):
        found |= setting_sources.from_file(path, keys, required=path == config)
    found |= setting_sources.from_environment(environ, keys)
    found |= {key: (value, "command line") for key, value in (flags or {}).items()}
    secret_files = setting_sources.read_secret_files(found, keys)
    settings = _build(found, secret_files)
    masking.learn(_secrets(settings))
    return settings


def _build(found: Mapping[str, tuple[Any, str]], secret_files: tuple[Path, ...]) -> Settings:
    origins = {key: origin for key, (_, origin) in found.items()}
    sections: dict[str, Any] = {}
    for section, kind in SECTIONS.items():
        values = {}
        for name, declaration in keys_of(kind).items():
            key = f"{section}.{name}"
            if key in found:
                values[name] = setting_keys.read(
                    key, declaration.read, *found[key], secret=declaration.secret
                )
        sections[section] = kind(**values)
    given = found.get("state_dir") or (_default_state_dir(), "default: the home folder, or XDG_STATE_HOME")
    return Settings(
        state_dir=setting_keys.read("state_dir", setting_types.path, *given),
        origins_of=origins,
        secret_files=secret_files,
        **sections,
    )


def _default_state_dir() -> str:
    from platformdirs import user_state_path  # noqa: PLC0415 - as in user_file

    try:
        return str(user_state_path("orderctl", appauthor=False))
    except RuntimeError:
        raise Misconfigured(
            "setting state_dir is not set, and this user has no home folder: HOME is not an absolute path",
            hint=f"set HOME, or {environment.variable('state_dir')}",
        ) from None


def _secrets(settings: Settings) -> Iterator[str]:
    """Yield what is secret in the settings."""
    for key, item in declared().items():
        section, _, name = key.partition(".")
        value = getattr(getattr(settings, section), name)
        if not isinstance(value, str):
            continue
        if item.show is not None:
            yield from masking.secrets(value)
        elif item.secret:
            yield value
        if item.show is masking.webhook:
            yield from (part for part in value.partition("?")[0].split("/")[3:] if len(part) >= _TOKEN)
