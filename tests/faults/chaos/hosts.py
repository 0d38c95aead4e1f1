"""The processes of orderctl during the run: started, killed, and started again."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.script import SCRIPT


class Host:
    """``orderctl``, or another program, with some arguments, as on a separate machine."""

    def __init__(
        self, environment: Mapping[str, str], log: Path, *arguments: str, program: Path = SCRIPT
    ) -> None:
        self._program = program
        self._environment = dict(environment)
        self._log = log
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs already."""
        if self.is_running:
            return
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [str(self._program), *self._arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, grace: float = 30) -> bool:
        """Stop it as an admin would; return False when it took too long and had to be killed."""
        if self._process is None:
            return True
        self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def children(self) -> list[int]:
        """Return its workers, keeper and courier."""
        return children(self.pid)

    def workers(self) -> list[int]:
        """Return the workers that have a work-horse."""
        return [pid for pid in self.children() if children(pid)]

    def horses(self) -> list[int]:
        return [horse for worker in self.workers() for horse in children(worker)]


def children(pid: int) -> list[int]:
    """Return the child processes; empty when the process does not exist."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def send(pid: int, number: signal.Signals) -> bool:
    """Send a signal; return False when the process does not exist."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False
