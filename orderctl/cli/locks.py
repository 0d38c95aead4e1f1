"""``--lock NAME``: of the commands with one name, one runs at a time on this machine.

A lock is a file in the state folder, locked with flock. The kernel frees it when its holder ends, however it ends.
The file is never deleted: a command that waits at a deleted file would not see who holds a new one of that name.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from orderctl import texts
from orderctl.cli.app import App
from orderctl.cli.options import F
from orderctl.errors import LockHeld, Misconfigured

_VALID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


class LockName(click.ParamType[str]):
    """The name of a lock, which is also that of its file."""

    name = "lock"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        if not _VALID.fullmatch(str(value)):
            self.fail(
                f"{texts.shown(value)} is not a valid name: 1 to 64 ASCII letters, digits, '_', '-' and '.',"
                " no '-' or '.' in front",
                param,
                ctx,
            )
        return str(value)


def lock(function: F) -> F:
    """Add ``--lock`` to a command that changes something; it holds the lock from before its first step to its end."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        name = kwargs.pop("lock")
        if name is None:
            return function(*args, **kwargs)
        with held(click.get_current_context().ensure_object(App).settings.state_dir, name):
            return function(*args, **kwargs)

    option = click.option(
        "--lock",
        type=LockName(),
        metavar="NAME",
        help="Exit 75 at once, if a command with the same NAME is running on this machine.",
    )
    return option(call)  # type: ignore[return-value]


@contextmanager
def held(state_dir: Path, name: str) -> Iterator[None]:
    """Hold a lock; programs that are started meanwhile do not inherit it.

    Raises:
        LockHeld: Another process holds it.
        Misconfigured: Its file cannot be made, locked or written.
    """
    folder = state_dir.absolute() / "locks"
    with _naming(folder):
        number = _open(state_dir, folder, name)
    try:
        with _naming(folder):
            _take(number, name)
        yield
    finally:
        os.close(number)


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Name the folder in errors of the file system: NFS without its lock service, a full disk."""
    try:
        yield
    except OSError as error:
        raise Misconfigured(
            f"cannot use the folder {folder}: {error.strerror}",
            hint="set state_dir to a folder that you can write to, on a disk of this machine",
        ) from None


def _open(state_dir: Path, folder: Path, name: str) -> int:
    from orderctl import private_files

    private_files.check_owner(state_dir, "state_dir")
    private_files.make_folder(folder)
    file = folder / f"{name}.lock"
    private_files.make_file(file)
    return os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)


def _take(number: int, name: str) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(number, 20, 0).decode("ascii", "replace").strip()
        by = f"process {holder}" if holder.isdigit() else "another process"  # it has not written its id yet
        raise LockHeld(f"the lock {name} is held by {by}: nothing was done") from None
    os.ftruncate(number, 0)
    os.pwrite(number, f"{os.getpid()}\n".encode(), 0)
