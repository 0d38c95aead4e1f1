"""The messages of an order that tell whether everybody has been told: those of its end, and others that were not sent.

They are found by their keys, each of which begins with the order, a task or the error: what was sent for other orders
costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from orderctl import outbox, outgoing
from orderctl.orders import Order
from orderctl.outbox import EntryKind
from orderctl.outgoing import Message
from orderctl.schema import outbox as table

#: Tasks whose messages are looked for, and in one query: SQLite allows 1,000 nested conditions.
_MOST_TASKS: Final = 1000
_CHUNK: Final = 100
#: Messages of the order, and of each part of its tasks.
_MOST: Final = 100
#: Messages of the shop that were not sent, of which the alerts are looked through.
_MOST_UNSENT: Final = 1000


def find(connection: Connection, order: Order, task_ids: Sequence[int]) -> list[Message]:
    """Return the messages of the newest end of an order, and what was not sent of its tasks, newest first.

    Args:
        connection: A connection for reading.
        order: The order.
        task_ids: Its tasks; of more than 1,000 only the first ones are looked at.
    """
    box = table.c
    newest = select(box.id).where(_begins_with(f"order:{order.id}:round:{order.round}:"))
    found = {*connection.execute(newest.limit(_MOST)).scalars()}
    for chunk in _chunks(task_ids[:_MOST_TASKS]):
        ranges = or_(*(_begins_with(f"task:{task_id}:") for task_id in chunk))
        found |= {
            *connection.execute(select(box.id).where(box.sent_at.is_(None), ranges).limit(_MOST)).scalars()
        }
    found |= _alerts(connection, order)
    return outgoing.read(connection, found)[::-1]


def _alerts(connection: Connection, order: Order) -> set[int]:
    """Return the alerts about an order that were not sent. Their keys begin with the error, so payloads are read."""
    box = table.c
    newest = (
        select(box.id).where(box.sent_at.is_(None)).order_by(box.due_at.desc()).limit(_MOST_UNSENT).subquery()
    )
    alerts = (
        select(box.id, box.payload).join(newest, newest.c.id == box.id).where(box.kind == EntryKind.ALERT)
    )
    rows = connection.execute(alerts)
    return {row.id for row in rows if outbox.id_in(row.payload, "orderId") == order.id}


def _begins_with(name: str) -> ColumnElement[bool]:
    """Return the condition that a key begins with a name that ends with a colon: the next character is a semicolon."""
    key = table.c.dedup_key
    return and_(key > name, key < f"{name[:-1]};")


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[at : at + _CHUNK] for at in range(0, len(ids), _CHUNK))
