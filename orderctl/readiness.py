"""Which tasks may be claimed now: a note in each task's row, by which an index finds them among millions.

``download_tasks.ready`` is a hint and never the truth, which ``leases.claim`` looks at: whether the order is paid, for
example. ``lifecycle`` notes it with each move. What the shop changes by itself, and with ``worker.take = all`` what it
adds, is noted by a sweep (``sweep``), which looks at a part of the open orders each second. A note that does not hold any
more is corrected when it is found.

=====  ==============================================================================================
ready  meaning
=====  ==============================================================================================
0      not known to be claimable
1      the order is paid and open, and the task waits; from ``available_at`` on, which is not NULL
2      likewise, and the task has been failing
=====  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    true,
    type_coerce,
    update,
)

from orderctl import database, deletion, orders, statuses
from orderctl.orders import OrderState
from orderctl.schema import download_tasks
from orderctl.schema import orders as orders_table
from orderctl.states import WAITING, PaymentStatus

NOT_READY: Final = 0
READY: Final = 1
FAILING: Final = 2

#: What a query says of a task, as bits of a number: a column of its own for each would take longer to read.
_DUE, _FAILING, _CLAIMABLE, _RIGHT = _BITS = (1, 2, 4, 8)
#: Most tasks that are written in one statement.
_BATCH: Final = 500


class Found(NamedTuple):
    """A task as it was found."""

    id: int
    order_id: int
    attempt: int  #: The number of attempts that it has had.
    is_due: bool  #: Its time has come.
    is_failing: bool  #: It has been failing.
    is_claimable: bool  #: It waits and its order is paid and open, so that it may be claimed in due time.
    is_right: bool  #: Its row says the same.


def after_move(order: OrderState | None, *, managed: bool, failing: bool, reopens: bool) -> int:
    """Return the note for a task that a move makes wait.

    Args:
        order: The task's order, locked; None: it is not known.
        managed: Whether orderctl is to run the task.
        failing: Whether the task has been failing.
        reopens: Whether the move reopens the order if it has ended.
    """
    if order is None or not managed or order.payment_status != PaymentStatus.PAID:
        return NOT_READY
    if not (orders.is_unended(order) or reopens):
        return NOT_READY
    return FAILING if failing else READY


def note_order(connection: Connection, order_id: int) -> None:
    """Note which waiting tasks of an order may be claimed.

    Args:
        connection: In the transaction that has made the order paid.
        order_id: The order.
    """
    _note(connection, download_tasks.c.order_id == order_id, *_waits(take_all=False), take_all=False)


def batches(task_ids: Iterable[int]) -> Iterator[list[int]]:
    """Return tasks in the batches for :func:`correct`: each is a short transaction."""
    chosen = sorted(task_ids)
    return (chosen[begin : begin + _BATCH] for begin in range(0, len(chosen), _BATCH))


def correct(connection: Connection, task_ids: Collection[int], *, take_all: bool) -> None:
    """Note of each of these tasks whether it may be claimed, as it is now.

    Args:
        connection: In a transaction of its own.
        task_ids: One of the :func:`batches`.
        take_all: Whether the workers also take tasks that are not managed by orderctl.
    """
    _note(connection, download_tasks.c.id.in_(task_ids), take_all=take_all)


def _note(connection: Connection, *which: ColumnElement[bool], take_all: bool) -> None:
    task = download_tasks.c
    its = select(orders_table.c.id).where(orders_table.c.id == task.order_id, *_takes_work())
    claimable = and_(*_waits(take_all=take_all), its.correlate(download_tasks).exists())
    values = (
        # Before ``ready``: MySQL would read the new one.
        (task.available_at, case((claimable, _since()), else_=task.available_at)),
        (task.ready, case((claimable, _level()), else_=NOT_READY)),
        # Of the shop, perhaps with ON UPDATE: nothing has happened to the task.
        (task.updated_at, task.updated_at),
    )
    connection.execute(update(download_tasks).where(*which).ordered_values(*values))


def _since() -> ColumnElement[Any]:
    """Return when the task is due: a task of an order that is paid only now has not waited since it was added."""
    task, now = download_tasks.c, database.utc_now()
    later = and_(task.ready == NOT_READY, task.available_at < now)
    return case((later, now), else_=func.coalesce(task.available_at, now))


def _waits(*, take_all: bool) -> list[ColumnElement[bool]]:
    """Return the conditions that a task waits for a worker, whenever its time comes."""
    task = download_tasks.c
    waits = [task.status.in_(WAITING), task.lease_token.is_(None), deletion.not_deleted(download_tasks)]
    return waits if take_all else [*waits, task.managed == 1]


def _takes_work() -> list[ColumnElement[bool]]:
    """Return the conditions that tasks of an order may be claimed, and are worth a doorbell."""
    paid = orders_table.c.payment_status == PaymentStatus.PAID
    return [paid, orders.is_open(), deletion.not_deleted(orders_table)]


def claimable(*, take_all: bool) -> list[ColumnElement[bool]]:
    """Return the conditions that a task and its order, which is joined, may be claimed now.

    Args:
        take_all: Whether the workers also take tasks that are not managed by orderctl.
    """
    return [*_takes_work(), *_waits(take_all=take_all), _is_due()]


def _is_due() -> ColumnElement[bool]:
    at = download_tasks.c.available_at
    return or_(at.is_(None), at <= database.utc_now())


def noted(connection: Connection, note: int, *, take_all: bool, limit: int) -> list[Found]:
    """Return the tasks that are noted as claimable and are due, the longest due first, right or wrong.

    Args:
        connection: A connection for reading.
        note: :data:`READY` or :data:`FAILING`.
        take_all: Whether the workers also take tasks that are not managed by orderctl.
        limit: Maximum number of tasks.
    """
    return [found(row) for row in connection.execute(_noted(note, limit, take_all=take_all))]


def line(connection: Connection, *, limit: int) -> list[tuple[datetime, int]]:
    """Return the tasks that are noted as claimable and are due, as (due since, id), the longest due first.

    Args:
        connection: A connection for reading.
        limit: Maximum number of tasks.
    """
    rows = [row for note in (READY, FAILING) for row in connection.execute(_line(note, limit))]
    return sorted((row.available_at, row.id) for row in rows)[:limit]


def depth(connection: Connection, *, most: int) -> tuple[int, datetime | None]:
    """Return how many tasks are noted as claimable and are due, and since when the oldest is.

    Args:
        connection: A connection for reading.
        most: Of each note, tasks are counted up to one more than this.
    """
    oldest = [at for at, _ in line(connection, limit=1)]
    number = sum(statuses.capped(connection, _due(note), most) for note in (READY, FAILING))
    return number, oldest[0] if oldest else None


@cache
def _due(note: int) -> Select[Any]:
    task = download_tasks.c
    return select(task.id).where(task.ready == note, task.available_at <= database.utc_now())


@cache
def _line(note: int, limit: int) -> Select[Any]:
    task = download_tasks.c
    return (
        select(task.available_at, task.id)
        .where(task.ready == note, task.available_at <= database.utc_now())
        .order_by(task.available_at, task.id)
        .limit(limit)
    )


@cache
def _noted(note: int, limit: int, *, take_all: bool) -> Select[Any]:
    task = download_tasks.c
    # An outer join, so that each database begins with the tasks, in the order of the index.
    return (
        select(*columns(_takes_work() + _waits(take_all=take_all)))
        .join_from(download_tasks, orders_table, orders_table.c.id == task.order_id, isouter=True)
        .where(task.ready == note, task.available_at <= database.utc_now())
        .order_by(task.available_at, task.id)
        .limit(limit)
    )


def unnoted(connection: Connection, *, take_all: bool) -> list[Found]:
    """Return the waiting tasks of all paid and open orders of which it is not noted that they may be claimed.

    Args:
        connection: A connection for reading.
        take_all: Whether the workers also take tasks that are not managed by orderctl.
    """
    query = (
        select(*columns([]))
        .join_from(download_tasks, orders_table, orders_table.c.id == download_tasks.c.order_id)
        .where(*_takes_work(), *is_unnoted(take_all=take_all))
    )
    return [found(row) for row in connection.execute(query)]


def is_unnoted(*, take_all: bool) -> list[ColumnElement[bool]]:
    """Return the conditions that a task waits, and that it is not noted; for tasks of paid and open orders.

    Args:
        take_all: Whether the workers also take tasks that are not managed by orderctl.
    """
    task = download_tasks.c
    wrong = or_(task.ready.not_in((READY, FAILING)), task.available_at.is_(None))
    return [*_waits(take_all=take_all), wrong]


def columns(claimable: Sequence[ColumnElement[bool]]) -> list[ColumnElement[Any]]:
    """Return the columns of a query for tasks; see :func:`found`.

    Args:
        claimable: The conditions that a task may be claimed, as far as the query does not have them.
    """
    task = download_tasks.c
    right = case((and_(true(), *claimable), _level()), else_=NOT_READY)
    dated = or_(task.ready == NOT_READY, task.available_at.is_not(None))
    flags = {
        _DUE: _is_due(),
        _FAILING: task.failing_since.is_not(None),
        _RIGHT: and_(task.ready == right, dated),
    }
    if claimable:
        flags[_CLAIMABLE] = and_(*claimable)
    looks = [case((condition, bit), else_=0) for bit, condition in flags.items()]
    always = _CLAIMABLE if not claimable else 0
    return [
        type_coerce(task.id, Integer),
        type_coerce(task.order_id, Integer),
        task.attempt,
        sum(looks, literal_column(str(always), Integer)).label("flags"),
    ]


def found(row: Row[Any]) -> Found:
    """Return the task in a row that begins with the :func:`columns`."""
    values: tuple[Any, ...] = tuple(row)
    task_id, order_id, attempt, flags = values[:4]
    return Found(task_id, order_id, attempt, *(bool(flags & bit) for bit in _BITS))


def _level() -> ColumnElement[Any]:
    return case((download_tasks.c.failing_since.is_(None), READY), else_=FAILING)
