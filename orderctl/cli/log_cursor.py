"""``--cursor-file``: how far runs of ``orderctl logs`` have come, for the next one."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orderctl.errors import InvalidInput

if TYPE_CHECKING:
    from orderctl.audit_frontier import Frontier
    from orderctl.cli.app import App

_VERSION: Final = 1
#: Ids below the highest one that runs of earlier versions read again.
_SPAN: Final = 1000
#: Digits of the longest id of an event.
_LONGEST_ID: Final = 19


class CursorFile:
    """The file of ``--cursor-file``, locked.

    Args:
        path: The file.
        number: The descriptor that holds the lock.
    """

    def __init__(self, path: Path, number: int) -> None:
        self.path = path
        self._number = number

    def read(self, app: App, *, overlap: bool = False) -> Frontier | None:
        """Return how far the runs before have come; None if this is the first one.

        Args:
            app: Has the database.
            overlap: Whether a run of an earlier version read the last ids again, so that a later one does.

        Raises:
            InvalidInput: The file contains something else.
        """
        with _refusing("read", self.path):
            text = self.path.read_text(encoding="utf-8", errors="replace").strip()
        if not text:
            return None
        found = _earlier(app, text, overlap=overlap) or _read(text)
        if found is None:
            raise InvalidInput(
                f"{self.path} does not contain ids of events",
                hint="remove it to begin with the newest events",
            )
        return found

    def write(self, frontier: Frontier) -> None:
        """Replace the content of the file, which stays locked and keeps its mode.

        Raises:
            InvalidInput: It cannot be written, such as on a full disk.
        """
        document = {
            "version": _VERSION,
            "read_to": frontier.read_to,
            "gaps": [list(gap) for gap in frontier.gaps],
            "marks": [list(mark) for mark in frontier.marks],
        }
        text = json.dumps(document, separators=(",", ":"))
        # Ctrl-C is delayed: what was shown is noted, and no file is left open or half written.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            with _refusing("write", self.path):
                number = self._replaced(f"{text}\n")
                self.close()
                self._number = number
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def _replaced(self, text: str) -> int:
        """Write beside the file, then rename: a crash leaves the old content or the new one. Return the new lock."""
        fresh = _beside(self.path)
        if fresh.is_symlink() or fresh.is_file():
            fresh.unlink()  # of a run that crashed
        number = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(number, stat.S_IMODE(os.fstat(self._number).st_mode))
            with open(number, "w", encoding="utf-8", closefd=False) as file:
                file.write(text)
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fresh.replace(self.path)
        except OSError:
            os.close(number)
            fresh.unlink(missing_ok=True)
            raise
        return number

    def close(self) -> None:
        """Let another run have the file."""
        os.close(self._number)


@contextmanager
def opened(app: App, path: Path) -> Iterator[CursorFile]:
    """Let one run at a time read the file, show events, and replace it; a second one waits.

    Raises:
        InvalidInput: It is not a file, or cannot be locked or replaced: each run would show the same again.
    """
    path = _resolved(path)
    waited = False
    while True:
        with _refusing("write", path):  # such as a folder that is no more
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        file = CursorFile(path, number)
        try:
            waited = _lock(app, path, number, waited=waited)
            if _is(path, number):
                yield file
                return
        finally:
            file.close()


@contextmanager
def _refusing(what: str, path: Path) -> Iterator[None]:
    """Say what cannot be done with the file: a name that is too long, links in a circle, no rights, a full disk.

    Raises:
        InvalidInput: There was an error.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: Path.resolve() of links in a circle
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"cannot {what} --cursor-file {path}: {reason}") from None


def _resolved(path: Path) -> Path:
    """Return the file to which links lead; refuse one that is something else, such as /dev/null: it would be replaced."""
    with _refusing("read", path):
        path = path.resolve()
    with _refusing("write", path):
        if path.exists() and not path.is_file():
            raise InvalidInput(f"--cursor-file {path} is not a regular file")
        if not path.parent.is_dir():
            raise InvalidInput(f"the folder of --cursor-file {path} does not exist")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise InvalidInput(f"cannot write to the folder of --cursor-file {path}")
        _require_room(_beside(path))
    return path


def _require_room(fresh: Path) -> None:
    """Refuse what stands where the new content is written; a file of a run that crashed is replaced.

    Raises:
        OSError: It is no file, or the name is too long.
    """
    try:
        mode = fresh.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise FileExistsError(errno.EEXIST, f"{fresh.name} beside it is not a regular file")


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _lock(app: App, path: Path, number: int, *, waited: bool) -> bool:
    """Lock the file, and return whether a run had to wait; it says so once."""
    with _refusing("lock", path):  # such as NFS without its lock service
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waited:
                app.say(f"waiting for another run with {path}")
            fcntl.flock(number, fcntl.LOCK_EX)
            return True
    return waited


def _is(path: Path, number: int) -> bool:
    """Whether the file that is open still has this name: the run before has replaced it."""
    with _refusing("read", path):
        try:
            return os.path.samestat(path.stat(), os.fstat(number))
        except FileNotFoundError:
            return False


def _earlier(app: App, text: str, *, overlap: bool) -> Frontier | None:
    """Return what a file of an earlier version says: the highest id that was read, and ids of errors that were shown."""
    from orderctl import audit_frontier

    words = text.split()
    if not all(word.isascii() and word.isdigit() and len(word) <= _LONGEST_ID for word in words):
        return None
    read_to = int(words[0])
    if overlap:
        return audit_frontier.all_but(read_to, map(int, words), _SPAN)
    with app.reading() as connection:
        return audit_frontier.begin(connection, read_to, _SPAN)


def _read(text: str) -> Frontier | None:
    from orderctl.audit_frontier import Frontier
    from orderctl.audit_gaps import Gap
    from orderctl.audit_marks import Mark

    try:
        document = json.loads(text)
        if document["version"] != _VERSION:
            return None
        gaps = tuple(Gap(*map(_whole, gap)) for gap in document["gaps"])
        marks = tuple(Mark(_whole(number), str(written)) for number, written in document.get("marks", ()))
        return Frontier(_whole(document["read_to"]), gaps, marks=marks)
    except (AttributeError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 10**_LONGEST_ID:
        raise ValueError(value)
    return value
