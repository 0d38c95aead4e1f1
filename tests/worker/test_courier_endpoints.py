"""Several endpoints of webhooks: each gets its events once, and none waits for another."""

import base64
import json
import socket
from collections.abc import Iterator
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Barrier, Thread
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import event, update
from standardwebhooks import Webhook, WebhookVerificationError

from orderctl import database, outbox, outgoing, webhook_endpoints
from orderctl.errors import DatabaseUnavailable
from orderctl.outbox import EntryKind
from orderctl.schema import outbox as outbox_table
from orderctl.states import MessageState
from orderctl.worker import courier
from orderctl.worker.heartbeat import StopRequest
from tests.faults.world import World
from tests.waiting import eventually
from tests.worker.conftest import Hook, ended_order, failed_order, make_due, send

pytestmark = pytest.mark.databases("sqlite")

STANDARD = f"whsec_{base64.b64encode(bytes(range(0, 250, 9))).decode()}"
TEXT = "between us, and not to be guessed"
OF_TEXT = f"whsec_{base64.b64encode(TEXT.encode()).decode()}"


@pytest.fixture
def other() -> Iterator[Hook]:
    yield (hook := Hook())
    hook.close()


def configure(world: World, *endpoints: dict[str, Any], webhook_url: str = "") -> None:
    world.more |= {
        "ORDERCTL_NOTIFY_WEBHOOK_URL": webhook_url,
        "ORDERCTL_NOTIFY_ENDPOINT": json.dumps(endpoints),
    }
    world.__dict__.pop("settings", None)


def crm(hook: Hook, **more: Any) -> dict[str, Any]:
    return {"name": "crm", "url": hook.url, **more}


def put(world: World, key: str = "key", **payload: Any) -> None:
    payload = {"event": "order_completed", **payload}
    world.shop.transact(lambda c: outbox.put(c, EntryKind.WEBHOOK, key, payload))


def hooks(world: World) -> list[Any]:
    return [row for row in world.shop.outbox() if row.kind == "webhook"]


def alerts(world: World) -> list[dict[str, Any]]:
    return [row.payload for row in world.shop.outbox() if row.kind == "alert"]


def test_what_arrives_is_verified_by_the_package(world: World, receiver_alone: Hook) -> None:
    configure(world, crm(receiver_alone, secret=[STANDARD, TEXT]))
    order_id = ended_order(world)

    send(world)

    [(headers, body)] = receiver_alone.requests
    for secret in (STANDARD, OF_TEXT):
        assert Webhook(secret).verify(body, headers)["orderId"] == order_id
    with pytest.raises(WebhookVerificationError):
        Webhook(OF_TEXT[:-4] + "AAA=").verify(body, headers)
    assert headers["X-Orderctl-Delivery"] == f"order:{order_id}:round:0:webhook"


def test_each_endpoint_gets_the_events_that_it_wants(world: World, receiver_alone: Hook, other: Hook) -> None:
    configure(
        world,
        crm(receiver_alone, events=["order_completed"]),
        {"name": "all", "url": other.url},
        {"name": "cancelled", "url": "http://127.0.0.1:1/", "events": ["order_cancelled"]},
    )
    ended_order(world, "DH1")
    failed_order(world, "DH2")

    send(world)

    def events(hook: Hook) -> list[str]:
        return [json.loads(body)["event"] for _, body in hook.requests]

    assert events(receiver_alone) == ["order_completed"]
    assert events(other) == ["order_completed", "task_failed", "order_failed"]
    assert receiver_alone.requests[0][0]["webhook-id"] == other.requests[0][0]["webhook-id"]
    sent = {headers["webhook-id"] for headers, _ in receiver_alone.requests + other.requests}
    with database.reading(world.engine) as connection:
        found = [outgoing.find(connection, row.id) for row in world.shop.outbox()]
    assert {one.webhook_id for one in found if one.kind == "webhook"} == sent
    assert {row.endpoint for row in hooks(world)} == {"crm", "all"}
    assert all(row.sent_at for row in hooks(world))


