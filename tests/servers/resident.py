"""``orderctl`` for shell scripts of tests: a process that has imported the program forks it for each call.

A call takes some 30 ms instead of half a second. Its folder, its environment and its three standard streams are those of
the script. What does not end by itself, ``SERVICES``, is not run.
"""

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
PACKAGES = ("orderctl.cli", "orderctl.payments", "orderctl.migrate", "sqlalchemy.dialects.sqlite")
#: Commands that run until they are stopped.
SERVICES = (("worker", "start"), ("relay", "start"), ("tail",))
LONGEST = 100_000

CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
    channel.connect({place!r})
    order = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(channel, [order], [0, 1, 2])
    sys.exit(int(channel.recv(20) or 70))
"""


class Resident:
    """The process that forks the program.

    Args:
        folder: Gets the program ``orderctl``, by which scripts call it; its path is short.
    """

    def __init__(self, folder: Path) -> None:
        place = folder / "socket"
        self.program = folder / "orderctl"
        self.program.write_text(CLIENT.format(python=sys.executable, place=str(place)))
        self.program.chmod(0o755)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with listener:
            listener.bind(str(place))
            listener.listen(16)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.resident", str(listener.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
            )

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


def is_service(arguments: Sequence[str]) -> bool:
    """Whether a command runs until it is stopped."""
    return "--burst" not in arguments and any(tuple(arguments[: len(words)]) == words for words in SERVICES)


def main(listener: socket.socket) -> None:
    """Fork a program for each connection."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if ".dialects." not in module.name or module.name.endswith("pysqlite"):
                importlib.import_module(module.name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        channel, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _serve(channel)
        channel.close()


def _serve(channel: socket.socket) -> None:
    """Run the program in a further process, and send its exit code; returns only in that process."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(channel, LONGEST, 3)
    arguments, environ, folder = json.loads(message)
    pid = os.fork()
    if not pid:
        channel.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.environ.clear()
        os.environ.update(environ)
        os.chdir(folder)
        _become(arguments)
    for file in files:
        os.close(file)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    channel.send(str(code if code >= 0 else 128 - code).encode())
    os._exit(0)


def _become(arguments: Sequence[str]) -> NoReturn:
    from orderctl.cli.main import main as program

    time.tzset()
    # As Python makes them at its start: whether they are seekable or a terminal is theirs, not this process's.
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - until the process ends
        for number, mode in enumerate("rww")
    )
    sys.argv = ["orderctl", *arguments]
    if is_service(arguments):
        os._exit(0)
    program()
    raise AssertionError


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
