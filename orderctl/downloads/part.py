"""The part: the growing file of a download, ``.NAME.part``, and the record beside it, ``.NAME.etag``.

The part is held by an exclusive lock. A worker that was considered dead may still hold it. Its successor then
starts ``.NAME.part-ATTEMPT`` and does not touch the other part. Only a complete, verified and synced part
gets the final name.

The record says which version of which URL the part (later the file) is, and which inode it has. A record with
another inode belongs to another file and is ignored.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from orderctl import faultpoints
from orderctl.downloads.errors import DiskFull, DownloadError, NotPermitted
from orderctl.downloads.folder import Folder, translating

_BLOCK = 1 << 20
_MAX_RECORD = 16 * 1024
_PART = re.compile(r"\.(.+)\.part(-\d+)?\Z", re.DOTALL | re.ASCII)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Record:
    """The origin of a file's bytes.

    Attributes:
        source: Digest of the URL. The URL itself may contain a secret, and customers can see the folder.
        etag: The version's strong ETag.
        size: Bytes of the whole file.
        inode: Inode of the file that the record describes.
        boot: Boot id of the machine that wrote the part. When a machine goes down, unsynced bytes in the
            middle of a file may be lost. So a part is resumed only in the same boot, or if there is a
            checksum.
        refusals: How many requests for the rest in a row have brought nothing.
        most: The most bytes that parts of this file had which were thrown away. What is downloaded again is no gain.
    """

    source: str
    etag: str
    size: int
    inode: int
    boot: str
    refusals: int = 0
    most: int = 0


class Part:
    """An open and locked part, made by :func:`opened`.

    Attributes:
        final: The file's name.
        size: Bytes that the part has.
        written: Bytes that were written since it was opened, including those that were thrown away.
        named: Whether it still has the part's name, not the final one.
        decoded: Whether its bytes are not those that the server sent, but decoded from them.
        pieced: Whether its bytes are from several responses.
    """

    def __init__(self, folder: Folder, descriptor: int, name: str, final: str) -> None:
        self._folder = folder
        self._descriptor = descriptor
        self.name = name
        self.final = final
        self.size = os.fstat(descriptor).st_size
        self.written = 0
        self.named = True
        self.decoded = False
        self.pieced = False
        self._most = 0
        self._digest: hashlib._Hash | None = None

    def write(self, view: memoryview) -> None:
        """Append bytes.

        Raises:
            DiskFull: The part is emptied then, as otherwise the database on a full disk could record nothing.
        """
        try:
            with translating(self.final):
                self._write(view)
        except DiskFull:
            self.restart()
            raise
        if self._digest is not None:
            self._digest.update(view)

    def _write(self, view: memoryview) -> None:
        while view:
            count = os.pwrite(self._descriptor, view, self.size)
            self.size += count
            self.written += count
            view = view[count:]

    def restart(self) -> None:
        """Empty the part and remove its record."""
        record = self.record()
        self._most = max(self._most, self.size, record.most if record else 0)
        self._folder.remove(_record_name(self.final))
        os.ftruncate(self._descriptor, 0)
        self.size = 0
        self.pieced = False
        if self._digest is not None:
            self._digest = hashlib.sha256()

    def hash(self, check: Callable[[], None]) -> None:
        """Start a checksum with the part's bytes; bytes that are written later are added to it."""
        self._digest = hashlib.sha256()
        _hash(self._descriptor, self._digest, check)

    @property
    def is_of_use(self) -> bool:
        """Whether a later attempt may resume it. Without a record none does."""
        with suppress(DownloadError, OSError):
            return self.size > 0 and self.record() is not None
        return False

    @property
    def sha256(self) -> str | None:
        """The checksum of all bytes, None unless :meth:`hash` was called."""
        return self._digest.hexdigest() if self._digest is not None else None

    def head(self, count: int) -> bytes:
        """Return the first bytes."""
        return os.pread(self._descriptor, count, 0)

    def record(self) -> Record | None:
        """Return the record of the part, None when there is none."""
        return read_record(self._folder, self.final, os.fstat(self._descriptor).st_ino)

    def note(self, url: str, etag: str, size: int) -> None:
        """Write the record of the part, for a later attempt."""
        inode = os.fstat(self._descriptor).st_ino
        self._keep(Record(source_of(url), etag, size, inode, boot_id(), most=self._most))

    def count_refusals(self, record: Record, refusals: int) -> None:
        """Write into the record how many requests for the rest in a row have brought nothing."""
        self._keep(replace(record, refusals=refusals))

    def resume(self, record: Record) -> None:
        """Write into the record that a request for the rest has brought it: the part is not thrown away any more."""
        self.pieced = True
        if record.refusals or record.most:
            self._keep(replace(record, refusals=0, most=0))

    def _keep(self, record: Record) -> None:
        name = _record_name(self.final)
        with translating(name):
            self._folder.remove(name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            descriptor = self._folder.open(name, flags)
            assert descriptor is not None  # noqa: S101 - with O_CREAT there is always a descriptor
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(record), file)

    def finish(self, check: Callable[[], None]) -> None:
        """Sync the part, then give it its final name.

        Args:
            check: Called right before the file gets its final name; raises when the attempt must end.
        """
        try:
            with translating(self.final):
                faultpoints.point("fsync.before")
                os.fsync(self._descriptor)
                faultpoints.point("fsync.after")
        except (OSError, DownloadError):
            # The kernel reports a failed write-back only once, and then treats the pages as clean.
            self.restart()
            raise
        check()
        with translating(self.final):
            self._folder.replace(self.name, self.final)
        self.named = False


