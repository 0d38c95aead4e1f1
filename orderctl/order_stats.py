"""The numbers of paid orders and of their tasks, by status; tasks whose order does not exist count, too.

Reading millions of rows takes seconds, so by default each walk of an index stops at a limit. Most tasks that wait
belong to orders that were never paid: to find those of paid orders among them would take as long as to count them.
So the tasks are reached from the paid orders. What a walk did not see is counted from the side of the tasks, if tasks
with that status are few in all. A number that is not exact then is a lower bound, and marked as one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from orderctl import deletion, shape, statuses, walks
from orderctl.schema import download_tasks, orders
from orderctl.states import ENDED_ORDER, OrderStatus, PaymentStatus, TaskStatus
from orderctl.statuses import Spelling

#: The walks share ``statuses.COUNT_LIMIT`` tasks. For each of its orders a rare status gets at most this many of them.
_TASKS: Final = 20
#: Statements that are kept, for each of the functions that build one.
_KEPT: Final = 16
_PAID: Final = orders.c.payment_status == PaymentStatus.PAID
_NAMELESS: Final = select(download_tasks.c.id).where(download_tasks.c.order_id.is_(None)).limit(1)


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers of paid orders and of their tasks, by status.

    Attributes:
        orders: The number of orders, by order status.
        tasks: The number of tasks, by task status.
        at_least: The numbers that are lower bounds, such as ``tasks.pending``; all others are exact.
    """

    orders: dict[str, int]
    tasks: dict[str, int]
    at_least: frozenset[str] = field(default_factory=frozenset)

    @property
    def numbers(self) -> dict[str, dict[str, int]]:
        """The numbers of orders and of tasks, by their names."""
        return {"orders": self.orders, "tasks": self.tasks}

    @property
    def capped(self) -> bool:
        """Whether there is a number that is only a lower bound."""
        return bool(self.at_least)


def count(connection: Connection, *, exact: bool = False) -> Stats:
    """Count paid orders and their tasks by status; tasks whose order does not exist count, too.

    Args:
        connection: A connection for reading.
        exact: Count all rows, which reads large indexes to their end. Otherwise a number may be a lower bound, of at
            most ``statuses.COUNT_LIMIT + 1``; and where a foreign key holds each task to its order, tasks without an
            order are looked for among the newest ones only.
    """
    if exact:
        return Stats(_all_orders(connection), _all_tasks(connection))
    found = _some_orders(connection)
    seen, complete = _walk(connection, found)
    tasks, open_ended = _bounded(connection, seen, complete=complete)
    counts: Counter[str] = Counter()
    for one, number in found:
        counts[one.status] += number
    cut = {f"orders.{status}" for status, number in counts.items() if number > statuses.COUNT_LIMIT}
    orders = {status: min(number, statuses.COUNT_LIMIT + 1) for status, number in counts.items()}
    return Stats(
        _with_known(orders, OrderStatus), tasks, frozenset(cut | {f"tasks.{status}" for status in open_ended})
    )


def _hinted(query: Any) -> Any:
    # With a limit, MySQL takes (payment_status, created_at, id) for a frequent status, and reads each order for it.
    return walks.hinted(query, orders, ("payment_status", "order_status", "created_at", "id"))


def _with_known(found: Mapping[str, int], known: Iterable[str]) -> dict[str, int]:
    """Return the numbers with those of all known statuses, which stand first; nothing without a name is left out."""
    counts = {str(status): found.get(status, 0) for status in known}
    others = {status: number for status, number in found.items() if status not in counts}
    return counts | {status: number for status, number in others.items() if status or number}


# From the side of the orders.


def _some_orders(connection: Connection) -> list[tuple[Spelling, int]]:
    """Return the numbers of paid orders by the spelling of their status, up to the limit; unfinished and rare ones first."""
    there = tuple(statuses.spellings(connection, orders.c.order_status, _PAID))
    numbers = connection.execute(_numbers_of_orders(there, statuses.COUNT_LIMIT)).one()
    found = [(one, number) for one, number in zip(there, numbers, strict=True) if number]
    return sorted(found, key=lambda item: (item[0].status in ENDED_ORDER, item[1]))


@lru_cache(_KEPT)
def _numbers_of_orders(there: tuple[Spelling, ...], most: int) -> Any:
    rows = _hinted(select(orders.c.id).where(_PAID, deletion.not_deleted(orders)))
    parts = (rows.where(one.matches(orders.c.order_status)) for one in there)
    return select(*(statuses.capped_number(part, most) for part in parts))


