"""Settings, from flags, the environment, TOML files or the defaults, in this order of precedence.

Each key is declared once, as an attribute of its section, with the function that reads it. The key
``section.name`` is ``ORDERCTL_SECTION_NAME`` in the environment; a secret can also come from a file
named by ``section.name_file``. :func:`load` is the only place that reads ``os.environ``.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Never, NoReturn, TypeVar, overload

from orderctl import environment, masking, setting_types, strength, texts
from orderctl.errors import Misconfigured

T = TypeVar("T")

SYSTEM_FILE = Path("/etc/orderctl/config.toml")
MASK = masking.HIDDEN
#: A part of a webhook's path that is as long as this is taken for a token.
_TOKEN = 16
#: A command that lists every setting, and works while a setting is wrong.
_LIST = "orderctl config init --stdout"


class Key(Generic[T]):
    """A key of a section.

    Attributes:
        name: The name of the key in its section.
        read: Returns the value for a text or a TOML value; raises ValueError with what is allowed.
        default: The value when nothing is set.
        about: What the setting means, for ``--help``, man pages and ``config init``.
        secret: Whether the value is a secret, or may contain one.
        show: Returns a URL without the secrets in it; None: the value has none, or is one as a whole.
    """

    name = ""

    def __init__(
        self,
        read: Callable[[Any], T],
        default: T,
        about: str,
        *,
        secret: bool = False,
        show: Callable[[str], str] | None = None,
    ) -> None:
        self.read = read
        self.default = default
        self.about = about
        self.secret = secret
        self.show = show

    def __set_name__(self, section: type[Section], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, section: None, _: type[Section]) -> Key[T]: ...

    @overload
    def __get__(self, section: Section, _: type[Section]) -> T: ...

    def __get__(self, section: Section | None, _: type[Section]) -> Key[T] | T:
        return self if section is None else vars(section)[self.name]

    def __set__(self, section: Section, value: Never) -> NoReturn:
        # For mypy, which refuses the assignment. At run time, the section refuses it.
        raise AttributeError(self.name)


class Section:
    """A section of the settings. Its class declares the keys, an instance holds their values.

    It is not a dataclass: to create the dataclasses of all sections took 5 ms of every start.
    """

    def __init__(self, **values: Any) -> None:
        defaults = {name: key.default for name, key in _keys(type(self)).items()}
        if unknown := values.keys() - defaults:
            raise TypeError(f"{type(self).__name__} has no key {', '.join(unknown)}")
        vars(self).update(defaults | values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"settings cannot be changed: {name}")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        keys = _keys(type(self))
        shown = (f"{name}={_for_repr(value, keys[name])}" for name, value in vars(self).items())
        return f"{type(self).__name__}({', '.join(shown)})"


def _for_repr(value: object, item: Key[Any]) -> str:
    return _shown(value, item) if value and (item.secret or item.show) else repr(value)


def _keys(section: type[Section]) -> dict[str, Key[Any]]:
    return {name: key for name, key in vars(section).items() if isinstance(key, Key)}


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
            for name, declaration in _keys(kind).items():
                key = f"{section}.{name}"
                value = getattr(getattr(self, section), name)
                rows.append((key, _shown(value, declaration), self.origins_of.get(key, "default")))
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
        f"{section}.{name}": key for section, kind in SECTIONS.items() for name, key in _keys(kind).items()
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
        return _checked(value, setting_types.path)
    return _checked(value, declared()[key].read, secret=declared()[key].secret)


def user_file() -> Path | None:
    """Return the path of the user's own configuration file; None if the user has no home folder."""
    from platformdirs import user_config_path  # noqa: PLC0415 - takes 5 ms; half of the starts do without

    try:
        return user_config_path("orderctl", appauthor=False) / "config.toml"
    except RuntimeError:  # HOME is not an absolute path, and the user is not in the list of users
        return None


def files(config: Path | None, *, alone: bool = False) -> list[Path]:
    """Return the configuration files that are read; later ones override earlier ones.

    Args:
        config: An additional file.
        alone: Whether to read no other file.
    """
    if alone:
        return [] if config is None else [config]
    return [path for path in (SYSTEM_FILE, user_file(), config) if path is not None]


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
    for path in files(config, alone=alone):
        found |= _from_file(path, required=path == config)
    found |= _from_environment(environ)
    found |= {key: (value, "command line") for key, value in (flags or {}).items()}
    secret_files = _read_secret_files(found)
    settings = _build(found, secret_files)
    masking.learn(_secrets(settings))
    return settings


