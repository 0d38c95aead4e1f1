import json
import random
from datetime import timedelta
from typing import Any

import pytest
from pymysql.err import OperationalError
from sqlalchemy import event, func, select, update

from orderctl import audit, audit_search, database
from orderctl.audit import NewEvent, Origin, Search
from orderctl.schema import order_audit_logs
from orderctl.states import Category, EventType, Severity, Source, at_least
from tests.shop import Shop

INSERT = (
    "INSERT INTO order_audit_logs (order_id, event_type, event_category, severity, message, details, source)"
)


def _sent(order_id: int, **more: Any) -> NewEvent:
    return NewEvent(EventType.EMAIL_SENT, order_id, Origin(Source.WORKER), **more)


def test_event_keeps_all_that_it_was_given(shop: Shop) -> None:
    order_id = shop.add("DH1")
    [task] = shop.tasks(order_id)
    details = {"text": "Xin chào 😀", "number": 1.5, "list": [1, None, {"deep": True}]}

    new = NewEvent(
        EventType.DOWNLOAD_FAILED,
        order_id,
        Origin(Source.WORKER, "someone@host"),
        task.id,
        words={"error": "it {broke}", "again": " (again)"},
        details=details,
        previous_status="downloading",
        new_status="failed",
    )
    written = shop.transact(lambda c: audit.record(c, new))

    event = shop.event(order_id, "download_failed")
    assert written
    assert (event.order_id, event.task_id, event.task_title, event.course_url) == (
        order_id,
        task.id,
        task.title,
        task.course_url,
    )
    assert (event.event_category, event.severity, event.message) == (
        "download",
        "error",
        "Download failed: it {broke} (again)",
    )
    assert event.details == details
    assert (event.previous_status, event.new_status) == ("downloading", "failed")
    assert (event.source, event.actor) == ("orderctl_worker", "someone@host")
    assert timedelta(0) <= shop.now() - event.created_at < timedelta(minutes=1)


def test_event_of_a_key_is_written_once(shop: Shop) -> None:
    order_id = shop.add("DH1")

    def twice(connection):
        written = [audit.record(connection, _sent(order_id, dedup_key="k")) for _ in range(2)]
        audit.record(connection, _sent(order_id, severity=Severity.DEBUG))
        return written

    assert shop.transact(twice) == [True, False]
    assert [event.severity for event in shop.events(order_id)[1:]] == ["info", "debug"]
    event = shop.read(lambda c: audit.find_by_key(c, "k"))
    assert event is not None
    assert event.event_type == "email_sent"
    assert shop.read(lambda c: audit.find_by_key(c, "other")) is None


def test_events_without_key_may_repeat(shop: Shop) -> None:
    order_id = shop.add("DH1")

    assert [shop.transact(lambda c: audit.record(c, _sent(order_id))) for _ in range(2)] == [True, True]


def test_texts_that_no_database_accepts_are_cleaned(shop: Shop) -> None:
    order_id = shop.add("DH1")

    new = NewEvent(
        EventType.EMAIL_FAILED,
        order_id,
        Origin(Source.WORKER),
        words={"error": "\ud800" + "é" * 40_000},
        details={"\udcff": "\udc80", "when": timedelta(1), "path": {1}},
    )
    shop.transact(lambda c: audit.record(c, new))

    event = shop.event(order_id, "email_failed")
    assert event.message == ("Mail failed: ?" + "é" * 40_000)[: audit.MAX_MESSAGE]
    assert event.details == {"?": "?", "when": "1 day, 0:00:00", "path": "{1}"}


def test_search_selects_and_orders(shop: Shop) -> None:
    order_id = shop.add("DH1", courses=2)
    other = shop.add("DH2")
    first, second = shop.tasks(order_id)
    shop.record(order_id, "a", Severity.WARNING, category=Category.DOWNLOAD, task_id=first.id)
    shop.record(order_id, "b", Severity.ERROR, category=Category.PAYMENT, task_id=second.id)
    shop.record(other, "c", Severity.ERROR)

    def found(**wanted) -> list[str]:
        events = shop.read(lambda c: audit.search(c, order_id, Search(**wanted)))
        return [event.event_type for event in events]

    assert found() == ["b", "a", "task_created", "task_created"]
    assert found(oldest_first=True) == ["task_created", "task_created", "a", "b"]
    assert found(task_id=first.id) == ["a", "task_created"]
    assert found(severities=at_least(Severity.WARNING)) == ["b", "a"]
    assert found(severities=()) == []
    assert found(category="payment") == ["b"]
    assert shop.read(lambda c: audit.search(c, order_id, limit=1))[0].event_type == "b"
    ids = [event.id for event in shop.events(order_id)]
    assert found(after_id=ids[1]) == ["b", "a"]
    assert found(before_id=ids[1]) == ["task_created"]


