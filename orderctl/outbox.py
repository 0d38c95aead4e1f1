"""The outbox: messages, mails and webhooks, written in the transaction that causes them.

The courier sends them after the commit.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select, update
from sqlalchemy.exc import IntegrityError

from orderctl import database, database_errors, masking, shop_tables
from orderctl.messages import Completion
from orderctl.schema import outbox
from orderctl.states import OrderStatus


class EntryKind(StrEnum):
    """The kind of an outbox entry."""

    COMPLETION = "completion"  #: The complete message on an order's channel.
    SUMMARY = "summary"  #: The mail to the customer at the end of an order.
    ALERT = "alert"  #: The alert mail to the admin.
    WEBHOOK = "webhook"  #: The signed POST request to the configured URL.


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that this process has taken in order to send it."""

    id: int
    kind: str
    dedup_key: str
    payload: dict[str, Any]
    attempts: int
    token: str


def put(
    connection: Connection, kind: EntryKind, dedup_key: str, payload: dict[str, Any], *, delay: float = 0
) -> bool:
    """Write an entry; return False if an entry with this key exists already.

    Args:
        connection: In the transaction that causes the entry.
        kind: The kind of the entry.
        dedup_key: A key that is unique over all kinds.
        payload: The data that the courier needs.
        delay: Seconds until the entry is due.
    """
    values = {
        "kind": kind.value,
        "dedup_key": dedup_key,
        "payload": shop_tables.storable_json(masking.values(payload)),
        "created_at": database.utc_now(),
        "due_at": database.utc_now(delay),
        "attempts": 0,
    }
    try:
        connection.execute(outbox.insert().values(values))
    except IntegrityError as error:
        if not database_errors.is_duplicate(error):
            raise
        return False
    return True


def put_spaced(
    connection: Connection, kind: EntryKind, name: str, payload: dict[str, Any], *, seconds: float
) -> bool:
    """Write an entry, so that at most one entry with this name is sent in the given number of seconds.

    The first entry is due at once, the next one when that time is over. While an entry is waiting, no further
    one is written.

    Args:
        connection: In the transaction that causes the entry.
        kind: The kind of the entry.
        name: The common name of such entries, without a semicolon.
        payload: The data that the courier needs. ``since`` is added: when the previous entry was due.
        seconds: The minimum time between two entries.

    Returns:
        False if an entry with this name is waiting already.
    """
    box = outbox.c
    # A range, not LIKE: every database walks the index for it.
    of_name = (box.dedup_key > f"{name}:", box.dedup_key < f"{name};")
    query = select(box.id, box.due_at, database.utc_now().label("now")).where(*of_name)
    last = connection.execute(query.order_by(box.id.desc()).limit(1)).first()
    if last is None:
        return put(connection, kind, f"{name}:0", {**payload, "since": None})
    if last.due_at > last.now:
        return False
    delay = max(0.0, seconds - (last.now - last.due_at).total_seconds())
    # If several transactions see the same last entry, the unique key lets only one of them write.
    return put(
        connection, kind, f"{name}:{last.id}", {**payload, "since": last.due_at.isoformat()}, delay=delay
    )


def put_order_end(
    connection: Connection,
    key: str,
    completion: Completion,
    status: OrderStatus,
    about: Mapping[str, Any],
) -> None:
    """Write the entries for an order's end: the completion message, the customer's mail, the webhook.

    Args:
        connection: In the transaction that ends the order.
        key: The key of the order and its round, ``order:{id}:round:{n}``.
        completion: The completion message.
        status: The order's final status.
        about: What the webhook also says: the order's code, and who ended the order.
    """
    put(connection, EntryKind.COMPLETION, f"{key}:completion", completion.data())
    put(
        connection,
        EntryKind.SUMMARY,
        f"{key}:summary",
        {"orderId": completion.order_id, "status": status.value},
    )
    event = {"event": f"order_{status}", **about, **completion.data()}
    put(connection, EntryKind.WEBHOOK, f"{key}:webhook", event)


def has_order_end(connection: Connection, key: str) -> bool:
    """Whether :func:`put_order_end` has written entries with this key."""
    query = select(outbox.c.id).where(outbox.c.dedup_key == f"{key}:completion")
    return connection.execute(query).first() is not None


def is_due(connection: Connection, kinds: Sequence[str]) -> bool:
    """Whether an entry is due. Needs no write lock, of which SQLite has only one."""
    return connection.execute(_due(kinds).limit(1)).first() is not None


def take(connection: Connection, kinds: Sequence[str], *, limit: int, lease_seconds: float) -> list[Entry]:
    """Take entries that are due; until the lease ends, no other process takes them.

    Args:
        connection: In a transaction of its own.
        kinds: The kinds to take.
        limit: The maximum number of entries.
        lease_seconds: The duration of the lease in seconds.
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
        # Another process may have taken it since then, or have taken and postponed it.
        still = update(outbox).where(box.id == entry_id, *_is_due(kinds))
        connection.execute(still.values(lease))
    # Search by id: the token has no index, and sent entries stay in the table for years.
    mine = select(box.id, box.kind, box.dedup_key, box.payload, box.attempts).where(
        box.id.in_(ids), box.lease_token == token
    )
    rows = connection.execute(mine.order_by(box.id)).all() if ids else []
    # Earlier versions may have put URLs with secrets into it.
    return [
        Entry(row.id, row.kind, row.dedup_key, masking.values(row.payload), row.attempts, token)
        for row in rows
    ]


def _due(kinds: Sequence[str]) -> Select[Any]:
    return select(outbox.c.id).where(*_is_due(kinds))


def _is_due(kinds: Sequence[str]) -> list[ColumnElement[bool]]:
    box, now = outbox.c, database.utc_now()
    free = or_(box.lease_until.is_(None), box.lease_until < now)
    return [box.sent_at.is_(None), box.due_at <= now, box.kind.in_(kinds), free]


def extend(connection: Connection, entry: Entry, lease_seconds: float) -> bool:
    """Extend the lease on an entry; return False if another process has the entry now."""
    return _update(connection, entry, lease_until=database.utc_now(lease_seconds))


def mark_sent(connection: Connection, entry: Entry, *, remark: str | None = None) -> bool:
    """Mark an entry as sent; return False if another process has the entry now.

    Args:
        connection: In a transaction of its own.
        entry: An entry from :func:`take`.
        remark: The reason why it was not really sent, such as "not configured".
    """
    return _update(
        connection,
        entry,
        sent_at=database.utc_now(),
        lease_token=None,
        lease_until=None,
        last_error=remark and masking.foreign(remark),
    )


def postpone(connection: Connection, entry: Entry, error: str, delay: float) -> bool:
    """Release an entry, to be tried again in ``delay`` seconds; False if another process has it now."""
    return _update(
        connection,
        entry,
        due_at=database.utc_now(delay),
        lease_token=None,
        lease_until=None,
        last_error=shop_tables.storable(masking.foreign(error)[:2000]),
    )


def put_back(connection: Connection, entry: Entry) -> bool:
    """Release an entry that was not tried; return False if another process has the entry now."""
    attempts = outbox.c.attempts - 1
    return _update(connection, entry, attempts=attempts, lease_token=None, lease_until=None)


def _update(connection: Connection, entry: Entry, **values: Any) -> bool:
    box = outbox.c
    fenced = update(outbox).where(box.id == entry.id, box.lease_token == entry.token)
    return connection.execute(fenced.values(values)).rowcount == 1