def test_an_event_that_no_endpoint_wants_is_marked_with_a_remark(world: World, receiver_alone: Hook) -> None:
    configure(world, crm(receiver_alone, events=["task_*"]))
    put(world)

    assert send(world).dropped == ["key"]

    [row] = hooks(world)
    assert (row.sent_at is not None, row.last_error) == (True, "no endpoint wants order_completed")
    assert receiver_alone.requests == []


def test_an_endpoint_that_hangs_delays_no_other(world: World, receiver_alone: Hook) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        configure(world, {"name": "silent", "url": url}, crm(receiver_alone))
        put(world, "first")
        with world.playing("couriers"):
            eventually(lambda: receiver_alone.requests, "the first event")
            put(world, "second")
            eventually(lambda: len(receiver_alone.requests) == 2, "the second event")
            silent_ones = [row for row in hooks(world) if row.endpoint == "silent"]
            assert [(row.sent_at, row.last_error) for row in silent_ones] == [(None, None)] * 2


def test_what_ends_the_thread_of_an_endpoint_is_an_error_of_the_next_turn(
    world: World, receiver_alone: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(world, crm(receiver_alone))
    put(world)
    hooks = courier._Webhooks(world.engine, webhook_endpoints.of(world.settings.notify), StopRequest())
    with monkeypatch.context() as patch:
        patch.setattr(courier, "_send_webhooks", Mock(side_effect=DatabaseUnavailable))
        hooks.turn(world.client)
        wait(hooks._busy.values())

        with pytest.raises(DatabaseUnavailable):
            hooks.turn(world.client)
        wait(hooks._busy.values())

    with pytest.raises(DatabaseUnavailable):
        hooks.turn(world.client)
    hooks.close()
    assert len(receiver_alone.requests) == 1


def test_an_endpoint_that_is_gone_gets_its_due_again_and_the_others_go_on(
    world: World, receiver_alone: Hook, other: Hook
) -> None:
    """Its removal gives the entry up; nothing is lost when it is back."""
    configure(world, crm(receiver_alone), {"name": "stock", "url": other.url})
    receiver_alone.status = 500
    order_id = ended_order(world)
    send(world)
    make_due(world)
    configure(world, {"name": "stock", "url": other.url})
    assert send(world).dropped == []  # another machine may know it

    world.shop.transact(
        lambda c: c.execute(update(outbox_table).values(created_at=database.utc_now(-outbox.STRANGE_SECONDS)))
    )
    assert send(world).dropped[0] == f"order:{order_id}:round:0:webhook"

    [gone, stays] = hooks(world)
    said = world.shop.event(order_id, "webhook_failed")
    assert gone.last_error == "EndpointRemoved: the endpoint crm is not configured any more"
    assert (gone.failed_at is not None, stays.sent_at is not None) == (True, True)
    assert (said.details["endpoint"], said.details["url"]) == ("crm", None)
    assert said.message == f"Webhook to crm failed: {gone.last_error}"
    assert [(alert["endpoint"], alert["receiver"]) for alert in alerts(world)] == [("crm", None)]

    configure(world, crm(receiver_alone), {"name": "stock", "url": other.url})
    receiver_alone.status = 204
    assert world.shop.transact(lambda c: outbox.resend(c, gone.id))
    assert send(world).sent == [gone.dedup_key]
    assert len({headers["webhook-id"] for headers, _ in receiver_alone.requests + other.requests}) == 1
    assert len(other.requests) == 1


def test_a_receiver_that_is_dead_for_all_tries_gets_it_when_it_is_sent_again(
    world: World, receiver_alone: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    configure(world, crm(receiver_alone, secret=STANDARD))
    receiver_alone.status = 503
    order_id = ended_order(world)
    for _ in range(30):
        send(world)
        make_due(world)
    assert len(receiver_alone.requests) == 30

    [row] = hooks(world)
    assert world.shop.read(
        lambda c: c.execute(outbox_table.select().where(outbox.in_state(MessageState.FAILED))).all()
    )
    assert f"orderctl outbox resend {row.id}" in caplog.text
    said = world.shop.event(order_id, "webhook_failed").details
    assert (said["endpoint"], said["status"], said["attempts"]) == ("crm", 503, 30)
    [alert] = alerts(world)
    assert {**alert, "since": None} == {
        "about": "webhook",
        "endpoint": "crm",
        "receiver": f"http://{receiver_alone.authority}/...",
        "error": row.last_error,
        "since": None,
    }
    assert send(world).sent == []

    receiver_alone.status = 204
    assert world.shop.transact(lambda c: outbox.resend(c, row.id))
    assert send(world).sent == [row.dedup_key]
    assert send(world).sent == []
    assert len(receiver_alone.requests) == 31
    headers, body = receiver_alone.requests[-1]
    assert Webhook(STANDARD).verify(body, headers)["orderId"] == order_id
    assert len({headers["webhook-id"] for headers, _ in receiver_alone.requests}) == 1


def test_an_alert_that_cannot_be_sent_makes_no_further_alert(world: World, receiver_alone: Hook) -> None:
    configure(world, crm(receiver_alone))
    world.more["ORDERCTL_MAIL_ADMIN"] = "admin@example.com"
    receiver_alone.status = 410
    put(world, "first")
    put(world, "second")
    world.shop.transact(
        lambda c: outbox.put(c, EntryKind.ALERT, "alert:new", {"about": "something of a newer version"})
    )

    send(world)
    send(world)

    by_key = {row.dedup_key: row for row in world.shop.outbox() if row.kind == "alert"}
    later = by_key.pop(f"alert:webhook:crm:{by_key['alert:webhook:crm:0'].id}")
    assert (later.due_at - world.shop.now()).total_seconds() > 3500
    assert set(by_key) == {"alert:new", "alert:webhook:crm:0"}
    assert by_key["alert:new"].failed_at is not None
    assert "no mail about 'something of a newer version'" in by_key["alert:new"].last_error


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited_for(world: World, receiver_alone: Hook, form: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    configure(world, crm(receiver_alone))
    receiver_alone.status, receiver_alone.more = 429, {"Retry-After": "300" if form == "seconds" else later}
    put(world)

    send(world)

    [row] = hooks(world)
    assert 290 <= (row.due_at - world.shop.now()).total_seconds() <= 300
    assert "HTTP 429" in row.last_error


def test_a_redirect_names_the_setting_of_its_endpoint(
    world: World, receiver_alone: Hook, other: Hook
) -> None:
    configure(world, crm(receiver_alone), webhook_url=other.url)
    for hook in (receiver_alone, other):
        hook.status, hook.location = 301, "https://new.example.com/x"
    put(world)

    send(world)

    assert {row.endpoint: row.last_error.partition("; ")[2] for row in hooks(world)} == {
        "webhook": "notify.webhook_url has to have the final URL",
        "crm": "notify.endpoint crm has to have the final URL",
    }


def test_idle_courier_asks_once_for_all_endpoints(world: World) -> None:
    configure(world, *({"name": f"e{n}", "url": "http://127.0.0.1:1/"} for n in range(20)))
    asked: list[str] = []
    send(world)
    event.listen(world.engine, "after_cursor_execute", lambda _c, _u, said, *_: asked.append(said))

    send(world)

    assert len([said for said in asked if "orderctl_outbox" in said]) == 3  # live messages, webhooks, mails


@pytest.mark.databases("sqlite", "mariadb", "mysql")
def test_two_couriers_address_an_event_once(world: World, receiver_alone: Hook, other: Hook) -> None:
    configure(world, crm(receiver_alone), {"name": "stock", "url": other.url})
    for number in range(5):
        put(world, f"key{number}")
    start = Barrier(2)

    def run() -> None:
        start.wait()
        send(world)

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    send(world)

    for hook in (receiver_alone, other):
        assert sorted(headers["X-Orderctl-Delivery"] for headers, _ in hook.requests) == [
            f"key{number}" for number in range(5)
        ]


def test_the_id_is_of_the_event_and_of_the_shop() -> None:
    ids = {
        outbox.webhook_id({"timestamp": timestamp}, key)
        for key, timestamp in (("order:1", 1), ("order:2", 1), ("order:1", 2), ("order:1", 1))
    }

    assert len(ids) == 3
    assert all(one.startswith("msg_") and one.isascii() and "." not in one for one in ids)
