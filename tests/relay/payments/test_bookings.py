"""Payments that come by POST to a real relay, from the request to the commit and the ring."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import redis
from sqlalchemy import Connection, text

from orderctl.errors import DatabaseBusy, NotMigrated
from orderctl.payments.transfer import Transfer
from orderctl.relay.api.threads import Late
from orderctl.relay.bell import Bell, Ringer
from orderctl.relay.metrics import Tally
from orderctl.relay.payments import bookings
from orderctl.relay.payments.bookings import Bookings
from orderctl.relay.payments.webhook import MOST_BYTES, PATH
from tests.relay.conftest import SECRET, Answer, RunningRelay, StartRelay
from tests.servers.process import free_port
from tests.shop import AMOUNT, RULES, Shop
from tests.waiting import eventually

KEY = "plain-key-0123456789abcdef"
PAYMENT = {"code": "DH1", "transferAmount": 300_000}
ACCEPT = "--accept-payments"


def post(relay: RunningRelay, document: Any = PAYMENT, path: str = PATH, **headers: str) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return relay.ask(path, "POST", body, **{"Authorization": f"Apikey {KEY}", **headers})


@pytest.fixture
def relay(start_relay: StartRelay, migrated_url: str) -> RunningRelay:
    """A relay for banks, whose own API needs tokens."""
    settings = {"payments_plain_api_key": KEY, "relay_token_secret": SECRET}
    return start_relay(ACCEPT, database_url=migrated_url, **settings)


def test_a_payment_is_written_and_wakes_a_worker(relay: RunningRelay, shop: Shop, store: redis.Redis):
    [task] = [task.id for task in shop.tasks(shop.add("DH1"))]

    first, again, other = post(relay), post(relay), post(relay, PAYMENT | {"code": "DH9"})

    [payment, unmatched] = shop.ledger()
    assert [answer.status for answer in (first, again, other)] == [200] * 3
    assert first.json == again.json == {"success": True, "data": [{"id": payment.id, "outcome": "paid"}]}
    assert other.json == {"success": True, "data": [{"id": unmatched.id, "outcome": "unmatched"}]}
    assert shop.order().payment_status == "paid"
    event = shop.event("DH1", "payment_received")
    assert (event.source, event.actor) == ("orderctl_relay", "plain")
    eventually(lambda: store.lrange("rq:queue:orderctl", 0, -1) == [b"task-%d-0" % task], "the ring")


@pytest.mark.databases("sqlite")
def test_whatever_is_refused_before_has_the_form_that_banks_know(relay: RunningRelay, shop: Shop):
    long = b'{"x": "%b"}' % (b"x" * MOST_BYTES)
    answers = [
        post(relay, Host="evil.example"),
        post(relay, Origin="https://evil.example"),
        post(relay, long),
        post(relay, Authorization="Bearer x"),
        post(relay, Authorization=""),
        post(relay, path=f"{PATH}/sepay"),
        relay.ask(PATH),
        post(relay, b'{"x": "%b"}' % (b"x" * 100_000)),
    ]

    assert [answer.status for answer in answers] == [421, 403, 413, 401, 401, 404, 405, 200]
    assert [list(answer.json) for answer in answers[:7]] == [["success", "error", "data"]] * 7
    assert {(answer.json["success"], tuple(answer.json["data"])) for answer in answers[:7]} == {(False, ())}
    options = relay.ask(PATH, "OPTIONS")
    assert (options.status, options.headers["Allow"]) == (204, "OPTIONS, POST")
    assert [payment.outcome for payment in shop.ledger()] == ["ignored"]


@pytest.mark.databases("sqlite")
def test_without_a_secret(start_relay: StartRelay, migrated_url: str, shop: Shop):
    shop.add("DH1")
    relay = start_relay(ACCEPT, "--payments-without-secret", database_url=migrated_url)
    json_type = {"Content_Type": "application/json", "Authorization": ""}

    assert post(relay, **json_type).json["data"][0]["outcome"] == "paid"
    assert post(relay, Content_Type="text/plain").status == 415
    assert relay.metric("payments_total", outcome="paid") == 1
    assert relay.metric("refused_payment_requests_total", reason="unauthenticated") == 1


@contextmanager
def holding(shop: Shop) -> Iterator[Connection]:
    """Hold the lock of every order, as another transaction does."""
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE orders SET user_email = 'a@example.com'"))
        yield connection


@pytest.mark.databases("sqlite")
def test_a_stop_waits_for_a_delivery_that_is_under_way(relay: RunningRelay, shop: Shop):
    shop.add("DH1")
    with closing(http.client.HTTPConnection("127.0.0.1", relay.port)) as bank:
        bank.request("GET", "/healthz")
        assert bank.getresponse().read() == b'{"status":"ok"}'
        with holding(shop):
            bank.request("POST", PATH, json.dumps(PAYMENT), {"Authorization": f"Apikey {KEY}"})
            relay.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        assert json.load(bank.getresponse())["data"][0]["outcome"] == "paid"
    assert relay.process.wait(10) == 0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Banks that wait for a shorter time."""
    monkeypatch.setattr(bookings, "_LAST_RUN", 0.5)