def test_search_by_time(shop: Shop) -> None:
    order_id = shop.add("DH1")
    shop.transact(lambda c: c.execute(update(order_audit_logs).values(created_at=database.utc_now(-7200))))
    shop.record(order_id, "note")
    now = shop.event(order_id, "note").created_at

    def found(**wanted) -> list[str]:
        events = shop.read(lambda c: audit.search(c, order_id, Search(**wanted)))
        return [event.event_type for event in events]

    assert found(since=now) == ["note"]
    assert found(until=now) == ["task_created"]
    assert found(since=now - timedelta(hours=3), until=now - timedelta(hours=1)) == ["task_created"]


def test_error_summary_has_the_newest_of_all_paid_orders(shop: Shop) -> None:
    shop.paid("DH1")
    shop.paid("DH2")
    unpaid = shop.add("DH3")
    one, two = shop.order("DH1").id, shop.order("DH2").id
    for number in range(3):
        shop.record(one, f"error{number}", Severity.ERROR)
        shop.record(two, f"critical{number}", Severity.CRITICAL)
        shop.record(two, f"warning{number}", Severity.WARNING)
        shop.record(unpaid, f"unpaid{number}", Severity.ERROR)

    found = shop.read(lambda c: audit_search.errors(c, limit=5))
    assert [event.event_type for event in found] == [
        "critical2",
        "error2",
        "critical1",
        "error1",
        "critical0",
    ]
    assert [event.order_code for event in found] == ["DH2", "DH1", "DH2", "DH1", "DH2"]
    warnings = shop.read(lambda c: audit_search.errors(c, severities=["warning"]))
    assert [event.event_type for event in warnings] == ["warning2", "warning1", "warning0"]
    newest = found[0].created_at
    assert shop.read(lambda c: audit_search.errors(c, since=newest + timedelta(seconds=1))) == []
    # Several events may have the same millisecond.
    since = shop.read(lambda c: audit_search.errors(c, since=newest))
    assert since == [event for event in found if event.created_at == newest]


def test_latest_event_of_each_order(shop: Shop) -> None:
    orders = [shop.add(f"DH{number}") for number in range(3)]
    shop.record(orders[0], "a")
    shop.record(orders[1], "b")
    shop.record(orders[0], "c")

    latest = shop.read(lambda c: audit.latest(c, [*orders[:2], 999]))

    assert {order: event.event_type for order, event in latest.items()} == {orders[0]: "c", orders[1]: "b"}
    assert shop.read(lambda c: audit.latest(c, [])) == {}


def test_shows_what_others_wrote(shop: Shop) -> None:
    order_id = shop.add("DH1")
    shop.execute(
        f"{INSERT} VALUES (1, 'zalo_sent', 'marketing', 'notice', 'Gửi Zalo', :details, 'python_worker')",
        details='{"phone": null}',
    )

    event = shop.event(order_id, "zalo_sent")
    assert (event.event_category, event.severity, event.source) == ("marketing", "notice", "python_worker")
    assert event.details == {"phone": None}


@pytest.mark.parametrize("details", ['"a text"', '"{\\"a\\": 1}"', "[1]", "7", "null"])
def test_shows_details_that_are_no_object(shop: Shop, details: str) -> None:
    order_id = shop.add("DH1")
    shop.execute(f"{INSERT} VALUES (1, 'odd', 'system', 'error', 'm', :details, 's')", details=details)

    assert shop.event(order_id, "odd").details == json.loads(details)


@pytest.mark.databases("sqlite")
def test_shows_details_that_are_no_json_as_text(shop: Shop) -> None:
    order_id = shop.add("DH1")
    shop.execute(f"{INSERT} VALUES (1, 'odd', 'system', 'error', 'm', '{{half', 's')")

    assert shop.event(order_id, "odd").details == "{half"


def test_an_event_is_written_and_read_without_the_secrets_of_urls(shop: Shop) -> None:
    url = "https://u:secret@h/x?sig=secret"
    order_id = shop.add("DH1", [url])
    new = NewEvent(
        EventType.EMAIL_FAILED, order_id, Origin("test"), words={"error": url}, details={"a": [url]}
    )
    shop.transact(lambda c: audit.record(c, new))
    shop.record(order_id, "old", message=f"with url: /x?sig=secret of {url}", details={"courseUrl": url})

    created, written, old = shop.events(order_id)

    masked = "https://***@h/x?sig=***"
    assert (created.message, created.details, created.course_url) == (
        f"Task created: {masked}",
        {"courseUrl": masked},
        masked,
    )
    assert (written.message, written.details) == (f"Mail failed: {masked}", {"a": [masked]})
    assert (old.message, old.details) == (f"with url: /x?sig=*** of {masked}", {"courseUrl": masked})
    rows = shop.read(lambda c: c.execute(select(order_audit_logs.c.details)).scalars().all())
    assert rows[:2] == [created.details, written.details]
    assert shop.task_rows()[0].course_url == url


