"""The folder of downloads: whether workers can write into it, the room that it has, and what was left in it."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orderctl import counting
from orderctl.counting import counted
from orderctl.deadlines import Begun
from orderctl.doctor.ahead import Peers
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.mounts import mount_of
from orderctl.doctor.surroundings import Surroundings

_AREA: Final = Area.DOWNLOADS
_HANDLER: Final = "http"
#: Free bytes, and the part of the file system, below which room is short; and what is as good as nothing.
_FEW_BYTES: Final = 5 * 2**30
_FEW: Final = 0.05
_NOTHING: Final = 100 * 2**20
#: The part of a file system's files that must be free.
_FEW_FILES: Final = 0.02
#: File systems that lose everything at a restart of the machine.
_FLEETING: Final = frozenset({"tmpfs", "ramfs"})
#: Entries of the folder that are looked at, and the days after which a part is a leftover.
_MOST_ENTRIES: Final = 5000
_OLD_DAYS: Final = 7
_PART: Final = re.compile(r"\..+\.part(-\d+)?\Z", re.DOTALL | re.ASCII)


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has.

    Attributes:
        mount: Where it is mounted.
        kind: Its type, such as ``ext4``; empty if the system does not say it.
        free: Bytes that the workers may still write.
        size: All its bytes; 0 if it does not say it.
        files: The part of its files that are free; None if it does not count them.
        read_only: Whether nothing can be written.
    """

    mount: str
    kind: str
    free: int
    size: int
    files: float | None
    read_only: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What was found of the folder.

    Attributes:
        path: The folder.
        nearest: The folder itself, or the nearest one above it that exists.
        room: Of its file system; None if it did not answer.
        is_folder: Whether ``nearest`` is a folder.
        writable: Whether this user may write into ``nearest``.
        leftovers: Parts of downloads that nobody has touched for a week, and their bytes.
        error: Why it cannot be looked at.
    """

    path: Path
    nearest: Path
    room: Room | None = None
    is_folder: bool = True
    writable: bool = False
    leftovers: tuple[int, int] = (0, 0)
    error: str = ""


def look(peers: Peers) -> Look:
    """Look at the folder; a network's file system may hang."""
    path = peers.settings.download_directory.absolute()
    try:
        return Begun(lambda: _look(path)).result(peers.patience)
    except TimeoutError:
        return Look(path, path, error=f"its file system does not answer within {peers.patience:g} s")
    except OSError as error:
        return Look(path, path, error=error.strerror or str(error))


def _look(path: Path) -> Look:
    nearest = next(folder for folder in (path, *path.parents) if folder.exists())
    is_folder = nearest.is_dir()
    return Look(
        path,
        nearest,
        _room(nearest),
        is_folder,
        writable=is_folder and os.access(nearest, os.W_OK | os.X_OK),
        leftovers=_leftovers(path) if is_folder and nearest == path else (0, 0),
    )


def _room(folder: Path) -> Room:
    system = os.statvfs(folder)
    mount, kind = mount_of(folder)
    files = system.f_favail / system.f_files if system.f_files else None
    return Room(
        mount,
        kind,
        system.f_bavail * system.f_frsize,
        system.f_blocks * system.f_frsize,
        files,
        bool(system.f_flag & os.ST_RDONLY),
    )


def _leftovers(folder: Path) -> tuple[int, int]:
    """Return the number and the bytes of old parts, among the first entries of the folder and those in it."""
    number = size = seen = 0
    limit = time.time() - _OLD_DAYS * 86_400
    for root, folders, names in os.walk(folder):
        seen += len(folders) + len(names)
        for name in filter(_PART.match, names):
            try:
                status = (Path(root) / name).lstat()
            except OSError:
                continue
            if status.st_mtime < limit:
                number, size = number + 1, size + status.st_blocks * 512
        if seen > _MOST_ENTRIES:
            break
    return number, size


