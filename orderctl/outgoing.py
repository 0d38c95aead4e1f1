"""What goes out: the messages of the outbox as people see them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, or_, select

from orderctl import channels, deletion, masking, outbox, texts
from orderctl.errors import InvalidInput, MessageNotFound
from orderctl.outbox import EntryKind
from orderctl.schema import columns, download_tasks, orders
from orderctl.schema import outbox as outbox_table
from orderctl.states import MessageState

#: Ids in one query: SQLite allows 1,000 nested conditions, and takes long for them.
_CHUNK: Final = 100
#: States that the index of unsent messages leads to.
_UNSENT: Final = frozenset({MessageState.WAITING, MessageState.FAILED})


@dataclass(frozen=True, slots=True)
class Message:
    """A message, with what its payload says about it.

    Attributes:
        event: The event of a webhook, or what the mail is about; None if the payload does not say it.
        order_code: The code of its order; None if it has none, or one that does not exist.
        endpoint: The name of the endpoint to which a webhook goes; None: not looked up yet.
        receiver: The endpoint, the channel, "admin", or the customer's address as the order has it now.
        attempts: The number of tries, since it was last sent again.
        resent: How often it was sent again on request.
        due_at: When it is tried next; None if it was sent or given up.
        failed_at: When it was given up.
        last_error: Why the last try failed; or why there was nothing to send, if it is skipped.
        webhook_id: The header ``webhook-id`` of a webhook, by which its receiver knows it; None of others.
    """

    id: int
    kind: str
    state: str
    event: str | None
    order_id: int | None
    order_code: str | None
    task_id: int | None
    endpoint: str | None
    receiver: str | None
    attempts: int
    resent: int
    created_at: datetime | None
    due_at: datetime | None
    sent_at: datetime | None
    failed_at: datetime | None
    last_error: str | None
    dedup_key: str
    webhook_id: str | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages are wanted, by the time at which they were written; None means any. ``until`` is exclusive."""

    states: Collection[str] | None = None
    kinds: Collection[str] | None = None
    endpoint: str | None = None
    order_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None


class Page(NamedTuple):
    """A page of messages, newest first; ``cursor`` leads to the next page, None at the end."""

    messages: list[Message]
    cursor: str | None


class Seen(NamedTuple):
    """A message as it was when it was chosen."""

    id: int
    kind: str
    endpoint: str | None
    state: str
    resent: int


def find(connection: Connection, message_id: int) -> Message:
    """Return the message with this id.

    Raises:
        MessageNotFound: There is none.
    """
    found = read(connection, [message_id])
    if not found:
        raise missing(message_id)
    return found[0]


def read(connection: Connection, ids: Collection[int]) -> list[Message]:
    """Return the messages with these ids that exist, oldest first."""
    rows = (
        connection.execute(_ROWS.where(outbox_table.c.id.in_(chunk)).order_by(outbox_table.c.id))
        for chunk in _chunks(sorted(set(ids)))
    )
    return _messages(connection, [row for part in rows for row in part])


def hold(connection: Connection, ids: Collection[int]) -> dict[int, Message]:
    """Return the messages with these ids, by id, and lock them.

    Args:
        connection: In a transaction.
        ids: The ids, as many as one query takes.
    """
    query = _ROWS.where(outbox_table.c.id.in_(ids)).order_by(outbox_table.c.id).with_for_update()
    return {message.id: message for message in _messages(connection, connection.execute(query).all())}


def payload(connection: Connection, message_id: int) -> Any:
    """Return the payload of a message, masked: an object, or whatever another program wrote.

    Raises:
        MessageNotFound: There is no message with this id.
    """
    query = select(outbox_table.c.payload).where(outbox_table.c.id == message_id)
    row = connection.execute(query).first()
    if row is None:
        raise missing(message_id)
    return masking.values(row.payload)


def missing(message_id: int) -> MessageNotFound:
    """Return the error about a message that does not exist."""
    return MessageNotFound(f"message {message_id} not found", hint="orderctl outbox list")


def page(connection: Connection, wanted: Filter, *, limit: int, after: str | None = None) -> Page:
    """Return a page of messages, newest first.

    Args:
        connection: A connection to the database.
        wanted: Which messages.
        limit: Their highest number.
        after: The cursor of the previous page.

    Raises:
        InvalidInput: The cursor is not one of a page of messages.
    """
    rows = list(_search(connection, _ROWS, wanted, limit=limit + 1, before=_before(after)))
    found = _messages(connection, rows[:limit])
    return Page(found, str(found[-1].id) if len(rows) > limit else None)


def choose(connection: Connection, wanted: Filter, *, limit: int) -> list[Seen]:
    """Return the newest messages of a filter, oldest first, as :func:`resend` compares them."""
    found = _search(connection, _SEEN, wanted, limit=limit, before=None)
    return [Seen(row.id, row.kind, row.endpoint, _state(row), row.resent) for row in found][::-1]


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < len(str(2**63))):
        raise InvalidInput(
            f"{texts.shown(cursor)} is not a cursor of a page of messages",
            hint="use the one that the previous page printed",
        )
    return int(cursor)


