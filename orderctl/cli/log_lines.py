"""The lines of the log: of a long-running command, and the warnings of the others."""

from __future__ import annotations

import logging

from orderctl import masking
from orderctl.terminal import sanitise


class Masking(logging.Formatter):
    """Formats a record, also that of a library, with its traceback; masks secrets, and removes control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        return sanitise.block(masking.foreign(super().format(record)))


def mask_warnings() -> None:
    """Mask the warnings that Python writes to stderr while a command has set up no log."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Masking("warning: %(message)s"))
