"""Ends what a process of the tests has left running, however that process came to its end.

    reaper.py PID MARK FOLDER [PLACE...]

A program in a session of its own: what kills the tests, their group or their session leaves it alone. It waits for
the end of process PID, kills what is left of it and removes FOLDER. Left of it is whatever carries its mark in the
environment, works in one of these folders (a daemon of ours starts with an empty environment), or descends from such.
"""

import contextlib
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

#: The variable that everything inherits which the tests start; no setting, so no test takes it away.
MARK = "TESTED_BY"

#: How long what was killed may take to be gone, in seconds.
PATIENCE = 10.0


class Reaper:
    """A reaper for this process.

    Args:
        folder: Removed in the end.
        places: Further folders in which whatever works is ours.
    """

    def __init__(self, folder: Path, *places: Path) -> None:
        self.folder = folder
        self.places = [folder, *places]
        self.mark = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._process = subprocess.Popen(
            [sys.executable, "-ISs", __file__, str(os.getpid()), self.mark, *map(str, self.places)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        os.environ[MARK] = self.mark

    def close(self) -> list[str]:
        """End it with all that it is for, while this process goes on.

        Returns:
            The command lines of what was still running.
        """
        left = find(self.mark, self.places)
        lines = [f"{pid}: {_command_line(pid)}" for pid in left]
        self._process.kill()
        self._process.wait()
        kill(partial(find, self.mark, self.places))
        shutil.rmtree(self.folder, ignore_errors=True)
        del os.environ[MARK]
        return lines


def find(mark: str, places: Sequence[Path]) -> set[int]:
    """Find what runs under a mark or works in one of these folders, and what descends from it."""
    return _with_descendants(lambda pid: _carries(pid, mark) or _works_in(pid, places))


def find_in(place: Path) -> set[int]:
    """Find what works in a folder, and what descends from it."""
    return _with_descendants(lambda pid: _works_in(pid, [place]))


def kill(search: Callable[[], set[int]]) -> None:
    """Kill what a search finds, until it finds nothing more."""
    deadline = time.monotonic() + PATIENCE
    while (found := search()) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _with_descendants(is_ours: Callable[[int], bool]) -> set[int]:
    parents = dict(_processes())
    found = {pid for pid in parents if is_ours(pid)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def _processes() -> Iterator[tuple[int, int]]:
    """All processes but zombies: their ids and their parents'."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(process.name), int(parent)


def _carries(pid: int, mark: str) -> bool:
    with contextlib.suppress(OSError):
        return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _works_in(pid: int, places: Sequence[Path]) -> bool:
    with contextlib.suppress(OSError):
        folder = Path(str(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(" (deleted)"))
        return any(folder.is_relative_to(place) for place in places)
    return False


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return "(gone)"


def main(pid: int, mark: str, places: Sequence[Path]) -> None:
    """Wait for the end of ``pid``, then end what is left of it."""
    with contextlib.suppress(ProcessLookupError):
        waiting = select.poll()
        waiting.register(os.pidfd_open(pid), select.POLLIN)
        waiting.poll()
    kill(partial(find, mark, places))
    shutil.rmtree(places[0], ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], [Path(place) for place in sys.argv[3:]])
