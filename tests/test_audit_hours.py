"""The numbers of events are right to the row at any time, whoever writes and however far the counting is."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from pymysql.err import OperationalError as PyMySqlError
from sqlalchemy import Connection, Engine, event, func, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from orderctl import audit_counting, audit_counts, audit_gaps, audit_hours, audit_summary, database
from orderctl.audit_gaps import Gap
from orderctl.audit_summary import Count
from orderctl.schema import order_audit_logs
from tests.shop import Shop

BEGIN = datetime(2026, 1, 30, 22, tzinfo=UTC)
WORDS = [("task", "info"), ("task", "error"), ("zalo", "info"), ("system", "notice")]
LOG = order_audit_logs.c


@pytest.fixture
def busy(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose newest events are counted, too."""
    monkeypatch.setattr(audit_hours, "NEWEST", 0)
    shop.add("DH1")
    return shop


def write(connection: Connection, chance: random.Random, **more: object) -> None:
    category, severity = chance.choice(WORDS)
    values = {
        "order_id": 1, "event_type": "note", "event_category": category, "severity": severity, "message": "m",
        "source": "shop", "created_at": f"{BEGIN + timedelta(minutes=chance.randrange(60 * 60)):%Y-%m-%d %H:%M:%S.%f}",
    } | more  # fmt: skip
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO order_audit_logs ({names}) VALUES ({marks})"), values)


def truth(connection: Connection, since: datetime | None = None) -> list[Count]:
    """Return the numbers as one GROUP BY counts them."""
    query = select(LOG.event_category, LOG.severity, func.count()).group_by(LOG.event_category, LOG.severity)
    if since is not None:
        query = query.where(LOG.created_at >= since)
    return sorted((Count(*row) for row in connection.execute(query)), key=repr)


def assert_right(engine: Engine, *times: datetime | None) -> None:
    with database.reading(engine) as connection:
        audit_summary.take_snapshot(connection)
        for since in times or (None,):
            assert sorted(audit_summary.count(connection, since=since), key=repr) == truth(
                connection, since
            ), since


def advance(engine: Engine, most: int = 1000, *, anew: bool = False) -> int:
    return database.transact(engine, partial(audit_hours.advance, most=most, anew=anew))


def state(engine: Engine) -> audit_counts.State:
    with database.reading(engine) as connection:
        return audit_counts.state_of(connection)


