"""What a worker says about jobs that it rejects."""

import logging
from pathlib import Path

import pytest
from rq.exceptions import DequeueTimeout, StopRequested

from orderctl import clock
from orderctl.settings import load
from orderctl.worker.consumer import DownloadWorker
from orderctl.worker.queue import GuardedQueue
from orderctl.worker.rejected import Rejected
from orderctl.worker.rejections import Rejections
from tests.faults.world import World
from tests.waiting import Clock


def test_many_rejected_jobs_are_a_line_and_their_number(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    now = Clock()
    monkeypatch.setattr(clock, "elapsed", now)
    rejections = Rejections(load())

    def note(count: int) -> list[str]:
        for _ in range(count):
            rejections.note(Rejected(b"a", "orderctl", "no", 0))
            rejections.look()
        said = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return said

    see = "see `orderctl worker rejected list`"
    with caplog.at_level(logging.WARNING):
        assert note(1000) == [f"job a was rejected: no; {see}"]
        now.now += 61
        assert note(1) == [f"999 more jobs were rejected; {see}", f"job a was rejected: no; {see}"]
        assert note(1) == []
        rejections.flush()
        rejections.flush()
        assert note(0) == [f"1 more job was rejected; {see}"]


@pytest.mark.databases("sqlite")
def test_a_job_whose_id_names_no_task_of_the_shop_is_counted_as_any_other(
    migrated_url: str, caplog: pytest.LogCaptureFixture
):
    rejections = Rejections(load(environ={"ORDERCTL_DATABASE_URL": migrated_url}))

    for number in range(3):
        rejections.note(Rejected(f"task-90000{number}-0".encode(), "orderctl", "no", 0))

    assert [record.getMessage() for record in caplog.records] == [
        "job task-900000-0 was rejected: no; see `orderctl worker rejected list`"
    ]


@pytest.mark.databases("sqlite")
def test_many_rejected_jobs_of_a_task_are_one_event(world: World, caplog: pytest.LogCaptureFixture):
    task = world.shop.paid()[0]
    rejections = Rejections(world.settings)

    for number in range(50):
        rejections.note(Rejected(b"task-%d-%d" % (task, number), "orderctl", "no", 0))

    assert len(caplog.records) == 1, caplog.text
    assert [event.event_type for event in world.shop.events(1)].count("job_rejected") == 1


def test_a_database_that_is_away_is_mentioned_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
):
    now = Clock()
    monkeypatch.setattr(clock, "elapsed", now)
    rejections = Rejections(load({"database.url": f"sqlite:///{tmp_path}/none.db"}))

    for _ in range(2):
        for number in range(50):
            rejections.note(Rejected(b"task-%d-0" % (number + 1), "orderctl", "no", 0))
        now.now += 61

    assert caplog.text.count("cannot record") == 2


@pytest.mark.databases("sqlite")
def test_rejected_jobs_that_come_one_by_one_are_not_a_line_each(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    worker = DownloadWorker(world.settings, "h-1-ab.worker-1.1")
    came = iter(range(5))

    def dequeue(_: int | None) -> None:
        """Meet a job, then none in time."""
        number = next(came, None)
        if number is None:
            worker._stop_requested = True
        else:
            GuardedQueue.on_rejected(Rejected(b"a", "orderctl", "no", 0))
        raise DequeueTimeout(5, "rq:queue:orderctl")

    monkeypatch.setattr(worker, "_dequeue", dequeue)
    with pytest.raises(StopRequested):
        worker.dequeue_job_and_maintain_ttl(5)

    assert [record.name for record in caplog.records if record.levelno == logging.WARNING] == [
        "orderctl.worker.rejections"
    ]
