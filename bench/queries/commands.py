"""The queries of the commands, each beside the one that people write by hand, and its goal.

A command's query is the function that the command calls. Each has its worst case in the shop of ``shop.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from bench.queries.shop import CUSTOMER, Shop
from orderctl import (
    audit,
    audit_frontier,
    audit_search,
    audit_summary,
    database,
    findings,
    listing,
    order_stats,
    orders,
    outbox,
    readiness,
    reconcile,
    settings,
    tasks,
)
from orderctl.audit import Actor, Search
from orderctl.audit_search import Walk
from orderctl.health import overview
from orderctl.listing import OrderFilter
from orderctl.outbox import EntryKind, Lane
from orderctl.payments import ledger, waiting
from orderctl.relay.api import queries as relay
from orderctl.sweep import Sweep
from orderctl.tasks import TaskFilter

PAGE_MS, STATS_MS, SUMMARY_MS, SECOND_MS, STATUS_MS = 10, 50, 10, 5, 100

Query = Callable[[Connection], object]


@dataclass(frozen=True)
class Case:
    """A query to measure.

    Attributes:
        name: What it answers.
        query: What the command calls.
        by_hand: The statement that people write for the same; empty: none.
        goal: Most milliseconds with the most orders; None: it reads many rows by design.
    """

    name: str
    query: Query
    by_hand: str = ""
    goal: float | None = PAGE_MS


def cases(engine: Engine, shop: Shop) -> list[Case]:
    """Return all cases for a shop."""
    return [*_pages(engine, shop), *_of_one(shop), *_lists(engine), *_counts(engine), *_unbounded()]


def _status(connection: Connection) -> object:
    return overview.count(connection), readiness.line(connection, limit=overview.MOST + 1)


_PAGE = """
SELECT o.id, o.order_code, o.user_email, o.order_status, o.payment_status, o.total_amount, o.created_at, COUNT(t.id),
 SUM(t.status = 'completed'), SUM(t.status = 'failed')
FROM orders o LEFT JOIN download_tasks t ON t.order_id = o.id WHERE {}
GROUP BY o.id ORDER BY o.created_at DESC, o.id DESC LIMIT 50 OFFSET {}"""
_PAID = "o.payment_status = 'paid'"


def _pages(engine: Engine, shop: Shop) -> list[Case]:
    def cursor(order_id: int) -> str:
        with database.reading(engine) as connection:
            order = orders.get(connection, order_id)
        return f"{order.created_at:%Y%m%dT%H%M%S%f}-{order.id}"

    middle, end, number = cursor(shop.count // 2), cursor(60), shop.count * 4 // 5
    paid, any_ = OrderFilter(paid=True), OrderFilter()
    page = partial(listing.page, limit=50)
    some = partial(relay.paid_orders, wanted=relay.Wanted(limit=20))
    return [
        Case("orders list --paid, first page", partial(page, wanted=paid), _PAGE.format(_PAID, 0)),
        Case(
            "orders list --paid, middle page",
            partial(page, wanted=paid, after=middle),
            _PAGE.format(_PAID, number // 2),
        ),
        Case(
            "orders list --paid, last page",
            partial(page, wanted=paid, after=end),
            _PAGE.format(_PAID, number - 50),
        ),
        Case(
            "orders list, last page",
            partial(page, wanted=any_, after=end),
            _PAGE.format("1 = 1", 2 * shop.count - 50),
        ),
        Case(
            "orders list --email, 5,000 orders",
            partial(page, wanted=OrderFilter(email=CUSTOMER)),
            _PAGE.format(f"o.user_email = '{CUSTOMER}'", 0),
        ),
        Case(
            "orders list --paid --status processing",
            partial(page, wanted=OrderFilter(paid=True, statuses=["processing"])),
            _PAGE.format(f"{_PAID} AND o.order_status = 'processing'", 0),
        ),
        Case(
            "orders list --paid --status cancelled, 3 orders",
            partial(page, wanted=OrderFilter(paid=True, statuses=["cancelled"])),
            _PAGE.format(f"{_PAID} AND o.order_status = 'cancelled'", 0),
        ),
        Case(
            "orders list --status failed,processing,cancelled",
            partial(page, wanted=OrderFilter(statuses=["failed", "processing", "cancelled"])),
            _PAGE.format("o.order_status IN ('failed', 'processing', 'cancelled')", 0),
        ),
        Case("relay: page of paid orders", some, _PAGE.format(_PAID, 0)),
    ]


def _of_one(shop: Shop) -> list[Case]:
    code, long, some = f"DH{shop.count // 3}", shop.long_order, range(shop.count // 2, shop.count // 2 + 50)
    return [
        Case(
            "orders show: order by code",
            partial(orders.find, reference=code),
            f"""
