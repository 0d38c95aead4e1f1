"""What must leave exactly once: written in the transaction that causes it, sent by the courier afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select, update
from sqlalchemy.exc import IntegrityError

from orderctl import database, shop_tables
from orderctl.messages import Completion
from orderctl.schema import outbox
from orderctl.states import OrderStatus


class EntryKind(StrEnum):
    """What an entry is."""

    COMPLETION = "completion"  #: The complete message on an order's channel.
    SUMMARY = "summary"  #: The mail to the customer at an order's end.
    ALERT = "alert"  #: The mail to the admin.
    WEBHOOK = "webhook"  #: The signed POST to whoever wants to be told.


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that this process has taken, to send it."""

    id: int
    kind: str
    dedup_key: str
    payload: dict[str, Any]
    attempts: int
    token: str


def put(
    connection: Connection, kind: EntryKind, dedup_key: str, payload: dict[str, Any], *, delay: float = 0
) -> bool:
    """Write an entry; False when one of that key is there already.

    Args:
        connection: In the transaction of what causes it.
        kind: What it is.
        dedup_key: Unique over all kinds.
        payload: What the courier needs to know.
        delay: Seconds until it is due.
    """
    values = {
        "kind": kind.value,
        "dedup_key": dedup_key,
        "payload": shop_tables.storable_json(payload),
        "created_at": database.utc_now(),
        "due_at": database.utc_now(delay),
        "attempts": 0,
    }
    try:
        connection.execute(outbox.insert().values(values))
    except IntegrityError as error:
        if not database.is_duplicate(error):
            raise
        return False
    return True


def put_spaced(
    connection: Connection, kind: EntryKind, name: str, payload: dict[str, Any], *, seconds: float
) -> bool:
    """Write an entry of which at most one of that name leaves in so many seconds.

    The first is due at once. The next waits until the time since is over, and stands for all that come
    meanwhile.

    Args:
        connection: In the transaction of what causes it.
        kind: What it is.
        name: Names the row of entries, without a semicolon.
        payload: What the courier needs to know; ``since``, when the one before was due, is added.
        seconds: The time between two.

    Returns:
        False when one is waiting already.
    """
    box = outbox.c
    # A range, not LIKE: it walks the index on every database.
    of_name = (box.dedup_key > f"{name}:", box.dedup_key < f"{name};")
    query = select(box.id, box.due_at, database.utc_now().label("now")).where(*of_name)
    last = connection.execute(query.order_by(box.id.desc()).limit(1)).first()
    if last is None:
        return put(connection, kind, f"{name}:0", {**payload, "since": None})
    if last.due_at > last.now:
        return False
    delay = max(0.0, seconds - (last.now - last.due_at).total_seconds())
    # Of those that see the same last one at the same time, the key lets one in.
    return put(
        connection, kind, f"{name}:{last.id}", {**payload, "since": last.due_at.isoformat()}, delay=delay
    )


def put_order_end(
    connection: Connection, key: str, order_id: int, completion: Completion, status: OrderStatus
) -> None:
    """Write what an order's end sends: the completion message, the customer's mail, the webhook.

    Args:
        connection: In the transaction that ends the order.
        key: Names the order and its round, ``order:{id}:round:{n}``.
        order_id: The order.
        completion: What the message says.
        status: How it ended.
    """
    put(connection, EntryKind.COMPLETION, f"{key}:completion", completion.data())
    put(connection, EntryKind.SUMMARY, f"{key}:summary", {"orderId": order_id, "status": status.value})
    event = {"event": f"order_{status}", **completion.data()}
    put(connection, EntryKind.WEBHOOK, f"{key}:webhook", event)


def is_due(connection: Connection, kinds: Sequence[str]) -> bool:
    """Whether there is something to take; asks without a write lock, of which SQLite has but one."""
    return connection.execute(_due(kinds).limit(1)).first() is not None


def take(connection: Connection, kinds: Sequence[str], *, limit: int, lease_seconds: float) -> list[Entry]:
    """Take entries that are due, for this process alone until the lease ends.

    Args:
        connection: In a transaction of its own.
        kinds: Which kinds to take.
        limit: How many at most.
        lease_seconds: How long they are ours.
    """
    box = outbox.c
    due = _due(kinds).order_by(box.due_at, box.id).limit(limit)
    token, ids = str(uuid.uuid4()), connection.execute(due).scalars().all()
    lease = {
        "lease_token": token,
        "lease_until": database.utc_now(lease_seconds),
        "attempts": box.attempts + 1,
    }
    for entry_id in ids:
        # Somebody else may have taken it since, or taken it and put it off.
        still = update(outbox).where(box.id == entry_id, *_is_due(kinds))
        connection.execute(still.values(lease))
    # Found by id: there is no index on the token, and what was sent stays for years.
    mine = select(box.id, box.kind, box.dedup_key, box.payload, box.attempts).where(
        box.id.in_(ids), box.lease_token == token
    )
    return [Entry(*row, token) for row in connection.execute(mine.order_by(box.id))] if ids else []


def _due(kinds: Sequence[str]) -> Select[Any]:
    return select(outbox.c.id).where(*_is_due(kinds))


def _is_due(kinds: Sequence[str]) -> list[ColumnElement[bool]]:
    box, now = outbox.c, database.utc_now()
    free = or_(box.lease_until.is_(None), box.lease_until < now)
    return [box.sent_at.is_(None), box.due_at <= now, box.kind.in_(kinds), free]


def extend(connection: Connection, entry: Entry, lease_seconds: float) -> bool:
    """Hold an entry longer; False when it is not ours any more."""
    return _update(connection, entry, lease_until=database.utc_now(lease_seconds))


def mark_sent(connection: Connection, entry: Entry, *, remark: str | None = None) -> bool:
    """Say that an entry has left; False when it is not ours any more.

    Args:
        connection: In a transaction of its own.
        entry: From :func:`take`.
        remark: Why it did not really leave, such as "not configured".
    """
    return _update(
        connection, entry, sent_at=database.utc_now(), lease_token=None, lease_until=None, last_error=remark
    )


def postpone(connection: Connection, entry: Entry, error: str, delay: float) -> bool:
    """Give an entry back, to be tried again in ``delay`` seconds; False when it is not ours any more."""
    return _update(
        connection,
        entry,
        due_at=database.utc_now(delay),
        lease_token=None,
        lease_until=None,
        last_error=shop_tables.storable(error[:2000]),
    )


def put_back(connection: Connection, entry: Entry) -> bool:
    """Give an entry back that was not tried; False when it is not ours any more."""
    attempts = outbox.c.attempts - 1
    return _update(connection, entry, attempts=attempts, lease_token=None, lease_until=None)


def _update(connection: Connection, entry: Entry, **values: Any) -> bool:
    box = outbox.c
    fenced = update(outbox).where(box.id == entry.id, box.lease_token == entry.token)
    return connection.execute(fenced.values(values)).rowcount == 1
