"""A process that has imported the relay, and forks it: a start of Python with these imports takes 0.8 s of CPU time.

The forked process goes on as the program does, from ``orderctl.cli.main.main`` on, with arguments, an environment
and a stderr of its own, and it ends as Python ends. Tests of the program's start run the installed one.
"""

import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
#: Imported ahead, the packages with all their modules. RQ is not: it reads redis.prefix when it is imported.
PACKAGES = ("orderctl.relay",)
MODULES = (
    "orderctl.cli.commands.relay",
    "pymysql",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.sqlite",
)
#: Longest message with the arguments and the environment, in bytes.
LONGEST = 100_000

_lock = threading.Lock()
_running: tuple[subprocess.Popen[bytes], socket.socket] | None = None


class Forked:
    """A forked program, with the parts of ``subprocess.Popen`` that the tests use.

    Args:
        status: Gives its process id in a line, and its exit code in another when it has ended.
        stderr: Gives what it writes to stderr.
    """

    def __init__(self, status: io.TextIOBase, stderr: io.TextIOBase) -> None:
        self._status = status
        self.stderr = stderr
        self.pid = int(status.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return the exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs after ``timeout`` seconds.
        """
        if self.returncode is None:
            if timeout is not None and not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("orderctl", timeout)
            with self._status:
                self.returncode = int(self._status.readline())
        return self.returncode

    def communicate(self) -> tuple[None, str]:
        """Wait for its end, and return what it wrote to stderr."""
        with self.stderr:
            said = self.stderr.read()
        self.wait()
        return None, said

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal unless it has ended."""
        if self.returncode is None and not select.select([self._status], [], [], 0)[0]:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self.send_signal(signal.SIGKILL)


def start(arguments: Sequence[str], environment: Mapping[str, str]) -> Forked:
    """Start ``orderctl`` with these arguments. The first call starts the process that forks it."""
    order = json.dumps({"arguments": list(arguments), "environment": dict(environment)}).encode()
    assert len(order) < LONGEST
    status, told = os.pipe()
    stderr, err = os.pipe()
    with _lock:
        socket.send_fds(_channel(), [order], [err, told])
    os.close(err)
    os.close(told)
    return Forked(os.fdopen(status), os.fdopen(stderr, encoding="utf-8"))


def close() -> None:
    """End the process that forks; what it has forked runs on."""
    global _running  # noqa: PLW0603 - one for this process, as that of Python's own forkserver
    if _running:
        process, channel = _running
        channel.close()
        process.wait()
        _running = None


def _channel() -> socket.socket:
    global _running  # noqa: PLW0603
    if _running is None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.prefork", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        _running = process, ours
    return _running[1]


def main(channel: socket.socket) -> None:
    """Fork a program for each message, until the other end is closed."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()  # a collection in a program would look at all of this again, and copy its pages
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nothing waits for the observers
    while True:
        message, files, _, _ = socket.recv_fds(channel, LONGEST, 2)
        if not message:
            break
        if os.fork() == 0:
            channel.close()
            if _observe(*files):
                _become(json.loads(message))
        for file in files:
            os.close(file)


def _observe(err: int, told: int) -> bool:
    """Fork the program, and write its process id and its exit code; return True in the program."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if (pid := os.fork()) == 0:
        os.dup2(err, 2)
        os.close(err)
        os.close(told)
        return True
    os.close(err)
    os.write(told, f"{pid}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.write(told, f"{code}\n".encode())
    os._exit(0)


def _become(order: Mapping[str, Any]) -> NoReturn:
    from orderctl.cli.main import main

    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    sys.argv = ["orderctl", *order["arguments"]]
    main()


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
