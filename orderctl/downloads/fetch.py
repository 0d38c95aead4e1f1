"""Fetch one file: resume it where that is safe, verify it, and only then give it its final name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from orderctl.downloads import acceptance, evidence
from orderctl.downloads import part as parts
from orderctl.downloads.body import HEAD, Body
from orderctl.downloads.client import Answer, HttpClient
from orderctl.downloads.errors import (
    BadAnswer,
    ChecksumMismatch,
    ConnectionBroken,
    DiskFull,
    DownloadError,
    HostUnreachable,
    NotAFile,
    NotPermitted,
    SizeMismatch,
    StatusRefused,
    TooLarge,
    TooSlow,
)
from orderctl.downloads.folder import Folder
from orderctl.downloads.meter import Meter
from orderctl.downloads.part import Part, Record
from orderctl.downloads.protocol import Context, RemoteFile

#: Bytes of one read: large enough that calls cost little, small enough for the processor's cache.
CHUNK = 256 * 1024
#: Bytes that stay free on the disk, so that the embedded database on it can still record what happened.
RESERVE = 32 * 2**20

#: How often one attempt resumes a file after a broken connection.
RECONNECTS = 10
_WORTHWHILE = 4096  # bytes that the broken connection must have delivered for that
#: How often one attempt starts over: a connection may break, and the server may not let it resume.
_STARTS = 2
#: How often the rest is asked for, where connections end at once, before the whole file is.
_RANGE_TRIES = 2
#: How often in a row the server may be out of order when it is asked for the rest, before the whole file is asked
#: for. Some servers and firewalls answer only requests for a part that way.
_MAX_REFUSALS = 3

_PARTIAL, _NOT_MODIFIED, _SERVER_ERROR = 206, 304, 500
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"\Z')


@dataclass(frozen=True, slots=True)
class Fetch:
    """The download of one file of a task into an open folder."""

    context: Context
    client: HttpClient
    folder: Folder
    file: RemoteFile
    index: int
    meter: Meter
    reserve: int = RESERVE

    def run(self) -> None:
        """Download the file; return when it is on the disk under its final name.

        Raises:
            DownloadError: The download failed. No unverified file has the final name.
        """
        self.meter.begin(self.index, self.file.name)
        size = self._existing()
        if size is None:
            with parts.opened(self.folder, self._name, self.context.attempt) as part:
                with self._judging():
                    self._fill(part)
                part.finish(self.context.check)
                size = part.size
        self.meter.end(size)

    @contextmanager
    def _judging(self) -> Iterator[None]:
        """Let errors about a file that this attempt's enrollment saw otherwise pass: the next one decides."""
        try:
            yield
        except (NotAFile, SizeMismatch, TooLarge) as error:
            error.transient = self.file.measured
            raise

    @property
    def _name(self) -> str:
        return self.file.name.rpartition("/")[2]

    def _existing(self) -> int | None:
        """Return the size of the file when an earlier attempt has finished it, else None."""
        descriptor = self.folder.open(self._name, os.O_RDONLY)
        if descriptor is None:
            return None
        try:
            status = os.fstat(descriptor)
            if self.file.size not in {None, status.st_size}:
                return None
            if self.file.sha256:
                same = parts.file_hash(descriptor, self.context.check) == self.file.sha256
            else:
                same = self._unchanged(
                    parts.read_record(self.folder, self._name, status.st_ino), status.st_size
                )
            return status.st_size if same else None
        finally:
            os.close(descriptor)

    def _unchanged(self, record: Record | None, size: int) -> bool:
        """Whether the server still has the version that is on the disk."""
        if record is None or record.source != parts.source_of(self.file.url) or record.size != size:
            return False
        try:
            with self.client.get(self.file.url, {"If-None-Match": record.etag}) as answer:
                return answer.status == _NOT_MODIFIED
        except DownloadError:
            return False  # the plain request that follows has the last word

    def _fill(self, part: Part) -> None:
        """Download the whole file into the part and verify it."""
        if self.file.sha256:
            part.hash(self.context.check)
        if self._persistently(part, self._resume) and self._fault(part) is None:
            return
        # Nothing could be resumed, or the pieces do not fit together: start over.
        fault = self._start_over(part, self._start)
        if fault is not None and part.decoded and self.file.sha256:
            # The label may have been wrong, and the compressed file itself the course's.
            fault = self._start_over(part, self._start_raw)
        if fault is not None:
            part.restart()
            raise fault

    def _start_over(self, part: Part, step: Callable[[Part], bool]) -> BadAnswer | None:
        """Download the whole file; return what is wrong with it, or None."""
        if not any(self._persistently(part, step) for _ in range(_STARTS)):
            raise ConnectionBroken(
                f"the connection broke, and {self.file.name!r} cannot be resumed: it has changed on the server, "
                f"or the server sends no parts of it"
            )
        fault = self._fault(part)
        if fault is not None and part.pieced:
            # The connection broke again, and the rest did not fit: only what comes in one piece is final.
            step(part)
            fault = self._fault(part)
        return fault

    def _persistently(self, part: Part, step: Callable[[Part], bool]) -> bool:
        """Run a step; after a broken connection resume, as long as each connection delivers enough bytes."""
        for _ in range(RECONNECTS):
            written = part.written
            try:
                return step(part)
            except ConnectionBroken:
                if part.written - written < _WORTHWHILE or self._resumable(part) is None:
                    raise
                step = self._resume
        return step(part)

    def _resume(self, part: Part) -> bool:
        """Fetch what is missing of a part; return False when the download has to start over."""
        for _ in range(_RANGE_TRIES):
            record = self._resumable(part)
            if record is None or part.size == record.size:
                return record is not None
            written = part.written
            try:
                return self._fetch_rest(part, record)
            except ConnectionBroken:
                if part.written:  # this attempt got bytes, so the network is to blame: the part is kept
                    raise
            except DownloadError as error:
                if _ends_attempt(error, part, record, silent=part.written == written):
                    raise
                return False
        return False

    def _fetch_rest(self, part: Part, record: Record) -> bool:
        wanted = {"Range": f"bytes={part.size}-", "If-Range": record.etag}
        with self.client.get(self.file.url, wanted) as answer:
            if _continues(answer, record, part.size):
                part.resume(record)
                self._receive(answer, part, record.size)
                return True
            acceptance.check_status(answer)
            # A response of another length may be the rest only, of whatever version.
            whole = acceptance.is_whole(answer) and not answer.header("Content-Range")
            return whole and answer.length == record.size and self._take(answer, part)

    def _resumable(self, part: Part) -> Record | None:
        """Return the part's record, if the part may be resumed."""
        record = part.record()
        if record is None or not 0 < part.size <= record.size or self.file.size not in {None, record.size}:
            return None
        same = record.source == parts.source_of(self.file.url) and record.boot == parts.boot_id() != ""
        return record if same or self.file.sha256 else None

    def _start(self, part: Part, *, raw: bool = False) -> bool:
        """Fetch the whole file. What the part has is kept until the server begins to send the file."""
        with self.client.get(self.file.url) as answer:
            return self._take(answer, part, raw=raw)

    def _start_raw(self, part: Part) -> bool:
        """Fetch the whole file as it is, although its label says that it is compressed."""
        return self._start(part, raw=True)

    def _take(self, answer: Answer, part: Part, *, raw: bool = False) -> bool:
        """Write the whole file from a response to a request for it."""
        limit = self.context.settings.download.max_bytes
        body = acceptance.accept(answer, self.file, limit, raw=raw)
        part.restart()
        part.decoded = body.decoded
        etag = answer.header("ETag")
        if body.length is not None and _STRONG_ETAG.match(etag):
            part.note(self.file.url, etag, body.length)
        self._receive(body, part, body.length)
        return True

    def _receive(self, answer: Body, part: Part, size: int | None) -> None:
        self._require_room(part, size)
        self.meter.begin(self.index, self.file.name, size=size, have=part.size)
        limit = self.context.settings.download.max_bytes
        buffer = memoryview(bytearray(CHUNK))
        while count := answer.readinto(buffer):
            self.context.check()
            part.write(buffer[:count])
            self.meter.advance(count)
            if part.size > limit:
                part.restart()
                raise TooLarge(f"{answer.url.shown} is larger than download.max_bytes ({limit})")
        if not answer.delimited and part.size < (self.file.size or 0):
            raise ConnectionBroken(
                f"the connection ended after {part.size} of {self.file.size} bytes: {answer.url.shown}"
            )

    def _require_room(self, part: Part, size: int | None) -> None:
        missing = (size or 0) - part.size
        free = self.folder.free_bytes()
        if missing + self.reserve > free:
            part.restart()
            raise DiskFull(
                f"not enough disk space for {self.file.name!r}: "
                f"{missing} bytes and a reserve of {self.reserve} are needed, {free} are free"
            )

    def _fault(self, part: Part) -> BadAnswer | None:
        """Return what is wrong with a completely downloaded file, or None."""
        name = self.file.name
        wrong_size = self.file.size not in {None, part.size}
        wrong_sum = part.sha256 != self.file.sha256
        if wrong_size or wrong_sum or not self.file.sha256:
            what = evidence.mismatch(name, "", part.head(HEAD))
            if what is not None:
                return acceptance.not_a_file(repr(name), what)
        if wrong_size:
            return SizeMismatch(f"{name!r} has {part.size} bytes instead of {self.file.size}")
        if wrong_sum:
            return ChecksumMismatch(f"{name!r} has the SHA-256 {part.sha256} instead of {self.file.sha256}")
        return None


def _ends_attempt(error: DownloadError, part: Part, record: Record, *, silent: bool) -> bool:
    """Whether an error ends the attempt. Others are about the request for the rest only.

    Args:
        error: What came of the request for the rest.
        part: The part.
        record: Its record.
        silent: Whether no byte of the file has come.
    """
    if isinstance(error, (DiskFull, NotPermitted, HostUnreachable)):
        return True
    if isinstance(error, StatusRefused):
        passing = bool(error.transient) and error.status != _SERVER_ERROR
    else:
        passing = isinstance(error, TooSlow)
    if passing and silent and part.size:
        part.count_refusals(record, record.refusals + 1)
        return record.refusals + 1 < _MAX_REFUSALS
    return passing


def _continues(answer: Answer, record: Record, offset: int) -> bool:
    """Whether a partial response is the rest of the same version of the file."""
    return (
        answer.status == _PARTIAL
        and acceptance.content_range(answer) == (offset, record.size - 1, record.size)
        and answer.header("ETag") == record.etag
        and answer.length == record.size - offset
    )