@pytest.fixture
def ringer() -> Ringer:
    """Rings at a Redis that does not answer."""
    return Ringer(Bell(f"redis://127.0.0.1:{free_port()}/0", "orderctl"))


@pytest.mark.databases("sqlite")
def test_a_database_that_is_not_migrated(database_url: str, ringer: Ringer):
    with pytest.raises(NotMigrated):
        receive(database_url, ringer)


def receive(url: str, ringer: Ringer, tally: Tally | None = None, *, number: int = 1) -> list[Any]:
    engine = bookings.connect(url)
    try:
        transfers = [Transfer("plain", AMOUNT, code=f"DH{place}") for place in range(1, number + 1)]
        return asyncio.run(Bookings(engine, RULES, ringer, tally or Tally()).receive(transfers))
    finally:
        engine.dispose()


@pytest.mark.usefixtures("quick")
def test_a_lock_that_is_held_for_long_is_not_waited_for(shop: Shop, migrated_url: str, ringer: Ringer):
    shop.add("DH1")
    with holding(shop), pytest.raises((DatabaseBusy, Late)):
        receive(migrated_url, ringer)

    assert shop.ledger() == []
    [receipt] = receive(migrated_url, ringer)
    assert receipt.payment.outcome == "paid"


@pytest.mark.databases("sqlite")
def test_a_commit_that_comes_too_late_for_the_bank_is_known_when_it_comes_again(
    shop: Shop, migrated_url: str, ringer: Ringer, monkeypatch: pytest.MonkeyPatch
):
    shop.add("DH1")
    monkeypatch.setattr(bookings, "DEADLINE", 0.05)
    with holding(shop), pytest.raises(Late):
        receive(migrated_url, ringer)

    eventually(lambda: len(shop.ledger()) == 1, "the late commit")
    monkeypatch.undo()
    assert [receipt.repeated for receipt in receive(migrated_url, ringer)] == [True]


@pytest.mark.databases("sqlite")
def test_a_list_has_more_time_than_one_payment(
    shop: Shop, migrated_url: str, ringer: Ringer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(bookings, "DEADLINE", -60.0)
    monkeypatch.setattr(bookings, "_EACH", 60.0)

    receipts = receive(migrated_url, ringer, number=3)

    assert len(receipts) == len(shop.ledger()) == 3
    with pytest.raises(Late):
        receive(migrated_url, ringer)


@pytest.mark.databases("sqlite")
def test_redis_that_is_away_costs_no_payment(
    shop: Shop, migrated_url: str, ringer: Ringer, caplog: pytest.LogCaptureFixture
):
    shop.add("DH1")

    tally = Tally()

    outcomes = [receive(migrated_url, ringer, tally)[0].payment.outcome for _ in range(2)]
    ringer.finish(10)

    assert outcomes == ["paid", "paid"]
    assert tally.payments == {"paid": 1, "repeated": 1}
    assert "Redis does not answer" in caplog.text