def _walk(connection: Connection, found: Sequence[tuple[Spelling, int]]) -> tuple[Counter[str], bool]:
    """Count the tasks of the newest paid orders of each status.

    Args:
        connection: A connection for reading.
        found: The spellings of the orders' statuses, with the number of orders; those in front get what they need.

    Returns:
        The numbers by the tasks' status, and whether these are all tasks of paid orders.
    """
    seen: Counter[str] = Counter()
    if not found:
        return seen, True
    ways, rest = [], statuses.COUNT_LIMIT
    for position, (one, number) in enumerate(found):
        most = rest // (len(found) - position)
        ways.append((one, most))
        rest -= min(most, number * _TASKS)
    visited: Counter[int] = Counter()
    for position, status, rows, number in connection.execute(_newest(tuple(ways))):
        seen[status or ""] += number
        visited[position] += rows
    return seen, all(visited[position] <= most for position, (_, most) in enumerate(ways))


@lru_cache(_KEPT)
def _newest(ways: tuple[tuple[Spelling, int], ...]) -> Any:
    """Return a query of tasks of the newest paid orders: the walk, the status, the rows read, and the tasks."""
    return union_all(*(_newest_of(*walk, position) for position, walk in enumerate(ways)))


def _newest_of(one: Spelling, most: int, position: int) -> Any:
    """Return the part of the query for one status of orders.

    It reads one index of the orders from its end, and for each order one index of the tasks. The outer join fixes this
    order, and lets orders without tasks count for the limit.
    """
    o, task = orders.c, download_tasks.c
    some = (
        _hinted(select(task.id, task.status))
        .select_from(orders)
        .outerjoin(download_tasks, and_(task.order_id == o.id, deletion.not_deleted(download_tasks)))
        .where(_PAID, one.matches(o.order_status), deletion.not_deleted(orders))
        .order_by(o.created_at.desc(), o.id.desc())
        .limit(most + 1)
        .subquery()
    )
    numbers = (some.c.status, func.count(), func.count(some.c.id))
    return select(literal_column(str(position), Integer), *numbers).group_by(some.c.status)


# From the side of the tasks.


def _bounded(
    connection: Connection, seen: Mapping[str, int], *, complete: bool
) -> tuple[dict[str, int], set[str]]:
    """Return the numbers of tasks, and those of them that are lower bounds.

    Args:
        connection: A connection for reading.
        seen: The tasks that were reached from their orders, by status.
        complete: Whether these are all tasks of paid orders.
    """
    orphans, all_orphans = _orphans(connection)
    counts = Counter(seen)
    counts.update(orphans)
    if complete and all_orphans:
        return _with_known(counts, TaskStatus), set()
    found = {status: min(number, statuses.COUNT_LIMIT + 1) for status, number in counts.items()}
    there: defaultdict[str, list[Spelling]] = defaultdict(list)
    for one in statuses.spellings(connection, download_tasks.c.status):
        if found.get(one.status, 0) <= statuses.COUNT_LIMIT:
            there[one.status].append(one)
    exact = _of_paid(connection, _few(connection, there))
    open_ended = ({*found} | {*there}) - {*exact}
    numbers = _with_known(found | exact, TaskStatus)
    return numbers | {status: numbers.get(status, 0) for status in open_ended}, open_ended


def _few(connection: Connection, there: Mapping[str, Sequence[Spelling]]) -> dict[str, tuple[Spelling, ...]]:
    """Return the statuses whose tasks, paid or not, are so few that each can be looked at; those without tasks as ()."""
    rest = statuses.COUNT_LIMIT // 2
    every = tuple(one for spellings in there.values() for one in spellings)
    if not every:
        return {}
    sizes: Counter[str] = Counter()
    for one, size in zip(every, connection.execute(_numbers_of_tasks(every, rest)).one(), strict=True):
        sizes[one.status] += size
    few: dict[str, tuple[Spelling, ...]] = {}
    for status, size in sorted(sizes.items(), key=lambda item: item[1]):
        rest -= size
        if rest < 0:
            break
        few[status] = tuple(there[status]) if size else ()
    return few


@lru_cache(_KEPT)
def _numbers_of_tasks(there: tuple[Spelling, ...], most: int) -> Any:
    rows = select(download_tasks.c.id)
    parts = (rows.where(one.matches(download_tasks.c.status)) for one in there)
    return select(*(statuses.capped_number(part, most) for part in parts))