SELECT o.*, COUNT(t.id) FROM orders o LEFT JOIN download_tasks t ON t.order_id = o.id
WHERE o.order_code = '{code}' GROUP BY o.id""",
        ),
        Case(
            "logs show, order of 20,000 events",
            partial(audit.search, order_id=long, limit=100),
            f"""
SELECT a.*, t.title FROM order_audit_logs a LEFT JOIN download_tasks t ON t.id = a.task_id
WHERE a.order_id = {long} ORDER BY a.created_at DESC LIMIT 100""",
        ),
        Case(
            "latest event of 50 orders",
            partial(audit.latest, order_ids=list(some)),
            f"""
SELECT a.* FROM order_audit_logs a JOIN
 (SELECT order_id, MAX(id) AS id FROM order_audit_logs GROUP BY order_id) newest ON newest.id = a.id
WHERE a.order_id IN ({", ".join(map(str, some))})""",
        ),
    ]


def _search(connection: Connection, **wanted: Any) -> object:
    return Walk(Search(**wanted)).step(connection, 50)


def _follow(engine: Engine) -> Query:
    with database.reading(engine) as connection:
        frontier = audit_frontier.begin(connection)
    return partial(audit_frontier.look, frontier=frontier, wanted=Search())


def _lists(engine: Engine) -> list[Case]:
    return [
        Case(
            "logs errors, all in one second",
            partial(audit_search.errors, limit=50),
            """
SELECT a.*, o.order_code FROM order_audit_logs a JOIN orders o ON o.id = a.order_id
WHERE a.severity IN ('error', 'critical') AND o.payment_status = 'paid' ORDER BY a.created_at DESC LIMIT 50""",
        ),
        Case(
            "logs search --type payment_received",
            partial(_search, event_types=["payment_received"]),
            """
SELECT a.*, o.order_code FROM order_audit_logs a JOIN orders o ON o.id = a.order_id
WHERE a.event_type = 'payment_received' ORDER BY a.created_at DESC LIMIT 50""",
        ),
        Case(
            "logs search --actor, nothing found",
            partial(_search, actor=Actor("anna", "anna@")),
            """
SELECT a.*, o.order_code FROM order_audit_logs a JOIN orders o ON o.id = a.order_id
WHERE a.actor LIKE 'anna%%' ORDER BY a.created_at DESC LIMIT 50""",
        ),
        Case("logs search -f, nothing new", _follow(engine)),
        Case(
            "tasks list --failed, all in one second",
            partial(tasks.select_tasks, wanted=TaskFilter(statuses=["failed"]), limit=50),
            """
SELECT t.*, o.order_code FROM download_tasks t JOIN orders o ON o.id = t.order_id
WHERE t.status = 'failed' ORDER BY t.updated_at DESC LIMIT 50""",
        ),
        Case(
            "tasks list --status cancelled, 9 tasks",
            partial(tasks.select_tasks, wanted=TaskFilter(statuses=["cancelled"]), limit=50),
            """
