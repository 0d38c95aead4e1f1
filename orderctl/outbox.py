"""The outbox: messages, mails and webhooks, written in the transaction that causes them.

The courier sends them after the commit.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, case, or_, select, update
from sqlalchemy.exc import IntegrityError

from orderctl import database, database_errors, masking, shop_tables
from orderctl.messages import Completion
from orderctl.schema import outbox
from orderctl.states import MessageState, OrderStatus

#: When an entry that was given up is due. So the index of due entries does not lead over it.
NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
#: How old an entry is, in seconds, before one who does not know its endpoint gives it up: the settings of machines
#: change one after the other.
STRANGE_SECONDS: Final = 3600
#: Stands between the key of an event and the endpoint, in the dedup key of each further endpoint's entry.
_AT: Final = "@"
_HIGHEST_ID: Final = 2**63 - 1
#: Lanes of which the statements are kept.
_LANES: Final = 64


class EntryKind(StrEnum):
    """The kind of an outbox entry."""

    COMPLETION = "completion"  #: The complete message on an order's channel.
    SUMMARY = "summary"  #: The mail to the customer at the end of an order.
    ALERT = "alert"  #: The alert mail to the admin.
    WEBHOOK = "webhook"  #: The signed POST request to an endpoint.


@dataclass(frozen=True, slots=True)
class Lane:
    """Entries that are sent one after the other, beside those of other lanes.

    Attributes:
        kinds: Their kinds.
        endpoint: The endpoint to which they go; None: those that have none yet, and old ones whose endpoint is not
            configured.
        configured: The configured endpoints, if ``endpoint`` is None.
    """

    kinds: tuple[EntryKind, ...]
    endpoint: str | None = None
    configured: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that this process has taken in order to send it."""

    id: int
    kind: str
    dedup_key: str
    payload: dict[str, Any]
    attempts: int
    token: str
    endpoint: str | None = None
    resent: int = 0

    @property
    def event_key(self) -> str:
        """What identifies the event, to whichever endpoint it goes and however often."""
        return event_key(self.dedup_key)

    @property
    def sending_key(self) -> str:
        """What identifies the sending: the same at every try, another one when an admin has it sent again."""
        return sending_key(self.dedup_key, self.resent)


def event_key(dedup_key: str) -> str:
    """Return what identifies the event of an entry, to whichever endpoint it goes."""
    return dedup_key.partition(_AT)[0]


def webhook_id(payload: Mapping[str, Any], key: str) -> str:
    """Return the id of an event, by which a receiver recognises it; the time in it tells the shops of a receiver apart.

    Args:
        payload: The event.
        key: What identifies it here.
    """
    seed = f"{key} {payload.get('timestamp')}".encode(errors="surrogatepass")
    return f"msg_{hashlib.sha256(seed).hexdigest()[:32]}"


def sending_key(dedup_key: str, resent: int) -> str:
    """Return what identifies a sending of an entry.

    Args:
        dedup_key: The entry's key.
        resent: How often an admin had it sent again.
    """
    return f"{dedup_key}:resent:{resent}" if resent else dedup_key


def id_in(payload: object, name: str) -> int | None:
    """Return an id from a payload, which another program may have written; None if it has no valid one.

    Args:
        payload: Of an entry.
        name: The key, such as ``orderId``.
    """
    value = payload.get(name) if isinstance(payload, Mapping) else None
    return value if type(value) is int and 0 < value <= _HIGHEST_ID else None


def to(endpoint: str | None) -> str:
    """Return the words of an event that name the endpoint: several may have one host."""
    return f" to {endpoint}" if endpoint else ""


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
        "resent": 0,
    }
    return _insert(connection, values)


def _insert(connection: Connection, values: Mapping[str, Any]) -> bool:
    try:
        connection.execute(outbox.insert().values(dict(values)))
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
    query = select(box.id, box.due_at, box.failed_at, database.utc_now().label("now")).where(*of_name)
    last = connection.execute(query.order_by(box.id.desc()).limit(1)).first()
    if last is None:
        return put(connection, kind, f"{name}:0", {**payload, "since": None})
    due_at = last.failed_at or last.due_at
    if due_at > last.now:
        return False
    delay = max(0.0, seconds - (last.now - due_at).total_seconds())
    # If several transactions see the same last entry, the unique key lets only one of them write.
    return put(connection, kind, f"{name}:{last.id}", {**payload, "since": due_at.isoformat()}, delay=delay)


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


