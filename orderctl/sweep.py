"""Finds due tasks, second by second, at a cost that does not grow with the tables.

Tasks that are noted as claimable (``readiness``) are found by an index. What is not noted, because the shop has paid the
order by its own UPDATE, or because its own tasks are taken, too, is found by walking the open paid orders: a part of them
each second, and always the newest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, partial
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Dialect,
    Engine,
    Select,
    String,
    and_,
    bindparam,
    case,
    null,
    or_,
    select,
    type_coerce,
    union_all,
)
from sqlalchemy.types import NullType

from orderctl import clock, database, deletion, readiness, shape, words
from orderctl.errors import DatabaseBusy
from orderctl.readiness import Found
from orderctl.schema import download_tasks
from orderctl.schema import orders as orders_table
from orderctl.settings import Settings
from orderctl.states import OrderStatus, PaymentStatus

_log = logging.getLogger(__name__)

#: Most open orders that one turn looks at, and how many every other turn, which has the newest: the shop may just have
#: paid them.
PART: Final = 200
_NEWEST: Final = 50
#: Most tasks that one turn of a sweep finds; an order may have very many.
_MOST_TASKS: Final = 500
#: In one of this number of rounds also orders with a status in a spelling that new ones do not have are looked for.
_EVERY_SPELLING: Final = 10
_HIGHEST_ID: Final = 2**63 - 1
#: A queue with this number of jobs keeps the workers busy: another job would wait behind these anyway.
LONG_QUEUE: Final = 1000
#: From this number of jobs on the queue is not empty soon. Most tasks of a kind that are looked at then, and before.
_SOME_JOBS: Final = 100
_FEW: Final = 50
_MANY: Final = 500
#: How often due tasks are looked for while the queue is that long, and while it is not empty soon, in seconds.
_LONG_QUEUE_SECONDS: Final = 60.0
_SOME_JOBS_SECONDS: Final = 5.0
#: How often a correction of notes is run again after a deadlock.
_RERUNS: Final = 2


#: A payment status and an order status, as they are spelled; None: NULL.
_Ranges = tuple[tuple[str, str | None], ...]


class _Kind(Enum):
    """Where a part of the orders begins; those without a time come last."""

    FIRST = auto()  #: With the newest.
    LATER = auto()  #: After an order that has a time.
    TIMELESS = auto()  #: After an order that has none.


@dataclass(frozen=True, slots=True)
class _Place:
    """An order's place among all: its time, as it is stored, and its id."""

    created_at: Any
    id: int


_TIMELESS: Final = _Place(None, _HIGHEST_ID)


@dataclass(frozen=True, slots=True)
class _Part:
    """What was found in a part of the orders.

    Attributes:
        tasks: The tasks that are not noted.
        last: The last of the orders; None if there are none after these.
        is_cut: Whether there are more tasks of these orders.
    """

    tasks: list[Found]
    last: _Place | None
    is_cut: bool


class Sweep:
    """What a supervisor remembers of due tasks from one second to the next.

    Args:
        settings: They decide which tasks orderctl may run.
    """

    def __init__(self, settings: Settings) -> None:
        self._take_all = settings.worker.take == "all"
        #: The last order that was looked at; None: the next one is the newest.
        self._at: _Place | None = None
        #: Whether the newest orders were looked at in the last turn.
        self._newest = False
        self._rounds = 0
        self._known: tuple[object, bool, _Ranges] | None = None
        self._looked: float | None = None

    def has_to_look(self, queued: int) -> bool:
        """Whether to look for due tasks: while jobs wait, only once in a while, as another job would wait behind them.

        Args:
            queued: The number of jobs in the queue.
        """
        now = clock.elapsed()
        if self._looked is not None and now - self._looked < _pause(queued):
            return False
        self._looked = now
        return True

    def note(self, engine: Engine) -> None:
        """Note which tasks of the next part of the open orders may be claimed.

        Also while the queue is long: else the oldest of many orders, which a round reaches last, would wait for hours.

        Raises:
            DatabaseUnavailable: When the database does not answer.
        """
        with database.reading(engine) as connection:
            found = self._unnoted(connection)
        _correct(engine, found, take_all=self._take_all)

    def find(self, engine: Engine, queued: int) -> list[Found]:
        """Return tasks that may be claimed and are due, and correct the notes that are wrong.

        Args:
            engine: The database.
            queued: The number of jobs in the queue.

        Raises:
            DatabaseUnavailable: When the database does not answer.
        """
        limit = _FEW if queued >= _SOME_JOBS else _MANY
        with database.reading(engine) as connection:
            found = self._unnoted(connection)
            for note in (readiness.READY, readiness.FAILING):
                found += readiness.noted(connection, note, take_all=self._take_all, limit=limit)
        _correct(engine, found, take_all=self._take_all)
        return [*{one.id: one for one in found if one.is_claimable and one.is_due}.values()]

    def _unnoted(self, connection: Connection) -> list[Found]:
        """Look at the next part of the open orders, or in turn with that at the newest ones."""
        after = self._at
        self._newest = after is None or not self._newest
        if after is None:
            self._rounds += 1
        elif self._newest:
            return self._look(connection, None, _NEWEST).tasks
        part = self._look(connection, after, PART)
        self._at = self._next(part, after)
        if self._at is not None or after is None or after.created_at is None:
            return part.tasks
        timeless = self._look(connection, _TIMELESS, PART)
        self._at = self._next(timeless, _TIMELESS)
        return part.tasks + timeless.tasks

    @staticmethod
    def _next(part: _Part, after: _Place | None) -> _Place | None:
        """Return where to go on: if there are more tasks of these orders, here, as what is noted is not found again."""
        return after if part.is_cut else part.last

    def _look(self, connection: Connection, after: _Place | None, limit: int) -> _Part:
        ranges = self._ranges(connection.dialect, every=self._rounds % _EVERY_SPELLING == 1)
        query = _query(ranges, _kind(after), limit, take_all=self._take_all)
        place = {} if after is None else {"at": after.created_at, "last": after.id}
        rows = connection.execute(query, place).all()
        tasks = [readiness.found(row) for row in rows if row.place_id is None]
        places = [row for row in rows if row.place_id is not None]
        last = None if not places else _Place(places[0].place_at, places[0].place_id)
        return _Part(tasks, last, is_cut=len(tasks) == _MOST_TASKS)

    def _ranges(self, dialect: Dialect, *, every: bool) -> _Ranges:
        there = shape.of(dialect)
        if self._known is None or self._known[0] is not there or self._known[1] is not every:
            self._known = there, every, _ranges(dialect, every=every)
        return self._known[2]


