"""Rows with odd values, which other programs may have written, never stop a command, the API or a worker."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from orderctl import failures, leases, tasks
from orderctl.errors import OrderctlError, RedisUnavailable
from orderctl.failures import Failure
from orderctl.payments import intake
from orderctl.payments.transfer import MANUAL, Transfer
from orderctl.relay.access import Access
from orderctl.relay.api.endpoints import Endpoints
from orderctl.relay.api.outlook import Outlook
from orderctl.relay.api.reader import Reader
from orderctl.relay.web import Request
from orderctl.setting_sections import Mail
from orderctl.settings import load
from orderctl.states import ErrorType
from orderctl.worker import letters, mail
from tests import odd_rows
from tests.cli.conftest import Program
from tests.odd_rows import CROWDED, Odd
from tests.shop import RULES, TESTER, Shop

_FAILURE = Failure(ErrorType.NETWORK, "connection reset", "f")
_MAIL = Mail(url="smtp://mail.example", sender="shop@example.com")


def test_odd_rows_are_shown_and_stop_nothing(inside: Program, shop: Shop, monkeypatch: pytest.MonkeyPatch):
    odd = odd_rows.fill(shop.engine)

    faults = [*_faults_of_commands(inside, odd, monkeypatch), *asyncio.run(_faults_of_api(shop.engine, odd))]
    faults += _faults_of_changes(shop, odd)

    assert "\n".join(faults) == ""


def _faults_of_commands(inside: Program, odd: Odd, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    faults = []

    def check(
        command: str, codes: Sequence[int] = (0,), forms: Sequence[str] = ("table", "json", "csv")
    ) -> None:
        for form in forms:
            ended = inside(*command.split(), "-o", form)
            if ended.status not in codes or (form == "json" and not _is_strict(ended.out or "0")):
                faults.append(f"{command} -o {form}: {ended.status} {ended.err}")

    for zone in ("Asia/Ho_Chi_Minh", "America/Lima"):
        monkeypatch.setenv("ORDERCTL_DISPLAY_TIME_ZONE", zone)
        check("orders list -L 1000 --time-format local")
    shown, after = 0, ""
    while after is not None:
        page = inside(*f"orders list -L 7 {after} -o json".split())
        shown += len(json.loads(page.out))
        after = page.err.strip().removeprefix("next page: ") or None
    if shown != len(odd.orders):
        faults.append(f"the pages of orders list have {shown} of {len(odd.orders)} orders")
    check("orders list --stale 1h")
    check("orders list --since 2h")
    check("orders stats")
    check("orders stats --exact")
    check("status", codes=(0, 1))
    check("tasks list -L 1000")
    check("tasks list --failed --group-by error")
    check("logs show CROWDED")
    check("logs errors -n 1000 --severity debug")
    check("logs search -n 1000")
    check("logs search -n 1000 --severity debug..warning")
    check("logs summary")
    check("reconcile --check", (0, 1))
    check("doctor --only database,workers,orders,audit", (0, 1, 78))
    check("reconcile --fix", (0, 1))
    check("orders show CROWDED")
    check("orders wait CROWDED --timeout 0s", (124,))
    check("tail order CROWDED --timeout 0s", (124,))
    for order_id in list(odd.orders)[::3]:
        check(f"orders show {order_id}", forms=("table",))
    for order_id in list(odd.orders)[1::6]:
        check(f"why {order_id}", (0, 1, 3, 4), forms=("table",))
    for task_id in list(odd.tasks)[::5]:
        check(f"tasks show {task_id}", forms=("table",))
        check(f"why task {task_id}", (0, 1), forms=("table",))
    return faults


async def _faults_of_api(engine: Engine, odd: Odd) -> list[str]:
    async def refuse(*_: str) -> None:
        raise RedisUnavailable("not needed here")

    exchange: Any = SimpleNamespace(feed=SimpleNamespace(read=refuse), members=())
    outlook = Outlook("unix:///nonexistent/socket", load())
    endpoints = Endpoints(Reader(engine), exchange, None, outlook, secure=False, currency="VND")
    access = Access("tester", admin=True)
    paths = [
        "orders/paid?limit=200",
        "orders/paid?limit=200&page=2",
        "dashboard/stats",
        "errors",
        "payments?open=1",
    ]
    paths += [f"orders/{order_id}" for order_id in odd.orders]
    paths += [f"orders/{CROWDED}/logs?limit=1000"]
    faults = []
    for path in paths:
        bare, _, query = path.partition("?")
        wanted = dict(part.split("=") for part in query.split("&")) if query else {}
        reply = await endpoints.answer(Request("GET", f"/api/admin/{bare}", wanted), access)
        if reply.status != 200 or not _is_strict(reply.body.decode()):
            faults.append(f"{path}: {reply.status} {reply.body[:200]!r}")
    return faults


def _faults_of_changes(shop: Shop, odd: Odd) -> list[str]:
    """Pay each order, write its mail, run, retry and cancel each task; return what failed unexpectedly."""
    faults = []

    def check(what: str, change: Callable[[Connection], Any]) -> None:
        try:
            shop.transact(change)
        except OrderctlError as error:
            if type(error) is OrderctlError:  # what the database reports unexpectedly
                faults.append(f"{what}: {error}")
        except Exception as error:  # noqa: BLE001 - all are shown
            faults.append(f"{what}: {error!r}")

    for order_id, what in odd.orders.items():
        transfer = Transfer(MANUAL, Decimal(300_000), provider_id=f"FT{order_id}", bank="ACB")
        check(f"pay, {what}", lambda c, i=order_id, t=transfer: intake.pay(c, str(i), t, RULES, TESTER))
        check(f"mail, {what}", lambda c, one=order_id: _write_mail(c, one))
    for task_id, what in odd.tasks.items():
        check(f"retry, {what}", lambda c, one=task_id: _retry(c, one))
        check(f"run and cancel, {what}", lambda c, one=task_id: _run_and_cancel(c, one))
    return faults


def _retry(connection: Connection, task_id: int) -> None:
    tasks.retry(connection, task_id, max_attempts=3, actor="tester", take=True)


def _write_mail(connection: Connection, order_id: int) -> None:
    letter = letters.summary(connection, order_id)
    try:
        mail.compose(letter, _MAIL, "key", datetime.now(UTC)).message.as_bytes()
    except mail.Undeliverable:
        assert "@example.com" not in letter.recipient


def _run_and_cancel(connection: Connection, task_id: int) -> None:
    claim = leases.claim(connection, task_id, worker="worker", lease_seconds=30, take_all=True)
    if claim is not None:
        failures.fail(connection, claim, _FAILURE, retry_transient=True)
    tasks.cancel(connection, task_id, actor="tester")


def _is_strict(document: str) -> bool:
    """Whether a text is JSON without NaN and infinite numbers."""
    literals: list[str] = []
    try:
        json.loads(document, parse_constant=literals.append)
    except ValueError:
        return False
    return not literals
