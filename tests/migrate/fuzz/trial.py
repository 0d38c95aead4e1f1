"""Migrate one random shop, and judge what happened."""

import traceback
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import redis
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from orderctl import (
    audit,
    audit_search,
    audit_summary,
    database,
    failures,
    leases,
    listing,
    migrate,
    order_stats,
    orders,
    reconcile,
    settings,
    tasks,
)
from orderctl.errors import Misconfigured, OrderctlError
from orderctl.failures import Failure
from orderctl.payments import intake
from orderctl.payments.transfer import MANUAL, Transfer
from orderctl.states import ErrorType
from tests.migrate.fuzz.quirks import make
from tests.migrate.fuzz.shop import Shop, quoted
from tests.migrate.gallery import definitions
from tests.servers.databases import fresh_name
from tests.servers.mysql import MysqlServer
from tests.shop import RULES, TESTER

CODE = "DH000008"
EVENTS = {
    "payment_received": 1,
    "download_failed": 1,
    "order_failed": 1,
    "task_retried": 1,
    "order_reopened": 1,
    "download_completed": 2,
    "order_completed": 1,
}


class Outcome(Enum):
    """What became of a shop."""

    ADOPTED = "adopted"
    REFUSED = "refused"
    BROKEN = "broken"
    IMPOSSIBLE = "impossible"  # the server does not take such tables


@dataclass(frozen=True)
class Result:
    """What became of a shop, and why: obstacles, or what is broken."""

    seed: int
    shop: Shop
    outcome: Outcome
    reasons: tuple[str, ...] = ()


def attempt(server: MysqlServer, kind: str, seed: int) -> Result:
    """Make the shop of a seed, migrate it, and let the shop and orderctl work with it."""
    shop = make(seed, kind)
    name = fresh_name()
    engine = database.connect(server.create_database(name))
    try:
        try:
            execute(engine, shop, list(shop.statements()))
            execute(engine, shop, list(shop.work("DH000003")))
        except DBAPIError as error:
            return Result(seed, shop, Outcome.IMPOSSIBLE, (str(error.orig),))
        return _migrate(engine, shop, seed)
    except Exception:  # noqa: BLE001 - whatever it is, it is broken
        return Result(seed, shop, Outcome.BROKEN, (traceback.format_exc(),))
    finally:
        engine.dispose()
        server.drop_database(name)


def execute(engine: Engine, shop: Shop, statements: list[str]) -> list[Any]:
    """Run statements in a session of the shop's; return the rows that they return."""
    found: list[Any] = []
    with engine.connect() as connection:
        ours = connection.exec_driver_sql("SELECT @@sql_mode").scalar_one()
        for statement in (f"SET sql_mode = '{shop.mode}'", *statements, f"SET sql_mode = '{ours}'"):
            answer = connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            found += answer.all() if answer.returns_rows else []
        connection.commit()
    return found


def _migrate(engine: Engine, shop: Shop, seed: int) -> Result:
    before, old_rows = definitions(engine), _rows(engine, shop)
    try:
        report = migrate.up(engine)
    except Misconfigured as error:
        assert definitions(engine) == before, "refused, but changed"
        assert _rows(engine, shop) == old_rows, "refused, but rows changed"
        return Result(seed, shop, Outcome.REFUSED, tuple(migrate.status(engine).obstacles) or (str(error),))
    assert migrate.up(engine).up_to_date, "the second run had something to do"
    migrate.check(engine)
    assert _rows(engine, shop) == old_rows, "rows changed"
    assert execute(engine, shop, list(shop.work("DH000004"))) == execute(
        engine, shop, list(shop.work("DH000005"))
    )
    execute(engine, shop, list(shop.order(CODE)))
    try:
        carry_out(engine)
    except (OrderctlError, DBAPIError) as error:
        if shop.rejects and any("guard" in warning for warning in report.warnings):
            return Result(seed, shop, Outcome.REFUSED, ("a trigger that was warned about",))
        raise AssertionError("the main job failed") from error
    return Result(seed, shop, Outcome.ADOPTED, report.warnings)


def _rows(engine: Engine, shop: Shop) -> dict[str, list[Any]]:
    """Return every row in the shop's own columns, byte by byte."""
    found = {}
    with engine.connect() as connection:
        for table in shop.tables.values():
            columns = ", ".join(f"HEX({table.column(name)})" for name in table.columns)
            statement = f"SELECT {columns} FROM {quoted(table.name)} ORDER BY {table.column('id')}"
            answer = connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            found[table.name] = [tuple(row) for row in answer]
    return found


def carry_out(engine: Engine) -> None:
    """Take the shop's order through payment, a failure, a retry and its end, and look at everything."""

    def transact(work: Any) -> Any:
        return database.transact(engine, work)

    with database.reading(engine) as connection:
        order = orders.find(connection, CODE)
        first, second = (task.id for task in tasks.of_orders(connection, [order.id]))
    transfer = Transfer(MANUAL, order.total_amount, provider_id="FT1", bank="ACB")
    for _ in range(2):
        transact(lambda c: intake.pay(c, CODE, transfer, RULES, TESTER))
    complete(engine, first)
    claim = claimed(engine, second)
    failure = Failure(ErrorType.NETWORK, "connection refused: \U0001f600", "abc123")
    transact(lambda c: failures.fail(c, claim, failure, retry_transient=False))
    assert state(engine) == ("failed", "paid"), state(engine)
    transact(lambda c: tasks.retry(c, second, max_attempts=3, actor="fuzz", reason="again", take=True))
    complete(engine, second)
    assert state(engine) == ("completed", "paid"), state(engine)
    with database.reading(engine) as connection:
        look(connection, order.id)
    findings = reconcile.check(engine, redis.Redis(), settings.load(environ={}))
    assert [finding for finding in findings if finding.order_id == order.id] == []


def complete(engine: Engine, task_id: int) -> None:
    claim = claimed(engine, task_id)
    database.transact(engine, lambda c: leases.enrolled(c, claim, title="Course 1", details={"files": 3}))
    database.transact(engine, lambda c: leases.started(c, claim))
    database.transact(engine, lambda c: leases.beat(c, claim, 30))
    database.transact(
        engine, lambda c: leases.complete(c, claim, folder_name="f", drive_link=None, details={})
    )


def claimed(engine: Engine, task_id: int) -> leases.Claim:
    claim = database.transact(
        engine, lambda c: leases.claim(c, task_id, worker="shop-1:4711:ab12", lease_seconds=30, take_all=True)
    )
    assert claim is not None, "the task could not be claimed"
    return claim


def state(engine: Engine) -> tuple[str, str]:
    with database.reading(engine) as connection:
        order = orders.find(connection, CODE)
    return order.order_status, order.payment_status


def look(connection: Connection, order_id: int) -> None:
    page = listing.page(connection, listing.OrderFilter(paid=True))
    assert CODE in [order.order_code for order in page.orders]
    assert order_stats.count(connection).orders["completed"] >= 1
    assert [task.status for task in tasks.of_orders(connection, [order_id])] == ["completed", "completed"]
    found = Counter(event.event_type for event in audit.search(connection, order_id))
    assert {event: found[event] for event in EVENTS} == EVENTS, found
    assert order_id in [event.order_id for event in audit_search.errors(connection)]
    since = datetime.now(UTC) - timedelta(hours=1)
    assert sum(count.count for count in audit_summary.summary(connection, since=since)) >= sum(
        EVENTS.values()
    )
    assert audit.latest(connection, [order_id])[order_id].event_type == "order_completed"
    assert orders.find(connection, CODE).total_amount == Decimal(250_000)
