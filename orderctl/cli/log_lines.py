"""The lines of the log: of a long-running command, and the warnings of the others.

A record may have an attribute ``fields``, a mapping: what its line is about, for programs that read ``json``.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from orderctl import masking
from orderctl.terminal import sanitise

#: The priorities of sd-daemon(3) before a line, by the lowest level that they stand for.
_PRIORITIES: Final = (
    (logging.CRITICAL, "<2>"),
    (logging.ERROR, "<3>"),
    (logging.WARNING, "<4>"),
    (logging.INFO, "<6>"),
)
_DEBUG: Final = "<7>"


class Masking(logging.Formatter):
    """Formats a record, also that of a library, with its traceback; masks secrets, and removes control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        return sanitise.block(masking.foreign(super().format(record)))


class Journal(logging.Formatter):
    """Puts the priority before each line of another formatter; systemd's journal takes it off and keeps it."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self.inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        return prioritised(self.inner.format(record), record.levelno)


class Json(logging.Formatter):
    """Formats a record as one JSON object on one line, masked and without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masking.foreign(record.getMessage()),
        }
        fields = getattr(record, "fields", {})
        line |= {name: _shown(value) for name, value in fields.items() if value is not None}
        if record.exc_info:
            line["exception"] = masking.foreign(self.formatException(record.exc_info))
        return sanitise.json(json.dumps(line, ensure_ascii=False))


def _shown(value: object) -> object:
    return value if isinstance(value, bool | int | float) else masking.foreign(str(value))


def formatter(form: str, stream: TextIO, journal: str) -> logging.Formatter:
    """Return what formats the records of a log.

    Args:
        form: Of the setting ``log.format``.
        stream: Where the log is written.
        journal: As in :func:`is_journal`.
    """
    to_journal = is_journal(stream, journal)
    if form == "json":
        return Journal(Json()) if to_journal else Json()
    if form == "auto" and to_journal:
        return Journal(Masking("%(levelname)s %(message)s"))
    return Masking("%(asctime)s %(levelname)s %(message)s")


def is_journal(stream: TextIO, journal: str) -> bool:
    """Return whether systemd's journal reads a stream.

    Args:
        stream: A standard stream.
        journal: ``JOURNAL_STREAM`` of systemd.exec(5). A process inherits the variable, and perhaps not the stream.
    """
    if not journal:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal == f"{status.st_dev}:{status.st_ino}"


def prioritised(text: str, level: int) -> str:
    """Return a text with the priority of a level before each line."""
    priority = next((sign for lowest, sign in _PRIORITIES if level >= lowest), _DEBUG)
    return "\n".join(f"{priority}{line}" for line in text.split("\n"))


def say(text: str, level: int, stream: TextIO, journal: str, *, logged: bool = False) -> bool:
    """Write a message to the user as a record, where stderr is a log that programs read; return False elsewhere.

    Args:
        text: The message.
        level: Of ``logging``.
        stream: Standard error.
        journal: As in :func:`is_journal`.
        logged: Whether it is one of the log while a log is written, whoever reads that. It is one in any case if the log
            is in JSON, or for systemd's journal.
    """
    to_journal = is_journal(stream, journal)
    if in_json() or (is_written() and (logged or to_journal)):  # one form in one stream
        logging.getLogger("orderctl").log(level, "%s", text)
        return True
    if to_journal:
        stream.write(prioritised(sanitise.block(masking.foreign(text)), level) + "\n")
        return True
    return False


def is_written() -> bool:
    """Return whether this process writes a log."""
    return any(isinstance(one, Masking | Json) for one in _formatters())


def in_json() -> bool:
    """Return whether this process writes its log in JSON."""
    return any(isinstance(one, Json) for one in _formatters())


def _formatters() -> list[logging.Formatter | None]:
    """Return the formatters of this process's log, without what puts a priority before their lines."""
    found = [handler.formatter for handler in logging.root.handlers]
    return [one.inner if isinstance(one, Journal) else one for one in found]


def mask_warnings() -> None:
    """Mask the warnings that Python writes to stderr while a command has set up no log."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Masking("warning: %(message)s"))
