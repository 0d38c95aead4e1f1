"""The interface between a worker and a handler: all that a handler of the shop's own needs of orderctl."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from orderctl.downloads import names
from orderctl.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """One attempt at one task.

    Attributes:
        attempt: Number of the attempt, from 1.
        progress: ``progress(percent, current_file, speed)``, percent 0-100, speed in bytes/s or None while it
            is unknown. It is cheap, never raises and may be called at any rate.
        check: Raises (``LeaseLost``, for example) when the attempt must stop at once and write nothing more.
            The handler must call it at least once a second, and right before a file gets its final name.
    """

    task_id: int
    order_id: int
    order_code: str
    attempt: int
    title: str | None
    course_url: str
    settings: Settings
    progress: Callable[[float, str, float | None], None]
    check: Callable[[], None]

    @property
    def folder_name(self) -> str:
        """The task's folder, relative to the download directory."""
        return f"{names.reduce_name(self.order_code)}/{self.task_id}"

    @property
    def folder(self) -> Path:
        """The task's folder."""
        return self.settings.download_directory / self.folder_name

    @property
    def drive_link(self) -> str | None:
        """The customer's link to the folder, None without ``download.public_url``."""
        public_url = self.settings.download.public_url
        return f"{public_url}/{quote(self.folder_name)}/" if public_url else None


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to fetch.

    Attributes:
        name: Relative path in the task's folder, with ``/``. It is safe to use.
        size: In bytes, None when unknown.
        sha256: Lower-case hexadecimal, None when unknown.
        measured: Whether the size is what the file had at the enrollment, not what it must have. Where it has another
            one later, it has been replaced meanwhile, and the task is enrolled again.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    measured: bool = False


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What a course consists of.

    Attributes:
        title: The course's own title.
        total_bytes: None when the size of a file is unknown.
    """

    title: str
    files: tuple[RemoteFile, ...]

    @property
    def total_bytes(self) -> int | None:
        """The sum of the sizes, None when one of them is unknown."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where the downloaded files are.

    Attributes:
        folder_name: The folder, relative to the download directory.
        drive_link: The customer's link to them, if there is one.
    """

    folder_name: str
    drive_link: str | None


class Handler(Protocol):
    """Fetches the files of a course.

    A handler is a class, announced as an entry point of the group ``orderctl.handlers``. It is called without
    arguments.

    Any exception that it raises ends the attempt. The exception may have an ``error_type`` (one of
    :class:`orderctl.states.ErrorType`); otherwise the type is guessed from the exception's class and message.
    It may also have ``transient`` (whether it may pass by itself; None: by its type), ``retry_after`` (seconds
    after which the server asks to come again, or None) and ``hint`` (a line that says what to do).
    """

    def enroll(self, context: Context) -> Enrollment:
        """Find out what there is to download. It must not write anything."""
        ...

    def download(self, context: Context, enrollment: Enrollment) -> Delivery:
        """Fetch all files into ``context.folder``. It may use what an earlier attempt has left there."""
        ...