SELECT t.*, o.order_code FROM download_tasks t JOIN orders o ON o.id = t.order_id
WHERE t.status = 'cancelled' ORDER BY t.updated_at DESC LIMIT 50""",
        ),
        Case(
            "tasks list --group-by error",
            partial(tasks.group_errors, wanted=TaskFilter()),
            """
SELECT t.error_type, t.error_fingerprint, COUNT(*) AS number, MAX(t.error_log) FROM download_tasks t
WHERE t.status = 'failed' GROUP BY t.error_type, t.error_fingerprint ORDER BY number DESC LIMIT 50""",
        ),
        Case(
            "payments list, newest 50",
            partial(ledger.page, wanted=ledger.Filter(), limit=50),
            """
SELECT p.*, o.order_code FROM orderctl_payments p LEFT JOIN orders o ON o.id = p.order_id
ORDER BY p.told_at DESC LIMIT 50""",
        ),
        Case(
            "payments list --unmatched",
            partial(waiting.newest, limit=50),
            """
SELECT p.* FROM orderctl_payments p WHERE p.outcome IN ('unmatched', 'mismatch', 'partial', 'surplus')
ORDER BY p.told_at DESC LIMIT 50""",
        ),
    ]


def _counts(engine: Engine) -> list[Case]:
    return [
        Case("status", _status, goal=STATUS_MS),
        Case(
            "orders stats",
            order_stats.count,
            """
SELECT t.status, COUNT(*) FROM orders o JOIN download_tasks t ON t.order_id = o.id
WHERE o.payment_status = 'paid' GROUP BY t.status""",
            STATS_MS,
        ),
        Case(
            "logs summary",
            audit_summary.summary,
            "SELECT event_category, severity, COUNT(*) FROM order_audit_logs GROUP BY event_category, severity",
            SUMMARY_MS,
        ),
        Case("a supervisor's second, queue full", _second(engine, 10_000), goal=SECOND_MS),
        Case("a supervisor's second, 500 jobs", _second(engine, 500), goal=SECOND_MS),
        Case(
            "a supervisor's second, queue empty",
            _second(engine, 0),
            """
SELECT t.id, t.order_id, t.attempt FROM download_tasks t JOIN orders o ON o.id = t.order_id
WHERE o.payment_status = 'paid' AND o.order_status IN ('pending', 'processing')
 AND t.status IN ('pending', 'enrolled') AND t.lease_token IS NULL
 AND (t.available_at IS NULL OR t.available_at <= CURRENT_TIMESTAMP) ORDER BY t.id LIMIT 500""",
            SECOND_MS,
        ),
    ]


def _second(engine: Engine, queued: int) -> Query:
    """Return what a supervisor asks the database each second: expired leases, due tasks, due messages.

    Args:
        engine: The database.
        queued: The number of jobs in the queue.
    """
    load = settings.load(environ={"ORDERCTL_STATE_DIR": "/nonexistent"})
    lanes = (Lane((EntryKind.COMPLETION,)), Lane((EntryKind.SUMMARY, EntryKind.ALERT)))
    sweep = Sweep(load)

    def query(connection: Connection) -> None:
        reconcile._expired(connection)  # noqa: SLF001
        if sweep.has_to_look(queued):
            sweep.find(engine, queued)
        else:
            sweep.note(engine)
        for lane in lanes:
            outbox.is_due(connection, lane)
        outbox.due_endpoints(connection)

    return query


def _unbounded() -> list[Case]:
    rest: dict[str, Query] = {
        "orders stats --exact": partial(order_stats.count, exact=True),
        "logs summary --paid": audit_summary.of_paid,
        "orders list --paid --stale 10m": partial(
            listing.page, wanted=OrderFilter(paid=True, stale_seconds=600), limit=50
        ),
        "reconcile --check: unended orders": findings.unended,
        "reconcile --check: orders without tasks": findings.without_tasks,
        "reconcile --check: tasks without order": findings.orphans,
    }
    return [Case(name, query, goal=None) for name, query in rest.items()]
