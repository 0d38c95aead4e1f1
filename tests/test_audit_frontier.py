import threading
from collections.abc import Callable
from itertools import chain

import pytest
from sqlalchemy import Connection, Engine

from orderctl import audit, audit_frontier, database
from orderctl.audit import NewEvent, Origin, Search
from orderctl.audit_frontier import Frontier
from orderctl.audit_gaps import Gap
from orderctl.states import EventType, Severity
from tests.shop import Shop

SERVERS = pytest.mark.databases("mariadb", "mysql")
ONE_KIND = pytest.mark.databases("sqlite")


def write(connection: Connection, name: str) -> None:
    audit.record(connection, NewEvent(EventType.TASK_CREATED, 1, Origin("test"), words={"name": name}))


class Reader:
    """Reads as one that follows does, and remembers what it found."""

    def __init__(self, engine: Engine, frontier: Frontier) -> None:
        self.engine = engine
        self.frontier = frontier
        self.found: list[str] = []

    def look(self, **more: bool) -> list[str]:
        with database.reading(self.engine) as connection:
            look = audit_frontier.look(connection, self.frontier, Search(), **more)
        self.frontier = look.frontier
        new = [event.message.removeprefix("Task created: ") for event in look.events]
        self.found += new
        return new


@pytest.fixture
def reader(shop: Shop) -> Reader:
    shop.paid("DH1")
    return Reader(shop.engine, shop.read(audit_frontier.begin))


@pytest.fixture
def held(shop: Shop):
    """``held(name)`` writes an event in a transaction of its own; the result commits it, or undoes it."""
    connections = []

    def hold(name: str) -> Callable[[bool], None]:
        connection = shop.engine.connect()
        connections.append(connection)
        write(connection, name)

        def end(commit: bool = True) -> None:
            connection.commit() if commit else connection.rollback()

        return end

    yield hold
    for connection in connections:
        connection.close()


@SERVERS
def test_what_is_committed_late_is_found_once(shop: Shop, reader: Reader, held):
    end_low, undo, end_middle = held("low"), held("undone"), held("middle")
    shop.transact(lambda c: write(c, "high"))

    assert reader.look() == ["high"]
    assert reader.look() == []
    end_middle()
    assert reader.look() == ["middle"]
    shop.transact(lambda c: write(c, "higher"))
    end_low()
    undo(False)

    assert reader.look() == ["low", "higher"]
    assert reader.look(every=True) == []
    [gap] = reader.frontier.gaps
    assert gap.first == gap.last == reader.frontier.read_to - 3


@SERVERS
def test_what_was_begun_before_the_reading_is_found(shop: Shop, held):
    shop.paid("DH1")
    end = held("before")
    shop.transact(lambda c: write(c, "high"))
    reader = Reader(shop.engine, shop.read(audit_frontier.begin))
    assert reader.look() == []

    end()

    assert reader.look() == ["before"]


@SERVERS
def test_many_writers_at_once(shop: Shop, reader: Reader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audit_frontier, "CHUNK", 7)

    def work(worker: int) -> None:
        for turn in range(8):
            with shop.engine.connect() as connection:
                for number in range(worker + 1):
                    write(connection, f"{worker}/{turn}/{number}")
                connection.rollback() if turn % 3 == 0 else connection.commit()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        reader.look()
    while reader.look():
        pass

    written = {f"{w}/{t}/{n}" for w in range(4) for t in range(8) if t % 3 for n in range(w + 1)}
    assert sorted(reader.found) == sorted(written)


@ONE_KIND
def test_only_matching_events_are_returned_and_the_others_passed(shop: Shop, reader: Reader):
    shop.record(1, "a", Severity.ERROR, id=50)
    shop.record(1, "b", id=60)
    wanted = Search(hidden_severities={Severity.INFO})

    look = shop.read(lambda c: audit_frontier.look(c, reader.frontier, wanted))
    shop.record(1, "c", id=40)
    shop.record(1, "d", Severity.ERROR, id=55)
    late = shop.read(lambda c: audit_frontier.look(c, look.frontier, wanted))

    assert [event.event_type for event in chain(look.events, late.events)] == ["a", "d"]
    assert [gap[:2] for gap in late.frontier.gaps] == [(3, 39), (41, 49), (51, 54), (56, 59)]


@ONE_KIND
def test_a_gap_is_closed_after_a_day(shop: Shop, reader: Reader):
    now = shop.read(audit_frontier._now)
    gaps = [Gap(number, number, now - seen) for number, seen in ((1000, 90_000), (2000, 80_000), (3000, 5))]
    reader.frontier = Frontier(5000, tuple(gaps))
    shop.record(1, id=5000)

    reader.look()

    assert [gap.first for gap in reader.frontier.gaps] == [2000, 3000]