@contextmanager
def opened(folder: Folder, final: str, attempt: int) -> Iterator[Part]:
    """Open and lock the part of a file.

    Args:
        folder: The folder of the file.
        final: The file's name.
        attempt: Number of the task's attempt; the part gets it in its name when another worker holds the
            first part.

    Raises:
        LinkRefused: The part's name belongs to something else than a regular file.
    """
    for name in (f".{final}.part", f".{final}.part-{attempt}"):
        descriptor = _lock(folder, name)
        if descriptor is not None:
            part = Part(folder, descriptor, name, final)
            with _closing(descriptor):
                try:
                    yield part
                finally:
                    if part.named and not part.is_of_use:
                        folder.remove(name)
            return
    raise NotPermitted(f"another process is downloading {final!r} into {folder.shown!r}")


def sweep(folder: Folder, finished: Container[str]) -> None:
    """Remove the parts that other attempts left of finished files, except those that are still locked."""
    for name in folder.names():
        found = _PART.match(name)
        if found and found[1] in finished:
            with suppress(OSError, NotPermitted):
                descriptor = _lock(folder, name, flags=os.O_RDWR)
                if descriptor is not None:
                    with _closing(descriptor):
                        folder.remove(name)


def read_record(folder: Folder, final: str, inode: int) -> Record | None:
    """Return the record beside a file, if it describes that inode."""
    descriptor = folder.open(_record_name(final), os.O_RDONLY)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            record = Record(**json.loads(file.read(_MAX_RECORD)))
        except (ValueError, TypeError):
            return None
    numbers = (record.size, record.refusals, record.most)
    return record if record.inode == inode and all(type(number) is int for number in numbers) else None


def bytes_seen(path: Path) -> int:
    """Return the bytes of a file in a task's folder; of a part those of the largest part that it replaces.

    Raises:
        OSError: The file cannot be read.
    """
    status = path.lstat()
    found = _PART.match(path.name)
    if not found:
        return status.st_size
    with suppress(DownloadError), Folder(os.open(path.parent, os.O_RDONLY), str(path.parent)) as folder:
        record = read_record(folder, found[1], status.st_ino)
        return max(status.st_size, record.most if record else 0)
    return status.st_size


def file_hash(descriptor: int, check: Callable[[], None]) -> str:
    """Return the SHA-256 of an open file, in hexadecimal."""
    digest = hashlib.sha256()
    _hash(descriptor, digest, check)
    return digest.hexdigest()


def source_of(url: str) -> str:
    """Return the digest of a URL that a record keeps."""
    return hashlib.sha256(url.encode()).hexdigest()


def boot_id() -> str:
    """Return the boot id, which changes with each start of the machine; empty where it cannot be read."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _lock(folder: Folder, name: str, *, flags: int = os.O_RDWR | os.O_CREAT) -> int | None:
    """Open and lock a file; None when another process holds the lock, or there is no file and no O_CREAT."""
    while True:
        descriptor = folder.open(name, flags)
        if descriptor is None:
            return None
        with ExitStack() as unless_locked:
            unless_locked.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            status = folder.status(name)
            if status is not None and status.st_ino == os.fstat(descriptor).st_ino:
                unless_locked.pop_all()
                return descriptor
            # Otherwise its previous holder has just given it its final name: open the name again.


@contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def _hash(descriptor: int, digest: hashlib._Hash, check: Callable[[], None]) -> None:
    offset = 0
    while block := os.pread(descriptor, _BLOCK, offset):
        check()
        digest.update(block)
        offset += len(block)


def _record_name(final: str) -> str:
    return f".{final}.etag"