def _of_paid(connection: Connection, few: Mapping[str, tuple[Spelling, ...]]) -> dict[str, int]:
    """Return the exact numbers of tasks of paid orders and of no order, by status."""
    numbers = dict.fromkeys(few, 0)
    some = {status: spellings for status, spellings in few.items() if spellings}
    if some:
        found = connection.execute(_numbers_of_paid(tuple(some.values()))).one()
        numbers |= {status: int(number or 0) for status, number in zip(some, found, strict=True)}
    return numbers


@lru_cache(_KEPT)
def _numbers_of_paid(groups: tuple[tuple[Spelling, ...], ...]) -> Select[Any]:
    return select(*(_number_of_paid(group) for group in groups))


def _number_of_paid(group: tuple[Spelling, ...]) -> Any:
    test = or_(*(one.matches(download_tasks.c.status) for one in group))
    some = select(download_tasks.c.order_id).where(test, deletion.not_deleted(download_tasks)).subquery()
    counts = func.sum(case((_order_of(some.c.order_id) == 0, 0), else_=1))
    return select(counts).select_from(some).scalar_subquery()


def _order_of(order_id: ColumnElement[int]) -> ColumnElement[int]:
    """Return whether the order is paid (1 or 0), to be looked up by its id; NULL if it does not exist.

    Not NOT EXISTS, nor a join: for those MySQL and MariaDB read all orders.
    """
    paid = case((and_(_PAID, deletion.not_deleted(orders)), 1), else_=0)
    return select(paid).where(orders.c.id == order_id).correlate_except(orders).scalar_subquery()


def _orphans(connection: Connection) -> tuple[dict[str, int], bool]:
    """Return the number of tasks whose order does not exist, by status, and whether these are all.

    Only the newest tasks are looked at: by their order, for which an index suffices. There are none where a foreign
    key is in force, so there it is a tenth.
    """
    held = _have_orders(connection)
    most = statuses.COUNT_LIMIT // 10 if held else statuses.COUNT_LIMIT
    found: Counter[str] = Counter()
    rows = 0
    for status, looked_at, number in connection.execute(_newest_orphans(most)):
        rows += looked_at
        found[status or ""] += int(number)
    return {status: number for status, number in found.items() if number}, held or rows <= most


@lru_cache(_KEPT)
def _newest_orphans(most: int) -> Select[Any]:
    task = download_tasks.c
    query = select(task.status, task.order_id).where(deletion.not_deleted(download_tasks))
    some = query.order_by(task.order_id.desc()).limit(most + 1).subquery("some")
    missing = case((_order_of(some.c.order_id).is_(None), 1), else_=0)
    return select(some.c.status, func.count(), func.sum(missing)).select_from(some).group_by(some.c.status)


def _have_orders(connection: Connection) -> bool:
    """Return whether a foreign key holds each task to an order; it lets those pass that name none."""
    holds = shape.has_foreign_key(connection, "download_tasks", "order_id")
    return holds and connection.execute(_NAMELESS).first() is None


# All rows.


def _all_orders(connection: Connection) -> dict[str, int]:
    o = orders.c
    paid = select(o.order_status, func.count()).where(_PAID, deletion.not_deleted(orders))
    return _grouped(connection, paid.group_by(o.order_status), OrderStatus)


def _all_tasks(connection: Connection) -> dict[str, int]:
    """Count all tasks but those of unpaid and of deleted orders; in one statement, for it sees one moment.

    Most orders of a shop are paid. To go through the few others is faster than to join the tasks to the paid ones.
    """
    task, status = download_tasks.c, orders.c.payment_status
    every = select(task.status, func.count().label("number")).where(deletion.not_deleted(download_tasks))
    others = (
        select(task.status, (-func.count(task.id)).label("number"))
        .select_from(orders)
        .outerjoin(download_tasks, and_(task.order_id == orders.c.id, deletion.not_deleted(download_tasks)))
        .where(or_(status != PaymentStatus.PAID, status.is_(None), deletion.is_deleted(orders)))
    )
    both = union_all(every.group_by(task.status), others.group_by(task.status)).subquery()
    query = select(both.c.status, func.sum(both.c.number)).group_by(both.c.status)
    return _grouped(connection, query, TaskStatus)


def _grouped(connection: Connection, query: Any, known: Iterable[str]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for status, number in connection.execute(query):  # a status may be spelled in several ways
        found[status or ""] += int(number)
    return _with_known({status: number for status, number in found.items() if number}, known)