def _pause(queued: int) -> float:
    """Return the time between two looks for due tasks in seconds."""
    if queued >= LONG_QUEUE:
        return _LONG_QUEUE_SECONDS
    return _SOME_JOBS_SECONDS if queued >= _SOME_JOBS else 0.0


def note_all(engine: Engine, settings: Settings) -> None:
    """Note of all tasks of open orders that they may be claimed, whatever it costs.

    Raises:
        DatabaseUnavailable: When the database does not answer.
    """
    take_all = settings.worker.take == "all"
    with database.reading(engine) as connection:
        found = readiness.unnoted(connection, take_all=take_all)
    _correct(engine, found, take_all=take_all)


def _correct(engine: Engine, found: Iterable[Found], *, take_all: bool) -> None:
    """Correct the notes that are wrong; what another transaction holds is corrected later."""
    for ids in readiness.batches({one.id for one in found if not one.is_right}):
        work = partial(readiness.correct, task_ids=ids, take_all=take_all)
        try:
            database.transact(engine, work, reruns=_RERUNS)
        except DatabaseBusy as error:
            _log.debug("cannot note now which tasks are due: %s", error)
            return


def _ranges(dialect: Dialect, *, every: bool) -> _Ranges:
    """Return the payment status and the order status of paid and open orders, as they are spelled.

    Each is a range of the index of its own, in the order of time; several need to be sorted.

    Args:
        dialect: Of the engine.
        every: All spellings that a comparison finds; otherwise those which new orders have.
    """
    spellings = words.spellings if every else words.usual
    paid = words.spellings(dialect, "orders", "payment_status", PaymentStatus.PAID)
    open_ = [
        spelling
        for word in (OrderStatus.PENDING, OrderStatus.PROCESSING)
        for spelling in spellings(dialect, "orders", "order_status", word)
    ]
    return tuple((one, status) for one in paid for status in (*map(str, open_), None))


@cache
def _query(ranges: _Ranges, kind: _Kind, limit: int, *, take_all: bool) -> CompoundSelect[Any]:
    """Return the query for orders, newest first, and what is not noted of their tasks."""
    ways = union_all(*(select(_range(*one, kind, limit).subquery()) for one in ranges)).subquery()
    at, order_id = ways.c.place_at, ways.c.place_id
    part = select(ways).order_by(at.desc(), order_id.desc()).limit(limit).cte("part")
    its = and_(download_tasks.c.order_id == part.c.place_id, part.c.kept == 1)
    tasks = (
        select(*readiness.columns([]), null().label("place_at"), null().label("place_id"))
        .join_from(part, download_tasks, its)
        .where(*readiness.is_unnoted(take_all=take_all))
        .limit(_MOST_TASKS)
    )
    # Behind it the next part begins; there is none if this one has fewer orders.
    last = (
        select(*(null() for _ in range(4)), part.c.place_at, part.c.place_id)
        .order_by(part.c.place_at.desc(), part.c.place_id.desc())
        .limit(1)
        .offset(limit - 1)
    )
    return union_all(*(select(one.subquery()) for one in (tasks, last)))


def _range(paid: str, status: str | None, kind: _Kind, limit: int) -> Select[Any]:
    o = orders_table.c
    at = type_coerce(o.created_at, NullType())  # as it is stored: the shop's time may be of any form
    its = type_coerce(o.order_status, String)
    kept = case((deletion.not_deleted(orders_table), 1), else_=0)
    return (
        select(at.label("place_at"), o.id.label("place_id"), kept.label("kept"))
        .where(type_coerce(o.payment_status, String) == paid)
        .where(its.is_(None) if status is None else its == status)
        .where(*_after(at, kind))
        .order_by(o.created_at.desc(), o.id.desc())
        .limit(limit)
    )


def _kind(after: _Place | None) -> _Kind:
    if after is None:
        return _Kind.FIRST
    return _Kind.TIMELESS if after.created_at is None else _Kind.LATER


def _after(at: ColumnElement[Any], kind: _Kind) -> list[ColumnElement[bool]]:
    before = orders_table.c.id < bindparam("last")
    if kind is _Kind.FIRST:
        return []
    if kind is _Kind.TIMELESS:
        return [at.is_not_distinct_from(None), before]  # IS NULL also finds 0000-00-00 on MySQL
    last = bindparam("at", type_=NullType())
    # Not a row-value comparison: with one MySQL reads the whole table.
    return [at <= last, or_(at < last, before)]
