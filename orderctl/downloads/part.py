"""The file under which a download grows, ``.NAME.part``, and the record beside it, ``.NAME.etag``.

The part is held by an exclusive lock. A worker that was taken for dead may still hold it; its successor
then starts ``.NAME.part-ATTEMPT`` and leaves the other alone. Only a whole, verified and synced part gets
its final name.

The record says which version of which URL the part (later the file) is, and in which inode it stands: a
record that speaks of another inode speaks of another file and counts for nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
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
    """Where the bytes of a file came from.

    Attributes:
        source: Digest of the URL. Not the URL: that may hold a secret, and customers see the folder.
        etag: A strong one.
        size: Of the whole file.
        inode: Of the file that the record speaks of.
        boot: Of the machine that wrote it: what was not synced before a machine went down may be lost in the
            middle of a file, so a part is resumed only under the boot that wrote it, or against a checksum.
    """

    source: str
    etag: str
    size: int
    inode: int
    boot: str


class Part:
    """An open part, locked. Made by :func:`opened`.

    Attributes:
        final: The file's name.
        size: Bytes that are here.
        written: Bytes that have been written since it was opened, thrown away or not.
        named: Whether it still has the part's name.
    """

    def __init__(self, folder: Folder, descriptor: int, name: str, final: str) -> None:
        self._folder = folder
        self._descriptor = descriptor
        self.name = name
        self.final = final
        self.size = os.fstat(descriptor).st_size
        self.written = 0
        self.named = True
        self._digest: hashlib._Hash | None = None

    def write(self, view: memoryview) -> None:
        """Append bytes.

        Raises:
            DiskFull: The part is given up then: on a full disk nobody else could write what happened.
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
        """Throw away what there is."""
        self._folder.remove(_record_name(self.final))
        os.ftruncate(self._descriptor, 0)
        self.size = 0
        if self._digest is not None:
            self._digest = hashlib.sha256()

    def hash(self, check: Callable[[], None]) -> None:
        """Compute a checksum: of what is there, then of what will be written."""
        self._digest = hashlib.sha256()
        _hash(self._descriptor, self._digest, check)

    @property
    def sha256(self) -> str | None:
        """The checksum, None unless it is computed."""
        return self._digest.hexdigest() if self._digest is not None else None

    def head(self, count: int) -> bytes:
        """The first bytes."""
        return os.pread(self._descriptor, count, 0)

    def record(self) -> Record | None:
        """What is known about where the part's bytes came from."""
        return read_record(self._folder, self.final, os.fstat(self._descriptor).st_ino)

    def note(self, url: str, etag: str, size: int) -> None:
        """Keep where the bytes come from, for a later attempt."""
        record = Record(source_of(url), etag, size, os.fstat(self._descriptor).st_ino, boot_id())
        name = _record_name(self.final)
        with translating(name):
            self._folder.remove(name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            descriptor = self._folder.open(name, flags)
            assert descriptor is not None  # noqa: S101 - O_CREAT never finds nothing
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(record), file)

    def finish(self, check: Callable[[], None]) -> None:
        """Make the part the file: sync it, then give it its final name.

        Args:
            check: Asked last, right before the file appears.
        """
        try:
            with translating(self.final):
                faultpoints.point("fsync.before")
                os.fsync(self._descriptor)
                faultpoints.point("fsync.after")
        except (OSError, DownloadError):
            # The kernel reports a failed write-back once and then calls the pages clean.
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
        folder: Where the file is to be.
        final: The file's name.
        attempt: Of the task; names the part when another worker holds the first.

    Raises:
        LinkRefused: Something else stands there.
    """
    for name in (f".{final}.part", f".{final}.part-{attempt}"):
        descriptor = _lock(folder, name)
        if descriptor is not None:
            part = Part(folder, descriptor, name, final)
            with _closing(descriptor):
                try:
                    yield part
                finally:
                    if part.named and not part.size:
                        folder.remove(name)
            return
    raise NotPermitted(f"another process is downloading {final!r} into {folder.shown!r}")


def sweep(folder: Folder, finished: Container[str]) -> None:
    """Remove what others left of files that are finished now, except parts that are still held."""
    for name in folder.names():
        found = _PART.match(name)
        if found and found[1] in finished:
            with suppress(OSError, NotPermitted):
                descriptor = _lock(folder, name, flags=os.O_RDWR)
                if descriptor is not None:
                    with _closing(descriptor):
                        folder.remove(name)


def read_record(folder: Folder, final: str, inode: int) -> Record | None:
    """The record beside a file, if it speaks of that inode."""
    descriptor = folder.open(_record_name(final), os.O_RDONLY)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            record = Record(**json.loads(file.read(_MAX_RECORD)))
        except (ValueError, TypeError):
            return None
    return record if record.inode == inode and type(record.size) is int else None


def file_hash(descriptor: int, check: Callable[[], None]) -> str:
    """SHA-256 of an open file."""
    digest = hashlib.sha256()
    _hash(descriptor, digest, check)
    return digest.hexdigest()


def source_of(url: str) -> str:
    """What a record keeps of a URL."""
    return hashlib.sha256(url.encode()).hexdigest()


def boot_id() -> str:
    """What changes when the machine starts again."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _lock(folder: Folder, name: str, *, flags: int = os.O_RDWR | os.O_CREAT) -> int | None:
    """A locked descriptor, None where somebody else holds it (or where it is not, without O_CREAT)."""
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
            # Otherwise whoever held it has just given it its final name.


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
