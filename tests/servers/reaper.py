"""End every process that the tests left running, however the tests ended.

    reaper.py PID MARK FOLDER [PLACE...]

This program has a session of its own, so a signal to the tests, their group or their session does not reach it. It
waits until process PID has ended. Then it kills what that process started, and removes FOLDER. It finds what was
started by the mark in its environment, by its working folder (for daemons that start with an empty environment) and
by its parents.
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

#: The variable that every process of the tests inherits. It is not a setting, so no test removes it.
MARK = "TESTED_BY"

#: How long a killed process, or one that is about to end, may take to end, in seconds.
PATIENCE = 60.0
GRACE = 5.0


class Reaper:
    """A reaper for this process.

    Args:
        folder: Removed at the end.
        places: Further folders; a process working in one of them belongs to the tests.
    """

    def __init__(self, folder: Path, *places: Path) -> None:
        self.folder = folder
        self.places = [folder, *places]
        outer = os.environ.get(MARK)  # for tests that run pytest
        self.mark = f"{outer}/" if outer else ""
        self.mark += f"{os.getpid()}-{secrets.token_hex(8)}"
        command = [sys.executable, "-ISs", __file__, str(os.getpid()), self.mark, *map(str, self.places)]
        null = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        self._pid = os.posix_spawn(command[0], command, os.environ, file_actions=null, setsid=True)
        os.environ[MARK] = self.mark

    def close(self) -> list[str]:
        """End every process that is left, while this process continues.

        Returns:
            The command lines of what was still running after a moment's grace.
        """
        search = partial(find, self.mark, self.places)
        deadline = time.monotonic() + GRACE
        while (left := search() - {self._pid}) and time.monotonic() < deadline:
            time.sleep(0.05)
        lines = [f"{pid}: {_command_line(pid)}" for pid in left]
        if os.waitpid(self._pid, os.WNOHANG) != (0, 0):
            lines.append("the reaper itself has ended")
        else:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        kill(search)
        _clear(self.places, self.folder)
        del os.environ[MARK]
        return lines


def find(mark: str, places: Sequence[Path]) -> set[int]:
    """Find the processes with a mark or with a working folder in these folders, and their descendants."""
    return _with_descendants(lambda pid: _carries(pid, mark) or _works_in(pid, places))


def find_in(place: Path) -> set[int]:
    """Find the processes with this working folder, and their descendants."""
    # Every test asks, and mostly there is none. To find descendants, every process has to be read.
    numbers = filter(str.isdecimal, os.listdir("/proc"))  # noqa: PTH208 - pathlib takes five times as long
    if not any(_works_in(int(number), [place]) for number in numbers):
        return set()
    return _with_descendants(lambda pid: _works_in(pid, [place]))


def is_running(pid: int) -> bool:
    """Return whether a process runs; a zombie, whose parent has not waited for it yet, has ended."""
    try:
        return _status(str(pid))[_STATE] != "Z"
    except OSError:
        return False


def kill(search: Callable[[], set[int]]) -> None:
    """Kill what a search finds, until it finds nothing."""
    deadline = time.monotonic() + PATIENCE
    while (found := search()) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _with_descendants(is_ours: Callable[[int], bool]) -> set[int]:
    parents = dict(_processes())
    found = {pid for pid in parents if is_ours(pid)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def _processes() -> Iterator[tuple[int, int]]:
    """Return all processes younger than this one, except zombies: their ids and their parents' ids."""
    born = _status("self")[_BORN]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = _status(process.name)
            if status[_STATE] != "Z" and int(status[_BORN]) >= int(born):
                yield int(process.name), int(status[_PARENT])


#: Positions in /proc/PID/stat (proc(5)), counted after the name.
_STATE, _PARENT, _BORN = 0, 1, 19


def _status(pid: str) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _carries(pid: int, mark: str) -> bool:
    """Return whether a process was started with this mark, or with a mark of tests that ran inside."""
    with contextlib.suppress(OSError):
        for word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = word.decode(errors="replace").partition("=")
            if name == MARK:
                return value == mark or value.startswith(f"{mark}/")
    return False


def _works_in(pid: int, places: Sequence[Path]) -> bool:
    """Return whether a process works in one of these folders (of this container)."""
    with contextlib.suppress(OSError):
        folder = os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)") + "/"  # noqa: PTH115 - as above
        if any(folder.startswith(f"{place}/") for place in places):
            return Path(f"/proc/{pid}/ns/mnt").readlink() == Path("/proc/self/ns/mnt").readlink()
    return False


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return "(gone)"


def _clear(places: Sequence[Path], folder: Path) -> None:
    """Unmount everything in these folders, and remove the folder."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        mounted = Path(line.split()[1].encode().decode("unicode_escape"))
        if any(mounted.is_relative_to(place) for place in places):
            subprocess.run(["umount", "--lazy", str(mounted)], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _wait(pid: int) -> None:
    """Wait for the end of a process that is not a child of this one."""
    try:
        waiting = select.poll()
        waiting.register(os.pidfd_open(pid), select.POLLIN)
        waiting.poll()
    except ProcessLookupError:
        return
    except OSError:  # not allowed in every container
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.2)


def main(pid: int, mark: str, places: Sequence[Path]) -> None:
    """Wait for the end of ``pid``, then end what it left."""
    os.chdir("/")
    _wait(pid)
    kill(partial(find, mark, places))
    _clear(places, places[0])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], [Path(place) for place in sys.argv[3:]])
