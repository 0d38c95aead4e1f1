"""The functions of the SDK: the emitter behind them is made once, and never breaks a download."""

import logging
import subprocess
import sys
import threading

import pytest

from orderctl import broker, emitter, progress, publications
from orderctl.channels import task_progress, task_status
from orderctl.errors import Misconfigured, TaskNotFound
from orderctl.progress import ProgressEmitter
from tests.servers.redis import unhurried
from tests.waiting import SOON


@pytest.fixture(autouse=True)
def default(monkeypatch):
    """A default emitter that has not been made yet; it waits for Redis as long as that takes."""
    made = progress._Default()
    monkeypatch.setattr(progress, "_default", made)
    monkeypatch.setattr(broker, "hasty", lambda url, hasty=broker.hasty: unhurried(hasty(url)))
    yield made
    if made._emitter is not None:
        made._emitter.close()


@pytest.fixture
def configured(monkeypatch, redis_url, migrated_url):
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", migrated_url)
    return broker.brisk(redis_url)


def last(client, channel):
    return publications.snapshots(client, [channel])[channel]


@pytest.mark.databases("sqlite")
def test_a_task_from_its_first_message_to_its_failure(configured, shop):
    [task_id] = shop.paid()

    assert progress.emit_progress(task_id, 1, 40, "a.mp4", 2_000_000)
    assert not progress.emit_progress(task_id, order_id=1, percent=41)
    assert progress.emit_status_change(task_id, 1, "downloading", "enrolled")
    assert progress.emit_progress(task_id, 1, percent=0, current_file="Failed: disk full")
    progress.report_failure(task_id, 1, "disk full", source="python_worker")

    assert last(configured, task_progress(task_id))["currentFile"] == "Failed: disk full"
    assert last(configured, task_status(task_id))["newStatus"] == "failed"
    assert shop.event(1, "download_failed").source == "python_worker"
    with pytest.raises(TaskNotFound):
        progress.report_failure(4711, 1, "disk full")


@pytest.mark.databases("sqlite")
def test_what_the_shops_module_took_besides_is_ignored(configured, shop):
    [task_id] = shop.paid()

    assert progress.emit_progress(task_id, 1, 40, "a.mp4", None, total_bytes=7)
    assert progress.emit_status_change(task_id, 1, "downloading", error=None, drive_link="x")
    progress.report_failure(task_id, 1, "broken", retry=False)

    assert shop.task(task_id).status == "failed"


def test_threads_make_one_emitter(monkeypatch, default):
    made = []
    all_there = threading.Barrier(8)

    class Counted(ProgressEmitter):
        def __init__(self):
            made.append(self)
            super().__init__()

    monkeypatch.setattr(progress, "ProgressEmitter", Counted)

    def find():
        all_there.wait(SOON)
        default.find()

    threads = [threading.Thread(target=find) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORDERCTL_PROGRESS_INTERVAL_SECONDS", "soon"),
        ("ORDERCTL_REDIS_URL", "http://127.0.0.1/"),
        ("ORDERCTL_REDIS_URL_FILE", "/none"),
        ("ORDERCTL_CONFIG", "/none.toml"),
    ],
)
def test_a_wrong_setting_ends_no_download(monkeypatch, caplog, name, value):
    monkeypatch.setenv(name, value)

    for percent in range(50):
        assert not progress.emit_progress(1, 9, percent, "a.mp4")
        assert not progress.emit_status_change(1, 9, "downloading")

    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_wrong_setting_is_raised_where_a_failure_is_lost(monkeypatch):
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", "oracle://x/")
    progress.emit_status_change(1, 9, "downloading")

    with pytest.raises(Misconfigured):
        progress.report_failure(1, 9, "disk full")


@pytest.mark.databases("sqlite")
def test_settings_that_were_repaired_are_read_again(monkeypatch, configured, default):
    monkeypatch.setenv("ORDERCTL_PROGRESS_INTERVAL_SECONDS", "soon")
    assert not progress.emit_progress(1, 9, 5)
    monkeypatch.delenv("ORDERCTL_PROGRESS_INTERVAL_SECONDS")
    assert not progress.emit_progress(1, 9, 5)

    default._pauses_until = 0

    assert progress.emit_progress(1, 9, 5)


#: A worker that forks for each job, as RQ does, while a thread makes the emitter.
FORKS = """
import os
from orderctl import progress


def emit(task_id):  # it gives Redis 0.2 s, and on a busy machine that may not do
    return any(progress._default.find().emit_progress(task_id, 9, 100, at_once=True) for _ in range(100))


if os.fork() == 0:
    os._exit(not emit(1))
assert os.wait()[1] == 0
assert progress._default._emitter is None
with progress._default.lock:
    if os.fork() == 0:
        os._exit(not emit(2))
    assert os.wait()[1] == 0
"""


def test_each_job_of_a_worker_that_forks_is_heard(monkeypatch, redis_url):
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)

    subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=True, timeout=SOON)

    client = broker.brisk(redis_url)
    assert [last(client, task_progress(task_id))["percent"] for task_id in (1, 2)] == [100, 100]


def test_the_import_does_nothing(home):
    probe = (
        "import sys, threading, orderctl.progress as p; assert p._default._emitter is None; "
        "print(threading.active_count(), *sys.modules)"
    )

    count, *loaded = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout.split()

    assert count == "1"
    assert not {"sqlalchemy", "rq", "click"} & set(loaded)
    assert not any(path.is_file() for path in home.rglob("*"))


@pytest.mark.parametrize(
    ("error", "expected"),
    [(OSError(28, "x"), "DISK_SPACE"), ("invalid token", "AUTHENTICATION"), (ValueError("odd"), "UNKNOWN")],
)
def test_the_type_of_an_error_is_plain_text(error, expected):
    found = progress.determine_error_type(error)

    assert (found, type(found)) == (expected, str)


def test_the_emitter_is_found_here():
    assert progress.ProgressEmitter is emitter.ProgressEmitter