def is_due(connection: Connection, lane: Lane) -> bool:
    """Whether an entry is due. Needs no write lock, of which SQLite has only one."""
    return connection.execute(_first_due(lane)).first() is not None


def due_endpoints(connection: Connection) -> set[str | None]:
    """Return the endpoints for which webhooks are due; None: some have no endpoint yet."""
    return set(connection.execute(_endpoints()).scalars())


def take(connection: Connection, lane: Lane, *, limit: int, lease_seconds: float) -> list[Entry]:
    """Take entries that are due; until the lease ends, no other process takes them.

    One that another program has written, and that cannot be sent, is given up.

    Args:
        connection: In a transaction of its own.
        lane: Which entries to take.
        limit: The maximum number of entries.
        lease_seconds: The duration of the lease in seconds.
    """
    box = outbox.c
    due = _due(lane).order_by(box.due_at, box.id).limit(limit)
    token, ids = str(uuid.uuid4()), connection.execute(due).scalars().all()
    lease = {
        "lease_token": token,
        "lease_until": database.utc_now(lease_seconds),
        "attempts": box.attempts + 1,
    }
    for entry_id in ids:
        # Another process may have taken it since then, or have taken and postponed it.
        still = update(outbox).where(box.id == entry_id, *_is_due(lane))
        connection.execute(still.values(lease))
    # Search by id: the token has no index, and sent entries stay in the table for years.
    names = (box.id, box.kind, box.dedup_key, box.payload, box.attempts, box.endpoint, box.resent)
    mine = select(*names).where(box.id.in_(ids), box.lease_token == token)
    # Sorted here: MySQL sorts rows with their payloads, of which a large one does not fit into its sort buffer.
    rows = sorted(connection.execute(mine).all() if ids else [], key=lambda row: ids.index(row.id))
    # Earlier versions may have put URLs with secrets into it.
    entries = [
        Entry(
            row.id, row.kind, row.dedup_key, masking.values(row.payload), row.attempts, token,
            row.endpoint, row.resent,
        )
        for row in rows
    ]  # fmt: skip
    odd = {row.id: fault for row in rows if (fault := _fault(row.kind, row.payload, lane))}
    for entry in entries:
        if entry.id in odd:
            fail(connection, entry, odd[entry.id])
    return [entry for entry in entries if entry.id not in odd]


def _fault(kind: str, payload: object, lane: Lane) -> str | None:
    """Return why an entry that another program has written cannot be sent."""
    if kind not in lane.kinds:  # MySQL and MariaDB compare without blanks at the end
        return f"orderctl does not send messages of the kind {kind!r}"
    return None if isinstance(payload, dict) else "the payload is not an object"


# The couriers look for entries each second: to build these statements takes longer than to run them.


@lru_cache(_LANES)
def _due(lane: Lane) -> Select[Any]:
    return select(outbox.c.id).where(*_is_due(lane))


@lru_cache(_LANES)
def _first_due(lane: Lane) -> Select[Any]:
    return _due(lane).limit(1)


@cache
def _endpoints() -> Select[Any]:
    return select(outbox.c.endpoint).where(*_is_free((EntryKind.WEBHOOK,))).distinct()


def _is_due(lane: Lane) -> list[ColumnElement[bool]]:
    endpoint = outbox.c.endpoint
    if lane.endpoint is not None:
        return [*_is_free(lane.kinds), endpoint == lane.endpoint]
    is_old = outbox.c.created_at < database.utc_now(-STRANGE_SECONDS)
    lost = endpoint.not_in(lane.configured) & is_old
    return [*_is_free(lane.kinds), or_(endpoint.is_(None), lost)]


def _is_free(kinds: Sequence[EntryKind]) -> list[ColumnElement[bool]]:
    """Return the conditions that an entry is due, and that no process is sending it."""
    box, now = outbox.c, database.utc_now()
    free = or_(box.lease_until.is_(None), box.lease_until < now)
    return [box.sent_at.is_(None), box.due_at <= now, box.failed_at.is_(None), box.kind.in_(kinds), free]