def _search(
    connection: Connection, rows: Select[Any], wanted: Filter, *, limit: int, before: int | None
) -> Iterator[Row[Any]]:
    box = outbox_table.c
    conditions = _conditions(wanted)
    if before is not None:
        conditions.append(box.id < before)
    if wanted.order_id is None:
        unsent = wanted.states is not None and set(wanted.states) <= _UNSENT
        # A sum cannot be read from the primary key, which would lead over all that was sent.
        newest_first = (box.id + 0 if unsent else box.id).desc()
        yield from connection.execute(rows.where(*conditions).order_by(newest_first).limit(limit))
        return
    for ids in _chunks(_of_order(connection, wanted.order_id)):
        named = rows.where(box.id.in_(ids), *conditions).order_by(box.id.desc()).limit(limit)
        found = connection.execute(named).all()
        yield from found
        limit -= len(found)
        if not limit:
            return


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    box = outbox_table.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.states is not None:
        if set(wanted.states) <= _UNSENT:
            conditions.append(box.sent_at.is_(None))
        conditions.append(or_(*(outbox.in_state(MessageState(state)) for state in wanted.states)))
    if wanted.kinds is not None:
        conditions.append(box.kind.in_(wanted.kinds))
    if wanted.endpoint is not None:
        conditions.append(box.endpoint == wanted.endpoint)
    if wanted.since is not None:
        conditions.append(box.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(box.created_at < wanted.until)
    return conditions


def _of_order(connection: Connection, order_id: int) -> list[int]:
    """Return the ids of an order's messages, newest first.

    Their keys begin with the order or with one of its tasks, of which the unique index has the ranges. The keys of
    alerts begin with the error: their payloads are read, which are few.
    """
    box, task = outbox_table.c, download_tasks.c
    tasks = connection.execute(select(task.id).where(task.order_id == order_id)).scalars()
    names = [f"order:{order_id}", *(f"task:{task_id}" for task_id in tasks)]
    found: set[int] = set()
    for chunk in _chunks(names):
        ranges = or_(*(_begins_with(name) for name in chunk))
        found.update(connection.execute(select(box.id).where(ranges)).scalars())
    alerts = select(box.id, box.payload).where(_begins_with("alert"))
    found.update(
        row.id for row in connection.execute(alerts) if outbox.id_in(row.payload, "orderId") == order_id
    )
    return sorted(found, reverse=True)


def _begins_with(name: str) -> ColumnElement[bool]:
    """Return the condition that a key begins with a name and a colon. A semicolon follows a colon in every order."""
    key = outbox_table.c.dedup_key
    return and_(key > f"{name}:", key < f"{name};")


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[at : at + _CHUNK] for at in range(0, len(items), _CHUNK))


_ROWS: Final[Select[Any]] = select(*columns(Message, outbox_table), outbox_table.c.payload)
_SEEN: Final[Select[Any]] = select(
    *(
        outbox_table.c[name]
        for name in ("id", "kind", "endpoint", "resent", "sent_at", "failed_at", "last_error")
    )
)


def _messages(connection: Connection, rows: Iterable[Row[Any]]) -> list[Message]:
    rows = list(rows)
    known = _orders(connection, {found for row in rows if (found := outbox.id_in(row.payload, "orderId"))})
    return [_message(row, known) for row in rows]


def _orders(connection: Connection, ids: Collection[int]) -> dict[int, tuple[str | None, str | None]]:
    """Return the code and the customer's address of each order; no address of one that the shop has deleted."""
    found: dict[int, tuple[str | None, str | None]] = {}
    address = case((deletion.not_deleted(orders), orders.c.user_email)).label("address")
    for chunk in _chunks(sorted(ids)):
        query = select(orders.c.id, orders.c.order_code, address).where(orders.c.id.in_(chunk))
        for row in connection.execute(query):
            found[row.id] = (row.order_code or None, row.address or None)
    return found


def _message(row: Row[Any], known: Mapping[int, tuple[str | None, str | None]]) -> Message:
    order_id = outbox.id_in(row.payload, "orderId")
    code, address = known.get(order_id or 0, (None, None))
    state = _state(row)
    return Message(
        id=row.id,
        kind=row.kind,
        state=state,
        event=_event(row.kind, row.payload),
        order_id=order_id,
        order_code=code,
        task_id=outbox.id_in(row.payload, "taskId"),
        endpoint=row.endpoint,
        receiver=_receiver(row, order_id, address),
        attempts=row.attempts,
        resent=row.resent,
        created_at=row.created_at,
        due_at=row.due_at if state == MessageState.WAITING else None,
        sent_at=row.sent_at,
        failed_at=row.failed_at,
        last_error=row.last_error and masking.foreign(row.last_error),
        dedup_key=row.dedup_key,
        webhook_id=_webhook_id(row),
    )


def _state(row: Row[Any]) -> str:
    """Return the state of a row, as :func:`outbox.in_state` selects it."""
    if row.sent_at is None:
        return MessageState.WAITING if row.failed_at is None else MessageState.FAILED
    return MessageState.SENT if row.last_error is None else MessageState.SKIPPED


def _event(kind: str, data: Any) -> str | None:
    if kind == EntryKind.COMPLETION:
        return "complete"
    if kind == EntryKind.SUMMARY:
        status = _text(data, "status")
        return status and f"order_{status}"
    if kind == EntryKind.ALERT:
        return _text(data, "about") or _text(data, "errorType")
    return _text(data, "event")


def _receiver(row: Row[Any], order_id: int | None, address: str | None) -> str | None:
    if row.kind == EntryKind.SUMMARY:
        return address
    if row.kind == EntryKind.ALERT:
        return "admin"
    if row.kind == EntryKind.COMPLETION:
        return None if order_id is None else str(channels.order_complete(order_id))
    endpoint: str | None = row.endpoint
    return endpoint


def _webhook_id(row: Row[Any]) -> str | None:
    if row.kind != EntryKind.WEBHOOK or not isinstance(row.payload, Mapping):
        return None
    # The courier sends the payload masked.
    return outbox.webhook_id(masking.values(row.payload), outbox.event_key(row.dedup_key))


def _text(data: Any, name: str) -> str | None:
    value = data.get(name) if isinstance(data, Mapping) else None
    return masking.text(value) if isinstance(value, str) and value else None
