import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderctl import audit_search, walks
from orderctl.audit import Actor, Search
from orderctl.audit_search import Walk
from orderctl.errors import InvalidInput
from orderctl.states import Severity
from tests.shop import Shop

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def busy(shop: Shop) -> Shop:
    """Two orders with ten events each, of one second each, numbered from 0 to 19."""
    for code in ("DH1", "DH2"):
        shop.paid(code)
    shop.execute("DELETE FROM order_audit_logs")
    for number in range(20):
        shop.record(
            1 + number % 2,
            ("task_retried", "download_failed", "zalo_sent")[number % 3],
            (Severity.INFO, Severity.WARNING, Severity.ERROR, "notice")[number % 4],
            message=f"Event {number}",
            actor=("anna@one", "anna@two", "anna", None, "annabel@one")[number % 5],
            source=("shop", "orderctl_cli")[number % 2],
            details={"operation": "night"} if number % 7 == 0 else None,
            created_at=BEGIN + timedelta(seconds=number // 3),
        )
    return shop


def found(shop: Shop, limit: int = 7, **wanted: Any) -> list[int]:
    walk = Walk(Search(**wanted))
    events = []
    for _ in range(100):
        events += shop.read(lambda c: walk.step(c, limit))
        if walk.ended:
            return [int(event.message.split()[1]) for event in events]
    raise AssertionError("it does not end")


def test_events_are_found_newest_first(busy: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audit_search, "_FEWEST", 4)
    numbers = list(range(19, -1, -1))

    def check(expected: list[int], **wanted: Any) -> None:
        assert (wanted, found(busy, **wanted)) == (wanted, expected)

    check(numbers)
    check([n for n in numbers if n % 5 == 0], actor=Actor("anna@one"))
    check([n for n in numbers if n % 5 in {0, 1, 2}], actor=Actor("anna", "anna@"))
    check([n for n in numbers if n % 5 in {0, 1, 2, 4}], actor=Actor(prefix="anna"))
    check([], actor=Actor("ANNA"))
    check([n for n in numbers if n % 5 != 3], actor=Actor())
    check([n for n in numbers if n % 5 != 3 and n % 3 == 1], actor=Actor(), event_types=["download_failed"])
    check(
        [n for n in numbers if n % 5 == 0 and n % 3 == 1],
        actor=Actor("anna@one"),
        event_types=["download_failed"],
    )
    check([n for n in numbers if n % 3 != 1], event_types=["task_retried", "zalo_sent"])
    check([n for n in numbers if n % 4 in {2, 3}], hidden_severities={"info", "debug", "warning"})
    check([n for n in numbers if n % 4 in {0, 1}], severities={"info", "warning"})
    check([n for n in numbers if n % 2 == 0], order_id=1)
    check([n for n in numbers if n % 2 == 0 and n < 9], order_id=1, until=BEGIN + timedelta(seconds=3))
    check(
        [n for n in numbers if 3 <= n < 9],
        since=BEGIN + timedelta(seconds=1),
        until=BEGIN + timedelta(seconds=3),
    )
    check([n for n in numbers if n % 2], source="orderctl_cli")
    check([19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 1], text="EVENT 1")
    check([n for n in numbers if n % 3 == 2], text="ZALO")
    check([14, 7, 0], operation="night")
    check([], text="%")
    check([3], text="event 3", source="orderctl_cli")


@pytest.mark.databases("mariadb", "mysql")
def test_events_without_a_time_come_last(busy: Shop):
    busy.execute("ALTER TABLE order_audit_logs MODIFY created_at DATETIME(6) NULL")
    busy.execute("UPDATE order_audit_logs SET created_at = NULL WHERE message IN ('Event 7', 'Event 12')")

    types = ["task_retried", "download_failed", "zalo_sent"]
    assert found(busy, event_types=types)[-3:] == [0, 12, 7]
    assert found(busy, event_types=types, text="event")[-3:] == [0, 12, 7]
    assert found(busy, text="event") == list(range(19, -1, -1))


@pytest.mark.databases("sqlite")
def test_more_actors_than_parts_are_looked_through(busy: Shop, monkeypatch: pytest.MonkeyPatch):
    expected = found(busy, actor=Actor(prefix="anna"))
    monkeypatch.setattr(walks, "MOST", 2)
    assert found(busy, actor=Actor(prefix="anna")) == expected


@pytest.mark.databases("sqlite")
def test_a_masked_secret_is_not_found_by_guessing(busy: Shop):
    busy.record(1, "shop_failed", message="GET https://user:Geheim7@shop.example/x failed", created_at=BEGIN)

    def messages(text: str) -> int:
        return len(busy.read(lambda c: Walk(Search(text=text)).step(c, 5)))

    assert (messages("geheim7"), messages("shop.example")) == (0, 1)


@pytest.mark.databases("sqlite")
def test_the_event_to_go_on_after_has_to_exist(busy: Shop):
    with pytest.raises(InvalidInput, match="no event 4711"):
        busy.read(lambda c: Walk(Search(), 4711).step(c, 5))


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("pattern", [None, re.compile("Event")])
def test_what_was_passed_is_counted(pattern, busy: Shop):
    walk = Walk(Search(text="event"), pattern=pattern)
    counts = []
    while not walk.ended:
        busy.read(lambda c: walk.step(c, 6))
        counts.append(walk.looked)
    assert counts == [6, 12, 18, 20]


@pytest.mark.parametrize("text", ["İstanbul", "STRASSE ẞ", "Ǆ", "50%_!", "ÉTÉ"])
def test_a_text_finds_itself(text, busy: Shop):
    busy.record(1, "test_event", message=f"a {text} b", created_at=BEGIN)
    walk = Walk(Search(text=text))
    assert [event.message for event in busy.read(lambda c: walk.step(c, 5))] == [f"a {text} b"]
