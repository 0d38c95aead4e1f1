"""Open folders and files under the download directory without following links.

Each folder on the way down from the download directory is opened by one ``openat`` with O_NOFOLLOW, so a
symbolic link below it is refused wherever it is. The directory itself belongs to the admin and may be a link.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from orderctl import faultpoints
from orderctl.downloads import errors
from orderctl.downloads.errors import LinkRefused

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SAFELY = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # O_NONBLOCK: opening a FIFO must not block


class Folder:
    """An open folder. Paths are relative to it and consist of reduced names.

    Args:
        descriptor: File descriptor of the folder; the object closes it.
        shown: Its path, for messages.
    """

    def __init__(self, descriptor: int, shown: str) -> None:
        self.descriptor = descriptor
        self.shown = shown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def enter(self, name: str) -> Folder:
        """Open the subfolder of that name; create it if it is missing.

        Raises:
            LinkRefused: The name belongs to something else than a folder, or leads out of this one.
        """
        shown = f"{self.shown}/{name}"
        if name in {".", ".."}:
            raise LinkRefused(f"{shown!r} leads out of the download directory")
        with translating(shown):
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=self.descriptor)
                os.fsync(self.descriptor)
            return Folder(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=self.descriptor), shown)

    def open(self, name: str, flags: int) -> int | None:
        """Open a regular file in this folder; return its descriptor, None when the name does not exist.

        Raises:
            LinkRefused: It is a symbolic link, a device, a pipe or a folder, or a file with a second name
                (a hard link).
        """
        shown = f"{self.shown}/{name}"
        with translating(shown):
            try:
                descriptor = os.open(name, flags | _SAFELY, 0o666, dir_fd=self.descriptor)
            except FileNotFoundError:
                return None
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode) and found.st_nlink <= 1:
                return descriptor
            os.close(descriptor)
            raise LinkRefused(
                f"{shown!r} is not a regular file with one name: it is a link, a folder, a pipe or a device"
            )

    def status(self, name: str) -> os.stat_result | None:
        """Return the status of a name, without following links; None when it does not exist."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except OSError:
            return None

    def remove(self, name: str) -> None:
        """Remove a file, if there is one."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def replace(self, source: str, target: str) -> None:
        """Give a file its final name. When this returns, a power failure cannot undo it."""
        faultpoints.point("rename.before")
        os.rename(source, target, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
        faultpoints.point("rename.after")
        os.fsync(self.descriptor)

    def names(self) -> list[str]:
        """Return the names in this folder."""
        return os.listdir(self.descriptor)  # noqa: PTH208 - pathlib would resolve the path again

    def free_bytes(self) -> int:
        """Return the free bytes of its file system; ``sys.maxsize`` when that reports no size."""
        system = os.statvfs(self.descriptor)
        return system.f_bavail * system.f_frsize if system.f_blocks else sys.maxsize


@contextmanager
def opened(root: Path, relative: str) -> Iterator[Folder]:
    """Open a folder under the download directory; create missing folders.

    Args:
        root: The download directory; it is created, too, if it is missing.
        relative: Reduced names with ``/`` between them; empty for the directory itself.

    Raises:
        LinkRefused: A component of the path is a link or a file.
        NotPermitted: The operating system refuses.
    """
    with translating(str(root)):
        root.mkdir(parents=True, exist_ok=True)
        folder = Folder(os.open(root, _FOLDER), str(root))
    for name in filter(None, relative.split("/")):
        with folder as outer:
            folder = outer.enter(name)
    with folder:
        yield folder


@contextmanager
def translating(shown: str) -> Iterator[None]:
    """Turn errors of the file system into download errors that name the path."""
    try:
        yield
    except OSError as error:
        ours = errors.of_disk(error, shown)
        if ours is None:
            raise
        raise ours from error
