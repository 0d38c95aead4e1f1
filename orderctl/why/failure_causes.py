"""What a failed attempt failed with, whether another one can succeed now, and if not, who can repair what.

:data:`CAUSES` has a function for each error type. It looks at the text of the error, which says more, at the settings
and at the disk as they are now.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from orderctl import clock, counting
from orderctl.downloads.fetch import RESERVE
from orderctl.settings import Settings
from orderctl.states import ErrorType
from orderctl.why import expiry

_STATUS: Final = re.compile(r"\bHTTP (\d{3})\b", re.ASCII)
_NEEDED: Final = re.compile(r"(\d+) bytes and a reserve of (\d+) are needed", re.ASCII)
_SIZE: Final = re.compile(r"has (\d+) bytes, more than", re.ASCII)
_GONE: Final = "410"
#: Statuses with which a server asks to come later.
_LATER: Final = frozenset({"202", "408", "423", "425", "429"})


@dataclass(frozen=True, slots=True)
class Failed:
    """A failed attempt of a task: what it failed with.

    Attributes:
        error_type: Of the failure.
        text: The error as the task's row has it, without secrets.
        url: The address of the course as it is, with its secrets; it is not shown.
        now: The database's time.
    """

    error_type: ErrorType
    text: str
    url: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """The cause of a failure.

    Attributes:
        cause: A stable word for programs.
        text: The same for people.
        first: What has to be done before another attempt can succeed, and by whom; None: nothing, or it is done.
        facts: What was measured now.
        address: Whether the shop then has to write another address of the course into its table.
    """

    cause: str
    text: str
    first: str | None = None
    facts: tuple[str, ...] = ()
    address: bool = False


def of(failed: Failed, settings: Settings) -> Trouble:
    """Return the cause of a failure.

    Args:
        failed: The failed attempt.
        settings: As they are now, on this machine.
    """
    return CAUSES[failed.error_type](failed, settings)


def first_of(trouble: Trouble, task_ids: Sequence[int]) -> str:
    """Return what has to be done first for tasks with this trouble.

    Args:
        trouble: The trouble; something has to be done first.
        task_ids: The tasks, at least one.
    """
    if not trouble.address:
        return trouble.first or ""
    which = task_ids[0] if len(task_ids) == 1 else "ID"
    statement = f"UPDATE download_tasks SET course_url = 'THE NEW ADDRESS' WHERE id = {which}"  # noqa: S608 - shown
    return f"{trouble.first}. The address stands in the shop's table, which orderctl does not change: {statement}"


def _status(failed: Failed) -> str:
    found = _STATUS.search(failed.text)
    return found[1] if found else ""


def _not_found(failed: Failed, settings: Settings) -> Trouble:
    if (expired := _expired(failed, settings)) is not None:
        return expired
    number = _status(failed)
    cause, text = (
        ("gone", "the course is gone") if number == _GONE else ("not-found", "the course is not there")
    )
    said = f" (HTTP {number})" if number else ""
    return Trouble(cause, f"{text}{said}", "the course's address leads nowhere", address=True)


def _expired(failed: Failed, _: Settings) -> Trouble | None:
    until = expiry.of(failed.url)
    if until is None:
        return None
    shown = clock.second(until)
    if until > failed.now:
        return Trouble(
            "link-renewed", f"the access was refused; the link that stands there now is valid until {shown}"
        )
    new = "the course's owner has to make a new link"
    facts = (f"valid until {shown}",)
    return Trouble("link-expired", f"the signed link has expired at {shown}", new, facts, address=True)


def _authentication(failed: Failed, settings: Settings) -> Trouble:
    number = _status(failed)
    if number == "407":
        return Trouble(
            "proxy-login", "a proxy on the way wants a login (HTTP 407)", "give the workers a way without it"
        )
    if (expired := _expired(failed, settings)) is not None:
        return expired
    words = {"401": "wants a login (HTTP 401)", "403": "denies the access (HTTP 403)"}
    text = f"the course's server {words.get(number, 'denies the access')}"
    needs = "the course's server has to let the workers in: by a link with a signature or a password, or by their address"
    return Trouble("access-denied", text, needs, address=True)


def _refused(failed: Failed, settings: Settings) -> Trouble:
    if "is not public" in failed.text:
        return _private(settings)
    if "certificate" in failed.text:
        needs = "the admin of the course's server has to renew or correct its certificate"
        return Trouble("certificate", "the certificate of the course's server is not valid", needs)
    if "https to http" in failed.text:
        needs = "the address redirects to one without TLS, which is not followed"
        return Trouble(
            "redirect-refused", "the course's server redirects from https to http", needs, address=True
        )
    return Trouble(
        "url-refused",
        "the course's address is not one to download from",
        "it has to be an http or https URL",
        address=True,
    )


def _private(settings: Settings) -> Trouble:
    text = "the course's server has a private address"
    if settings.download.allow_private_hosts:
        return Trouble("private-address", f"{text}, which is allowed now (download.allow_private_hosts)")
    allow = (
        "do nothing if you do not know that server: the address may be an attack; if it is yours, set"
        " download.allow_private_hosts = true and start the workers again"
    )
    return Trouble("private-address", text, allow, ("download.allow_private_hosts is false",))


def _disk(failed: Failed, settings: Settings) -> Trouble:
    folder = settings.download_directory
    found = _NEEDED.search(failed.text)
    needed = int(found[1]) + int(found[2]) if found else RESERVE
    free = free_bytes(folder)
    if free is None:
        look = f"make room in {folder} on the worker's machine"
        return Trouble("disk-full", "the disk was full", look, (f"{folder}: cannot be measured here",))
    fact = f"{folder}: {counting.size(free)} free on this machine, {counting.size(needed)} needed"
    if free >= needed:
        return Trouble("disk-full", "the disk was full, and there is room again", None, (fact,))
    return Trouble("disk-full", "the disk is full", f"make room in {folder}", (fact,))


def free_bytes(folder: Path) -> int | None:
    """Return how much is free now where a folder is, or will be; None if that cannot be asked, as another user.

    Args:
        folder: It may not exist yet.
    """
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def _permission(failed: Failed, settings: Settings) -> Trouble:
    if "another process is downloading" in failed.text:
        return Trouble("file-busy", "another process was downloading the same file")
    if "link" in failed.text:
        remove = "remove what is named there, or move it away: no course is written through a link"
        return Trouble("link-in-folder", "a link or another kind of file is in the place of a file", remove)
    folder = settings.download_directory
    fact = f"{folder}: {_rights(folder)}"
    allow = f"let the workers' user write into {folder}: chown -R USER {folder}"
    return Trouble("permission", "the workers may not write the files", allow, (fact,))


def _rights(folder: Path) -> str:
    try:
        found = folder.stat()
    except OSError as error:
        return error.strerror or str(error)
    may = "may" if os.access(folder, os.W_OK | os.X_OK) else "may not"
    return f"mode {found.st_mode & 0o7777:o}, owner {found.st_uid}; user {os.getuid()} {may} write"


def _too_large(failed: Failed, settings: Settings) -> Trouble:
    found, most = _SIZE.search(failed.text), settings.download.max_bytes
    limits = re.findall(r"\d+", failed.text)
    size = int(found[1]) if found else max(map(int, limits), default=most) + 1
    fact = f"download.max_bytes is {most}"
    if size <= most:
        return Trouble("too-large", "the file was larger than allowed, and is allowed now", None, (fact,))
    needs = "set download.max_bytes to more than the file has, and start the workers again"
    return Trouble("too-large", "the file is larger than download.max_bytes", needs, (fact,))


def _not_a_file(failed: Failed, settings: Settings) -> Trouble:
    if (expired := _expired(failed, settings)) is not None and expired.first is not None:
        return expired
    needs = (
        "open the address in a browser: a page that wants a login needs another link; a course that is a page or a"
        " stream needs a handler of the shop's own (worker.handler, docs/extending.md)"
    )
    return Trouble("not-a-file", "the course's server sent a page or a playlist instead of a file", needs)


def _checksum(_: Failed, __: Settings) -> Trouble:
    return Trouble("damaged", "the file came damaged: not with the size or the checksum that were announced")


def _network(failed: Failed, settings: Settings) -> Trouble:
    number = _status(failed)
    if number:
        words = "asks for patience" if number in _LATER else "has a fault"
        return Trouble("server-fault", f"the course's server {words} (HTTP {number})")
    if "certificate" in failed.text:
        return _refused(failed, settings)
    if "cannot resolve" in failed.text:
        return Trouble("dns", "the name of the course's server has no address")
    if "cannot connect" in failed.text:
        return Trouble("unreachable", "the course's server accepts no connection")
    return Trouble("connection-broken", "the connection to the course's server broke")


def _timeout(failed: Failed, _: Settings) -> Trouble:
    if "slower than" in failed.text:
        return Trouble("too-slow", "the course's server is slower than download.min_bytes_per_second")
    return Trouble("timeout", "the course's server did not answer in time")


def _lost(_: Failed, __: Settings) -> Trouble:
    return Trouble(
        "worker-died",
        "its worker died with it in each attempt: the kernel may have killed it for want of memory, or the course"
        " makes the handler crash",
    )


def _unknown(failed: Failed, settings: Settings) -> Trouble:
    number = _status(failed)
    if (expired := _expired(failed, settings)) is not None and number:
        return expired
    if number:
        needs = "the course's server does not take this request"
        return Trouble(
            "server-refuses", f"the course's server answers with HTTP {number}", needs, address=True
        )
    if "manifest" in failed.text:
        needs = "who has made the manifest has to correct it"
        return Trouble("manifest", "the manifest of the course is not valid", needs)
    if "malformed" in failed.text or "not valid HTTP" in failed.text:
        return Trouble("bad-answer", "the course's server gives an answer that is not valid")
    return Trouble("unknown", "the handler failed with an error of its own")


CAUSES: Final[Mapping[ErrorType, Callable[[Failed, Settings], Trouble]]] = {
    ErrorType.DISK_SPACE: _disk,
    ErrorType.AUTHENTICATION: _authentication,
    ErrorType.TIMEOUT: _timeout,
    ErrorType.NETWORK: _network,
    ErrorType.PERMISSION: _permission,
    ErrorType.WORKER_LOST: _lost,
    ErrorType.NOT_FOUND: _not_found,
    ErrorType.REFUSED: _refused,
    ErrorType.NOT_A_FILE: _not_a_file,
    ErrorType.CHECKSUM: _checksum,
    ErrorType.TOO_LARGE: _too_large,
    ErrorType.UNKNOWN: _unknown,
}
