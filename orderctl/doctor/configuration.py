"""The checks of the settings."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from orderctl import secret_files
from orderctl.counting import counted
from orderctl.doctor.checks import Area, Check, Verdict
from orderctl.doctor.surroundings import Surroundings


def examine(around: Surroundings) -> Iterator[Check]:
    """Yield the checks of the settings, which have been read."""
    number = len(around.settings.shown())
    yield Check(
        Area.SETTINGS, "valid", Verdict.WELL, f"{counted(number, 'setting')}, all valid", value=number
    )
    for path in (*around.settings.secret_files, *around.files):
        if secret_files.is_exposed(path):
            yield _exposed(path)


def _exposed(path: Path) -> Check:
    return Check(
        Area.SETTINGS,
        "exposed-secret",
        Verdict.WARNING,
        f"every user of this machine can read {path}, which may contain secrets",
        f"chmod 600 {shlex.quote(str(path))}",
        value=str(path),
    )
