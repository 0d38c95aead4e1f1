"""Files and folders that only orderctl's own user can access, whatever the umask is.

What exists already keeps its mode: an admin may have given others the right to read it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from orderctl.errors import Misconfigured


def make_folder(folder: Path) -> None:
    """Make a folder with mode 700, and so the missing ones above it.

    Raises:
        OSError: The operating system refuses.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)  # a umask can have taken rights of the owner


def make_file(path: Path) -> None:
    """Make an empty file with mode 600, if it does not exist.

    Raises:
        OSError: The operating system refuses.
    """
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)


def share(path: Path, group: str) -> None:
    """Let a group read a file, if there is such a group.

    Raises:
        OSError: The operating system refuses.
    """
    with suppress(LookupError):
        shutil.chown(path, group=group)
        path.chmod(0o640)


def check_owner(path: Path, setting: str) -> None:
    """Check that a file or folder belongs to orderctl's user, if it exists.

    A symbolic link is followed, if it belongs to this user or to root.

    Args:
        path: The file or folder.
        setting: The setting that names it.

    Raises:
        Misconfigured: It belongs to another user, or every user can replace what is in the folder.
    """
    try:
        link, found = path.lstat(), path.stat()
    except OSError:
        return  # whoever opens it reports the reason
    us = os.geteuid()
    if found.st_uid != us or link.st_uid not in {us, 0}:
        other = found.st_uid if found.st_uid != us else link.st_uid
        raise Misconfigured(
            f"{path} belongs to the user {_name(other)}, but orderctl runs as {_name(us)}",
            hint=f"run orderctl as {_name(other)}, or set {setting} to another place",
        )
    open_to_all = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
    if stat.S_ISDIR(found.st_mode) and open_to_all:
        raise Misconfigured(
            f"every user can write into the folder {path}", hint=f"chmod o-w {shlex.quote(str(path))}"
        )


def _name(uid: int) -> str:
    import pwd  # noqa: PLC0415 - for a refusal only

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
