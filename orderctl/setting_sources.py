"""Where settings are given: TOML files, the environment, and files of one secret."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from orderctl import environment, setting_keys
from orderctl.errors import Misconfigured
from orderctl.setting_keys import LIST, Key

SYSTEM_FILE: Final = Path("/etc/orderctl/config.toml")
#: Each key with the value that is given, and its origin.
Given = dict[str, tuple[Any, str]]
Declared = Mapping[str, Key[Any]]


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


def from_file(path: Path, declared: Declared, *, required: bool) -> Given:
    """Return what a TOML file gives; nothing when there is no such file.

    Raises:
        Misconfigured: When it cannot be read, a required one does not exist, or it has an unknown key.
    """
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
    flat: Given = {}
    for name, value in document.items():
        inner = (
            {f"{name}.{key}": item for key, item in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
        flat |= {key: (item, origin) for key, item in inner.items()}
    _refuse_unknown(flat, declared)
    if any(_is_secret(key.removesuffix("_file"), declared) for key in flat):
        from orderctl import secret_files  # noqa: PLC0415 - as for a file of one secret

        secret_files.check_shared(path)
    return flat


def _refuse_unknown(flat: Given, declared: Declared) -> None:
    allowed = _known(declared)
    for key, (_, origin) in flat.items():
        if key not in allowed:
            raise Misconfigured(f"setting {key} ({origin}): no setting has this name", hint=LIST)


def _is_secret(key: str, declared: Declared) -> bool:
    return key in declared and declared[key].secret


def _known(declared: Declared) -> set[str]:
    secret_files = {f"{key}_file" for key, item in declared.items() if item.secret}
    return {"state_dir", "read_only", *declared, *secret_files}


def from_environment(environ: Mapping[str, str], declared: Declared) -> Given:
    """Return what the environment gives."""
    names = {environment.variable(key): key for key in _known(declared)}
    present = {names[name]: (environ[name], f"environment {name}") for name in names if environ.get(name)}
    for key in [key for key in present if key.endswith("_file")]:
        # A secret file named in the environment overrides a plain value from a TOML file.
        present[key.removesuffix("_file")] = present.get(key.removesuffix("_file"), present[key])
    return present


def read_secret_files(found: Given, declared: Declared) -> tuple[Path, ...]:
    """Put the secrets in place of the files that are named; return these files.

    Raises:
        Misconfigured: When a file cannot be read, or others can change it.
    """
    files = []
    for key, item in declared.items():
        named = found.pop(f"{key}_file", None) if item.secret else None
        if named is not None and (key not in found or found[key] == named):
            given, origin = named
            secret, file = setting_keys.secret_of(given, f"{key}_file ({origin})", lines=item.lines)
            found[key] = secret, f"{origin}, file {given}"
            files.append(file)
    return tuple(files)
