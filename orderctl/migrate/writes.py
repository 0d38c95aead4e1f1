"""The rows that orderctl writes into the shop's tables, as examples to judge the shop's constraints by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from orderctl.states import EventType, OrderStatus, PaymentStatus, Severity, Source, TaskStatus

#: Values by column; NOW stands for the time of the statement.
Row: TypeAlias = Mapping[str, object]

NOW: Final = object()
_TOKEN: Final = "00000000-0000-4000-8000-000000000000"  # noqa: S105 - the form of a lease's token
_WORKER: Final = "shop-server-1:12345:ab12cd"
_ERROR: Final = {
    "error_log": "NETWORK: connection refused",
    "error_type": "NETWORK",
    "error_fingerprint": "0123456789abcdef",
}
_PAID: Final = {"payment_status": PaymentStatus.PAID, "paid_at": NOW}
_FREE: Final = {"lease_token": None, "lease_until": None}
_LEASED: Final = {"lease_token": _TOKEN, "lease_until": NOW, "worker": _WORKER, "attempt": 1, "managed": 1}
_ENDED: Final = {"completed_at": NOW}

#: An order of the shop's, or one that `orders add` writes.
ORDER: Final[Row] = {
    "order_code": "DH000001",
    "user_email": "customer@example.com",
    "order_status": OrderStatus.PENDING,
    "payment_status": PaymentStatus.PENDING,
    "total_amount": 300000,
    "created_at": NOW,
    "round": 0,
}
#: A task of the shop's, or one that `orders add` writes.
TASK: Final[Row] = {
    "order_id": 1,
    "course_url": "https://courses.example.com/1",
    "title": None,
    "status": TaskStatus.PENDING,
    "created_at": NOW,
    "updated_at": NOW,
    "managed": 1,
    "attempt": 0,
    "max_attempts": 3,
    "available_at": NOW,
}

#: The changes of an order, each on top of a row that waits.
ORDER_CHANGES: Final[tuple[Row, ...]] = (
    _PAID,
    {**_PAID, "order_status": OrderStatus.PROCESSING},
    {**_PAID, **_ENDED, "order_status": OrderStatus.COMPLETED},
    {**_PAID, **_ENDED, "order_status": OrderStatus.FAILED},
    {**_PAID, "completed_at": None, "round": 1, "order_status": OrderStatus.PROCESSING},
    {**_PAID, **_ENDED, "order_status": OrderStatus.CANCELLED},
    {**_ENDED, "payment_status": PaymentStatus.PENDING, "order_status": OrderStatus.CANCELLED},
)
#: The changes of a task, each on top of a row that waits.
TASK_CHANGES: Final[tuple[Row, ...]] = (
    {**_LEASED, "status": TaskStatus.PENDING},
    {**_LEASED, "status": TaskStatus.ENROLLED},
    {**_LEASED, "status": TaskStatus.DOWNLOADING},
    {
        **_FREE,
        "status": TaskStatus.COMPLETED,
        "drive_link": None,
        **dict.fromkeys(_ERROR),
        "failing_since": None,
    },
    {**_FREE, "status": TaskStatus.FAILED, **_ERROR},
    {
        **_FREE,
        "status": TaskStatus.PENDING,
        **_ERROR,
        "available_at": NOW,
        "failing_since": NOW,
        "max_attempts": 4,
    },
    {**_FREE, "status": TaskStatus.CANCELLED},
)


def _event(event: EventType, **more: object) -> Row:
    row = {
        "order_id": 1,
        "task_id": None if event.name.startswith(("ORDER", "PAYMENT")) else 1,
        "event_type": event.value,
        "event_category": event.category,
        "severity": event.severity,
        "message": "Payment of 300000 received for order DH000001",
        "details": '{"amount": 300000}',
        "previous_status": None,
        "new_status": None,
        "source": Source.WORKER,
        "actor": _WORKER,
        "dedup_key": "task:1:attempt:1:completed",
        "created_at": NOW,
    }
    return {**row, **more}


#: Events of all types, categories, severities, sources, and statuses before and after.
EVENTS: Final[tuple[Row, ...]] = (
    *(_event(event) for event in EventType),
    *(_event(EventType.TASK_CREATED, source=source) for source in Source),
    _event(EventType.DOWNLOAD_FAILED, severity=Severity.WARNING, new_status=TaskStatus.PENDING),
    _event(EventType.EMAIL_SENT, details=None, dedup_key=None, actor=None),
    *(
        _event(EventType.TASK_RETRIED, previous_status=status, new_status=status)
        for status in dict.fromkeys((*OrderStatus, *TaskStatus))
    ),
)

#: Of each table: the row that the changes apply to (None for rows that orderctl only inserts), and the rows.
WRITES: Final[Mapping[str, tuple[Row | None, tuple[Row, ...]]]] = {
    "orders": (ORDER, ORDER_CHANGES),
    "download_tasks": (TASK, TASK_CHANGES),
    "order_audit_logs": (None, EVENTS),
}
#: The columns of waiting rows, with the statuses that say so.
WAITING: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "orders": {
        "payment_status": (PaymentStatus.PENDING, PaymentStatus.PAID),
        "order_status": (OrderStatus.PENDING, OrderStatus.PROCESSING),
    },
    "download_tasks": {"status": (TaskStatus.PENDING, TaskStatus.ENROLLED, TaskStatus.DOWNLOADING)},
}


def updated(table: str) -> frozenset[str]:
    """Return the columns of a table that orderctl changes in rows that exist."""
    base, changes = WRITES.get(table, (None, ()))
    return frozenset(name for change in changes for name in change) if base is not None else frozenset()
