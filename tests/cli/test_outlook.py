"""What commands say of that which an order or a task waits for."""

import json
import os
import socket
from pathlib import Path

import pytest

from orderctl import broker, embedded
from orderctl.cli import outlook, waiting
from orderctl.worker import fleet
from tests.cli.conftest import Program
from tests.shop import Shop

pytestmark = pytest.mark.databases("sqlite")

NO_WORKER = {"cause": "no-worker", "text": "no worker is running", "hint": "orderctl worker start"}
LINE = "waits: no worker is running: orderctl worker start"


def test_a_waiting_order_and_its_tasks_say_so(shop: Shop, inside: Program) -> None:
    shop.paid("DH1", 2)

    drawn = inside("orders", "show", "DH1").out.splitlines()
    shown = json.loads(inside("orders", "show", "DH1", "-o", "json").out)
    task = json.loads(inside("tasks", "show", "1", "-o", "json").out)

    assert drawn[1] == LINE
    assert drawn.count(LINE) == 1  # not again of each task
    assert [shown["waiting"], *(one["waiting"] for one in shown["tasks"]), task["waiting"]] == [NO_WORKER] * 4
    assert LINE in inside("tasks", "show", "1").out
    assert inside("orders", "show", "DH1", "--fields", "waiting", "-o", "csv").status == 0


def test_an_ended_order_waits_for_nothing(shop: Shop, inside: Program) -> None:
    shop.carry_out(*shop.paid())

    shown = json.loads(inside("orders", "show", "DH1", "-o", "json").out)

    assert (shown["waiting"], shown["tasks"][0]["waiting"]) == (None, None)
    assert "waits" not in inside("orders", "show", "DH1").out


def test_redis_that_is_away_does_not_fail_the_command(
    shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.paid()
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://127.0.0.1:1/0")

    shown = inside("orders", "show", "DH1")

    assert shown.status == 0
    assert "waits: Redis does not answer: " in shown.out


@pytest.mark.parametrize("command", [("orders", "show", "DH1"), ("tasks", "show", "1")])
def test_looking_starts_no_server(
    command: tuple[str, ...], shop: Shop, inside: Program, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.paid()
    monkeypatch.delenv("ORDERCTL_REDIS_URL")
    monkeypatch.setenv("ORDERCTL_STATE_DIR", str(state_dir))

    shown = inside(*command)

    assert LINE in shown.out
    assert not embedded.status(state_dir).running
    assert not os.path.lexists(state_dir)


def test_after_a_retry_of_several_orders_the_hint_names_all_of_them(shop: Shop, inside: Program) -> None:
    for code in ("DH1", "DH'2", "DH3"):
        for task_id in shop.paid(code, 2):
            shop.fail(task_id)

    assert inside("tasks", "retry", "1", "2").err == f"{LINE}\nnext: orderctl tail order DH1\n"
    ended = inside("tasks", "retry", "--failed", "--yes")
    assert ended.err == f"{LINE}\nnext: orderctl tail order 'DH'\"'\"'2' DH3\n"


def test_many_orders_are_watched_all_together() -> None:
    assert outlook.watch_orders(map(str, range(6))) == "orderctl tail all"
    assert outlook.watch_orders(["A", "A"]) == "orderctl tail order A"


def test_a_wait_says_what_for_when_that_changes(
    shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.add("DH1")
    looks: list[None] = []

    def pay_and_end(_seconds: float) -> None:
        looks.append(None)
        if len(looks) == 3:
            shop.pay("DH1")
        if len(looks) == 6:
            shop.carry_out(1)

    monkeypatch.setattr(waiting, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(waiting.time, "sleep", pay_and_end)

    ended = inside("orders", "wait", "DH1")

    assert ended.status == 0
    assert ended.err.splitlines() == [
        "waits: the order is not paid: orderctl orders pay DH1 --amount 300000",
        LINE,
    ]


def test_a_wait_does_not_overrun_its_timeout_for_a_redis_that_is_silent(
    shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.paid("DH1")
    patience: list[float] = []
    hasty = broker.hasty
    monkeypatch.setattr(broker, "brisk", lambda _url: patience.append(3))
    monkeypatch.setattr(broker, "hasty", lambda url: patience.append(0.2) or hasty(url))

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("ORDERCTL_REDIS_URL", f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        ended = inside("orders", "wait", "DH1", "--timeout", "0")

    assert (ended.status, patience) == (124, [0.2])
    assert ended.err.startswith("waits: Redis does not answer: ")


def test_redis_is_asked_once_for_all_orders_that_are_paid(
    shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    codes = ("DH1", "DH2", "DH3")
    for code in codes:
        shop.add(code)
    asked: list[str] = []
    is_paused = fleet.is_paused
    monkeypatch.setattr(
        fleet, "is_paused", lambda client, queue: asked.append(queue) or is_paused(client, queue)
    )

    bank = [{"code": code, "transferAmount": 300000, "id": at} for at, code in enumerate(codes)]
    (file := tmp_path / "bank.json").write_text(json.dumps(bank))

    ended = inside("orders", "pay", "--json", str(file))

    assert (ended.status, ended.err.count(LINE)) == (0, 1)
    assert len(asked) == 1
