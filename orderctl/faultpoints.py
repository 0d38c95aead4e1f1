"""Fault points: named places in the code where a test can make this process die, hang or fail.

In production they do nothing. ``ORDERCTL_FAULTS=commit.after:kill@2,rename.before:raise`` defines the action
for a point, and the pass at which it happens (here the second pass of ``commit.after``). The actions:

* ``kill``: SIGKILL, as the kernel's out-of-memory killer would.
* ``exit``: the process ends without any cleanup.
* ``hang``: it sleeps forever, as after SIGSTOP, until the test kills it.
* ``raise``: an I/O error (EIO).
* ``lose``: the connection to the database is lost, and the result of the last statement is unknown.

The names are in the code only. ``tests/faults`` collects them and has a test for each.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from typing import Final, NoReturn

from orderctl import environment
from orderctl.errors import DatabaseUnavailable, Misconfigured

#: Exit code of the action ``exit``; nothing else uses it.
EXIT: Final = 86


class _Fault:
    """The action at the n-th pass of a point."""

    def __init__(self, name: str, action: str, at: int) -> None:
        self.name = name
        self.action = action
        self.left = at

    def count(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.write(2, f"fault: {self.action} at {self.name}\n".encode())
            _ACTIONS[self.action]()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hang() -> NoReturn:
    while True:
        time.sleep(3600)


def _raise() -> NoReturn:
    raise OSError(errno.EIO, "a fault was injected")


def _lose() -> NoReturn:
    raise DatabaseUnavailable("a fault was injected: the connection is lost")


_ACTIONS: Final[dict[str, Callable[[], None]]] = {
    "kill": _kill,
    "exit": lambda: os._exit(EXIT),
    "hang": _hang,
    "raise": _raise,
    "lose": _lose,
}

_armed: dict[str, _Fault] | None = None


def point(name: str) -> None:
    """Pass a point; nothing happens unless a test has armed it.

    Args:
        name: The name of the point, a literal, unique in the code.

    Raises:
        Misconfigured: ORDERCTL_FAULTS is not valid.
    """
    armed = arm(environment.faults()) if _armed is None else _armed
    if armed and name in armed:
        armed[name].count()


def arm(text: str) -> dict[str, _Fault]:
    """Set the actions from a text like ORDERCTL_FAULTS; an empty text removes all.

    Raises:
        Misconfigured: The text is not valid.
    """
    global _armed  # noqa: PLW0603 - read once, at the first point
    _armed = dict(_parse(part) for part in text.split(",") if part)
    return _armed


def _parse(part: str) -> tuple[str, _Fault]:
    name, _, rest = part.partition(":")
    action, _, number = rest.partition("@")
    if action not in _ACTIONS or not (number or "1").isdigit() or not int(number or "1"):
        raise Misconfigured(f"ORDERCTL_FAULTS: {part!r} is not NAME:{'|'.join(_ACTIONS)}[@N]")
    return name, _Fault(name, action, int(number or "1"))
