"""``orderctl why``: subjects, outputs and exit codes. The causes are in ``tests/why``."""

import json
import socket
import time
from collections.abc import Callable

import pytest

from orderctl.cli.commands import why
from orderctl.payments.transfer import Transfer
from orderctl.why.chain import Link
from tests.cli.conftest import Program
from tests.shop import AMOUNT, Shop

pytestmark = pytest.mark.databases("sqlite")


def test_the_chain_has_a_line_for_each_link_and_the_first_broken_one_has_its_evidence(
    shop: Shop, inside: Program
) -> None:
    shop.paid("DH1'x")

    ended = inside("why", "DH1'x")

    lines = ended.out.splitlines()
    assert (ended.status, ended.err) == (1, "")
    assert lines[0] == "order DH1'x: no worker is running (worker)"
    states = {
        words[1]: words[0] for line in lines[1:] if len(words := line.split()) > 1 and words[1] in set(Link)
    }
    assert list(states) == [str(link) for link in Link]
    assert (states["payment"], states["worker"], states["lease"]) == ("holds", "BROKEN", "ahead")
    assert lines[-2:] == ["", "repair: orderctl worker start"]


@pytest.mark.parametrize(
    ("words", "subject"),
    [(["DH1"], "order DH1"), (["1"], "order DH1"), (["order", "1"], "order DH1"), (["task", "1"], "task 1"),
     (["customer@example.com"], "order DH1")],
)  # fmt: skip
def test_an_order_and_a_task_can_be_asked_about(
    words: list[str], subject: str, shop: Shop, inside: Program
) -> None:
    shop.paid()

    found = json.loads(inside("why", *words, "-o", "json").out)

    assert found["subject"] == subject
    assert (found["link"], found["cause"]) == ("worker", "no-worker")
    assert list(found) == ["subject", "state", "link", "cause", "text", "repair", "explanation", "steps"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["DH12346"], 3, "orderctl: order 'DH12346' not found; similar: 'DH12345'\nhint: orderctl why DH12345\n"),
        (["2"], 3, "orderctl: order '2' not found\nhint: orderctl why task 2\n"),
        (["task", "9"], 3, "orderctl: task 9 not found\nhint: orderctl tasks list\n"),
        (["task", "x"], 2, "orderctl: 'x' is not the id of a task\nhint: orderctl tasks list\n"),
        (["DH1", "DH2"], 2, "orderctl: give one order, or the word task and the id of one\nhint: orderctl why DH1\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_about(
    words: list[str], status: int, said: str, shop: Shop, inside: Program
) -> None:
    shop.paid("DH12345", courses=2)

    ended = inside("why", *words)

    assert (ended.status, ended.out, ended.err) == (status, "", said)


def test_what_has_ended_exits_0_and_says_so(shop: Shop, inside: Program) -> None:
    [task_id] = shop.paid()
    shop.carry_out(task_id)
    shop.execute("UPDATE orderctl_outbox SET sent_at = '2026-01-01 00:00:00'")

    ended = inside("why", "DH1", "-o", "json")

    found = json.loads(ended.out)
    assert (ended.status, ended.err) == (0, "")
    assert [step["cause"] for step in found["steps"] if step["link"] in set(list(Link)[:7])] == [None] * 7
    assert {step["state"] for step in found["steps"][:7]} == {"holds"}


def test_orders_of_one_code_are_asked_about_by_their_ids(shop: Shop, inside: Program) -> None:
    shop.add("DH1")
    shop.add("DH2")
    shop.execute("DROP INDEX uq_orderctl_orders_order_code")
    shop.execute("UPDATE orders SET order_code = 'DH1'")

    ended = inside("why", "DH1")
    assert (ended.status, ended.err.splitlines()[1]) == (4, "hint: orderctl why 1")
    [repair] = [line for line in inside("why", "2").out.splitlines() if line.startswith("repair: ")]
    assert repair == "repair: orderctl orders pay 2 --amount 300000"


def test_texts_of_strangers_are_safe_and_commands_are_quoted(shop: Shop, inside: Program) -> None:
    shop.add("-DH1234")
    shop.receive(Transfer("plain", AMOUNT, provider_id="7", content="DH1243\x1b[31m\u202e"))

    ended = inside("why", "--", "-DH1234")

    assert "\x1b" not in ended.out
    assert "\u202e" not in ended.out
    assert "repair: orderctl payments match --reason WHY -- 1 -DH1234" in ended.out


def test_nothing_is_started_and_nothing_is_changed(
    shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORDERCTL_REDIS_URL")
    shop.paid()
    before = (shop.order_rows(), shop.task_rows(), shop.log_size())

    assert "repair: orderctl worker start" in inside("why", "DH1").out
    assert inside("embedded", "status").status == 1
    assert (shop.order_rows(), shop.task_rows(), shop.log_size()) == before


def test_a_redis_that_is_away_is_a_cause_and_no_outage_of_the_command(
    shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.paid()
    monkeypatch.setenv("ORDERCTL_REDIS_URL", "redis://:secret@127.0.0.1:1/0")

    ended = inside("why", "DH1", "-o", "json")

    assert (ended.status, ended.err, json.loads(ended.out)["cause"]) == (1, "", "redis-down")
    assert "secret" not in ended.out


def test_it_can_be_watched(shop: Shop, inside: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.add()
    drawn: list[str] = []

    def watch(_app: object, _watching: object, draw: Callable[[], why.watch.Picture]) -> None:
        drawn.append(draw().table)
        raise KeyboardInterrupt

    monkeypatch.setattr(why.watch, "watch", watch)
    assert inside("why", "DH1", "--watch").status == 130
    assert drawn[0].startswith("order DH1: the order is not paid (payment)\nBROKEN   payment")


def test_a_database_that_hangs_costs_no_more_than_for_status(
    inside: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("ORDERCTL_DATABASE_URL", f"mysql://shop@127.0.0.1:{server.getsockname()[1]}/shop")
        began = time.monotonic()
        ended = inside("why", "DH1")

    assert time.monotonic() - began < 5
    assert ended.status == 69


def test_an_order_that_runs_or_has_ended_is_said_to(shop: Shop, inside: Program) -> None:
    [task] = shop.paid("DH1")
    claim = shop.claimed(task)
    shop.start(claim)
    assert inside("why", "task", str(task)).out.startswith(f"task {task}: ")
    shop.complete(claim)
    shop.execute(
        "UPDATE orderctl_outbox SET sent_at = '2026-01-01 00:00:00', due_at = '9999-12-31 00:00:00.000000'"
    )
    ended = inside("why", "DH1")
    assert (ended.status, ended.out.splitlines()[0]) == (0, "order DH1: completed")