def _odd_events(order_id: int, task_id: int, prefix: str) -> list[NewEvent]:
    """Return events with texts of all kinds, and keys that exist already, or occur twice, in a random order."""
    chance = random.Random(7)
    texts = [
        "x",
        "🎓 Khóa",
        "y" * 300,
        "\ud800",
        "https://u:geheim@host/?sig=abcdefgh",
        "z" * 20_000,
        "",
        "a'b\\%s%(x)s",
    ]
    events = []
    for number in range(60):
        text = chance.choice(texts)
        key = chance.choice([None, f"{prefix}{number}", f"{prefix}{number % 7}", f"{prefix}before"])
        events.append(
            NewEvent(
                chance.choice([EventType.EMAIL_SENT, EventType.DOWNLOAD_FAILED, EventType.TASK_CREATED]),
                order_id,
                Origin(chance.choice(list(Source)), chance.choice([None, text])),
                chance.choice([None, task_id]),
                words={"to": text, "error": text, "again": "", "name": text, "email": text},
                details=chance.choice([None, {"text": text, "number": number, "deep": [text, {"a": None}]}]),
                previous_status=chance.choice([None, "failed", "status of the shop's own"]),
                new_status=chance.choice([None, "pending"]),
                severity=chance.choice([None, Severity.WARNING]),
                dedup_key=key,
            )
        )
    return events


def both_ways(shop: Shop) -> tuple[list[Any], list[Any]]:
    """Write the same events one by one and all together; return the rows of both, oldest first."""
    [task_id] = shop.paid("DH1")
    [order] = shop.order_rows()
    found = []
    for prefix in ("a", "b"):
        events = _odd_events(order.id, task_id, prefix)
        shop.transact(lambda c, prefix=prefix: audit.record(c, _sent(order.id, dedup_key=f"{prefix}before")))
        last = shop.read(lambda c: c.execute(select(func.max(order_audit_logs.c.id))).scalar_one())
        if prefix == "a":
            number = shop.transact(lambda c, events=events: sum(audit.record(c, one) for one in events))
        else:
            number = shop.transact(lambda c, events=events: audit.record_all(c, iter(events)))
        query = select(order_audit_logs).where(order_audit_logs.c.id > last).order_by(order_audit_logs.c.id)
        rows = shop.read(lambda c, query=query: [dict(row) for row in c.execute(query).mappings()])
        assert len(rows) == number
        for row in rows:
            assert abs(row.pop("created_at") - shop.now()) < timedelta(minutes=5)
            row["dedup_key"] = row["dedup_key"] and row["dedup_key"].removeprefix(prefix)
            del row["id"]
        found.append(rows)
    return found[0], found[1]


def test_events_written_together_are_the_same_as_one_by_one(shop: Shop) -> None:
    alone, together = both_ways(shop)

    assert len(alone) > 20
    assert together == alone


def test_many_events_are_written_in_few_statements(shop: Shop) -> None:
    order_id = shop.add("DH1")
    events = [_sent(order_id, details={"number": number}, dedup_key=f"k{number}") for number in range(1200)]
    statements: list[str] = []
    event.listen(
        shop.engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: statements.append(statement)
    )

    assert shop.transact(lambda c: audit.record_all(c, events)) == 1200

    assert len(statements) <= 20
    written = shop.read(lambda c: audit.search(c, order_id, limit=5000))
    assert [one.details["number"] for one in written[:1200]] == list(range(1199, -1, -1))


def test_error_of_another_kind_ends_the_batch(shop: Shop) -> None:
    order_id = shop.add("DH1")
    before = shop.event_types(order_id)

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        shop.transact(lambda c: audit.record_all(c, [_sent(order_id), _sent(999_999), _sent(order_id)]))

    assert shop.event_types(order_id) == before


@pytest.mark.databases("mysql", "mariadb")
def test_batch_runs_again_after_a_deadlock(shop: Shop) -> None:
    """It undoes the whole transaction, and with it the savepoint of the batch."""
    order_id = shop.add("DH1")
    deadlocks: list[str] = []

    def deadlock(cursor: Any, statement: str, *_: Any) -> None:
        if not deadlocks:
            deadlocks.append(statement)
            cursor.connection.rollback()
            raise OperationalError(1213, "Deadlock found when trying to get lock")

    event.listen(shop.engine, "do_executemany", deadlock)

    assert shop.transact(lambda c: audit.record_all(c, [_sent(order_id), _sent(order_id)])) == 2
    assert deadlocks


def test_nothing_is_written_for_no_events(shop: Shop) -> None:
    assert shop.transact(lambda c: audit.record_all(c, [])) == 0
