"""Invented mails: to try templates out, in ``config check`` and in a mail to oneself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from orderctl.states import ErrorType, OrderStatus, TaskStatus
from orderctl.worker import reasons
from orderctl.worker.letters import STATES, Letter, outcome

_WHY: Final = {"error_type": ErrorType.NETWORK.value, "reason": reasons.explain(ErrorType.NETWORK)}


def _courses(*statuses: TaskStatus) -> list[dict[str, Any]]:
    return [_course(number, status) for number, status in enumerate(statuses, 1)]


def _course(number: int, status: TaskStatus) -> dict[str, Any]:
    ready = status == TaskStatus.COMPLETED
    return {
        "id": number,
        "title": f"Sample course {number}",
        "status": status.value,
        "state": STATES[status],
        "link": f"https://files.example.com/SAMPLE1/{number}/" if ready else None,
        **(_WHY if status == TaskStatus.FAILED else dict.fromkeys(_WHY)),
    }


def _order(status: OrderStatus, courses: list[dict[str, Any]]) -> dict[str, Any]:
    by_status = Counter(course["status"] for course in courses)
    cancelled, completed, failed = (
        by_status[one] for one in (TaskStatus.CANCELLED, TaskStatus.COMPLETED, TaskStatus.FAILED)
    )
    total = len(courses) - cancelled
    order = {
        "id": 1,
        "code": "SAMPLE1",
        "email": "customer@example.com",
        "status": status.value,
        "outcome": outcome(total, completed, failed),
        "total": total,
        "completed": completed,
        "failed": failed,
        "cancelled": cancelled,
    }
    return {"order": order, "courses": courses}


_READY, _FAILED, _CANCELLED = TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED
_ORDERS: Final = (
    _order(OrderStatus.FAILED, _courses(_READY, _FAILED, _CANCELLED)),
    _order(OrderStatus.COMPLETED, _courses(_READY)),
    _order(OrderStatus.COMPLETED, _courses(_READY, _READY)),
    _order(OrderStatus.FAILED, _courses(_FAILED)),
    _order(OrderStatus.FAILED, _courses(_FAILED, _FAILED)),
    _order(OrderStatus.CANCELLED, _courses(_CANCELLED)),
    _order(OrderStatus.PROCESSING, _courses(_READY, TaskStatus.PENDING)),
)
_FAILURE: Final = {
    "order": {"id": 1, "code": "SAMPLE1"},
    "task": {"id": 1},
    "error": {
        "type": ErrorType.DISK_SPACE.value,
        "message": "a sample: no space left",
        "fingerprint": "5d3c2e9a77aa01f4",
    },
    "number": 3,
    "retry_command": "orderctl tasks retry --fingerprint 5d3c2e9a77aa01f4",
}
_PAYMENTS: Final = {
    "payment_id": 7,
    "number": 1,
    "shown": "1",
    "outcomes": [{"outcome": "unmatched", "number": "1", "new": "1"}],
    "payments": [{"id": 7, "text": "300000 VND, ACB, unmatched: a sample"}],
}
_WEBHOOK: Final = {
    "endpoint": "sample",
    "receiver": "https://hooks.example.com",
    "error": "a sample: https://hooks.example.com: HTTP 410",
    "is_gone": True,
    "number": 12,
    "new": 3,
    "list_command": "orderctl outbox list --failed --endpoint sample",
    "resend_command": "orderctl outbox resend --failed --endpoint sample",
}
_ALERTS: Final = (
    ("failure", _FAILURE),
    ("payments", _PAYMENTS),
    ("payments", {**_PAYMENTS, "number": 0, "shown": "0", "outcomes": [], "payments": []}),
    ("webhook", _WEBHOOK),
    (
        "webhook",
        {**_WEBHOOK, "receiver": "", "error": "a sample: the endpoint was removed", "is_gone": False},
    ),
)
_EVERY: Final = (
    *(("order", order) for order in _ORDERS),
    *((name, {**facts, "is_first": is_first}) for name, facts in _ALERTS for is_first in (True, False)),
)


def letter(name: str, recipient: str) -> Letter:
    """Return an invented mail, with names that say so.

    Args:
        name: One of ``templates.MAILS``.
        recipient: Who gets it.
    """
    return Letter(recipient, name, next(facts for one, facts in _EVERY if one == name))


def every() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name and the variables of mails of each kind: each outcome of an order, each form of an alert."""
    for sender in ("The shop", ""):
        for name, facts in _EVERY:
            yield name, {**facts, "sender": {"name": sender, "address": "shop@example.com"}}
