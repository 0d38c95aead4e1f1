"""The answers to banks, without a database."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from orderctl.errors import (
    DatabaseBusy,
    DatabaseReadOnly,
    DatabaseUnavailable,
    InvalidInput,
    Misconfigured,
    NotMigrated,
)
from orderctl.payments.intake import Receipt
from orderctl.payments.ledger import Payment
from orderctl.payments.transfer import Transfer
from orderctl.relay.api.threads import Late, Overloaded
from orderctl.relay.metrics import Tally
from orderctl.relay.payments.accepted import choose
from orderctl.relay.payments.attempts import MOST
from orderctl.relay.payments.webhook import PATH, Webhook
from orderctl.relay.web import Reply, Request
from orderctl.settings import load
from tests.relay.members import FakeClock

KEY = "plain-key-0123456789abcdef"
RIGHT, WRONG = {"authorization": f"Apikey {KEY}"}, {"authorization": "Apikey 0123456789abcdef"}
PAYMENT = {"code": "DH1", "transferAmount": 300_000}
TRYING = {"host": "localhost:3001", "content-type": "application/json; charset=utf-8"}


class Books:
    """Keeps what it is given, or fails with an error."""

    def __init__(self) -> None:
        self.written: list[Transfer] = []
        self.error: Exception | None = None

    async def receive(self, transfers: Sequence[Transfer]) -> list[Receipt]:
        if self.error is not None:
            raise self.error
        self.written += transfers
        return [_receipt(number, transfer) for number, transfer in enumerate(transfers, 12)]


def _receipt(number: int, transfer: Transfer) -> Receipt:
    values: dict[str, Any] = dict.fromkeys(Payment.__dataclass_fields__)
    values |= {"id": number, "provider": transfer.provider, "direction": "in", "outcome": "paid"}
    return Receipt(Payment(**values), repeated=False)


class Bank:
    """A bank before a webhook."""

    def __init__(self, *, guarded: bool = True, **flags: str) -> None:
        self.clock = FakeClock()
        self.books = Books()
        self.tally = Tally()
        keys = {"payments.api_key": KEY} if guarded else {}
        accepted = choose(load(keys | flags, environ={"ORDERCTL_ALONE": "1"}), without_secret=not guarded)
        times: Any = {"clock": self.clock.time, "later": self.clock.call_later}
        self.webhook = Webhook(accepted, self.books, self.tally, **times)

    def send(
        self, document: Any = PAYMENT, headers: dict[str, str] = RIGHT, path: str = PATH, method: str = "POST"
    ) -> Reply:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return asyncio.run(self.webhook.answer(Request(method, path, {}, headers, body)))


def told(reply: Reply) -> Any:
    return json.loads(reply.body)


@pytest.fixture
def bank() -> Bank:
    return Bank()


class TestAnswers:
    @pytest.mark.parametrize("path", [PATH, f"{PATH}/plain"])
    def test_a_payment_is_a_success_once_it_is_written(self, bank: Bank, path: str):
        reply = bank.send(path=path)

        assert (reply.status, reply.type) == (200, "application/json")
        assert reply.body == b'{"success":true,"data":[{"id":12,"outcome":"paid"}]}'
        assert [transfer.code for transfer in bank.books.written] == ["DH1"]

    def test_a_long_body_is_read_beside_the_event_loop(self, bank: Bank):
        assert bank.send(PAYMENT | {"content": "x" * 100_000}).status == 200
        assert bank.send(b"[" * 100_000).status == 400

    @pytest.mark.parametrize(
        "path", [f"{PATH}/", f"{PATH}/sepay", f"{PATH}/plain/", f"{PATH}/Plain", f"{PATH}//plain"]
    )
    @pytest.mark.parametrize("method", ["POST", "GET"])
    def test_another_provider_is_not_named(self, bank: Bank, path: str, method: str):
        reply = bank.send(path=path, method=method)

        assert reply.status == 404
        assert told(reply) == {"success": False, "error": "no such provider is accepted here", "data": []}

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
    def test_only_post(self, bank: Bank, method: str):
        reply = bank.send(method=method)

        assert (reply.status, reply.headers["Allow"]) == (405, "OPTIONS, POST")
        assert bank.books.written == []

    @pytest.mark.parametrize(
        "headers", [{}, WRONG, {"authorization": f"Basic {KEY}"}, {"authorization": KEY}]
    )
    @pytest.mark.parametrize("path", [PATH, f"{PATH}/plain"])
    def test_who_is_not_authentic_learns_nothing(self, bank: Bank, headers: dict[str, str], path: str):
        replies = [bank.send(body, headers, path) for body in (PAYMENT, b"{", b"", {"id": []})]

        assert {(reply.status, reply.headers["WWW-Authenticate"]) for reply in replies} == {
            (401, 'Apikey realm="payments"')
        }
        assert len({reply.body for reply in replies}) == 1
        assert told(replies[0]).keys() == {"success", "error", "data"}
        assert bank.books.written == []
        assert bank.tally.refused_payments == {"unauthenticated": 4}

    @pytest.mark.parametrize(
        ("document", "said"),
        [
            (b"", "the body is empty"),
            (b"code=DH1", "the body is not JSON"),
            ([1], "not a JSON object"),
            ({"code": "DH1", "transferAmount": "much"}, "transferAmount"),
        ],
    )
    def test_what_is_not_a_payment_is_refused_with_the_reason(self, bank: Bank, document: Any, said: str):
        reply = bank.send(document)

        assert reply.status == 400
        assert said in told(reply)["error"]
        assert told(reply)["success"] is False

    def test_without_the_option_it_says_how_to_start_it(self):
        for method in ("GET", "POST"):
            reply = asyncio.run(Webhook(later=FakeClock().call_later).answer(Request(method, PATH)))

            assert reply.status == 404
            assert "orderctl relay start --accept-payments" in told(reply)["error"]


class TestOutages:
    @pytest.mark.parametrize(
        "error",
        [
            Late("the database did not answer within 3 s"),
            Overloaded(),
            DatabaseUnavailable("cannot connect to db.internal"),
            DatabaseBusy("a lock"),
            DatabaseReadOnly("demoted: db.internal"),
            NotMigrated("there is no table", hint="orderctl migrate up"),
            Misconfigured("access denied for shop at db.internal"),
        ],
    )
    def test_the_bank_is_asked_to_come_again(
        self, bank: Bank, error: Exception, caplog: pytest.LogCaptureFixture
    ):
        bank.books.error = error
        replies = [bank.send() for _ in range(3)]

        assert {(reply.status, reply.headers["Retry-After"]) for reply in replies} == {(503, "5")}
        assert told(replies[0]).keys() == {"success", "error", "data"}
        assert "db.internal" not in told(replies[0])["error"]
        assert len(caplog.messages) == 1
        assert str(error) in caplog.text

    def test_an_unforeseen_error_is_logged_without_what_was_sent(
        self, bank: Bank, caplog: pytest.LogCaptureFixture
    ):
        bank.books.error = ValueError("cannot store 'Le Van A, 0123456789'")
        reply = bank.send()

        assert (reply.status, told(reply)["error"]) == (500, "internal error")
        assert "Le Van A" not in caplog.text
        assert "builtins.ValueError" in caplog.text
        assert "receive" in caplog.text

    def test_the_log_has_neither_bodies_nor_secrets(self, bank: Bank, caplog: pytest.LogCaptureFixture):
        caplog.set_level(logging.DEBUG, "orderctl")
        bank.send({"code": "DH1", "transferAmount": "Le Van A"})
        bank.send(PAYMENT | {"content": "Le Van A"}, WRONG)
        bank.send(PAYMENT | {"content": "Le Van A"})

        assert len(caplog.messages) == 2
        assert not [secret for secret in ("Le Van A", KEY, WRONG["authorization"]) if secret in caplog.text]

    def test_an_error_of_the_receiver_is_a_400(self, bank: Bank):
        bank.books.error = InvalidInput("the transfer has no amount")

        assert bank.send().status == 400


class TestStrangers:
    def test_failed_ones_are_limited_and_an_authentic_one_passes(
        self, bank: Bank, caplog: pytest.LogCaptureFixture
    ):
        statuses = [bank.send(headers=WRONG).status for _ in range(MOST + 5)]
        late = bank.send(headers=WRONG)
        passed = bank.send()
        bank.clock.pass_time(60)

        assert statuses == [401] * MOST + [429] * 5
        assert (late.status, late.headers["Retry-After"]) == (429, "60")
        assert passed.status == 200
        assert bank.send(headers=WRONG).status == 401
        assert [line for line in caplog.messages if "authenticated" in line] == [
            f"a payment webhook to {PATH} was not authenticated: check the provider's secret",
            f"{MOST + 5} more payment webhooks were not authenticated in the last minute",
        ]

    def test_refused_requests_are_counted_by_reason(self, bank: Bank):
        bank.send()
        bank.send(headers=WRONG)
        bank.send(b"{")
        bank.send(path=f"{PATH}/sepay")
        for error in (DatabaseBusy(), ValueError()):
            bank.books.error = error
            bank.send()

        reasons = ("unauthenticated", "invalid", "unknown", "unavailable", "failed")
        assert bank.tally.refused_payments == dict.fromkeys(reasons, 1)


class TestWithoutSecret:
    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1:3001", "[::1]:3001", "LOCALHOST:80"])
    def test_a_program_of_this_machine_may_pay(self, host: str):
        assert Bank(guarded=False).send(headers=TRYING | {"host": host}).status == 200

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"origin": "http://localhost:3001"}, 403),
            ({"origin": "null"}, 403),
            ({"x-forwarded-for": "1.2.3.4"}, 403),
            ({"x-forwarded-proto": "https"}, 403),
            ({"x-real-ip": "1.2.3.4"}, 403),
            ({"forwarded": "for=1.2.3.4"}, 403),
            ({"via": "1.1 nginx"}, 403),
            ({"host": "shop.example"}, 403),
            ({"host": "192.168.1.5:3001"}, 403),
            ({"content-type": "text/plain"}, 415),
            ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ],
    )
    def test_others_may_not(self, headers: dict[str, str], status: int):
        bank = Bank(guarded=False)
        reply = bank.send(headers=TRYING | headers)

        assert reply.status == status
        assert told(reply)["success"] is False
        assert bank.books.written == []