def examine(around: Surroundings, found: Look) -> Iterator[Check]:
    """Say what was found of the folder.

    Args:
        around: The settings.
        found: From :func:`look`.
    """
    settings = around.settings
    if settings.worker.handler != _HANDLER:
        text = f"the handler {settings.worker.handler} keeps its files where it wants: see its documentation"
        yield Check(_AREA, "folder", Verdict.SKIPPED, text)
        return
    yield _folder(found, is_set=settings.download.directory is not None)
    if found.room is not None:
        yield _space(found, found.room)
        yield from _doubts(found, found.room)
    if settings.download.allow_private_hosts:
        yield Check(
            _AREA,
            "private-hosts",
            Verdict.NOTE,
            "downloads may reach addresses of private networks: who writes a course's URL can read from them",
            "export ORDERCTL_DOWNLOAD_ALLOW_PRIVATE_HOSTS=false",
            "Right only where all courses' URLs come from people whom you trust.",
        )


def _folder(found: Look, *, is_set: bool) -> Check:
    path = shlex.quote(str(found.path))
    if found.error:
        return Check(
            _AREA,
            "folder",
            Verdict.FAULT,
            f"the folder of downloads {found.path}: {found.error}",
            f"ls -ld {path}",
        )
    if not found.is_folder:
        text = f"the folder of downloads {found.path}: {found.nearest} is not a folder"
        return Check(_AREA, "folder", Verdict.FAULT, text, f"ls -ld {shlex.quote(str(found.nearest))}")
    if not found.writable:
        return Check(
            _AREA,
            "folder",
            Verdict.FAULT,
            f"this user may not write into {found.nearest}, so that no download can be stored in {found.path}",
            f'sudo install -d -o "$USER" {path}',
            "If the workers run as another user: ask again as that one.",
        )
    if found.nearest == found.path:
        return Check(_AREA, "folder", Verdict.WELL, f"the folder of downloads {found.path} can be written to")
    text = f"the folder of downloads {found.path} does not exist yet: the first download makes it"
    if not is_set:
        return Check(_AREA, "folder", Verdict.WELL, text)
    note = "Wrong if it is on a disk that is not mounted: downloads would fill the one below it."
    return Check(_AREA, "folder", Verdict.WARNING, text, f"mkdir -p {path}", note)


def _space(found: Look, room: Room) -> Check:
    of = f"{room.kind} at {room.mount}" if room.kind else room.mount
    text = f"{counting.size(room.free)} of {counting.size(room.size)} are free on {of}"
    if room.read_only:
        return Check(
            _AREA,
            "free-space",
            Verdict.FAULT,
            f"{of} is mounted read-only: nothing can be stored",
            f"mount -o remount,rw {shlex.quote(room.mount)}",
            "A file system that has found an error in itself is mounted so: dmesg says it.",
        )
    if not room.size or (room.free >= min(_FEW_BYTES, _FEW * room.size) and room.free > _NOTHING):
        return Check(_AREA, "free-space", Verdict.WELL, text, value=room.free, unit="bytes")
    return Check(
        _AREA,
        "free-space",
        Verdict.FAULT if room.free <= _NOTHING else Verdict.WARNING,
        f"{text}: downloads fail with DISK_SPACE when it is full",
        f"du -xh --max-depth=2 {shlex.quote(str(found.nearest))} | sort -h | tail",
        "Remove what is not needed, or set download.directory to a bigger disk; then: orderctl tasks retry --failed"
        " --error-type DISK_SPACE",
        value=room.free,
        unit="bytes",
    )


def _doubts(found: Look, room: Room) -> Iterator[Check]:
    if room.files is not None and room.files < _FEW_FILES:
        yield Check(
            _AREA,
            "free-files",
            Verdict.WARNING,
            f"only {room.files:.1%} of the files of {room.mount} are free (inodes)",
            f"df -i {shlex.quote(room.mount)}",
            value=round(room.files, 4),
        )
    if room.kind in _FLEETING:
        yield Check(
            _AREA,
            "file-system",
            Verdict.WARNING,
            f"{found.path} is on {room.kind}: downloads are lost when the machine starts again",
            "export ORDERCTL_DOWNLOAD_DIRECTORY=/srv/downloads",
        )
    number, size = found.leftovers
    if number:
        yield Check(
            _AREA,
            "leftovers",
            Verdict.NOTE,
            f"{counted(number, 'part')} of downloads untouched for {_OLD_DAYS} days, {counting.size(size)}",
            f"find {shlex.quote(str(found.path))} -name '.*.part*' -mtime +{_OLD_DAYS} -print",
            "A retry goes on with them; those of tasks that failed permanently can be removed.",
            value=size,
            unit="bytes",
        )