class Writers:
    """Programs that write into the log: some of their transactions are long, and some are undone."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.engine = engine
        self.stop = threading.Event()
        self.errors: list[Exception] = []
        self.wrote = 0
        self.threads = [threading.Thread(target=self._run, args=(seed,)) for seed in range(number)]

    def _run(self, seed: int) -> None:
        try:
            chance = random.Random(seed)
            while not self.stop.is_set():
                self._transaction(chance)
        except Exception as error:  # noqa: BLE001 - of any kind, and shown in the end
            self.errors.append(error)

    def _transaction(self, chance: random.Random) -> None:
        on_sqlite = self.engine.dialect.name == "sqlite"
        with self.engine.connect() as connection:
            for _ in range(chance.choice((1, 1, 3, 20))):
                self._statement(connection, chance)
                if chance.random() < 0.1 and not on_sqlite:
                    self.stop.wait(chance.choice((0.01, 0.1)))
            if chance.random() < 0.2:
                connection.rollback()
            else:
                connection.commit()
        self.stop.wait(0.002)

    def _statement(self, connection: Connection, chance: random.Random) -> None:
        more: dict[str, object] = {}
        if chance.random() < 0.2:
            more["dedup_key"] = f"key:{chance.randrange(50)}"
        if chance.random() < 0.03:
            highest = connection.execute(select(func.max(LOG.id))).scalar_one()
            more["id"] = highest + chance.randrange(-40, 10)
        try:
            write(connection, chance, **more)
            self.wrote += 1
        except DBAPIError as error:  # a duplicate key, a deadlock between two of them
            if error.orig.args[0] in {1205, 1213}:
                connection.rollback()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        for thread in self.threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in self.threads:
                thread.join()
        assert self.errors == []


def test_numbers_are_right_at_any_time_beside_four_writers(
    busy: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(7)
    engine = database.connect(busy.engine.url.render_as_string(hide_password=False), pool_size=6)
    writers = Writers(engine, 4)
    times = [None, *(BEGIN + timedelta(hours=hours) for hours in (0, 1.5, 1.3, 26.4, 58))]
    with writers.at_work():
        for _ in range(25):
            writers.stop.wait(0.02)
            monkeypatch.setattr(audit_hours, "NEWEST", chance.choice((0, 0, 0, 30)))
            advance(busy.engine, chance.choice((1, 7, 50, 1000)))
            assert_right(busy.engine, *chance.sample(times, 2))
    monkeypatch.setattr(audit_hours, "NEWEST", 0)
    monkeypatch.setattr(
        audit_hours, "_OLD_SECONDS", 0
    )  # as after some minutes, when every transaction has ended
    while advance(busy.engine):
        pass
    assert_right(busy.engine, *times)
    at_end = state(busy.engine)
    assert writers.wrote > 100
    assert at_end.counted_to == busy.read(lambda c: c.execute(select(func.max(LOG.id))).scalar_one())
    assert at_end.gaps
    engine.dispose()


@pytest.mark.databases("mariadb", "mysql")  # on SQLite one transaction writes at a time
def test_event_of_a_transaction_that_ends_late_is_counted(busy: Shop) -> None:
    chance = random.Random(1)
    with busy.engine.connect() as late, busy.engine.connect() as undone:
        write(late, chance)
        for _ in range(3):
            busy.transact(lambda c: write(c, chance))
        write(undone, chance)
        busy.transact(lambda c: write(c, chance))
        advance(busy.engine)
        assert [gap[:2] for gap in state(busy.engine).gaps] == [(2, 2), (6, 6)]
        undone.rollback()
        late.commit()

    assert_right(busy.engine)
    assert advance(busy.engine) == 1
    assert_right(busy.engine)
    assert [gap[:2] for gap in state(busy.engine).gaps] == [(6, 6)]
    assert advance(busy.engine) == 0


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM order_audit_logs WHERE id = 1",
        "DELETE FROM order_audit_logs WHERE id > 15",
        "DELETE FROM order_audit_logs",
        "UPDATE order_audit_logs SET created_at = '2026-03-04 05:06:07', severity = 'info'",
        "UPDATE order_audit_logs SET id = -5 WHERE id = 7",
    ],
)
def test_log_that_is_not_the_one_that_was_counted_is_counted_anew(busy: Shop, change: str) -> None:
    chance = random.Random(2)
    for _ in range(20):
        busy.transact(lambda c: write(c, chance))
    advance(busy.engine)
    busy.execute(change)

    assert_right(busy.engine)
    assert audit_counting.is_far(busy.engine, 0)
    audit_counting.catch_up(busy.engine)
    assert_right(busy.engine)
    assert not audit_counting.is_far(busy.engine, 0)


def test_events_that_were_changed_in_the_middle_are_counted_when_that_is_asked_for(busy: Shop) -> None:
    chance = random.Random(3)
    for _ in range(20):
        busy.transact(lambda c: write(c, chance))
    audit_counting.catch_up(busy.engine)
    busy.execute("DELETE FROM order_audit_logs WHERE id IN (4, 5)")
    with database.reading(busy.engine) as connection:
        assert sum(one.count for one in audit_summary.summary(connection)) == 21

    assert audit_counting.catch_up(busy.engine, anew=True) == 19

    assert_right(busy.engine)


def test_where_gaps_are_too_many_the_counting_waits_until_their_ids_are_old(
    busy: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a server that gives every second id (auto_increment_increment)."""
    monkeypatch.setattr(audit_gaps, "MOST", 3)
    monkeypatch.setattr(audit_gaps, "MOST_OLD", 2)
    chance = random.Random(4)
    for number in range(10):
        busy.transact(lambda c, number=number: write(c, chance, id=11 + 2 * number))

    assert [advance(busy.engine, 100), advance(busy.engine, 100)] == [4, 0]
    assert state(busy.engine).counted_to == 15
    busy.transact(lambda c: write(c, chance, id=12))
    assert_right(busy.engine)

    monkeypatch.setattr(audit_hours, "_OLD_SECONDS", 0)
    assert audit_counting.catch_up(busy.engine) == 8
    assert state(busy.engine).counted_to == 29
    assert [gap[:2] for gap in state(busy.engine).gaps] == [(26, 26), (28, 28)]
    assert_right(busy.engine)


