"""The files from which secrets are read: which ones are safe, and what is in them.

Who can write such a file can choose the secret, and sign tokens with it. Who can read it can, too, but the secrets of
a container are often readable by all (mode 444 with Docker, 644 with Kubernetes), and nobody else is there. So a file
that others can write is refused, and :func:`is_exposed` is for a warning.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from orderctl.errors import Misconfigured

#: Longest file, in bytes. A larger one is something else.
_MOST: Final = 64 * 1024


def read(path: Path, setting: str, *, lines: bool = False) -> str:
    """Return the text of a secret file, without a byte order mark and without the line break at its end.

    Args:
        path: The file. A symbolic link is followed.
        setting: The setting that names it, with its origin, for messages. They never have the content.
        lines: Whether it may have several lines.

    Raises:
        Misconfigured: The file cannot be read, other users can change it, or it does not hold one line of text.
    """
    about = f"setting {setting}: {path}"
    try:
        # O_NONBLOCK: a FIFO without a writer would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - it is a descriptor
            _check(os.fstat(descriptor), path, about)
            content = file.read(_MOST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Misconfigured(f"setting {setting}: cannot read {path}: {reason}") from None
    return _text(content, about, lines=lines)


def check_shared(path: Path) -> None:
    """Check a file that has a secret among other settings: every user may read it, but not change it.

    Raises:
        Misconfigured: Every user can change it.
        OSError: It cannot be looked at.
    """
    if path.stat().st_mode & stat.S_IWOTH:
        raise Misconfigured(
            f"{path} has secrets in it, and every user can change it", hint=f"chmod 600 {_quoted(path)}"
        )


def is_exposed(path: Path) -> bool:
    """Whether every user can read the file."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _check(found: os.stat_result, path: Path, about: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Misconfigured(f"{about} is {_kind(found.st_mode)}, not a file")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Misconfigured(
            f"{about} has mode {stat.S_IMODE(found.st_mode):04o}: other users can change it",
            hint=f"chmod 600 {_quoted(path)}",
        )
    us = os.geteuid()
    if us != 0 and found.st_uid not in {us, 0}:
        raise Misconfigured(
            f"{about} belongs to another user (uid {found.st_uid}), who can change it",
            hint=f"sudo chown {us} {_quoted(path)}",
        )


def _kind(mode: int) -> str:
    return "a pipe" if stat.S_ISFIFO(mode) else "a device"


def _text(content: bytes, about: str, *, lines: bool) -> str:
    if len(content) > _MOST:
        raise Misconfigured(f"{about} is too large for a secret: more than {_MOST:,} bytes")
    try:
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Misconfigured(f"{about} is not text in UTF-8") from None
    if not text.strip():
        raise Misconfigured(f"{about} is empty")
    if "\0" in text:
        raise Misconfigured(f"{about} has NUL characters")
    if len(text.splitlines()) > 1 and not lines:
        raise Misconfigured(f"{about} has more than one line; it must hold the secret only")
    return text


def _quoted(path: Path) -> str:
    import shlex  # noqa: PLC0415 - for a refusal only

    return shlex.quote(str(path))
