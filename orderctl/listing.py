"""Pages of orders, with queries whose cost does not grow with the tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, String, and_, func, or_, select, type_coerce

from orderctl import database, deletion, foreign, searching, statuses, texts, walks, words
from orderctl.errors import InvalidInput
from orderctl.moments import SharedDateTime
from orderctl.orders import Order, is_open, select_orders
from orderctl.schema import download_tasks, orders
from orderctl.states import UNFINISHED, OrderStatus, PaymentStatus
from orderctl.walks import Part

_CURSOR_REST = "%m%dT%H%M%S%f"
_CURSOR_TIME = f"%Y{_CURSOR_REST}"
_FEWEST_LETTERS: Final = 3
_MOST_ADDRESSES: Final = 20


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """A filter for orders; None means any.

    Attributes:
        paid: Only paid orders.
        statuses: Only orders with one of these statuses.
        stale_seconds: Only paid, unfinished orders whose tasks have not changed for this number of seconds, or of which
            one has been failing for that long.
        email: Only orders of this customer.
        since: Only orders created at this time or later.
        until: Only orders created before this time.
        deleted: Only orders that the shop has deleted; by default only the others.
        search: Only orders whose code or address contains this, as far as :mod:`orderctl.searching` looks.
        search_addresses: Whether the search looks at addresses, too.
    """

    paid: bool = False
    statuses: Collection[str] | None = None
    stale_seconds: float | None = None
    email: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    deleted: bool = False
    search: str | None = None
    search_addresses: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """A page of orders, newest first, and the cursor of the next page (None after the last one).

    Attributes:
        total: The number of all orders that a search finds, unless it goes on after a cursor.
    """

    orders: list[Order]
    cursor: str | None
    total: int | None = None


def page(
    connection: Connection, wanted: OrderFilter, *, limit: int = 50, after: str | None = None, skip: int = 0
) -> Page:
    """Return a page of orders.

    Args:
        connection: A connection for reading.
        wanted: The filter.
        limit: The maximum number of orders.
        after: The cursor of the previous page.
        skip: The number of orders to skip. Unlike ``after`` it has to read them, from the index.

    Raises:
        InvalidInput: ``after`` is not a valid cursor.
    """
    o = orders.c
    stored = type_coerce(o.created_at, String).label("stored")
    query = select(o.id, o.created_at, stored)
    ranges = [] if after is None else _after(after)
    if wanted.search:
        query = query.where(*_conditions(wanted), *([or_(*ranges)] if ranges else []))
        found = searching.rows(connection, wanted.search, query, in_addresses=wanted.search_addresses)
        total = len(found) if after is None else None
        return _page(connection, found[skip : skip + limit + 1], limit, total=total)
    found_in, rest = _parts(connection, wanted)
    query = query.where(*_conditions(rest))
    if skip:
        found_in = walks.occupied(connection, found_in)
    by = (o.created_at, o.id)
    newest = walks.newest(connection.dialect, query, found_in, by, limit=limit + 1, skip=skip, ranges=ranges)
    return _page(connection, connection.execute(newest).all(), limit)


def _page(connection: Connection, rows: Sequence[Row[Any]], limit: int, *, total: int | None = None) -> Page:
    """Return the page of these orders; there is one more of them than the limit if others follow."""
    chosen = rows[:limit]
    found = select_orders(connection, orders.c.id.in_([row.id for row in chosen])) if chosen else []
    return Page(found, _cursor(connection, chosen[-1]) if len(rows) > limit else None, total)


def _parts(connection: Connection, wanted: OrderFilter) -> tuple[Sequence[Part], OrderFilter]:
    """Return parts of the orders, each of which an index has in their order, and what is left of the filter."""
    o = orders.c

    def spelled(column: str, chosen: Iterable[str]) -> list[str | None]:
        of_word = (words.spellings(connection.dialect, "orders", column, str(word)) for word in chosen)
        return [*chain.from_iterable(of_word)]

    if wanted.email is not None:
        return walks.parts((o.user_email, _addresses(wanted.email))), replace(wanted, email=None)
    payments = spelled("payment_status", [PaymentStatus.PAID])
    if wanted.stale_seconds is not None:
        unended = [*spelled("order_status", (OrderStatus.PENDING, OrderStatus.PROCESSING)), None]
        return walks.parts((o.payment_status, payments), (o.order_status, unended)), wanted
    if wanted.statuses is None:
        return walks.parts((o.payment_status, payments)) if wanted.paid else [()], replace(wanted, paid=False)
    if not wanted.paid:
        payments = [*statuses.stored(connection, o.payment_status), None]
    found_in = walks.parts(
        (o.payment_status, payments), (o.order_status, spelled("order_status", wanted.statuses))
    )
    if len(found_in) > walks.MOST:
        return [()], wanted
    return found_in, replace(wanted, paid=False, statuses=None)


def _addresses(email: str) -> list[str]:
    # orderctl writes addresses in lower case, the shop perhaps as the customer did.
    return list(dict.fromkeys((email.strip(), email.strip().lower())))


def _after(cursor: str) -> list[ColumnElement[bool]]:
    """Return the ranges of the orders that come after a cursor. Orders without a time come last."""
    o = orders.c
    created_at, order_id = parse_cursor(cursor)
    timeless = o.created_at.is_not_distinct_from(None)  # IS NULL also finds 0000-00-00 on MySQL
    if created_at is not None:
        return [_before(created_at, order_id), timeless]
    last = orders.alias("last")
    its = select(last.c.created_at).where(last.c.id == order_id).scalar_subquery()
    return [_before(its, order_id), and_(timeless, or_(its.is_distinct_from(None), o.id < order_id))]


def _before(moment: Any, order_id: int) -> ColumnElement[bool]:
    o = orders.c
    # Not a row-value comparison: with one MySQL reads the whole table.
    return and_(o.created_at <= moment, or_(o.created_at < moment, o.id < order_id))


def addresses_like(connection: Connection, email: str) -> list[str]:
    """Return some customers' addresses that begin as an address does, each found with one step in an index.

    Args:
        connection: A connection to the database.
        email: An address that may be misspelled behind its first letters.
    """
    name = email.partition("@")[0]
    for begin in dict.fromkeys((name, name[: len(name) // 2], name[:_FEWEST_LETTERS])):
        if len(begin) >= _FEWEST_LETTERS and begin.isascii() and begin.isprintable():
            found = list(_beginning(connection, begin))
            if found:
                return found
    return []


def _beginning(connection: Connection, begin: str) -> Iterator[str]:
    column, end = orders.c.user_email, begin[:-1] + chr(ord(begin[-1]) + 1)
    last: Any = connection.execute(_first_address(column >= begin, column < end)).scalar()
    for _ in range(_MOST_ADDRESSES):
        if last is None:
            return
        yield foreign.text(last) or ""
        last = connection.execute(_first_address(column > last, column < end)).scalar()


def _first_address(*conditions: ColumnElement[bool]) -> Select[Any]:
    column = orders.c.user_email
    return select(column).where(*conditions).order_by(column).limit(1)


def count(connection: Connection, wanted: OrderFilter) -> int:
    """Return the exact number of orders that match the filter."""
    return connection.execute(
        select(func.count()).select_from(orders).where(*_conditions(wanted))
    ).scalar_one()


def _conditions(wanted: OrderFilter) -> list[ColumnElement[bool]]:
    o = orders.c
    conditions = [deletion.is_deleted(orders) if wanted.deleted else deletion.not_deleted(orders)]
    if wanted.paid or wanted.stale_seconds is not None:
        conditions.append(o.payment_status == PaymentStatus.PAID)
    if wanted.statuses is not None:
        conditions.append(o.order_status.in_(wanted.statuses))
    if wanted.stale_seconds is not None:
        conditions.append(_stale(wanted.stale_seconds))
    if wanted.email is not None:
        conditions.append(o.user_email.in_(_addresses(wanted.email)))
    if wanted.since is not None:
        conditions.append(o.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(o.created_at < wanted.until)
    return conditions


def _stale(seconds: float) -> ColumnElement[bool]:
    o, task = orders.c, download_tasks.c
    then = database.utc_now(-seconds)
    of_order = select(task.id).where(task.order_id == o.id)
    moved = of_order.where(task.updated_at >= then).exists()
    # A task that waits for its course's server moves with each try, and gets nowhere.
    failing = of_order.where(task.status.in_(UNFINISHED), task.failing_since < then).exists()
    # Not COALESCE: the two columns may be in different zones.
    paid_long_ago = or_(o.paid_at < then, and_(o.paid_at.is_(None), o.created_at < then))
    return and_(is_open(), paid_long_ago, or_(~moved, failing))


def _cursor(connection: Connection, row: Row[Any]) -> str:
    """Return the cursor after a row: its time and id; only its id if it has not the time by which it is sorted."""
    if row.created_at is None or not _is_sorted_by(connection, row.created_at, row.stored):
        return f"-{row.id}"
    moment = row.created_at.astimezone(UTC)
    return f"{moment.year:04}{moment:{_CURSOR_REST}}-{row.id}"  # %Y alone is 1 for the year 1


def _is_sorted_by(connection: Connection, moment: datetime, stored: object) -> bool:
    """Whether the column has a time as orderctl writes it.

    SQLite sorts any other text by its letters, and the hour that summer time skips stands for another one.
    """
    written = SharedDateTime("orders", "created_at").process_bind_param(moment, connection.dialect)
    return stored == (f"{written:%Y-%m-%d %H:%M:%S.%f}" if isinstance(stored, str) else written)


def parse_cursor(cursor: str) -> tuple[datetime | None, int]:
    """Return the creation time and the order id in a cursor; no time if the order has none.

    Raises:
        InvalidInput: The cursor is not valid.
    """
    created_at, _, order_id = cursor.rpartition("-")
    if cursor.startswith("-") and order_id.isascii() and order_id.isdigit():
        return None, int(order_id)
    try:
        return datetime.strptime(created_at, _CURSOR_TIME).replace(tzinfo=UTC), int(order_id)
    except ValueError:
        raise InvalidInput(
            f"{texts.shown(cursor)} is not a valid cursor: a time and an order id such as 20260131T235959000000-42",
            hint="use the cursor that the previous page printed",
        ) from None
