"""Live progress in lists of orders and tasks."""

import json
import re
from pathlib import Path

import pytest

from orderctl import broker, publications
from orderctl.channels import task_progress
from orderctl.messages import TaskProgress
from tests.cli.conftest import Program
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def at_work(shop: Shop, redis_url: str) -> Shop:
    """An order whose first task is at 40 % and whose second has not started."""
    shop.paid("DH1", 2)
    shop.start(shop.claimed(1))
    with broker.brisk(redis_url) as client:
        publications.publish_progress(
            client, TaskProgress(1, 40.0, "01\x1b[2J.mp4", 2_000_000.0, 1000, 1, 1), 1, {}
        )
        publications.publish(
            client, task_progress(2), TaskProgress(2, 70.0, "old.mp4", 1.0, 1000, 1, 1).data()
        )
    return shop


def test_a_running_task_is_listed_with_its_latest_progress(at_work: Shop, inside: Program):
    waiting, working = json.loads(inside("tasks", "list", "-o", "json").out)

    assert [working[key] for key in ("percent", "current_file", "speed")] == [40, "01\x1b[2J.mp4", 2_000_000]
    assert [waiting[key] for key in ("percent", "current_file", "speed")] == [None, None, None]
    assert re.search(r"downloading +40 ", inside("tasks", "list").out)
    assert "1.9 MiB/s" in inside("tasks", "list", "-o", "wide").out


def test_a_running_task_is_shown_with_its_latest_progress(at_work: Shop, inside: Program):
    shown = inside("tasks", "show", "1").out

    assert "40 %" in shown
    assert "1.9 MiB/s" in shown
    assert "\x1b" not in shown
    assert "old.mp4" not in inside("tasks", "show", "2").out


def test_an_order_in_processing_has_the_mean_of_its_tasks(at_work: Shop, inside: Program):
    (listed,) = json.loads(inside("orders", "list", "-o", "json").out)
    shown = json.loads(inside("orders", "show", "DH1", "-o", "json").out)

    assert listed["progress_percentage"] == shown["progress_percentage"] == 40
    assert [task["percent"] for task in shown["tasks"]] == [40, None]
    tree = inside("orders", "show", "DH1").out
    assert "(40 %)" in tree
    assert "1.9 MiB/s" in tree


def test_without_redis_the_rows_are_those_of_the_database(at_work: Shop, inside: Program, monkeypatch):
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")

    ended = inside("tasks", "list", "-o", "json")

    assert (ended.status, ended.err) == (0, "")
    assert [row["percent"] for row in json.loads(ended.out)] == [None, None]


def test_looking_starts_no_embedded_server(at_work: Shop, inside: Program, monkeypatch, tmp_path: Path):
    monkeypatch.delenv("ORDERCTL_REDIS_URL")
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(tmp_path / "state"))

    assert inside("orders", "list").status == 0
    assert not (tmp_path / "state" / "redis").exists()
