"""A child process says why it ends."""

import errno
import os
import signal
from collections.abc import Callable
from typing import NoReturn

import pytest

from orderctl.errors import Misconfigured
from orderctl.worker.child import Child, ChildFailed, End
from tests.waiting import eventually


def raising(error: BaseException) -> Callable[[str], NoReturn]:
    def run(_name: str) -> NoReturn:
        raise error

    return run


@pytest.mark.parametrize(
    ("run", "status", "reason"),
    [
        (lambda _: None, 0, "without an error"),
        (raising(SystemExit(1)), 0, "without an error"),
        (raising(Misconfigured("no\nway")), 78, "no way"),
        (raising(ValueError("odd\nthing")), 70, "internal error: ValueError: odd"),
        (raising(MemoryError()), 70, "internal error: MemoryError"),
        (raising(OSError(errno.EAGAIN, "try again")), 69, "the system is short of resources: try again"),
        (raising(Misconfigured("Đ" * 9000)), 78, "Đ" * 2000),
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), 69, "killed by signal 9"),
        (lambda _: os._exit(5), 70, "without an error"),
    ],
)
def test_its_end_has_the_exit_code_and_the_reason(run: Callable[[str], None], status: int, reason: str):
    child = Child("worker-1", run)
    child.start("s", [signal.SIGTERM])

    end: End = eventually(child.reap, "its end")

    assert (end.status, end.reason, child.pid) == (status, reason, None)
    assert ChildFailed(end, "failed").exit_status == status


def test_its_hint_comes_along_and_its_name_is_new_each_time():
    child = Child("worker-1", lambda name: raising(Misconfigured(name, hint="repair it"))(name))
    ends = []
    for _ in range(2):
        child.start("s", [])
        ends.append(eventually(child.reap, "its end"))

    assert [(end.reason, end.hint) for end in ends] == [
        ("s.worker-1.1", "repair it"),
        ("s.worker-1.2", "repair it"),
    ]
    assert child.reap() is None
