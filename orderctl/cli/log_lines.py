"""The lines of the log of a long-running command."""

from __future__ import annotations

import logging

from orderctl import masking


class Masking(logging.Formatter):
    """Formats a record, also that of a library, with its traceback, and masks the secrets in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        return masking.foreign(super().format(record))
