"""How many messages of the outbox were not sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from orderctl import outbox, statuses
from orderctl.schema import outbox as outbox_table
from orderctl.states import MessageState


@dataclass(frozen=True, slots=True)
class Messages:
    """The messages of the outbox that were not sent.

    Attributes:
        waiting: Those that wait; one more than the limit: there are more.
        given_up: Likewise, those that were given up.
        since: Since when the oldest has been due, if one is.
    """

    waiting: int
    given_up: int
    since: datetime | None


def count(connection: Connection, now: datetime, *, most: int) -> Messages:
    """Return how many messages of the outbox were not sent.

    Args:
        connection: A connection for reading.
        now: The database's time.
        most: Up to which number they are counted.
    """
    box = outbox_table.c
    rows = select(box.id, box.due_at)
    waits = rows.where(outbox.in_state(MessageState.WAITING), box.due_at < outbox.NEVER)
    given_up = rows.where(outbox.in_state(MessageState.FAILED), box.due_at >= outbox.NEVER)
    first = connection.execute(waits.order_by(box.due_at).limit(1)).first()
    return Messages(
        waiting=statuses.capped(connection, waits, most),
        given_up=statuses.capped(connection, given_up, most),
        since=None if first is None or first.due_at > now else first.due_at,
    )
