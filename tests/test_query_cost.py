"""The plans of the queries: each uses the index that was designed for it.

The tests count the rows that the server reads, not seconds. With these plans the number is the same on a
table a thousand times as large; with another plan it would be a thousand times higher. On SQLite they count
the steps of its virtual machine.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, func, insert, select, text

from orderctl import (
    audit,
    audit_counting,
    audit_frontier,
    audit_marks,
    audit_search,
    audit_summary,
    database,
    error_groups,
    findings,
    fingerprints,
    leases,
    listing,
    migrate,
    order_stats,
    orders,
    outbox,
    outgoing,
    quick_lookups,
    readiness,
    reconcile,
    searching,
    settings,
    similar,
    statuses,
    subjects,
    tasks,
    unsent,
)
from orderctl.audit import Actor, Search
from orderctl.audit_frontier import Frontier
from orderctl.audit_gaps import Gap
from orderctl.audit_search import Walk
from orderctl.channels import Scope
from orderctl.choices import Seen
from orderctl.doctor import audit_log, order_findings, tables, work
from orderctl.doctor import unsent as doctor_unsent
from orderctl.doctor.surroundings import Opened, Surroundings
from orderctl.health import overview
from orderctl.listing import OrderFilter
from orderctl.neighbours import Neighbours
from orderctl.operations import carrying, reading, turns
from orderctl.operations import retention as old_tasks
from orderctl.payments import ledger, retention, waiting
from orderctl.payments.ledger import Filter
from orderctl.schema import operation_tasks, operations
from orderctl.states import UNDECIDED, EventType
from orderctl.sweep import Sweep, _Place
from orderctl.tasks import TaskFilter
from orderctl.why import inquiry
from orderctl.worker import alerts, fleet
from tests import rows
from tests.servers.databases import fresh_name, sqlite_url
from tests.servers.mysql import MysqlServer
from tests.shop import Shop

ORDERS = 2000
LONG = 1000  # the order with many events
#: Names of tables in the queries.
TABLES = {
    "orders", "download_tasks", "order_audit_logs", "newest", "orderctl_outbox", "orderctl_payments",
    "orderctl_audit_hours", "orderctl_audit_counts", "orderctl_operations", "orderctl_operation_tasks",
}  # fmt: skip


#: Steps of SQLite's virtual machine for a row that the query reads, shows or sorts; at most, with what it does once.
STEPS = 50
#: Queries that sort rows, and why these are few.
SORTS = {
    "orders of a customer": "the page, read by ids that an index gave in order",
    "events of a task": "MySQL takes the index of the task, which has few events",
    "error summary": "the page, merged from one walk for each severity",
    "events of a person": "the page, merged from one walk for each of the machines",
    "the next page of an actor": "the page, merged with the events without a time on SQLite",
    "events of some types": "the page, merged from one walk for each type",
    "warnings and errors": "the page, merged from one walk for each severity",
    "gaps of the newest events": "their ids, of which each is compared with the one before",
    "tasks of orders": "the tasks of a page of orders",
    "tasks of an order": "one order",
    "newest tasks": "the page, with the names of the orders",
    "failed tasks": "the page, with the names of the orders",
    "a fingerprint's first digits": "one for each status and type of error",
    "failures of a period": "the page, with the names of the orders",
    "running tasks": "the page, with the names of the orders",
    "names of orders and tasks": "the tasks that were heard, with the names of their orders",
    "error groups": "the failed tasks",
    "tasks of workers": "the tasks that are running",
    "due tasks": "the tasks that wait",
    "a part of the open orders": "the part, of one walk for each status",
    "the next part": "the part, of one walk for each status",
    "the newest open orders": "the part, of one walk for each status",
    "unended orders": "the paid orders that have not ended",
    "orders without tasks": "the paid orders that have not ended",
    "endpoints": "what is due",
    "spaced entry": "the entries of one name",
    "payments that wait": "the page, with the names of the orders",
    "few payments that wait": "the page, with the names of the orders",
    "failed messages": "what is not sent, which has an index by due time only",
    "unsent messages": "what is not sent, which has an index by due time only",
    "why orders hang": "the rows of one order, and the newest unmatched payments",
    "failed messages to send again": "what is not sent, which has an index by due time only",
}
#: Queries that walk a whole table by its id, and stop when they have found enough.
WALKS = {"newest events", "newest tasks", "newest messages", "codes like one that is missing"}


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[dict[str, Shop], ExitStack]]:
    """A database with rows by kind, as far as a test has asked for it. No test changes it."""
    with ExitStack() as stack:
        yield {}, stack


@pytest.fixture
def full(
    database_kind: str,
    database_server: MysqlServer | None,
    filled: tuple[dict[str, Shop], ExitStack],
    tmp_path_factory: pytest.TempPathFactory,
) -> Shop:
    shops, stack = filled
    if database_kind not in shops:
        if database_server is None:
            url = sqlite_url(tmp_path_factory.mktemp("full") / "full.db")
        else:
            url = database_server.create_database(name := fresh_name())
            stack.callback(lambda: database_server.revive().drop_database(name))
        engine = database.connect(url)
        stack.callback(engine.dispose)
        shops[database_kind] = _fill(engine)
    return shops[database_kind]


def _fill(engine: Engine) -> Shop:
    migrate.up(engine)
    rows.fill(engine, ORDERS)
    rows.fill_events(engine, LONG, 3000)
    rows.fill_payments(engine, ORDERS)
    _note(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE order_audit_logs SET actor = 'anna@host' WHERE MOD(id, 3) = 0"))
    audit_counting.catch_up(engine)
    rows.analyze(engine)
    return Shop(engine)


def _note(engine: Engine) -> None:
    """Note of most tasks that they may be claimed, as where workers do not keep up."""
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE download_tasks SET available_at = created_at")
        found = readiness.unnoted(connection, take_all=False)
        readiness.correct(connection, [one.id for one in found[:-20]], take_all=False)


@dataclass
class Cost:
    """What a query has read.

    Attributes:
        read: Number of rows and index entries.
        keys: Indexes that it used, by table.
        scans: Tables that it read completely, or by their ids until it had enough.
        sorts: Whether it sorted rows, or wrote them into a temporary table.
        sorted: Tables of which it sorted all rows that it found by another index than the primary key.
    """

    read: int = 0
    keys: dict[str, set[str]] = field(default_factory=dict)
    scans: set[str] = field(default_factory=set)
    sorts: bool = False
    sorted: set[str] = field(default_factory=set)


@contextmanager
def _listening(connection: Connection) -> Iterator[list[tuple[str, Any]]]:
    heard: list[tuple[str, Any]] = []

    def hear(_connection, _cursor, statement, parameters, _context, _many) -> None:
        heard.append((statement, parameters))

    event.listen(connection, "before_cursor_execute", hear)
    yield heard
    event.remove(connection, "before_cursor_execute", hear)


def _handler_reads(connection: Connection) -> int:
    status = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").all()
    return sum(int(value) for _, value in status)


@contextmanager
def _counting(connection: Connection, cost: Cost) -> Iterator[None]:
    """Count the rows that are read meanwhile."""
    if connection.dialect.name != "sqlite":
        before, start = _handler_reads(connection), _handler_reads(connection)
        yield
        cost.read = _handler_reads(connection) - start - (start - before)
        return
    steps = count(0, 10)
    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(lambda: next(steps) < 0, 10)
    yield
    driver.set_progress_handler(None, 0)
    cost.read = next(steps) // STEPS


def _measure(shop: Shop, query: Callable[[Connection], Any], change: str | None = None) -> Cost:
    """Measure a query, if given after a change that is undone afterwards."""
    cost = Cost()
    with shop.engine.connect() as connection:
        for statement in filter(None, (change or "").split(";")):
            connection.execute(text(statement))
        query(connection)  # the first run also reads statistics, only once
        with _listening(connection) as heard, _counting(connection, cost):
            heard.clear()
            query(connection)
            statements = list(heard)
        explain = _explain_sqlite if connection.dialect.name == "sqlite" else _explain
        for statement, parameters in statements:
            if not statement.startswith(("INSERT", "SHOW", "SET", "PRAGMA")):
                explain(connection, statement, parameters, cost)
    return cost


def _explain(connection: Connection, statement: str, parameters: Any, cost: Cost) -> None:
    explain = "EXPLAIN" if connection.dialect.is_mariadb else "EXPLAIN FORMAT=TRADITIONAL"
    for row in connection.exec_driver_sql(f"{explain} {statement}", parameters).mappings():
        if row["table"] in TABLES:
            if row["key"]:
                cost.keys.setdefault(row["table"], set()).add(row["key"])
            if row["type"] == "ALL":
                cost.scans.add(row["table"])
            if "filesort" in (row["Extra"] or "") and row["key"] != "PRIMARY":
                cost.sorted.add(row["table"])
            cost.sorts |= bool(re.search("Using (filesort|temporary)", row["Extra"] or ""))


def _explain_sqlite(connection: Connection, statement: str, parameters: Any, cost: Cost) -> None:
    for *_, detail in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
        cost.sorts |= "TEMP B-TREE" in detail
        walk = re.match(
            r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?(?:INDEX (\w+)|INTEGER PRIMARY KEY))?", detail
        )
        if walk is None or walk[2] not in TABLES:
            continue
        if "USING" in walk[0]:
            cost.keys.setdefault(walk[2], set()).add(walk[3] or "PRIMARY")
        elif walk[1] == "SCAN":
            cost.scans.add(walk[2])


def _cursor(shop: Shop, order_id: int) -> str:
    """Return the cursor of a page that ends with this order."""
    order = shop.read(lambda c: orders.get(c, order_id))
    assert order.created_at is not None
    return f"{order.created_at:{listing._CURSOR_TIME}}-{order.id}"


LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PAID = "ix_orderctl_orders_payment_status_created_at_id"
CREATED = "ix_orderctl_orders_created_at_id"
STATUSES = "ix_orderctl_orders_payment_status_order_status"
LOG = "ix_orderctl_order_audit_logs"


@pytest.mark.parametrize(("paid", "index"), [(True, PAID), (False, CREATED)], ids=["paid", "all"])
def test_page_of_orders_reads_a_page(full: Shop, *, paid: bool, index: str) -> None:
    for position in (None, ORDERS // 2, 120):  # the first, one in the middle, the last
        after = None if position is None else _cursor(full, position)

        cost = _measure(full, partial(listing.page, wanted=OrderFilter(paid=paid), limit=50, after=after))

        assert index in cost.keys["orders"], position
        assert cost.keys["download_tasks"] == {"ix_orderctl_download_tasks_order_id_status"}
        assert not cost.scans
        assert cost.read < 50 * 8, position


@pytest.mark.parametrize("paid", [True, False], ids=["paid", "all"])
@pytest.mark.parametrize("has_time", [True, False], ids=["time", "id"])
def test_page_of_orders_costs_the_same_everywhere(full: Shop, *, paid: bool, has_time: bool) -> None:
    wanted = OrderFilter(paid=paid)
    costs = []
    for position in (ORDERS - 10, 120):
        after = _cursor(full, position) if has_time else f"-{position}"
        costs.append(_measure(full, partial(listing.page, wanted=wanted, limit=2, after=after)).read)

    assert max(costs) - min(costs) < 20  # MySQL reads the newest ten, too: of so few orders these are cheap


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (OrderFilter(email="7@Example.com"), "user_email_created_at_id"),
        (OrderFilter(paid=True, statuses=["completed"]), "payment_status_order_status_created_at_id"),
        (OrderFilter(statuses=["completed", "failed"]), "payment_status_order_status_created_at_id"),
        (OrderFilter(statuses=["cancelled"]), "payment_status_order_status_created_at_id"),
        (OrderFilter(paid=True, statuses=["on_hold"]), "payment_status_order_status_created_at_id"),
    ],
    ids=["customer", "paid", "several", "none", "unknown"],
)
@pytest.mark.parametrize("position", [None, 120], ids=["first", "last"])
def test_page_of_some_orders_is_walked_in_their_order(
    full: Shop, position: int | None, wanted: OrderFilter, index: str
) -> None:
    change = "UPDATE orders SET user_email = '7@example.com' WHERE id > 1000"
    after = None if position is None else _cursor(full, position)

    cost = _measure(full, partial(listing.page, wanted=wanted, limit=20, after=after), change)

    assert f"ix_orderctl_orders_{index}" in cost.keys["orders"]
    assert (cost.scans, cost.sorted) == (set(), set())
    assert cost.read < 450


def test_middle_page_of_paid_orders_is_walked_beside_abandoned_orders(full: Shop) -> None:
    change = "UPDATE orders SET payment_status = 'unpaid', order_status = 'pending' WHERE id % 2 = 0"
    page = partial(listing.page, wanted=OrderFilter(paid=True), after=_cursor(full, ORDERS // 2))

    for limit in (2, 20, 100):
        cost = _measure(full, partial(page, limit=limit), change)

        assert PAID in cost.keys["orders"], limit
        assert (cost.scans, cost.sorted) == (set(), set()), limit
        assert cost.read < limit * 8 + 20, limit  # as on the first page


@pytest.mark.parametrize(
    "wanted",
    [
        OrderFilter(search="DH77"),
        OrderFilter(search="nowhere"),
        OrderFilter(search="dh", statuses=["no_such"]),
    ],
    ids=["some", "none", "rare"],
)
def test_a_search_reads_the_newest_orders_and_the_beginnings(
    full: Shop, monkeypatch: pytest.MonkeyPatch, wanted: OrderFilter
) -> None:
    monkeypatch.setattr(searching, "NEWEST", 100)
    monkeypatch.setattr(searching, "BEGINNING", 20)

    cost = _measure(full, partial(listing.page, wanted=wanted, limit=20))

    assert "uq_orderctl_orders_order_code" in cost.keys["orders"]
    assert "ix_orderctl_orders_user_email_created_at_id" in cost.keys["orders"]
    assert cost.scans <= {"orders"}  # the newest ones, by their ids
    assert cost.read < 1000


def test_skipped_orders_of_a_status_are_read_once_and_not_sorted(full: Shop) -> None:
    wanted = OrderFilter(paid=True, statuses=["completed"])

    cost = _measure(full, partial(listing.page, wanted=wanted, limit=20, skip=1000))

    assert (cost.scans, cost.sorted) == (set(), set())
    assert cost.read < 1000 + 20 * 8 + 100


@pytest.mark.parametrize(
    ("wanted", "most"),
    [
        (TaskFilter(statuses=["failed"]), 150),
        (TaskFilter(statuses=["completed", "pending"]), 400),
        (TaskFilter(error_type="NETWORK"), 600),
        (TaskFilter(statuses=["failed"], fingerprint="f3"), 250),
        (TaskFilter(statuses=["failed"], error_type="NETWORK", fingerprint="f3"), 250),
    ],
    ids=["failed", "several", "type", "fingerprint", "both"],
)
def test_page_of_some_tasks_is_walked_in_their_order(full: Shop, wanted: TaskFilter, most: int) -> None:
    change = "UPDATE download_tasks SET status = 'failed', error_type = 'NETWORK', error_fingerprint = 'f3' WHERE id % 3 = 0"

    for before_id in (None, ORDERS):
        page = partial(tasks.select_tasks, wanted=wanted, limit=20, before_id=before_id)
        cost = _measure(full, page, change)

        assert (cost.scans, cost.sorted) == (set(), set()), before_id
        assert cost.read < most, before_id


@pytest.mark.parametrize("limit", [2, 50, 200])
def test_newest_failed_tasks_are_walked_however_many_there_are(full: Shop, limit: int) -> None:
    index = "ix_orderctl_download_tasks_status_id"
    for every in (1, 3, 100, 1000):
        change = f"UPDATE download_tasks SET status = 'failed' WHERE id % {every} = 0"
        page = partial(tasks.select_tasks, wanted=TaskFilter(statuses=["failed"]), limit=limit)
        cost = _measure(full, page, change)

        assert index in cost.keys["download_tasks"], every
        assert cost.read < 5 * limit + 20, every


@pytest.mark.parametrize("after", [None, "1000"], ids=["first", "later"])
def test_page_of_payments_that_wait_is_walked_by_outcome(full: Shop, after: str | None) -> None:
    for every in (3, 500):  # many wait, and few
        change = f"UPDATE orderctl_payments SET outcome = 'mismatch' WHERE id % {every} = 0"
        page = partial(ledger.page, wanted=Filter(outcomes=UNDECIDED), limit=20, after=after)
        cost = _measure(full, page, change)

        assert cost.keys["orderctl_payments"] == {"ix_orderctl_payments_outcome_id", "PRIMARY"}, every
        assert (cost.scans, cost.sorted) == (set(), set()), every
        assert cost.read < 300, every


def test_errors_of_a_storm_are_counted_up_to_a_limit(full: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_groups, "CAP_OF_FEW", 20)
    change = "UPDATE download_tasks SET status = 'failed', error_type = 'NETWORK', error_fingerprint = 'f3' WHERE id > 200"

    cost = _measure(full, partial(tasks.group_errors, wanted=TaskFilter()), change)

    assert cost.keys["download_tasks"] >= {"ix_orderctl_download_tasks_status_error_type_error_fingerprint"}
    assert (cost.scans, cost.sorted) == (set(), set())
    assert cost.read < 600


def test_of_many_errors_the_newest_are_looked_at(full: Shop) -> None:
    change = "UPDATE download_tasks SET status = 'failed', error_type = 'NETWORK', error_fingerprint = id"

    cost = _measure(full, partial(tasks.group_errors, wanted=TaskFilter()), change)

    assert (cost.scans, cost.sorted) == (set(), set())
    assert cost.read < 3000  # a hundred groups, and the newest 400 tasks, grouped


def _look(connection: Connection) -> None:
    heard = Neighbours()
    for number in range(1, 101):
        heard.note(Scope.TASK, number)
    heard.look(connection)


def _second_turn(load: settings.Settings, *, newest: bool) -> Callable[[Connection], Any]:
    """Return a query for open orders in the middle of the walk."""

    def turn(connection: Connection) -> None:
        looks = Sweep(load)
        looks._at, looks._newest = _Place(datetime(2024, 1, 1, 10, 0), ORDERS), not newest  # noqa: DTZ001 - as stored
        looks._unnoted(connection)

    return turn


def _found(connection: Connection, after: int | None = None, **wanted: Any) -> list[Any]:
    return Walk(Search(**wanted), after).step(connection, 20)


def _follow(connection: Connection) -> None:
    newest = audit.newest_id(connection)
    marks = audit_marks.below(connection, newest)
    frontier = Frontier(newest, (Gap(10, 12, 10**11),), marks=marks)
    assert not audit_frontier.look(connection, frontier, Search()).anew


def _queries() -> dict[str, tuple[Callable[[Connection], Any], int]]:
    """Return each query with the number of rows that it may read."""
    load = settings.load(environ={"ORDERCTL_STATE_DIR": "/nonexistent"})
    return {
        "order by code": (partial(orders.find, reference="DH777"), 20),
        "codes like one that is missing": (partial(similar.codes, wanted="DH77777"), 1500),
        "orders of a customer": (partial(listing.page, wanted=OrderFilter(email="7@example.com")), 60),
        "addresses like one": (partial(listing.addresses_like, email="177@exmaple.com"), 100),
        "events of a long order": (partial(audit.search, order_id=LONG, limit=50), 200),
        "first events": (
            partial(audit.search, order_id=LONG, wanted=Search(oldest_first=True), limit=50),
            200,
        ),
        "following": (partial(audit.search, order_id=LONG, wanted=Search(after_id=10**9), limit=50), 20),
        "events of a task": (partial(audit.search, order_id=7, wanted=Search(task_id=21), limit=50), 100),
        "failures of a task": (
            lambda c: audit.newest(c, 21, EventType.DOWNLOAD_FAILED, since=LONG_AGO, limit=50),
            100,
        ),
        "error summary": (partial(audit_search.errors, limit=20), 400),
        "newest event": (audit.newest_id, 10),
        "events of an actor": (partial(_found, actor=Actor("anna@host"), since=LONG_AGO), 100),
        "events of a person": (partial(_found, actor=Actor("anna", "anna@")), 250),
        "events of some types": (partial(_found, event_types=["order_completed", "download_failed"]), 300),
        "the next page of an actor": (partial(_found, actor=Actor("anna@host"), after=5000), 100),
        "warnings and errors": (partial(_found, severities=["warning", "error"]), 300),
        "newest events": (partial(_found), 100),
        "following all": (_follow, 40),
        "gaps of the newest events": (partial(audit_frontier.begin, events=100), 1200),
        "latest events": (partial(audit.latest, order_ids=range(1, 21)), 150),
        "times of events by key": (partial(audit.times_of, dedup_keys=["payment:DH7", "payment:DH8"]), 20),
        "event by key": (partial(audit.find_by_key, dedup_key="payment:DH7"), 10),
        "task": (partial(tasks.find, task_id=77), 10),
        "tasks of orders": (partial(tasks.of_orders, order_ids=range(1, 51)), 800),
        "tasks of an order": (partial(tasks.select_tasks, wanted=TaskFilter(order_id=7)), 30),
        "newest tasks": (partial(tasks.select_tasks, wanted=TaskFilter(), limit=50), 400),
        "failed tasks": (partial(tasks.select_tasks, wanted=TaskFilter(statuses=["failed"]), limit=20), 200),
        "a fingerprint's first digits": (partial(fingerprints.find, typed="abcdef"), 60 * 20),
        "failures of a period": (
            partial(tasks.select_tasks, wanted=TaskFilter(statuses=["failed"], since=LONG_AGO), limit=20),
            500,
        ),
        "running tasks": (subjects.running, 800),
        "names of orders and tasks": (
            partial(subjects.name, keys=[(scope, number) for scope in Scope for number in range(1, 51)]),
            800,
        ),
        "error groups": (partial(tasks.group_errors, wanted=TaskFilter()), 500),
        "expired leases": (reconcile._expired, 30),
        "due tasks": (partial(reconcile.find_due, settings=load), 60 * 10),
        "due tasks that are noted": (
            partial(readiness.noted, note=readiness.READY, take_all=False, limit=100),
            500,
        ),
        "tasks before another": (partial(readiness.line, limit=100), 250),
        "number of tasks that are due": (partial(readiness.depth, most=100), 250),
        "tasks of workers": (fleet.held, 30),
        "a part of the open orders": (Sweep(load)._unnoted, 900),
        "the next part": (_second_turn(load, newest=False), 900),
        "the newest open orders": (_second_turn(load, newest=True), 900),
        "unended orders": (findings.unended, 60 * 10),
        "orders without tasks": (findings.without_tasks, 60 * 10),
        "outbox": (
            partial(outbox.take, lane=outbox.Lane((outbox.EntryKind.SUMMARY,)), limit=20, lease_seconds=1),
            20,
        ),
        "endpoints": (outbox.due_endpoints, 20),
        "outbox of an endpoint": (
            partial(
                outbox.take, lane=outbox.Lane((outbox.EntryKind.WEBHOOK,), "crm"), limit=20, lease_seconds=1
            ),
            20,
        ),
        "late entries": (findings.late, 20),
        "spaced entry": (
            partial(outbox.put_spaced, kind=outbox.EntryKind.ALERT, name="alert:f", payload={}, seconds=1),
            20,
        ),
        "failures of an alert": (partial(alerts._count_failures, payload={"fingerprint": "f"}), 20),
        "payments that wait": (partial(waiting.newest, limit=20), 200),  # from one walk for each outcome
        "few payments that wait": (partial(waiting.newest, limit=2), 60),
        "numbers of payments that wait": (waiting.count, 60),
        "payments of an order": (partial(ledger.of_order, order_id=7), 20),
        "raw data that is due": (partial(retention.is_due, days=90), 20),
        "messages of another shop": (_look, 200),
        "newest messages": (partial(outgoing.page, wanted=outgoing.Filter(), limit=20), 60),
        "failed messages": (partial(outgoing.page, wanted=outgoing.Filter(states=["failed"]), limit=20), 20),
        "unsent messages": (
            partial(
                outgoing.page, wanted=outgoing.Filter(states=["waiting", "failed"]), limit=20, after="1500"
            ),
            20,
        ),
        "failed messages to send again": (
            partial(outgoing.choose, wanted=outgoing.Filter(states=["failed"], kinds=["webhook"]), limit=20),
            20,
        ),
        "messages of an order": (partial(outgoing.page, wanted=outgoing.Filter(order_id=7), limit=20), 30),
        "message": (partial(outgoing.find, message_id=7), 10),
        "failures of the last hour": (partial(overview.failures, since=LONG_AGO), 6 * overview.MOST_FAILURES),
        "messages that wait": (partial(unsent.count, now=LONG_AGO, most=1000), 4000),
        "why orders hang": (lambda c: [inquiry.of_order(c, None, load, one) for one in range(1, 11)], 2500),
        "claim": (partial(leases.claim, task_id=7, worker="w", lease_seconds=1), 30),
    }


def test_no_query_reads_more_than_it_shows(full: Shop) -> None:
    costs = {name: (_measure(full, query), most) for name, (query, most) in _queries().items()}

    read = {name: (cost.read, most) for name, (cost, most) in costs.items() if cost.read > most}
    assert read == {}
    on_sqlite = full.engine.dialect.name == "sqlite"
    walks = WALKS if on_sqlite else set()  # the servers name the primary key
    assert {name: cost.scans for name, (cost, _) in costs.items() if cost.scans and name not in walks} == {}
    assert {name for name, (cost, _) in costs.items() if cost.sorts} - SORTS.keys() == set()


def test_errors_of_one_second_are_walked_in_their_order(full: Shop) -> None:
    change = (
        "UPDATE order_audit_logs SET severity = 'error', created_at = '2024-01-01 00:00:00' WHERE id > 200"
    )

    cost = _measure(full, partial(audit_search.errors, limit=20), change)

    assert (cost.scans, cost.sorted) == (set(), set())


def test_each_query_walks_the_index_that_was_made_for_it(full: Shop) -> None:
    queries = _queries()

    def keys(name: str) -> dict[str, set[str]]:
        return _measure(full, queries[name][0]).keys

    log = "ix_orderctl_order_audit_logs"
    assert keys("order by code")["orders"] >= {"uq_orderctl_orders_order_code"}
    assert keys("events of a long order")["order_audit_logs"] == {f"{log}_order_id"}
    assert f"{log}_severity_created_at_id" in keys("error summary")["order_audit_logs"]
    assert f"{log}_actor_created_at_id" in keys("events of an actor")["order_audit_logs"]
    assert f"{log}_event_type_created_at_id" in keys("events of some types")["order_audit_logs"]
    assert keys("latest events")["newest"] == {f"{log}_order_id"}
    assert keys("event by key")["order_audit_logs"] == {"uq_orderctl_order_audit_logs_dedup_key"}
    assert keys("expired leases")["download_tasks"] == {"ix_orderctl_download_tasks_status_lease_until"}
    ready = "ix_orderctl_download_tasks_ready_available_at_id"
    assert keys("due tasks that are noted")["download_tasks"] == {ready}
    for name in ("a part of the open orders", "the next part", "the newest open orders"):
        # SQLite names another index for the orders without a status; that column holds no NULL, and nothing is read.
        assert keys(name)["orders"] - {PAID} == {f"{STATUSES}_created_at_id"}
        assert keys(name)["download_tasks"] == {"ix_orderctl_download_tasks_order_id_status"}
    by_due_time = ("outbox", "endpoints", "outbox of an endpoint")
    for name in (*by_due_time, "failed messages", "unsent messages", "failed messages to send again"):
        assert keys(name)["orderctl_outbox"] == {"ix_orderctl_outbox_sent_at_due_at"}


def test_summary_of_the_log_reads_buckets_and_what_is_in_none(full: Shop) -> None:
    midnight = datetime(2024, 1, 1, tzinfo=UTC)
    hour = 120 * 14  # events
    for since, most in ((None, 400), (midnight + timedelta(hours=9.5), 400 + hour), (LONG_AGO, 400)):
        cost = _measure(full, partial(audit_summary.count, since=since))

        assert cost.read < 2 * most, since
        assert not cost.scans
        assert cost.keys["orderctl_audit_hours"] <= {"PRIMARY", "sqlite_autoindex_orderctl_audit_hours_1"}
        assert cost.keys["order_audit_logs"] <= {"PRIMARY", f"{LOG}_created_at_id"}


#: As many abandoned orders with three tasks that wait as paid ones.
ABANDONED = (
    "UPDATE orders SET payment_status = 'pending', order_status = 'pending' WHERE id > 1000;"
    "UPDATE download_tasks SET status = 'pending' WHERE order_id > 1000"
)


@pytest.mark.parametrize("change", [None, ABANDONED], ids=["paid", "abandoned"])
@pytest.mark.parametrize("limit", [20, 40])
def test_statistics_read_no_more_than_their_limit(
    full: Shop, monkeypatch: pytest.MonkeyPatch, limit: int, change: str | None
) -> None:
    monkeypatch.setattr(statuses, "COUNT_LIMIT", limit)

    cost = _measure(full, order_stats.count, change)

    assert cost.keys["orders"] <= {
        "PRIMARY",  # of a task that is looked at from its side
        "ix_orderctl_orders_payment_status_order_status_created_at_id",
    }
    assert "ix_orderctl_download_tasks_order_id_status" in cost.keys["download_tasks"]
    assert not cost.scans
    assert cost.read < 11 * limit + 100


@pytest.mark.parametrize("failed", ["id < 100", "id < 0", "id > 0"], ids=["old", "none", "all"])
def test_failed_tasks_for_the_tab_key_are_looked_for_among_the_newest(
    full: Shop, monkeypatch: pytest.MonkeyPatch, failed: str
) -> None:
    limit = "5000"
    assert limit in quick_lookups._FAILED
    monkeypatch.setattr(quick_lookups, "_FAILED", quick_lookups._FAILED.replace(limit, "300"))
    change = f"UPDATE download_tasks SET status = CASE WHEN {failed} THEN 'failed' ELSE 'completed' END"

    for wanted in (quick_lookups.FAILED_TASKS, quick_lookups.FINGERPRINTS):
        for begin in ("", "5"):
            cost = _measure(full, partial(_look_up, wanted=wanted, begin=begin), change)

            assert cost.read < 1500, (wanted, begin)  # of 6000 tasks


def _look_up(connection: Connection, wanted: quick_lookups.Lookup, begin: str) -> None:
    def execute(query: str, values: Sequence[Any]) -> Any:
        cursor = connection.connection.cursor()
        cursor.execute(query, tuple(values))
        return cursor

    wanted.find(quick_lookups.Rows(execute, server=connection.dialect.name != "sqlite"), begin)


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (work.leases, 30),
        (doctor_unsent.examine_mails, 50),
        (doctor_unsent.examine_webhooks, 50),
        # The newest 1,000 tasks, which a derived table holds, with their orders; and the open paid orders.
        (order_findings.examine, 3 * order_findings._NEWEST + 60 * 40),
        (audit_log.examine, 1500),
        (tables.times, 60 * 30),
    ],
    ids=["leases", "mails", "webhooks", "orders", "audit", "times"],
)
def test_the_doctor_reads_few_rows(
    full: Shop, make: Callable[[Surroundings], Any], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = Surroundings(settings.load({"database.time_zone": "+07:00"}, environ={}), Opened(full.engine))

    def examine(connection: Connection) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Surroundings, "reading", lambda _: nullcontext(connection))
            assert list(make(around))

    cost = _measure(full, examine)

    assert cost.read < most
    assert make in {order_findings.examine, tables.times} or not cost.scans  # these walk ids, up to a limit


def _fill_operations(full: Shop) -> None:
    """Add 300 operations, of which the last ten run; the oldest and the newest have 3,000 tasks each."""
    with full.engine.begin() as connection:
        if connection.execute(select(func.count()).select_from(operations)).scalar_one():
            return
        zeros = ("take", "max_attempts", "canary", "changed", "unchanged", "refused", "completed", "failed")
        same = {"kind": "retry", "selection": "{}", "actor": "anna", "source": "cli", "total": 3000}
        same |= {**dict.fromkeys((*zeros, "cancelled"), 0), "created_at": LONG_AGO, "ended_at": LONG_AGO}
        states = ["finished"] * 290 + ["running"] * 10
        connection.execute(
            insert(operations),
            [{**same, "id": n, "name": f"op{n}", "state": state} for n, state in enumerate(states, start=1)],
        )
        item = {"seen_status": "failed", "seen_attempt": 3, "state": "waiting"}
        connection.execute(
            insert(operation_tasks),
            [{**item, "operation_id": one, "task_id": n} for one in (1, 300) for n in range(1, 3001)],
        )
    rows.analyze(full.engine)


def _waiting(connection: Connection) -> None:
    operation = reading.read(connection, 300)
    assert operation is not None
    assert len(carrying._waiting(connection, operation, 20, range(1, 11))[0]) == 20


def _show(connection: Connection) -> None:
    operation = reading.find(connection, "op300")
    reading.failures(connection, operation.id)
    reading.last_items(connection, operation.id, limit=10)


@pytest.mark.parametrize(
    ("query", "most"),
    [
        (partial(reading.page, states=None, limit=20), 60),
        (_show, 40),
        (lambda c: c.execute(turns._CHANGING, {"floor": 291}).all(), 60),
        (lambda c: c.execute(turns._OTHERS, {"floor": 291}).all(), 60),
        (lambda c: c.execute(turns._NEWEST).all(), 10),
        (_waiting, 100),
        (partial(reading.waiting_in, operation_ids=[300], chosen={n: Seen("failed", 3) for n in range(20)}), 100),
        (partial(old_tasks.remove_some, after=100), 500),
    ],
    ids=["list", "show", "changing", "others", "newest", "waiting", "waiting in", "retention"],
)  # fmt: skip
def test_operations_are_read_a_part_at_a_time(
    full: Shop, query: Callable[[Connection], Any], most: int
) -> None:
    _fill_operations(full)

    cost = _measure(full, query)

    assert cost.read < most
