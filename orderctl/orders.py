"""Find, lock and add orders. ``listing`` pages through them, ``lifecycle`` moves them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from orderctl import (
    audit,
    database,
    database_errors,
    deletion,
    mailboxes,
    masking,
    shape,
    shop_tables,
    similar,
    texts,
)
from orderctl.audit import NewEvent, Origin
from orderctl.capacity import Limits, room
from orderctl.errors import Conflict, InvalidInput, OrderDeleted, OrderNotFound
from orderctl.schema import columns, download_tasks, migrations, orders
from orderctl.shape import Shape
from orderctl.states import (
    VALID_ORDER,
    EventType,
    OrderStatus,
    PaymentStatus,
    Source,
    TaskStatus,
    percentage,
)

_MAX_CODE = 64
#: Ids that one query asks for: MariaDB makes a temporary table of 1,000 and more.
_CHUNK = 500
_MAX_EMAIL = 254
_MAX_URL = 2048


@dataclass(frozen=True, slots=True)
class OrderState:
    """The state of an order, as far as a move needs it. Without times: those of the shop may be invalid."""

    id: int
    order_code: str
    user_email: str
    order_status: str | None
    payment_status: str | None
    total_amount: Decimal | None  # None: what the shop wrote is not an amount
    round: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class Order(OrderState):
    """An order with the numbers of its tasks by status; the totals do not count cancelled tasks."""

    created_at: datetime | None
    paid_at: datetime | None
    completed_at: datetime | None
    task_counts: Mapping[str, int] = field(repr=False)

    @property
    def total_tasks(self) -> int:
        """The number of tasks that are not cancelled."""
        return sum(self.task_counts.values()) - self.task_counts.get(TaskStatus.CANCELLED, 0)

    @property
    def completed_tasks(self) -> int:
        """The number of completed tasks."""
        return self.task_counts.get(TaskStatus.COMPLETED, 0)

    @property
    def failed_tasks(self) -> int:
        """The number of tasks that have failed permanently."""
        return self.task_counts.get(TaskStatus.FAILED, 0)

    @property
    def progress_percentage(self) -> int:
        """The share of completed tasks, in whole percent."""
        return percentage(self.completed_tasks, self.total_tasks)


@dataclass(frozen=True, slots=True)
class NewCourse:
    """A course to be downloaded for an order."""

    url: str
    title: str | None = None

    def check(self, longest: int = _MAX_URL) -> None:
        """Refuse a URL or a title that cannot be stored.

        Args:
            longest: The number of characters that a URL may have.

        Raises:
            InvalidInput: The URL or the title is not valid.
        """
        fits = self.url.lower().startswith(("http://", "https://")) and len(self.url) <= longest
        if not fits or not self.url.isprintable():
            raise InvalidInput(
                f"{texts.shown(masking.url(self.url))} is not a valid course URL: http or https, at most {longest} characters"
            )
        if self.title is not None and not texts.is_storable(self.title):
            raise InvalidInput(
                f"{texts.shown(masking.text(self.title))} is not a valid title: text in UTF-8 without NUL characters"
            )


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order to be added. ``total_amount`` is in the shop's currency."""

    order_code: str
    user_email: str
    total_amount: Decimal
    courses: Sequence[NewCourse]

    def checked(self, there: Shape = shape.UNKNOWN) -> NewOrder:
        """Check the fields and return the order with the e-mail address in lower case.

        Args:
            there: The shop's tables, which may hold less than orderctl's own.

        Raises:
            InvalidInput: A field is empty, too long or out of range.
        """
        code, email = self.order_code.strip(), self.user_email.strip().lower()
        longest = room(there, "orders", "order_code", _MAX_CODE)
        if not code or len(code) > longest or not code.isascii() or not code.isprintable() or " " in code:
            raise InvalidInput(
                f"{texts.shown(code)} is not a valid order code: 1 to {longest} ASCII characters without spaces"
            )
        longest = room(there, "orders", "user_email", _MAX_EMAIL)
        try:
            mailboxes.parse(email)
        except ValueError as error:
            raise InvalidInput(f"{texts.shown(email)} is not a valid e-mail address: {error}") from None
        if len(email) > longest:
            raise InvalidInput(
                f"{texts.shown(email)} is too long: orders.user_email holds {longest} characters"
            )
        Limits.of(there).check(self.total_amount)
        if not self.courses:
            raise InvalidInput("an order needs at least one course", hint="add --course URL")
        for course in self.courses:
            course.check(room(there, "download_tasks", "course_url", _MAX_URL))
        return NewOrder(code, email, self.total_amount, self.courses)


