"""The process's environment: the names of the settings in it, and the conventions of terminals.

``settings`` reads the settings from it. Everything else is here, so that a start that needs no settings
(``--help``, the TAB key) does not spend 20 ms on declaring them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

PREFIX: Final = "ORDERCTL_"
#: Names an additional configuration file, which is read last.
CONFIG: Final = "ORDERCTL_CONFIG"
#: When it is 1, only the additional configuration file is read.
ALONE: Final = "ORDERCTL_CONFIG_ALONE"
#: Says what happens at fault points, for tests.
FAULTS: Final = "ORDERCTL_FAULTS"
#: Set by the completion script of a shell.
COMPLETION: Final = "_ORDERCTL_COMPLETE"

#: The folder of the sockets of a user, where systemd or elogind runs.
RUNTIME: Final = "/run/user/%d"


def variable(key: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + key.replace(".", "_").upper()


def clean() -> dict[str, str]:
    """Return an environment in which a process finds no settings of this machine, not even in a file."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**others, ALONE: "1"}


@contextmanager
def holding(name: str, value: str) -> Iterator[None]:
    """Set a variable for a moment, for a library that reads it when it is imported."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def faults() -> str:
    """Return what is to happen at fault points in tests; empty in production."""
    return os.environ.get(FAULTS, "")


def in_utf8(encoding: str) -> dict[str, str] | None:
    """Return an environment in which Python takes arguments and names of files for UTF-8; None in such a one.

    Args:
        encoding: Of the standard streams, which stays.
    """
    if os.environ.get("PYTHONUTF8") == "1":
        return None
    streams = os.environ.get("PYTHONIOENCODING") or encoding
    return {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": streams}


def runtime_folders() -> list[Path]:
    """Return where a user's sockets belong, best first. None of them has to exist."""
    given = Path(os.environ.get("XDG_RUNTIME_DIR", ""))
    usual = Path(RUNTIME % os.geteuid())
    return [given, usual] if given.is_absolute() else [usual]


class Ambient(NamedTuple):
    """Conventions of terminals and of shells. They are not settings, so no file can contain them."""

    debug: bool = False  #: ORDERCTL_DEBUG: internal errors are shown with their traceback.
    no_color: bool = False  #: NO_COLOR (https://no-color.org).
    force_color: bool = False  #: CLICOLOR_FORCE: use colours even when the output is not a terminal.
    terminal: str = ""  #: TERM.
    journal: str = ""  #: JOURNAL_STREAM: device and inode of the stream that systemd's journal reads.
    completion: str = ""  #: What the shell asks for, such as ``bash_complete``.


def ambient(environ: Mapping[str, str] | None = None) -> Ambient:
    """Read the conventions from an environment; the process's own when None."""
    environ = os.environ if environ is None else environ
    return Ambient(
        debug=environ.get("ORDERCTL_DEBUG", "0") not in {"", "0"},
        no_color=bool(environ.get("NO_COLOR")),
        force_color=environ.get("CLICOLOR_FORCE", "0") not in {"", "0"},
        terminal=environ.get("TERM", ""),
        journal=environ.get("JOURNAL_STREAM", ""),
        completion=environ.get(COMPLETION, ""),
    )
