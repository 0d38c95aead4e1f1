"""A process that has imported everything and forks the roles of ``play.py``: a start of Python takes 0.6 s.

For each role it reads a line of JSON and answers with one: how the role ended, and what it wrote to stderr.
"""

import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

ROOT = Path(__file__).parents[2]
#: Imported ahead: the roles, and what they import when they need it.
IMPORTED = (
    "rq.worker",
    "orderctl.downloads.http",
    "orderctl.logins",
    "pymysql",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.sqlite",
    "platformdirs.unix",
    "encodings.idna",
    "encodings.ascii",
    "tests.faults.play",
    "orderctl.cli.commands.outbox",
    "orderctl.cli.commands.reconcile",
    "orderctl.cli.commands.tasks",
    "orderctl.cli.locks",
    "orderctl.cli.bulk",
)


class Stage:
    """The client of that process.

    Args:
        prefix: The setting ``redis.prefix`` of all roles: RQ reads it when it is imported.
    """

    def __init__(self, prefix: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.faults.stage", prefix],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def play(self, role: str, argument: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a role to its end, or until it is killed."""
        told = self._ask({"role": role, "argument": argument, "environment": environment, "until": None})
        return subprocess.CompletedProcess(role, told["code"], stderr=told["stderr"])

    @contextmanager
    def playing(
        self, role: str, argument: str, environment: dict[str, str], until: str
    ) -> Iterator[subprocess.CompletedProcess[str]]:
        """Run a role until it has written ``until`` to stderr, or has ended; kill it at the end of the block."""
        order = {"role": role, "argument": argument, "environment": environment, "until": until}
        told = self._ask(order)
        try:
            yield subprocess.CompletedProcess(role, told["code"], stderr=told["stderr"])
        finally:
            self._ask({"kill": told["pid"]})

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        json.dump(order, self._process.stdin)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told


def main() -> None:
    """Fork a role for each line."""
    from orderctl import doorbell

    doorbell.load_rq(sys.argv[1])
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # a collection in a role would look at all of this again, and copy its pages

    running: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        told = _kill(order["kill"], running) if "kill" in order else _start(order, running)
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def _start(order: dict[str, Any], running: set[int]) -> dict[str, Any]:
    """Fork a role, and wait until it has ended or has written what is waited for; then it is left running."""
    with tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _play(order, err.fileno())
        if order["until"] is None:
            code: int | None = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        else:
            code = _await(pid, err.fileno(), order["until"].encode())
        if code is None:
            running.add(pid)
        said = os.pread(err.fileno(), os.fstat(err.fileno()).st_size, 0)
        return {"pid": pid, "code": code, "stderr": said.decode()}


def _await(pid: int, err: int, text: bytes) -> int | None:
    """Return the role's exit code, or None when it has written the text."""
    while text not in os.pread(err, os.fstat(err).st_size, 0):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    return None


def _kill(pid: int, running: set[int]) -> dict[str, Any]:
    if pid in running:
        running.remove(pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return {}


def _play(order: dict[str, Any], err: int) -> NoReturn:
    from tests.faults import play

    code = 1
    try:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(err, 2)
        os.environ.clear()
        os.environ.update(order["environment"])
        play.main(order["role"], order["argument"])
        code = 0
    except BaseException:  # noqa: BLE001 - nothing of a role may run on in the stage's code
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
