"""A private server process, which a test can start, stop, kill, pause and bring back."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from tests.servers.reaper import Reaper

LEASH = Path(__file__).with_name("leash.py")

#: Below the kernel's ephemeral ports, so that no outgoing connection uses the port of a stopped server.
PORTS = range(12000, 32000)

#: A leash belongs to the *thread* that started the process; this one lasts as long as the tests.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="server-starter")


class ServerError(Exception):
    """A server did not start; the text has the end of its log."""


#: The reaper, which ends every process that this process started, after this process has ended.
_reapers: list[Reaper] = []


def begin(*places: Path) -> Reaper:
    """Start a reaper for this process, before anything else; otherwise the first folder starts one.

    Args:
        places: Folders besides that of ``short_folder``; a process working in one of them belongs to the tests.
    """
    place = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="oc-", dir=place if len(place) < 40 else "/tmp"))
    _reapers.append(Reaper(folder.resolve(), *(place.resolve() for place in places)))
    return _reapers[-1]


def short_folder() -> Path:
    """Create a temporary folder whose path is short enough for a unix socket (104 characters in total)."""
    folder = (_reapers[-1] if _reapers else begin()).folder
    return Path(tempfile.mkdtemp(prefix="", dir=folder))


def free_port() -> int:
    """Find a TCP port of 127.0.0.1 that is not in use."""
    for port in random.sample(PORTS, 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError("no free port")


class Server(ABC):
    """A server with a folder, a port and a process of its own.

    The folder and the port stay the same from start to start; ``close`` removes the folder.
    """

    #: How long a start may take, in seconds.
    patience = 120.0

    def __init__(self) -> None:
        self.folder = short_folder()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program, by its absolute path, and its arguments."""

    @abstractmethod
    def ping(self) -> None:
        """Ask the server over its unix socket, which no other server has; raise what its client raises."""

    @property
    def socket_path(self) -> Path:
        """The unix socket."""
        return self.folder / "s"

    @property
    def log_path(self) -> Path:
        """The stdout and stderr of the server, of all its starts."""
        return self.folder / "log"

    @property
    def pid(self) -> int | None:
        """Process id, or None when it is not running. A paused server is running."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> Self:
        """Start the server and wait until it answers; do nothing if it is running.

        Raises:
            ServerError: It ended, or did not answer in time.
        """
        if self.pid is None:
            self.socket_path.unlink(missing_ok=True)
            self._process = _starter.submit(self._spawn).result()
            self._await()
        return self

    def stop(self, grace: float = 60.0) -> None:
        """Stop the server as an admin would; kill it after ``grace`` seconds."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server at once, as a crash would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Stop the server's process (SIGSTOP): its port accepts connections and never answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server continue."""
        self._signal(signal.SIGCONT)

    def restart(self) -> Self:
        """Stop the server and start it on the same data and port."""
        self.stop()
        return self.start()

    def revive(self) -> Self:
        """Bring back a server that a test paused, stopped or killed."""
        self.resume()
        return self.start()

    def close(self) -> None:
        """Kill the server and remove its folder; no data of it is kept."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _spawn(self) -> subprocess.Popen[bytes]:
        leash = [sys.executable, "-ISs", str(LEASH), str(os.getpid())]
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [*leash, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def _await(self) -> None:
        deadline = time.monotonic() + self.patience
        while True:
            try:
                self._knock()
                return self.ping()
            except Exception as error:  # each client raises other exceptions
                if self.pid is None or time.monotonic() > deadline:
                    self.kill()
                    raise ServerError(f"{type(self).__name__}: {error}\n{self._end_of_log()}") from error
                time.sleep(0.02)

    def _knock(self) -> None:
        """Connect, and nothing more: PyMySQL leaks its socket if the port is closed."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.socket_path))

    def _end_of_log(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-15:])
