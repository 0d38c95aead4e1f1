"""What the log says of an attempt: one line at its start, one at its end; and of the keeper's findings."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from orderctl import broker, findings
from orderctl.downloads.protocol import Context, Delivery, Enrollment
from orderctl.errors import LeaseLost
from orderctl.settings import load
from orderctl.worker import attempt, keeper
from orderctl.worker.heartbeat import Stopping, StopRequest
from orderctl.worker.narration import Trace, note_death
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

URL = "https://example.com/a.zip?token=hunter2hunter2"


class Handler:
    """Writes seven bytes, and then does what it was told."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.then = then

    def enroll(self, _: Context) -> Enrollment:
        return Enrollment("Course\x1b[2J A\n", ())

    def download(self, context: Context, _: Enrollment) -> Delivery:
        context.folder.mkdir(parents=True)
        (context.folder / "a.zip").write_bytes(b"content")
        self.then()
        return Delivery(context.folder_name, None)


def failing(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("then", "level", "outcome", "text"),
    [
        (lambda: None, "INFO", "completed", "completed: 7 bytes in N s, attempt 1"),
        (
            failing(ValueError(f"bad\n{URL}")),
            "ERROR",
            "failed",
            "failed after N s, attempt 1: AUTHENTICATION: bad https://example.com/a.zip?token=***",
        ),
        (failing(TimeoutError("slow")), "WARNING", "retried", "failed after N s, attempt 1, tried again at"),
        (failing(Stopping()), "INFO", "released", "released after N s: the worker stops; attempt 1 does not"),
        (
            failing(LeaseLost("gone")),
            "WARNING",
            "lease lost",
            "the lease is lost after N s; this attempt ends",
        ),
    ],
)
def test_an_attempt_is_two_lines_with_fields(
    shop: Shop, redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, then, level, outcome, text
):
    caplog.set_level(logging.INFO, "orderctl.worker")
    [task] = shop.paid("DH1", [URL], max_attempts=1)
    settings = load(environ={"ORDERCTL_STATE_DIR": str(tmp_path), "ORDERCTL_CONFIG_ALONE": "1"})
    with broker.hasty(redis_url) as client:
        tools = attempt.Tools(settings, shop.engine, "web1.worker-1", Handler(then), client, StopRequest())
        attempt.run(tools, task)

    assert tools.trace.read() is None
    began, ended = caplog.records
    assert (began.levelname, ended.levelname) == ("INFO", level)
    assert began.getMessage() == (
        f"order DH1, task {task} (https://example.com/a.zip?token=***): attempt 1 starts"
    )
    assert text in re.sub(r"\d+\.\d s", "N s", ended.getMessage())
    assert "hunter2" not in str(vars(ended))
    assert ended.getMessage().isprintable()
    assert began.fields["worker"] == "web1.worker-1"
    assert {name: ended.fields[name] for name in ("order", "task", "attempt", "outcome", "bytes")} == {
        "order": "DH1",
        "task": task,
        "attempt": 1,
        "outcome": outcome,
        "bytes": 7,
    }
    assert ended.fields["seconds"] < 5


@pytest.mark.parametrize(
    ("status", "text"), [(9, "killed (signal 9)"), (3 << 8, "its process ended (exit code 3)")]
)
def test_the_worker_says_how_the_process_of_an_attempt_ended(
    caplog: pytest.LogCaptureFixture, status: int, text: str
):
    trace = Trace()
    fields = {
        "order": "DH1",
        "order_id": 1,
        "task": 34,
        "title": "A",
        "attempt": 1,
        "worker": "web1.worker-1",
    }
    trace.leave(fields, 10.0)

    note_death(trace, status, 13.1)
    note_death(trace, status, 13.1)  # what it was doing is known once

    [line] = caplog.records
    assert line.levelname == "WARNING"
    assert line.getMessage().startswith(f"order DH1, task 34 (A): {text} after 3.1 s, attempt 1")
    assert fields.items() < line.fields.items()
    assert (line.fields["outcome"], line.fields["seconds"]) == ("killed", 3.1)


def test_a_task_without_a_job_is_a_debug_message_and_a_lost_worker_a_warning(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG, "orderctl.worker")

    keeper._note(findings.unrung(7, 1, repaired=True))
    keeper._note(findings.expired(7, 1, "web1.worker-1", repaired=True))

    assert [(one.levelname, one.fields["task"]) for one in caplog.records] == [("DEBUG", 7), ("WARNING", 7)]