@ONE_KIND
def test_young_gaps_are_not_cut_by_many_others(shop: Shop, reader: Reader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audit_frontier, "MOST", 3)
    now = shop.read(audit_frontier._now)
    old = [Gap(number, number, now - 100) for number in range(10, 20, 2)]
    reader.frontier = Frontier(19, tuple(old))
    for number in range(20, 60, 2):  # auto_increment_increment=2
        shop.record(1, id=number + 1)

    reader.look()
    shop.transact(lambda c: write(c, "other"))
    shop.record(1, message="Task created: late", id=20)

    assert [gap.first for gap in reader.frontier.gaps] == [14, 16, 18, *range(20, 60, 2)]
    assert reader.look() == ["late", "other"]


@ONE_KIND
def test_too_many_young_gaps_are_said(shop: Shop, reader: Reader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audit_frontier, "MOST_YOUNG", 3)
    for number in range(20, 26, 2):
        shop.record(1, id=number + 1)
    first = shop.read(lambda c: audit_frontier.look(c, reader.frontier, Search()))
    shop.record(1, id=29)
    second = shop.read(lambda c: audit_frontier.look(c, first.frontier, Search()))

    assert (first.cut, second.cut) == (False, True)
    assert [gap.first for gap in second.frontier.gaps] == [22, 24, 26]


@ONE_KIND
def test_while_many_events_are_read_their_gaps_wait(
    shop: Shop, reader: Reader, monkeypatch: pytest.MonkeyPatch
):
    looked: list[int] = []
    monkeypatch.setattr(audit_frontier, "CHUNK", 2)
    monkeypatch.setattr(audit_frontier, "_SELDOM_SECONDS", 1000)
    monkeypatch.setattr(audit_frontier, "_filled", lambda _, gaps: (looked.append(len(gaps)), [])[1])
    for number in range(20, 30, 2):
        shop.record(1, id=number)

    while len(reader.look()) == 2:
        pass

    assert looked == [0, 0, 4]


@pytest.mark.parametrize("emptied", [True, False], ids=["emptied", "restored"])
def test_a_log_whose_ids_go_back_is_read_on(emptied: bool, shop: Shop, reader: Reader):
    for number in range(20, 40):
        shop.record(1, message=f"Task created: {number}", id=number)
    reader.look()
    shop.execute("DELETE FROM order_audit_logs" + ("" if emptied else " WHERE id >= 37"))
    shop.record(1, message="Task created: new", id=38)

    look = shop.read(lambda c: audit_frontier.look(c, reader.frontier, Search()))

    assert (look.events, look.more, look.anew) == ([], True, True)
    assert look.frontier.read_to == (0 if emptied else 31)
    reader.look()
    assert reader.look() == (["new"] if emptied else [*map(str, range(32, 37)), "new"])
    assert reader.look() == []


def test_another_log_with_higher_ids_is_noticed(shop: Shop, reader: Reader):
    shop.execute("DELETE FROM order_audit_logs")
    for number in range(1, 10):
        shop.record(1, message=f"Task created: {number}", id=number)

    assert reader.look() == []
    assert reader.look() == [str(number) for number in range(1, 10)]


@ONE_KIND
def test_a_mark_that_was_deleted_says_nothing(shop: Shop, reader: Reader):
    for number in (20, 30):
        shop.record(1, id=number)
    reader.look()
    shop.execute("DELETE FROM order_audit_logs WHERE id = 30")
    shop.record(1, message="Task created: new", id=31)

    assert reader.look() == ["new"]


def test_after_an_interruption_the_rest_is_read_again():
    before = Frontier(10, (Gap(3, 4, 1), Gap(7, 7, 1)))
    after = Frontier(20, (Gap(4, 4, 1), Gap(15, 16, 2)))

    assert after.at(3, before) == Frontier(10, (Gap(4, 4, 1), Gap(7, 7, 1)))
    assert after.at(7, before) == Frontier(10, (Gap(4, 4, 1),))
    assert after.at(12, before) == Frontier(12, (Gap(4, 4, 1),))
    assert after.at(17, before) == Frontier(17, (Gap(4, 4, 1), Gap(15, 16, 2)))


def test_the_ids_that_earlier_versions_read_again():
    assert audit_frontier.all_but(10, [9, 10, 3], 4).gaps == (Gap(7, 8, 0),)
    assert audit_frontier.all_but(2, [2], 1000).gaps == (Gap(1, 1, 0),)
    assert audit_frontier.all_but(0, [0], 1000) == Frontier()