def _build(found: Mapping[str, tuple[Any, str]], secret_files: tuple[Path, ...]) -> Settings:
    origins = {key: origin for key, (_, origin) in found.items()}
    sections: dict[str, Any] = {}
    for section, kind in SECTIONS.items():
        values = {}
        for name, declaration in _keys(kind).items():
            key = f"{section}.{name}"
            if key in found:
                values[name] = _read(key, declaration.read, *found[key], secret=declaration.secret)
        sections[section] = kind(**values)
    given = found.get("state_dir") or (_default_state_dir(), "default: the home folder, or XDG_STATE_HOME")
    return Settings(
        state_dir=_read("state_dir", setting_types.path, *given),
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


def _read(key: str, read: Callable[[Any], Any], value: object, origin: str, *, secret: bool = False) -> Any:
    try:
        return None if value is None else _checked(value, read, secret=secret)
    except ValueError as error:
        reason = str(error)
        if secret:  # a reader may repeat the value
            reason = reason.replace(repr(value), MASK)
        signs = read is setting_types.signing_secret
        raise Misconfigured(
            f"setting {key} ({origin}): {reason}", hint=strength.EXAMPLE if signs else _LIST
        ) from None


def _checked(value: object, read: Callable[[Any], Any], *, secret: bool = False) -> Any:
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and not texts.is_storable(text):
            raise ValueError("needs text in UTF-8 without NUL characters")
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(_without_value(str(error)) if secret else str(error)) from None


def _without_value(text: str) -> str:
    """Return what is wrong with a secret without the value that was given, unless it is a word of a URL's option."""
    return re.sub(r", not (?!'[\w.-]{1,20}'\Z|[\w+]{1,30}://\Z).*", "", text, flags=re.DOTALL | re.ASCII)


def _from_file(path: Path, *, required: bool) -> dict[str, tuple[Any, str]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if required:
            raise Misconfigured(f"configuration file {path} not found", hint="orderctl config init") from None
        return {}
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Misconfigured(f"cannot read {path}: {reason}") from None
    origin = f"file {path}"
    flat: dict[str, tuple[Any, str]] = {}
    for name, value in document.items():
        inner = (
            {f"{name}.{key}": item for key, item in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
        flat |= {key: (item, origin) for key, item in inner.items()}
    _refuse_unknown(flat)
    if any(is_secret(key.removesuffix("_file")) for key in flat):
        from orderctl import secret_files  # noqa: PLC0415 - as for a file of one secret

        secret_files.check_shared(path)
    return flat


def _refuse_unknown(flat: Mapping[str, tuple[Any, str]]) -> None:
    allowed = _known()
    for key, (_, origin) in flat.items():
        if key not in allowed:
            raise Misconfigured(f"setting {key} ({origin}): no setting has this name", hint=_LIST)


def _known() -> set[str]:
    keys = declared()
    secret_files = {f"{key}_file" for key, item in keys.items() if item.secret}
    return {"state_dir", *keys, *secret_files}


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    names = {environment.variable(key): key for key in _known()}
    present = {names[name]: (environ[name], f"environment {name}") for name in names if environ.get(name)}
    for key in [key for key in present if key.endswith("_file")]:
        # A secret file named in the environment overrides a plain value from a TOML file.
        present[key.removesuffix("_file")] = present.get(key.removesuffix("_file"), present[key])
    return present


def _read_secret_files(found: dict[str, tuple[Any, str]]) -> tuple[Path, ...]:
    """Put the secrets in place of the files that are named; return these files."""
    files = []
    for key, item in declared().items():
        named = found.pop(f"{key}_file", None) if item.secret else None
        if named is not None and (key not in found or found[key] == named):
            file, origin = _read(f"{key}_file", setting_types.path, *named, secret=True), named[1]
            _refuse_a_secret(named[0], file, f"{key}_file ({origin})")
            found[key] = _read_secret(file, f"{key}_file ({origin})"), f"{origin}, file {named[0]}"
            files.append(file)
    return tuple(files)


def _refuse_a_secret(given: str, file: Path, setting: str) -> None:
    """Refuse a secret in the place of its file's path, which must not be shown."""
    with suppress(OSError):  # too long for a path
        if given.startswith(("/", "~", "./", "../")) or file.exists():
            return
    raise Misconfigured(f"setting {setting}: cannot read the file: there is none of this name", hint=_LIST)


def _read_secret(path: Path, setting: str) -> str:
    from orderctl import secret_files  # noqa: PLC0415 - needed only where a file is named

    return secret_files.read(path, setting)


def _shown(value: object, item: Key[Any]) -> str:
    if value is None:
        return "-"
    if item.show is not None:
        return item.show(str(value))
    if item.secret:
        return MASK
    return ",".join(value) if isinstance(value, tuple) else str(value)


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
