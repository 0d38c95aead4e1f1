"""A process that has imported everything and forks the roles of ``play.py``: a start of Python takes 0.6 s.

For each role it reads a line of JSON and answers with one: how the role ended, and what it wrote to stderr.
"""

import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
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
        json.dump({"role": role, "argument": argument, "environment": environment}, self._process.stdin)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess(role, told["code"], stderr=told["stderr"])


def main() -> None:
    """Fork a role for each line."""
    from orderctl import doorbell

    doorbell.load_rq(sys.argv[1])
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # a collection in a role would look at all of this again, and copy its pages

    for line in sys.stdin:
        order = json.loads(line)
        with tempfile.TemporaryFile() as err:
            pid = os.fork()
            if pid == 0:
                _play(order, err.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            err.seek(0)
            sys.stdout.write(json.dumps({"code": code, "stderr": err.read().decode()}) + "\n")
            sys.stdout.flush()


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