def address(connection: Connection, entry: Entry, endpoints: Sequence[str]) -> bool:
    """Say to which endpoints an event goes: there is one entry for each of them from now on, due at once.

    Args:
        connection: In a transaction of its own.
        entry: The event's entry, from :func:`take`. It becomes that of the first endpoint.
        endpoints: Their names, at least one.

    Returns:
        False if another process has the entry now.
    """
    first, *others = endpoints
    free = {"attempts": 0, "lease_token": None, "lease_until": None}
    if not _update(connection, entry, endpoint=first, **free):
        return False
    box = outbox.c
    copied = (box.kind, box.created_at, box.due_at, box.resent)
    row = dict(connection.execute(select(*copied).where(box.id == entry.id)).mappings().one())
    row["payload"] = shop_tables.storable_json(
        entry.payload
    )  # without secrets, unlike that of an earlier version
    for endpoint in others:
        key = f"{entry.event_key}{_AT}{endpoint}"
        _insert(connection, {**row, "dedup_key": key, "endpoint": endpoint, "attempts": 0})
    return True


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


def fail(connection: Connection, entry: Entry, error: str) -> bool:
    """Give an entry up; return False if another process has the entry now.

    Args:
        connection: In a transaction of its own.
        entry: An entry from :func:`take`.
        error: The reason.
    """
    return _update(
        connection,
        entry,
        failed_at=database.utc_now(),
        due_at=NEVER,
        lease_token=None,
        lease_until=None,
        last_error=_storable(error),
    )


def postpone(connection: Connection, entry: Entry, error: str, delay: float) -> bool:
    """Release an entry, to be tried again in ``delay`` seconds; False if another process has it now."""
    return _update(
        connection,
        entry,
        due_at=database.utc_now(delay),
        lease_token=None,
        lease_until=None,
        last_error=_storable(error),
    )


def _storable(error: str) -> str:
    return shop_tables.storable(masking.foreign(error)[:2000])


def put_back(connection: Connection, entry: Entry) -> bool:
    """Release an entry that was not tried; return False if another process has the entry now."""
    attempts = outbox.c.attempts - 1
    return _update(connection, entry, attempts=attempts, lease_token=None, lease_until=None)


def resend(connection: Connection, entry_id: int) -> bool:
    """Make an entry due now, whatever became of it, with all its tries; return False while it is being sent.

    One that waits is only tried earlier. Any other counts as sent once more: its mail gets a new Message-ID.

    Args:
        connection: In a transaction of its own.
        entry_id: The entry.
    """
    box, now = outbox.c, database.utc_now()
    free = or_(box.lease_until.is_(None), box.lease_until < now)
    again = {
        "resent": case((in_state(MessageState.WAITING), box.resent), else_=box.resent + 1),
        "attempts": 0,
        "lease_token": None,
        "lease_until": None,
        "last_error": None,
    }
    # Set from left to right on MySQL and MariaDB: what the first column depends on comes last.
    ordered = [(box[name], value) for name, value in again.items()]
    ordered += [(box.sent_at, None), (box.failed_at, None), (box.due_at, now)]
    chosen = update(outbox).where(box.id == entry_id, free)
    return connection.execute(chosen.ordered_values(*ordered)).rowcount == 1


def in_state(state: MessageState) -> ColumnElement[bool]:
    """Return the condition that an entry is in a state."""
    box = outbox.c
    if state is MessageState.FAILED:
        return box.sent_at.is_(None) & box.failed_at.is_not(None)
    if state is MessageState.WAITING:
        return box.sent_at.is_(None) & box.failed_at.is_(None)
    error = box.last_error
    return box.sent_at.is_not(None) & (error.is_(None) if state is MessageState.SENT else error.is_not(None))


def _update(connection: Connection, entry: Entry, **values: Any) -> bool:
    box = outbox.c
    fenced = update(outbox).where(box.id == entry.id, box.lease_token == entry.token)
    return connection.execute(fenced.values(values)).rowcount == 1