def is_valid(order: OrderState) -> bool:
    """Whether an order can be paid and its tasks can run: it is not cancelled, and orderctl knows its status.

    An order without a status is one that the shop has just written.
    """
    return order.order_status is None or order.order_status in VALID_ORDER


def is_unended(order: OrderState) -> bool:
    """Whether an order has not ended, as far as its status tells; orderctl ends no order of another status."""
    return order.order_status in {OrderStatus.PENDING, OrderStatus.PROCESSING, None}


def is_open() -> ColumnElement[bool]:
    """Return the condition of :func:`is_unended`, for a query."""
    status = orders.c.order_status
    return or_(status.in_((OrderStatus.PENDING, OrderStatus.PROCESSING)), status.is_(None))


def how_to_pay(order: OrderState) -> str:
    """Return the command that records the payment of an order; of an unknown amount, the one that shows it."""
    if order.total_amount is None:
        return f"orderctl orders show {texts.arguments(order.order_code)}"
    return payment_command(order.order_code, order.total_amount)


def payment_command(code: str, amount: Decimal) -> str:
    """Return the command that records the payment of this amount for the order with this code."""
    if code.startswith("-"):
        return f"orderctl orders pay --amount {amount.normalize():f} {texts.arguments(code)}"
    return f"orderctl orders pay {shlex.quote(code)} --amount {amount.normalize():f}"


def find(connection: Connection, reference: str, *, deleted: bool = False) -> Order:
    """Return the order with this code, or else the order with this id.

    Args:
        connection: A connection to the database.
        reference: The code or the id.
        deleted: Look only among the orders that the shop has deleted; by default only among the others.

    Raises:
        OrderNotFound: Neither exists.
        OrderDeleted: Only a deleted order has this code or id.
        Conflict: Several orders have this code: the shop's key may be wider.
    """
    found = find_all(connection, reference, deleted=deleted)
    if not found:
        raise _missing(connection, reference, deleted=deleted)
    if len(found) > 1:
        ids = sorted(order.id for order in found)
        raise Conflict(
            f"{len(ids)} orders have the code {reference!r}: {', '.join(map(str, ids))}; name one by its id",
            hint=f"orderctl orders show {ids[0]}{' --deleted' if deleted else ''}",
        )
    return found[0]


def find_all(connection: Connection, reference: str, *, deleted: bool = False) -> list[Order]:
    """Return the orders with this code, newest first, or else the order with this id; none if neither exists.

    Args:
        connection: A connection to the database.
        reference: The code or the id.
        deleted: Look only among the orders that the shop has deleted; by default only among the others.
    """
    if not texts.is_storable(reference):
        return []
    wanted = deletion.is_deleted(orders) if deleted else deletion.not_deleted(orders)
    found = select_orders(connection, and_(orders.c.order_code == reference, wanted))
    if not found and reference.isascii() and reference.isdigit() and len(reference) < len(str(2**63)):
        found = select_orders(connection, and_(orders.c.id == int(reference), wanted))
    return found


