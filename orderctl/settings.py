"""Settings, from flags, the environment, TOML files or the defaults, in this order of precedence.

``setting_sections`` declares each key. The key ``section.name`` is ``ORDERCTL_SECTION_NAME`` in the environment; a secret can also come from a file
named by ``section.name_file``. :func:`load` is the only place that reads ``os.environ``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orderctl import environment, masking, setting_keys, setting_sources, setting_types
from orderctl.errors import Misconfigured
from orderctl.setting_keys import keys_of
from orderctl.setting_sections import (
    READ_ONLY,
    SECTIONS,
    Audit,
    Database,
    Display,
    Download,
    Log,
    Mail,
    Notify,
    Payments,
    Progress,
    Reconcile,
    Redis,
    Relay,
    Worker,
    declared,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, with the origin of each.

    Attributes:
        state_dir: Folder of the embedded database, the embedded Redis and downloads.
        origins_of: The origin of each key that is set, such as ``environment ORDERCTL_RELAY_PORT``.
        secret_files: The files from which secrets were read.
        read_only: Whether commands that change something are refused.
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
    log: Log
    origins_of: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_files: tuple[Path, ...] = ()
    read_only: bool = False

    @property
    def download_directory(self) -> Path:
        """The folder of downloaded files."""
        return self.download.directory or self.state_dir / "downloads"

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{key}={shown}' for key, shown, _ in self.shown())})"

    def shown(self) -> list[tuple[str, str, str]]:
        """Return each key with its value, secrets masked, and its origin."""
        rows = [
            (key, str(getattr(self, key)), self.origins_of.get(key, "default"))
            for key in ("state_dir", READ_ONLY)
        ]
        for section, kind in SECTIONS.items():
            for name, declaration in keys_of(kind).items():
                key = f"{section}.{name}"
                value = getattr(getattr(self, section), name)
                rows.append(
                    (key, setting_keys.shown(value, declaration), self.origins_of.get(key, "default"))
                )
        return rows


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
    if key == READ_ONLY:
        return setting_keys.checked(value, setting_types.boolean)
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
    alone = environ.get(environment.ALONE, "0") not in {"", "0"}
    keys = declared()
    sources = [
        setting_sources.from_file(path, keys, required=path == config)
        for path in setting_sources.files(config, alone=alone)
    ]
    sources.append(setting_sources.from_environment(environ, keys))
    sources.append({key: (value, "command line") for key, value in (flags or {}).items()})
    found: setting_sources.Given = {}
    for source in sources:
        found |= source
    found |= _forced(sources)
    secret_files = setting_sources.read_secret_files(found, keys)
    settings = _build(found, secret_files)
    masking.learn(_secrets(settings))
    return settings


def _forced(sources: Iterable[setting_sources.Given]) -> setting_sources.Given:
    """Return the first ``read_only`` that is true: a file for an account is stronger than what its user gives later."""
    for source in sources:
        if READ_ONLY in source and setting_keys.read(READ_ONLY, setting_types.boolean, *source[READ_ONLY]):
            return {READ_ONLY: source[READ_ONLY]}
    return {}


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
    of_endpoints = _check_endpoints(sections["notify"], origins)
    given = found.get("state_dir") or (_default_state_dir(), "default: the home folder, or XDG_STATE_HOME")
    return Settings(
        state_dir=setting_keys.read("state_dir", setting_types.path, *given),
        origins_of=origins,
        secret_files=(*secret_files, *of_endpoints),
        read_only=setting_keys.read(READ_ONLY, setting_types.boolean, *found.get(READ_ONLY, (False, ""))),
        **sections,
    )


def _check_endpoints(notify: Notify, origins: Mapping[str, str]) -> list[Path]:
    """Refuse two endpoints of one name; return the files from which the endpoints were read."""
    if notify.webhook_url and any(endpoint.name == "webhook" for endpoint in notify.endpoint):
        raise Misconfigured(
            f"setting notify.endpoint ({origins.get('notify.endpoint')}): webhook is the name of the endpoint of"
            " notify.webhook_url; give this one another name, or unset notify.webhook_url",
            hint=setting_keys.LIST,
        )
    return [file for endpoint in notify.endpoint for file in endpoint.files]


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
    if settings.notify.webhook_secret or settings.notify.webhook_url or settings.notify.endpoint:
        from orderctl import webhook_endpoints  # noqa: PLC0415 - as in setting_sections

        yield from webhook_endpoints.secrets_of(settings.notify)