def test_gaps_are_remembered_for_a_day() -> None:
    gaps = (Gap(1, 5, 0), Gap(8, 8, 86_000), Gap(10, 12, 0))

    assert audit_gaps.remembered(gaps, 9, 86_399) == gaps
    assert audit_gaps.remembered(gaps, 9, 86_400) == gaps[1:]
    assert audit_gaps.read(audit_gaps.write(gaps)) == gaps
    assert audit_gaps.without(gaps, [1, 3, 5, 8, 11]) == (
        Gap(2, 2, 0),
        Gap(4, 4, 0),
        Gap(10, 10, 0),
        Gap(12, 12, 0),
    )


def test_supervisor_counts_when_there_is_enough_to_count(busy: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_counting, "_SOME", 8)
    monkeypatch.setattr(audit_counting, "_FEW", 4)
    now = 100.0
    monkeypatch.setattr(audit_counting.clock, "elapsed", lambda: now)
    counting, chance = audit_counting.Counting(busy.engine), random.Random(5)

    def counted_to() -> int | None:
        nonlocal now
        now += 1
        counting.turn()
        return state(busy.engine).counted_to

    monkeypatch.setattr(audit_hours, "NEWEST", 5)
    assert counted_to() is None
    for _ in range(29):
        busy.transact(lambda c: write(c, chance))
    now += 10
    assert [counted_to() for _ in range(4)] == [8, 16, 24, 24]
    assert_right(busy.engine)

    statements: list[str] = []
    event.listen(busy.engine, "before_cursor_execute", lambda *some: statements.append(some[2]))
    now += 10
    counting.turn()
    assert [one for one in statements if one.startswith("SELECT")] == statements[-1:], "one, if few are new"


@pytest.mark.databases("sqlite")
def test_supervisor_does_not_wait_for_another_program_that_counts(
    busy: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def advance(_: Any, *, most: int) -> int:
        tries.append(most)
        raise OperationalError("", {}, PyMySqlError(1205, "Lock wait timeout exceeded"))

    monkeypatch.setattr(audit_hours, "advance", advance)
    monkeypatch.setattr(audit_counting, "is_far", lambda *_: True)
    counting = audit_counting.Counting(busy.engine)

    counting.turn()
    counting.turn()

    assert len(tries) == 1, "and not again for some seconds"


@pytest.mark.parametrize(
    ("ids", "left"),
    [
        ([11, 12], [(15, 15), (20, 22)]),
        ([14, 15, 16], [(20, 22)]),
        ([3, 21, 40], [(15, 15), (20, 20), (22, 22)]),
        ([1, 2, 16, 17, 19, 23], [(15, 15), (20, 22)]),
    ],
)
def test_ids_outside_of_the_gaps_make_none_wider(ids: list[int], left: list[tuple[int, int]]):
    gaps = [Gap(15, 15, 1), Gap(20, 22, 1)]

    assert [(gap.first, gap.last) for gap in audit_gaps.without(gaps, ids)] == left