def _missing(connection: Connection, reference: str, *, deleted: bool = False) -> OrderNotFound:
    if deleted:
        return OrderNotFound(
            f"deleted order {texts.shown(reference)} not found", hint="orderctl orders list --deleted"
        )
    if find_all(connection, reference, deleted=True):
        return _deleted(reference)
    codes = similar.codes(connection, reference)
    resembles = f"; similar: {', '.join(map(texts.shown, codes))}" if codes else ""
    hint = f"orderctl orders show {texts.arguments(codes[0])}" if codes else "orderctl orders list"
    return OrderNotFound(f"order {texts.shown(reference)} not found{resembles}", hint=hint)


def _deleted(reference: str) -> OrderDeleted:
    hint = f"orderctl orders show --deleted {texts.arguments(reference)}"
    return OrderDeleted(f"the shop has deleted order {texts.shown(reference)}", hint=hint)


def get(connection: Connection, order_id: int) -> Order:
    """Return the order with this id.

    Raises:
        OrderNotFound: The order does not exist.
        OrderDeleted: The shop has deleted the order.
    """
    found = select_orders(connection, and_(orders.c.id == order_id, deletion.not_deleted(orders)))
    if found:
        return found[0]
    if select_orders(connection, orders.c.id == order_id):
        raise _deleted(str(order_id))
    raise OrderNotFound(f"order {order_id} not found", hint="orderctl orders list")


def select_orders(connection: Connection, condition: ColumnElement[bool]) -> list[Order]:
    """Return the orders that meet a condition, newest first, with the numbers of their tasks."""
    newest_first = (orders.c.created_at.desc(), orders.c.id.desc())
    rows = connection.execute(_ORDERS.where(condition).order_by(*newest_first)).mappings().all()
    counts = count_tasks(connection, [row["id"] for row in rows])
    return [Order(**row, task_counts=counts.get(row["id"], {})) for row in rows]


