"""The result of a check: what was measured, whether it is well, and what repairs it."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from orderctl.errors import ExitStatus


class Area(StrEnum):
    """What a check is about, in the order in which they are made."""

    SETTINGS = "settings"
    DATABASE = "database"
    REDIS = "redis"
    CHANNELS = "channels"
    WORKERS = "workers"
    ORDERS = "orders"
    AUDIT = "audit"
    RELAY = "relay"
    MAIL = "mail"
    WEBHOOKS = "webhooks"
    DOWNLOADS = "downloads"


class Verdict(StrEnum):
    """Whether what was found is well."""

    WELL = "well"
    NOTE = "note"  #: Worth knowing; nothing has to be done.
    WARNING = "warning"  #: It works, and may hurt later.
    FAULT = "fault"  #: Something does not work.
    SKIPPED = "skipped"  #: It could not be looked at, or is not set up.


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check.

    Attributes:
        area: What it is about.
        name: A stable name for programs, such as ``clock-skew``; each stands for one check, whatever its verdict.
        verdict: Whether it is well.
        text: What was found, with the measured value, for people: ``the clocks differ by 0.2 s``.
        repair: The command, SQL statement or setting that repairs it, which can be pasted; None if there is none.
        explanation: What the fault does, or how to repair it where no command can.
        value: The measured value, for programs.
        unit: Its unit: ``s``, ``ms``, ``bytes``, ``rows``; None if it has none.
        exit_status: The exit code of ``orderctl doctor`` if it is a fault: another one where a store is down or a
            setting is wrong.
    """

    area: Area
    name: str
    verdict: Verdict
    text: str
    repair: str | None = None
    explanation: str | None = None
    value: float | str | None = None
    unit: str | None = None
    exit_status: ExitStatus = ExitStatus.FAILED


_SETTING: Final = re.compile(r"export ORDERCTL_([A-Z]+)_([A-Z_]+)=(.*)", re.DOTALL)
_BARE: Final = re.compile(r"[0-9]+|true|false", re.ASCII)


def with_file(check: Check) -> Check:
    """Return a check whose repair is a setting with what makes it last: it holds in one shell only, not for services."""
    found = _SETTING.fullmatch(check.repair or "")
    if found is None:
        return check
    key, given = f"{found[1]}.{found[2]}".lower(), found[3]
    value = "" if "$(" in given else shlex.split(given)[0]
    line = f"{key} = {value if _BARE.fullmatch(value) else json.dumps(value)}" if value else key
    lasts = f"That holds for this shell. Services read their configuration file: {line}, and restart them."
    return replace(check, explanation=f"{check.explanation} {lasts}" if check.explanation else lasts)
