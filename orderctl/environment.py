"""The process's environment: how settings are called in it, and what it says about the terminal.

``settings`` reads the settings from it. The rest is here, so that a start that needs no setting
(``--help``, the TAB key) does not pay 20 ms for declaring them all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

PREFIX: Final = "ORDERCTL_"
#: The configuration file that is read after the usual ones.
CONFIG: Final = "ORDERCTL_CONFIG"
#: Set to 1: no configuration file is read but that one.
ALONE: Final = "ORDERCTL_CONFIG_ALONE"
#: What happens at fault points, for tests.
FAULTS: Final = "ORDERCTL_FAULTS"
#: What a shell's completion script asks for.
COMPLETION: Final = "_ORDERCTL_COMPLETE"


def variable(key: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + key.replace(".", "_").upper()


def clean() -> dict[str, str]:
    """The environment for a process that is to see no setting of this machine, neither here nor in a file."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**others, ALONE: "1"}


def faults() -> str:
    """What tests have to happen at fault points; empty in production."""
    return os.environ.get(FAULTS, "")


class Ambient(NamedTuple):
    """Conventions of terminals and of starting programs; they are no settings, and stand in no file."""

    debug: bool = False  #: ORDERCTL_DEBUG: unexpected errors come with their traceback.
    no_color: bool = False  #: NO_COLOR (https://no-color.org).
    force_color: bool = False  #: CLICOLOR_FORCE: colour even where the output is no terminal.
    terminal: str = ""  #: TERM.
    completion: str = ""  #: What the shell wants to be completed, such as ``bash_complete``.


def ambient(environ: Mapping[str, str] | None = None) -> Ambient:
    """Read the conventions; from the process's own environment when None."""
    environ = os.environ if environ is None else environ
    return Ambient(
        debug=environ.get("ORDERCTL_DEBUG", "0") not in {"", "0"},
        no_color=bool(environ.get("NO_COLOR")),
        force_color=environ.get("CLICOLOR_FORCE", "0") not in {"", "0"},
        terminal=environ.get("TERM", ""),
        completion=environ.get(COMPLETION, ""),
    )
