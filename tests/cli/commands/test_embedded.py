"""``orderctl embedded``, and which commands start a server."""

from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")


def test_the_embedded_redis_is_shown_and_stopped(inside: Program, orderctl: Program):
    assert inside("embedded", "status").status == 1
    assert orderctl("migrate", "up", "-q").status == 0
    assert orderctl("worker", "resume").status == 0
    assert inside("embedded", "status").status == 0
    assert "stopped" in inside("embedded", "stop").err
    assert inside("embedded", "status").status == 1


@pytest.mark.parametrize(
    "arguments",
    [
        "relay start --host 0.0.0.0", "relay start --port nonsense", "relay probe",
        "worker start", "worker start --burst", "worker start --handler nonsense", "worker list",
        "reconcile", "reconcile --fix", "reconcile --check", "reconcile --fix --check",
        "tail task 1", "tail order X", "tail pattern nonsense", "orders pay X --amount 1", "orders wait X",
        "orders show X", "orders list --paid", "tasks list", "tasks retry 1", "tasks cancel 1", "logs show X -f",
    ],
)  # fmt: skip
def test_a_command_that_is_refused_starts_no_embedded_redis(inside: Program, home: Path, arguments: str):
    """The command line is refused, or the database is not migrated."""
    assert inside(*arguments.split()).status in {2, 69, 78}

    assert not (home / "state" / "orderctl" / "redis").exists()


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("reconcile --check", 1),
        ("worker list", 0),
        ("worker list --rejected", 0),
        ("worker rejected list", 0),
        ("worker rejected show 5d3c2e", 3),
        ("outbox list", 0),
    ],
)
def test_a_command_that_only_reads_starts_no_embedded_redis(
    shop: Shop, inside: Program, state_dir: Path, monkeypatch: pytest.MonkeyPatch, command: str, status: int
):
    shop.paid()  # no worker is woken for its task
    monkeypatch.delenv("ORDERCTL_REDIS_URL")
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(state_dir))

    assert inside(*command.split()).status == status

    assert not state_dir.exists()
