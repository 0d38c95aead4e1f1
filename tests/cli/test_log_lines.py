"""The lines of the log."""

import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from orderctl.cli import log_lines
from orderctl.errors import ExitStatus


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


def record(message: str = "cannot get %s", level: int = logging.WARNING, **more: object) -> logging.LogRecord:
    values = {"name": "orderctl.worker", "msg": message, "args": ("/x?token=secret",), "levelno": level}
    return logging.makeLogRecord(
        {**values, "levelname": logging.getLevelName(level), "created": 0.25, **more}
    )


def test_json_is_one_masked_object_on_one_line():
    error = ValueError("https://u:hunter2@h/x\nsecond line")
    exception = (ValueError, error, None)
    fields = {"order": "DH1\x1b[2J\u2028", "task": 7, "error": "/y?token=hunter2", "worker": None}

    line = log_lines.Json().format(record(fields=fields, exc_info=exception))

    assert "\n" not in line
    assert "\x1b" not in line
    assert "\u2028" not in line
    assert "hunter2" not in line
    read = json.loads(line)
    assert "ValueError: https://***@h/x\nsecond line" in read.pop("exception")
    assert read == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "warning",
        "logger": "orderctl.worker",
        "message": "cannot get /x?token=***",
        "order": "DH1\x1b[2J\u2028",
        "task": 7,
        "error": "/y?token=***",
    }


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[tuple[TextIO, str]]:
    """A stream, and the JOURNAL_STREAM that names it."""
    with (tmp_path / "stream").open("w+") as stream:
        status = os.fstat(stream.fileno())
        yield stream, f"{status.st_dev}:{status.st_ino}"


@pytest.mark.parametrize(
    ("level", "priority"), [("CRITICAL", 2), ("ERROR", 3), ("WARNING", 4), ("INFO", 6), ("DEBUG", 7)]
)
def test_the_journal_gets_a_priority_on_each_line_instead_of_the_time(journal, level: str, priority: int):
    shown = log_lines.formatter("auto", *journal).format(
        record("first\nsecond %s", getattr(logging, level), created=0)
    )

    assert shown == f"<{priority}>{level} first\n<{priority}>second /x?token=***"


def test_json_in_the_journal_has_a_priority_and_text_none(journal):
    assert log_lines.formatter("json", *journal).format(record()).startswith('<4>{"time"')
    assert "WARNING cannot get" in log_lines.formatter("text", *journal).format(record())
    assert not log_lines.formatter("text", *journal).format(record()).startswith("<")


def test_another_stream_is_not_the_journal(journal, tmp_path: Path):
    _, name = journal
    with (tmp_path / "other").open("w") as other:
        assert not log_lines.is_journal(other, name)
    assert not log_lines.is_journal(io.StringIO(), name)
    assert not log_lines.is_journal(sys.stderr, "")


def test_messages_and_errors_are_lines_of_a_log_in_json_too(inside, tmp_path: Path):
    done = inside(
        "worker", "start", "--log-format", "json", "--handler", "nosuch", "--state-dir", str(tmp_path)
    )

    [line] = done.err.splitlines()
    assert json.loads(line)["message"].startswith("orderctl: setting worker.handler: handler 'nosuch'")
    assert done.status == ExitStatus.CONFIGURATION


@pytest.mark.parametrize(
    ("form", "to_journal", "start"),
    [
        ("auto", False, r"\d{4}-\d\d-\d\d [\d:,]+ "),
        ("text", False, r"\d{4}-\d\d-\d\d [\d:,]+ "),
        ("text", True, r"\d{4}-\d\d-\d\d [\d:,]+ "),
        ("auto", True, r"<\d>"),
    ],
)
def test_what_is_said_while_a_log_is_written_has_its_form(
    journal, monkeypatch, form: str, to_journal: bool, start: str
):
    stream, name = journal
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log_lines.formatter(form, stream, name if to_journal else ""))
    monkeypatch.setattr(logging.root, "handlers", [handler])
    monkeypatch.setattr(logging.root, "level", logging.INFO)
    place = name if to_journal else ""

    assert log_lines.say("supervisor x: 1 worker", logging.INFO, stream, place, logged=True)
    told = log_lines.say("orderctl: it broke", logging.ERROR, stream, place)

    stream.seek(0)
    lines = stream.read().splitlines()
    assert re.fullmatch(start + "INFO supervisor x: 1 worker", lines[0])
    assert told == to_journal  # a person reads the other ones
    assert not told or re.fullmatch(start + "ERROR orderctl: it broke", lines[1])


def test_an_error_is_told_to_the_journal_with_its_priority(inside, journal, monkeypatch):
    stream, name = journal
    monkeypatch.setenv("JOURNAL_STREAM", name)
    monkeypatch.setattr("orderctl.cli.boundary.sys.stderr", stream)

    inside("orders", "show", "\x1b[2J")

    stream.seek(0)
    assert {line[:3] for line in stream} == {"<3>"}
