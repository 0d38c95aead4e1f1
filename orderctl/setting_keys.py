"""How a setting is declared, and how its value is read and shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Generic, Never, NoReturn, TypeVar, overload

from orderctl import masking, setting_types, strength, texts
from orderctl.errors import Misconfigured

T = TypeVar("T")

MASK: Final = masking.HIDDEN
#: A command that lists every setting, and works while a setting is wrong.
LIST: Final = "orderctl config init --stdout"


class InvalidPart(ValueError):
    """A part of a setting's value is not valid. The message has nothing of a secret.

    Attributes:
        place: Where the part is in the value, such as ``[1].url``.
        hint: A command that helps.
    """

    def __init__(self, place: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.place = place
        self.hint = hint


class Key(Generic[T]):
    """A key of a section.

    Attributes:
        name: The name of the key in its section.
        read: Returns the value for a text or a TOML value; raises ValueError with what is allowed.
        default: The value when nothing is set.
        about: What the setting means, for ``--help``, man pages and ``config init``.
        secret: Whether the value is a secret, or may contain one.
        show: Returns the value without the secrets in it; None: the value has none, or is one as a whole.
        lines: Whether a file of the secret may have several lines.
        example: Lines of TOML, for ``config init``; they take the place of the default.
    """

    name = ""

    def __init__(
        self,
        read: Callable[[Any], T],
        default: T,
        about: str,
        *,
        secret: bool = False,
        show: Callable[[Any], str] | None = None,
        lines: bool = False,
        example: str = "",
    ) -> None:
        self.read = read
        self.default = default
        self.about = about
        self.secret = secret
        self.show = show
        self.lines = lines
        self.example = example

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
        defaults = {name: key.default for name, key in keys_of(type(self)).items()}
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
        keys = keys_of(type(self))
        shown = (f"{name}={_for_repr(value, keys[name])}" for name, value in vars(self).items())
        return f"{type(self).__name__}({', '.join(shown)})"


def _for_repr(value: object, item: Key[Any]) -> str:
    return shown(value, item) if value and (item.secret or item.show) else repr(value)


def keys_of(section: type[Section]) -> dict[str, Key[Any]]:
    """Return the keys of a section by name."""
    return {name: key for name, key in vars(section).items() if isinstance(key, Key)}


def shown(value: object, item: Key[Any]) -> str:
    """Return a value for people, secrets masked; ``-`` for none."""
    if value is None:
        return "-"
    if item.show is not None:
        return item.show(value)
    if item.secret:
        return MASK
    if isinstance(value, re.Pattern):
        return str(value.pattern)
    return ",".join(value) if isinstance(value, tuple) else str(value)


def read(key: str, how: Callable[[Any], Any], value: object, origin: str, *, secret: bool = False) -> Any:
    """Return the value of a setting.

    Args:
        key: The setting, as messages name it.
        how: Returns the value for a text or a TOML value.
        value: What is given; None: nothing.
        origin: Where it is given.
        secret: Whether the message must not repeat the value.

    Raises:
        Misconfigured: When it is not valid.
    """
    try:
        return None if value is None else checked(value, how, secret=secret)
    except InvalidPart as error:
        raise Misconfigured(
            f"setting {key}{error.place} ({origin}): {error}", hint=error.hint or LIST
        ) from None
    except ValueError as error:
        reason = str(error)
        if secret:  # a reader may repeat the value
            reason = reason.replace(repr(value), MASK)
        signs = how in {setting_types.signing_secret, setting_types.shared_key}
        raise Misconfigured(
            f"setting {key} ({origin}): {reason}", hint=strength.EXAMPLE if signs else LIST
        ) from None


def checked(value: object, how: Callable[[Any], Any], *, secret: bool = False) -> Any:
    """Return a value as :func:`read` does.

    Raises:
        ValueError: When it is not valid; the message says what is allowed.
    """
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and not texts.is_storable(text):
            raise ValueError("needs text in UTF-8 without NUL characters")
    try:
        return how(value)
    except InvalidPart:
        raise
    except ValueError as error:
        raise ValueError(_without_value(str(error)) if secret else str(error)) from None


def _without_value(text: str) -> str:
    """Return what is wrong with a secret without the value that was given, unless it is a word of a URL's option."""
    return re.sub(r", not (?!'[\w.-]{1,20}'\Z|[\w+]{1,30}://\Z).*", "", text, flags=re.DOTALL | re.ASCII)


def secret_of(given: object, setting: str, *, lines: bool = False) -> tuple[str, Path]:
    """Return the secret in a file, and the file.

    Args:
        given: What names the file.
        setting: The setting that names it, with its origin, for messages.
        lines: Whether the file may have several lines.

    Raises:
        Misconfigured: When it cannot be read, or others can change it.
    """
    from orderctl import secret_files  # noqa: PLC0415 - needed only where a file is named

    try:
        file = checked(given, setting_types.path, secret=True)
    except ValueError as error:
        raise Misconfigured(f"setting {setting}: {error}", hint=LIST) from None
    _refuse_a_secret(str(given), file, setting)
    return secret_files.read(file, setting, lines=lines), file


def _refuse_a_secret(given: str, file: Path, setting: str) -> None:
    """Refuse a secret in the place of its file's path, which must not be shown."""
    with suppress(OSError):  # too long for a path
        if given.startswith(("/", "~", "./", "../")) or file.exists():
            return
    raise Misconfigured(f"setting {setting}: cannot read the file: there is none of this name", hint=LIST)
