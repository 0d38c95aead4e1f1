"""The lines of the log."""

import io
import logging

import pytest

from orderctl.cli import log_lines


def test_a_warning_without_a_log_shows_no_secret_and_no_control_character(
    monkeypatch: pytest.MonkeyPatch,
):
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    log_lines.mask_warnings()
    record = logging.makeLogRecord(
        {
            "msg": "cannot send to %s",
            "args": ("https://u:hunter2@example.com/\x1b[2J",),
            "levelno": logging.WARNING,
        }
    )

    assert logging.lastResort is not None
    logging.lastResort.handle(record)

    assert written.getvalue().startswith("warning: cannot send to https://")
    assert "hunter2" not in written.getvalue()
    assert "\x1b" not in written.getvalue()