def count_tasks(connection: Connection, order_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """Count the tasks of each of these orders by status; reads only the index."""
    if not order_ids:
        return {}
    task = download_tasks.c
    query = (
        select(task.order_id, task.status, func.count())
        .where(task.order_id.in_(order_ids), deletion.not_deleted(download_tasks))
        .group_by(task.order_id, task.status)
    )
    counts: dict[int, dict[str, int]] = {}
    for order_id, status, count in connection.execute(query):
        of_order = counts.setdefault(order_id, {})
        of_order[status or ""] = (
            of_order.get(status or "", 0) + count
        )  # a status may be spelled in several ways
    return counts


def add(
    connection: Connection, new: NewOrder, *, max_attempts: int, actor: str, source: Source = Source.CLI
) -> int:
    """Write an order (pending) with its tasks (pending, managed by orderctl) and their ``task_created``.

    Args:
        connection: In a transaction.
        new: The order; it is checked here.
        max_attempts: The maximum number of attempts of each task.
        actor: Who adds the order.
        source: The part of orderctl that adds the order.

    Returns:
        The order's id.

    Raises:
        InvalidInput: A field is not valid.
        Conflict: The order code exists already, or the shop's table requires a column that orderctl does not
            know.
    """
    new = new.checked(shape.of(connection.dialect))
    order_id = _insert_order(connection, new)
    rows = [_task(order_id, course, max_attempts) for course in new.courses]
    created = zip(_insert_tasks(connection, order_id, rows), new.courses, strict=True)
    origin = Origin(source, actor)
    audit.record_all(connection, (_created(order_id, one, course, origin) for one, course in created))
    return order_id


def _insert_order(connection: Connection, new: NewOrder) -> int:
    now = database.utc_now()
    values = {
        "order_code": new.order_code,
        "user_email": new.user_email,
        "order_status": OrderStatus.PENDING.value,
        "payment_status": PaymentStatus.PENDING.value,
        "total_amount": new.total_amount,
        "created_at": now,
        "round": 0,
    }
    _lock_codes(connection)
    if connection.execute(select(orders.c.id).where(orders.c.order_code == new.order_code).limit(1)).first():
        raise _exists(new)
    try:
        return shop_tables.insert(connection, orders, values)
    except IntegrityError as error:
        if not database_errors.is_duplicate(error):
            raise
        raise _exists(new) from None


def _lock_codes(connection: Connection) -> None:
    """Let no other transaction of orderctl's add an order until this one ends.

    The shop's table need not have a unique code, and the shop must not wait for orderctl: so the lock is on rows
    that only orderctl uses. SQLite has locked the file already.
    """
    connection.execute(select(migrations.c.revision).order_by(migrations.c.revision).with_for_update()).all()


def _exists(new: NewOrder) -> Conflict:
    return Conflict(
        f"order {new.order_code} already exists",
        hint=f"orderctl orders show {texts.arguments(new.order_code)}",
    )


def add_task(
    connection: Connection, order_id: int, course: NewCourse, *, max_attempts: int, actor: str, source: Source
) -> int:
    """Write a pending task that is managed by orderctl and its event ``task_created``; return its id."""
    task_id = shop_tables.insert(connection, download_tasks, _task(order_id, course, max_attempts))
    audit.record(connection, _created(order_id, task_id, course, Origin(source, actor)))
    return task_id


def _insert_tasks(connection: Connection, order_id: int, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert the tasks of a new order and return their ids."""
    if len(rows) > 1:
        inserted = select(download_tasks.c.id).where(download_tasks.c.order_id == order_id)
        attempt = connection.begin_nested()
        try:
            shop_tables.insert_all(connection, download_tasks, rows)
            ids = list(connection.execute(inserted.order_by(download_tasks.c.id)).scalars())
        except DBAPIError as error:
            if not database_errors.is_unstorable(error):
                raise
            ids = []
        if len(ids) == len(rows):
            attempt.commit()
            return ids
        attempt.rollback()  # a title does not fit, or a trigger of the shop has added tasks
    return [shop_tables.insert(connection, download_tasks, row) for row in rows]


def _task(order_id: int, course: NewCourse, max_attempts: int) -> dict[str, Any]:
    now = database.utc_now()
    return {
        "order_id": order_id,
        "course_url": course.url,
        "title": course.title,
        "status": TaskStatus.PENDING.value,
        "created_at": now,
        "updated_at": now,
        "managed": 1,
        "attempt": 0,
        "max_attempts": max_attempts,
        "available_at": now,
    }


def _created(order_id: int, task_id: int, course: NewCourse, origin: Origin) -> NewEvent:
    return NewEvent(
        EventType.TASK_CREATED,
        order_id,
        origin,
        task_id,
        words={"name": course.title or masking.url(course.url)},
        details={"courseUrl": masking.url(course.url)},
        new_status=TaskStatus.PENDING,
        dedup_key=f"task:{task_id}:created",
    )


def lock(connection: Connection, order_id: int) -> OrderState:
    """Lock an order until the transaction ends, also one that the shop has deleted.

    This is the first statement of every transaction that may end the order.

    Raises:
        OrderNotFound: The order does not exist.
    """
    row = connection.execute(_LOCKED, {"order_id": order_id}).mappings().first()
    if row is None:
        raise OrderNotFound(f"order {order_id} not found", hint="orderctl orders list")
    return OrderState(**row)


def states(connection: Connection, order_ids: Collection[int]) -> dict[int, OrderState]:
    """Return the states of orders by their ids, also of deleted ones; nothing is locked.

    Args:
        connection: A connection to the database.
        order_ids: The ids; those that do not exist are left out.
    """
    wanted = sorted(order_ids)
    found: dict[int, OrderState] = {}
    for begin in range(0, len(wanted), _CHUNK):
        query = _STATES.where(orders.c.id.in_(wanted[begin : begin + _CHUNK]))
        found |= {row["id"]: OrderState(**row) for row in connection.execute(query).mappings()}
    return found


_DELETED = deletion.is_deleted(orders).label("deleted")
_ORDERS = select(*columns(Order, orders), _DELETED)
_STATES = select(*columns(OrderState, orders), _DELETED)
# A statement that is made once needs no new key among the compiled ones.
_LOCKED = _STATES.where(orders.c.id == bindparam("order_id")).with_for_update()
