"""Whatever runs several times at the same time changes everything once, and says so in one event."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import redis
from sqlalchemy import Connection

from orderctl import broker, database, orders, reconcile, tasks
from orderctl.choices import Seen
from orderctl.errors import Conflict, OrderctlError
from orderctl.lifecycle import Moved
from orderctl.payments import intake
from orderctl.payments.intake import Receipt
from orderctl.payments.transfer import Transfer
from tests.shop import RULES, TESTER, Shop
from tests.waiting import eventually

#: How many run at once.
MANY = 4


@pytest.fixture
def shops(shop: Shop) -> Iterator[list[Shop]]:
    """The shop, as several processes see it: each has connections of its own."""
    url = database.Located(shop.engine.url.render_as_string(False), "given", "UTC")
    found = [Shop(database.connect(url)) for _ in range(MANY)]
    for one in found:
        one.read(lambda _: None)
    yield found
    for one in found:
        one.engine.dispose()


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run them at the same time, and return their results or errors."""
    ready = threading.Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        ready.wait(60)
        try:
            return work()
        except OrderctlError as error:
            return error

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def retry(shop: Shop, task: int, seen: Seen | None = None) -> Moved:
    return shop.transact(lambda c: tasks.retry(c, task, max_attempts=3, actor="admin", seen=seen))


def cancel(shop: Shop, task: int, seen: Seen | None = None) -> Moved:
    return shop.transact(lambda c: tasks.cancel(c, task, actor="admin", seen=seen))


def failed(shop: Shop) -> tuple[int, Seen]:
    """Add an order whose task has failed; return the task as an admin sees it."""
    [task] = shop.paid()
    shop.fail(task)
    return task, Seen.of(shop.task(task))


def count(shop: Shop, *types: str) -> list[int]:
    found = Counter(shop.event_types("DH1"))
    return [found[name] for name in types]


def changed(results: list[Any]) -> list[Any]:
    return [one for one in results if isinstance(one, Moved) and one.note is None]


@pytest.mark.parametrize("compared", [True, False])
def test_retries_of_one_failure(shops: list[Shop], compared: bool):
    task, seen = failed(shops[0])

    results = at_once(*(partial(retry, one, task, seen if compared else None) for one in shops))

    assert len(changed(results)) == 1
    assert [one.note for one in results if one.note] == ["already waiting, retried by admin"] * (MANY - 1)
    assert count(shops[0], "task_retried", "order_reopened") == [1, 1]
    assert shops[0].order().round == 1


@pytest.mark.databases("sqlite", "mariadb")
@pytest.mark.parametrize("compared", [True, False])
def test_cancellations(shops: list[Shop], compared: bool):
    [task] = shops[0].paid()
    seen = Seen.of(shops[0].task(task)) if compared else None

    results = at_once(*(partial(cancel, one, task, seen) for one in shops))

    assert len(changed(results)) == 1
    rest = [getattr(one, "note", None) or str(one) for one in results if one not in changed(results)]
    said = "already cancelled by admin" if compared else f"task {task} is already cancelled"
    assert rest == [said] * (MANY - 1)
    assert count(shops[0], "task_cancelled", "order_cancelled") == [1, 1]
    assert len(shops[0].outbox()) == 3


@pytest.mark.databases("sqlite", "mysql")
def test_retries_and_cancellations_of_one_failure(shops: list[Shop]):
    task, seen = failed(shops[0])
    first, second, *_ = shops

    results = at_once(partial(retry, first, task, seen), partial(cancel, second, task, seen))

    assert len(changed(results)) == 1
    assert sorted(count(first, "task_retried", "task_cancelled")) == [0, 1]
    [refused] = [one for one in results if isinstance(one, Conflict)]
    assert "was failed when it was chosen, and is" in str(refused)


def test_a_retry_and_the_claim_of_its_worker(shops: list[Shop]):
    task, seen = failed(shops[0])
    first, second, *_ = shops
    retry(first, task, seen)

    results = at_once(partial(retry, first, task, seen), partial(second.claim, task))

    assert results[0].note in {"already waiting, retried by admin", "already running, retried by admin"}
    assert results[1] is not None
    assert count(first, "task_retried") == [1]


@pytest.mark.databases("sqlite", "mysql")
def test_payments_of_one_order(shops: list[Shop]):
    shops[0].add()

    at_once(*(partial(one.pay, transaction="T1") for one in shops))

    assert count(shops[0], "payment_received") == [1]


@pytest.mark.databases("sqlite", "mariadb")
def test_additions_of_one_code(shops: list[Shop]):
    results = at_once(*(one.add for one in shops))

    assert sum(isinstance(one, Conflict) for one in results) == MANY - 1
    assert count(shops[0], "task_created") == [1]


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    client = broker.brisk(redis_url)
    yield client
    client.close()


@pytest.mark.databases("sqlite", "mysql")
def test_fixes_of_one_order(shops: list[Shop], client: redis.Redis):
    [task] = shops[0].paid()
    shops[0].claimed(task)
    shops[0].execute("UPDATE download_tasks SET status = 'completed', lease_token = NULL, lease_until = NULL")

    results = at_once(*(partial(reconcile.end_orders, one.engine, client) for one in shops))

    assert sum(map(len, results)) == 1
    assert count(shops[0], "order_completed") == [1]
    assert len(shops[0].outbox()) == 3


def test_a_fix_and_the_last_worker_of_the_order(shops: list[Shop], client: redis.Redis):
    first, second, *_ = shops
    [task] = first.paid()
    claim = first.claimed(task)
    first.start(claim)

    at_once(partial(first.complete, claim), partial(reconcile.end_orders, second.engine, client))

    assert count(first, "download_completed", "order_completed") == [1, 1]
    assert len(first.outbox()) == 3


@pytest.mark.databases("sqlite", "mariadb")
def test_a_retry_and_a_keeper_that_recovers_the_task(shops: list[Shop], client: redis.Redis):
    task, seen = failed(shops[0])
    first, second, *_ = shops
    retry(first, task)
    first.claimed(task)
    first.expire(task)

    results = at_once(
        partial(retry, first, task, seen),
        *(partial(reconcile.recover, one.engine, client, reconcile.Grace(30)) for one in (second, shops[2])),
    )

    assert results[0].note is not None
    assert sum(map(len, results[1:])) == 1
    assert count(first, "task_retried", "task_recovered") == [1, 1]


@pytest.mark.databases("mariadb")
def test_a_payment_pays_while_the_shop_copies_rows_into_the_log(shop: Shop) -> None:
    """The copy numbers its rows and waits for the order, the payment holds the order and waits for a number."""
    shop.add("DH0")
    shop.add("DH1")
    transfer = Transfer("plain", Decimal(300_000), code="DH1")
    copy = "INSERT INTO order_audit_logs (order_id, event_type) SELECT id, 'note' FROM orders ORDER BY id FOR UPDATE"
    waiting = "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'INSERT%%FOR UPDATE'"
    copies: list[Future[None]] = []

    def receive(connection: Connection) -> list[Receipt]:
        orders.lock(connection, 2)
        if not copies:
            copies.append(pool.submit(shop.execute, copy))
            eventually(lambda: shop.read(lambda c: c.exec_driver_sql(waiting).scalar()), "the copy waits")
        return intake.receive(connection, [transfer], RULES, TESTER)

    with ThreadPoolExecutor(1) as pool:
        [receipt] = shop.transact(receive)

    assert (receipt.payment.outcome, receipt.repeated) == ("paid", False)
