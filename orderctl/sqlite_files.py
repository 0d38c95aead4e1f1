"""The file of a SQLite database: who creates it, who may own it, and what its errors mean."""

from __future__ import annotations

import errno
import os
import shlex
import stat
from pathlib import Path
from typing import Final
from urllib.parse import quote

from orderctl import private_files
from orderctl.errors import DatabaseExhausted, DatabaseUnavailable, Misconfigured, NotMigrated, OrderctlError

#: SQLite's own files beside the database. It gives them the mode of the database.
_BESIDE: Final = ("-wal", "-shm", "-journal")
_SETTING: Final = "database.url"
#: SQLite allows 512 bytes (its MAX_PATHNAME), with the longest suffix.
_LONGEST_PATH: Final = 500


def check(path: str, origin: str) -> None:
    """Check that a database exists, and belongs to orderctl's user. Only a migration creates one.

    Args:
        path: The path of its file.
        origin: The origin of the setting, for the message.

    Raises:
        NotMigrated: It does not exist.
        Misconfigured: It is not a file, or belongs to another user.
    """
    file = Path(path)
    _check_length(file)
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise NotMigrated(
            f"no database at {file.absolute()} (setting {_SETTING}, {origin}); orderctl migrate up creates it",
            hint="orderctl migrate up",
        ) from None
    except OSError as error:
        raise _unusable(file, error) from None
    if not stat.S_ISREG(found.st_mode):
        raise Misconfigured(
            f"{file.absolute()} (setting {_SETTING}, {origin}) is not a file", hint="orderctl config show"
        )
    for each in (path, *(path + suffix for suffix in _BESIDE)):
        private_files.check_owner(Path(each), _SETTING)


def is_writable(path: str) -> bool:
    """Whether this user may write to a database: its file, and its folder for SQLite's own files."""
    return all(os.access(each, os.W_OK) for each in (path, Path(path).absolute().parent))


def is_immutable(path: str) -> bool:
    """Whether a database that may only be read has no log of changes now, so that all is in its file.

    Opened in the usual way, SQLite would create a log. Opened as immutable, it never sees what others write after that:
    open it anew for each reading.
    """
    return not Path(f"{path}-wal").exists()


def uri(path: str, *, writable: bool) -> str:
    """Return the URI with which SQLite opens a database.

    Args:
        path: The path of its file.
        writable: Whether it may be written. Otherwise nothing is created beside it: a copy on a medium that is
            read-only can be read.
    """
    mode = "mode=rw"
    if not writable:
        mode = "immutable=1" if is_immutable(path) else "mode=ro"
    return f"file:{quote(os.path.abspath(path))}?{mode}"  # noqa: PTH100 - as SQLAlchemy does


def create(path: str, *, folder: bool) -> None:
    """Create an empty database that only this user can access, if there is none.

    Args:
        path: The path of its file.
        folder: Whether to make its folder, too.

    Raises:
        Misconfigured: The operating system refuses.
        DatabaseUnavailable: The disk is full.
    """
    file = Path(path)
    _check_length(file)
    try:
        if file.is_symlink() and not file.exists():
            raise Misconfigured(
                f"{file.absolute()} (setting {_SETTING}) is a symbolic link to {file.readlink()}, which does not exist",
                hint=f"ls -l {shlex.quote(str(file.absolute()))}",
            )
        if folder:
            private_files.make_folder(file.parent)
        private_files.make_file(file)
    except OSError as error:
        raise _unusable(file, error) from None


def _check_length(file: Path) -> None:
    if len(os.fsencode(file.absolute())) > _LONGEST_PATH:
        raise Misconfigured(
            f"the path of the SQLite file is longer than {_LONGEST_PATH} bytes: {file.absolute()}",
            hint=f"set {_SETTING} or state_dir to a shorter path",
        )


def explain(text: str) -> OrderctlError | None:
    """Return the error to raise for an error of SQLite, by its text, or None for another error."""
    if "not a database" in text or "malformed" in text:
        return Misconfigured(f"setting {_SETTING}: {text}", hint="orderctl config show")
    if "readonly database" in text:
        return Misconfigured(
            f"setting {_SETTING}: the file or its folder cannot be written: {text}",
            hint="orderctl config show",
        )
    if "unable to open" in text or "disk I/O error" in text:
        return DatabaseUnavailable(f"the database cannot be read: {text}", hint="orderctl config show")
    if "disk is full" in text:
        return DatabaseExhausted(f"the database cannot be written: {text}", hint="free disk space")
    return None


def _unusable(file: Path, error: OSError) -> OrderctlError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DatabaseUnavailable(f"cannot write to {file.parent}: {error.strerror}", hint="free disk space")
    return Misconfigured(
        f"cannot use {file.absolute()}: {error.strerror}",
        hint=f"set {_SETTING} or state_dir to a place that you can write to",
    )
