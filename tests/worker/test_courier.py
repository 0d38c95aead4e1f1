"""The courier: entries that cannot be sent delay nothing else, and a stop leaves the rest to others."""

import logging
import socket
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from redis.exceptions import OutOfMemoryError

from orderctl import outbox
from orderctl.errors import DatabaseReadOnly, DatabaseUnavailable
from orderctl.outbox import EntryKind
from orderctl.setting_sections import Mail, Notify
from orderctl.worker import courier, settlement
from tests.faults.world import World
from tests.waiting import eventually
from tests.worker.conftest import Hook, ended_order, failed_order, send

pytestmark = pytest.mark.databases("sqlite")


def test_what_is_not_configured_is_said_once_and_nothing_piles_up(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.__dict__["settings"] = replace(world.settings, mail=Mail(), notify=Notify())
    courier._log_once.cache_clear()
    with caplog.at_level(logging.INFO, logger="orderctl"):
        for number in range(3):
            ended_order(world, f"DH{number}")
            failed_order(world, f"DX{number}")
            send(world)

    assert all(row.sent_at is not None for row in world.shop.outbox() if row.due_at <= world.shop.now())
    said = [
        record.getMessage()
        for record in caplog.records
        if "is configured" in record.getMessage() or "not configured" in record.getMessage()
    ]
    assert len(said) == len(set(said))
    assert {text.partition(": ")[2] for text in said} == {
        "mail.url is not configured",
        "mail.url or mail.admin is not configured",
        "no endpoint is configured",
    }
    assert world.post.letters == []


def test_receiver_that_hangs_delays_no_download_and_no_mail(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        world.more["ORDERCTL_NOTIFY_WEBHOOK_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        for number in range(3):
            world.shop.add(f"DH{number}", [world.course()])
        with world.supervisor():
            for number in range(3):
                world.shop.pay(f"DH{number}")
            eventually(lambda: len(world.post.letters) == 3, "the mails")
            eventually(lambda: sum(world.listener.completions().values()) == 3, "the messages")
            waiting = [row for row in world.shop.outbox() if row.kind == "webhook" and row.last_error is None]
            # Each waits 10 s for an answer. Where mails wait for webhooks, the last one waits for two of them.
            assert len(waiting) >= 2
            silent.close()  # or the supervisor would wait for these answers at its end


def test_an_outage_of_the_database_is_no_fault_of_an_entry(
    world: World, hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended_order(world, "DH1")
    with monkeypatch.context() as patch:
        patch.setattr(courier, "_hold", Mock(side_effect=[DatabaseReadOnly, *[True] * 20]))
        send(world)
        send(world)
    assert {row.sent_at is not None for row in world.shop.outbox()} == {True}
    assert len(world.post.letters) == 1
    assert "cannot send" not in caplog.text


def test_entry_whose_order_is_gone_delays_nothing(
    world: World, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    """Its end stands in the log: an event needs an order."""
    hook.status = 410
    world.shop.transact(
        lambda c: outbox.put(c, EntryKind.SUMMARY, "lost", {"orderId": 999, "status": "completed"})
    )
    for key, payload in (
        ("of none", {"event": "x"}),
        ("of one", {"event": "x", "orderId": 999, "taskId": 7}),
    ):
        world.shop.transact(lambda c, k=key, p=payload: outbox.put(c, EntryKind.WEBHOOK, k, p))
    ended_order(world)

    report = send(world)

    assert report.dropped[:2] == ["of none", "of one"]
    assert "lost" in report.dropped
    assert "gave up sending of one" in caplog.text
    assert len(world.post.letters) == 1


def test_payload_of_another_program_delays_nothing(world: World, hook: Hook) -> None:
    """One that was not an object ended the courier at each start: no other message was addressed."""
    hook.status, kinds = 410, tuple(EntryKind)
    odd: list[Any] = [5, [1], "x", {}, {"orderId": {}}, {"orderId": "1", "taskId": [1]}, {"orderId": 2**70}]
    odd += [{"about": "payments", "paymentId": 1, "since": "now"}, {"about": "webhook", "endpoint": {}}]
    for number, payload in enumerate(odd):
        for kind in kinds:
            key = f"{number} {kind}"
            world.shop.transact(lambda c, k=kind, y=key, p=payload: outbox.put(c, k, y, p))
    order_id = ended_order(world)

    send(world)

    assert world.shop.event(order_id, "webhook_failed").details["status"] == 410
    assert len(world.post.letters) == 1
    errors = {row.dedup_key: row.last_error for row in world.shop.outbox() if row.failed_at is not None}
    assert {errors[f"{number} {kind}"] for number in range(3) for kind in kinds} == {
        "the payload is not an object"
    }
    assert "WebhookRefused" in errors["5 webhook"]
    assert [errors[f"{number} alert"].partition(": ") for number in range(3, 9)] == [
        ("its payload is not valid", ": ", reason)
        for reason in (
            "orderId is missing",
            "taskId is missing",
            "errorType is missing",
            "taskId is missing",
            "since is not a time with its zone",
            "endpoint is not a text",
        )
    ]
    for number, fault in ((3, "missing"), (4, "not an id"), (5, "not an id"), (6, "not an id")):
        for kind in ("summary", "completion"):
            assert errors[f"{number} {kind}"] == f"its payload is not valid: orderId is {fault}"


def test_long_key_of_another_program_delays_nothing(world: World, hook: Hook) -> None:
    """With the name of an endpoint it did not fit into its column: no other message was addressed."""
    world.shop.transact(lambda c: outbox.put(c, EntryKind.WEBHOOK, "k" * 191, {"event": "x"}))
    ended_order(world)

    send(world)

    [row] = [row for row in world.shop.outbox() if row.failed_at is not None]
    assert (len(row.dedup_key), row.last_error) == (191, "the dedup_key has more than 150 characters")
    assert len(hook.requests) == 1


def test_courier_that_has_to_stop_waits_for_a_lost_database_for_some_seconds_only(
    world: World, hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(settlement, "_LAST_WORD", 0.2)
    monkeypatch.setattr(settlement, "_note_sent", Mock(side_effect=DatabaseUnavailable))
    world.shop.transact(lambda c: outbox.put(c, EntryKind.WEBHOOK, "k", {"event": "x"}))

    with pytest.raises(DatabaseUnavailable):
        courier.send_due(world.engine, world.client, world.settings, over=lambda: bool(hook.requests))

    assert "k was sent, which could not be recorded: it may be sent again" in caplog.text


def test_courier_that_is_stopped_releases_what_it_has_not_sent(world: World, hook: Hook) -> None:
    for number in range(5):
        world.shop.transact(
            lambda c, number=number: outbox.put(c, EntryKind.WEBHOOK, f"k{number}", {"event": "x"})
        )

    report = courier.send_due(
        world.engine, world.client, world.settings, over=lambda: len(hook.requests) >= 2
    )

    assert report.sent == ["k0", "k1"]
    left = [row for row in world.shop.outbox() if row.sent_at is None]
    assert [(row.dedup_key, row.attempts, row.lease_token) for row in left] == [
        ("k2", 0, None),
        ("k3", 0, None),
        ("k4", 0, None),
    ]
    assert send(world).sent == ["k2", "k3", "k4"]


def test_completions_that_redis_does_not_take_are_one_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """As a full Redis refuses them: each try of each message was a line."""
    for number in range(3):
        ended_order(world, f"DH{number}")
    for _ in range(3):
        world.pass_time()
        courier.send_completions(world.engine, Refusing())  # type: ignore[arg-type]
    world.pass_time()
    courier.send_completions(world.engine, world.client)

    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 2
    assert said[0].startswith("waiting: Redis refuses to write")
    assert said[1].startswith("Redis is back")


class Refusing:
    """A Redis client that gets every command refused."""

    def __getattr__(self, name: str) -> object:
        def refuse(*_: object, **__: object) -> None:
            raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'")

        return "" if name == "prefix" else refuse
