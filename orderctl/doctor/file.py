"""The checks of a SQLite database: its file, the file system, and the space that is left."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from orderctl.counting import size
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.mounts import mount_of
from orderctl.doctor.surroundings import Surroundings
from orderctl.errors import ExitStatus

#: File systems of other machines, on which SQLite's locks and its shared memory do not hold.
_REMOTE: Final = re.compile(
    r"nfs\d*|cifs|smb\d*|smbfs|9p|afs|ceph|glusterfs|lustre|ocfs2|gfs2|virtiofs|vboxsf|fuse\.(?:sshfs|rclone|glusterfs|s3fs)"
)
#: Bytes; with less, the next hours are in danger.
_LOW: Final = 1024**3
_VERY_LOW: Final = 64 * 1024**2


def examine(around: Surroundings) -> Iterator[Check]:
    """Yield the checks of a SQLite file; none for a server."""
    name = around.engine.url.database
    if around.engine.dialect.name != "sqlite" or not name:
        return
    path = Path(name).absolute()
    with around.reading() as connection:
        mode = str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
    yield journal(mode)
    yield writable([place for place in (path, path.parent) if not os.access(place, os.W_OK)])
    yield file_system(path, mount_of(path)[1])
    yield free_space(path, shutil.disk_usage(path.parent).free)


def journal(mode: str) -> Check:
    """Return the check of the journal mode."""
    if mode == "wal":
        return Check(Area.DATABASE, "journal-mode", Verdict.WELL, "the journal mode is WAL", value=mode)
    return Check(
        Area.DATABASE,
        "journal-mode",
        Verdict.WARNING,
        f"the journal mode is {mode}, not WAL: every reader waits for every writer",
        "orderctl doctor --only database",
        "Each connection of orderctl sets it. It cannot where another program keeps the file open; end that first.",
        value=mode,
    )


def writable(refused: Sequence[Path]) -> Check:
    """Return the check whether the file and its folder can be written.

    Args:
        refused: Those that this user cannot write.
    """
    if not refused:
        return Check(Area.DATABASE, "writable", Verdict.WELL, "the file and its folder can be written")
    return Check(
        Area.DATABASE,
        "writable",
        Verdict.FAULT,
        f"this user cannot write {' and '.join(map(str, refused))}",
        f"chmod u+w {' '.join(shlex.quote(str(place)) for place in refused)}",
        "SQLite needs to write the file and its folder, in which it makes two further files. Run orderctl as the user"
        " to whom they belong.",
        value=str(refused[0]),
    )


def file_system(path: Path, kind: str) -> Check:
    """Return the check of the file system of a path.

    Args:
        path: The database.
        kind: The kind of the file system, from :func:`mount_of`.
    """
    if not _REMOTE.fullmatch(kind):
        return Check(
            Area.DATABASE,
            "file-system",
            Verdict.WELL,
            f"the file system is {kind or 'not known'}",
            value=kind or None,
        )
    return Check(
        Area.DATABASE,
        "file-system",
        Verdict.FAULT,
        f"{path} lies on a file system of another machine ({kind})",
        "export ORDERCTL_DATABASE_URL=sqlite:////var/lib/orderctl/orderctl.db",
        "SQLite's locks do not hold there: two programs can destroy the database. Stop orderctl, move the file to a disk"
        " of this machine, and set database.url; for several machines use MySQL or MariaDB.",
        value=kind,
        exit_status=ExitStatus.CONFIGURATION,
    )


def free_space(path: Path, free: int) -> Check:
    """Return the check of the space that is left where a database lies.

    Args:
        path: The database.
        free: Bytes.
    """
    verdict = Verdict.WELL if free >= _LOW else Verdict.WARNING if free >= _VERY_LOW else Verdict.FAULT
    return Check(
        Area.DATABASE,
        "free-space",
        verdict,
        f"{size(free)} free beside the database",
        None if verdict is Verdict.WELL else f"df -h {shlex.quote(str(path.parent))}",
        None
        if verdict is Verdict.WELL
        else "When the disk is full, nothing can be recorded: free some space.",
        value=free,
        unit="bytes",
    )
