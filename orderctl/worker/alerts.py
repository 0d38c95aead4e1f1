"""What the admin's mails say: what only a person can decide or fix, and the number of such things."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from orderctl import database, failures, money, orders, texts
from orderctl.outbox import EntryKind
from orderctl.payments import effects, waiting
from orderctl.payments.ledger import Payment
from orderctl.schema import order_audit_logs, outbox, payments
from orderctl.states import EventType, Severity
from orderctl.worker.letters import Letter
from orderctl.worker.smtp import Undeliverable

#: Payments that an alert lists.
_SHOWN_PAYMENTS: Final = 10
#: Characters of the message of a program that a mail shows.
_LONGEST_MESSAGE: Final = 4000
#: HTTP status 410: the receiver does not want any further message.
_GONE: Final = re.compile(r"HTTP 410\b")


def alert(connection: Connection, payload: Mapping[str, Any], recipient: str) -> Letter:
    """Return the mail to the admin that an entry of the outbox asks for.

    Args:
        connection: For the numbers, which are those of now.
        payload: What the entry says.
        recipient: The admin's address.

    Raises:
        OrderNotFound: The order that it is about does not exist.
        Undeliverable: A newer version has written it.
    """
    about = payload.get("about")
    if about == "payments":
        return Letter(recipient, "payments", _about_payments(connection, payload))
    if about == "webhook":
        return Letter(recipient, "webhook", _about_webhook(connection, payload))
    if about is not None:
        raise Undeliverable(f"no mail about {texts.shown(str(about))} is known to this version of orderctl")
    return Letter(recipient, "failure", _about_failure(connection, payload))


def _about_failure(connection: Connection, payload: Mapping[str, Any]) -> dict[str, Any]:
    order = orders.get(connection, payload["orderId"])
    fingerprint = _line(payload["fingerprint"])
    take = " --take" if payload.get("managed") is False else ""
    return {
        "order": {"id": order.id, "code": _line(order.order_code)},
        "task": {"id": payload["taskId"]},
        "error": {
            "type": _line(payload["errorType"]),
            "message": _line(payload["message"]),
            "fingerprint": fingerprint,
        },
        "is_first": not payload.get("since"),
        "number": _count_failures(connection, payload),
        "retry_command": f"orderctl tasks retry --fingerprint {shlex.quote(fingerprint)}{take}",
    }


def _count_failures(connection: Connection, payload: Mapping[str, Any]) -> int:
    """Return how often the failure happened since the previous mail, or in the last hour."""
    log = order_audit_logs.c
    query = select(log.details).where(
        log.severity.in_((Severity.WARNING, Severity.ERROR)),
        _in_period(log.created_at, payload, failures.ALERT_SECONDS),
        log.event_type == EventType.DOWNLOAD_FAILED,
    )
    found = connection.execute(query).scalars()
    return sum(isinstance(one, dict) and one.get("fingerprint") == payload["fingerprint"] for one in found)


def _in_period(
    column: ColumnElement[datetime], payload: Mapping[str, Any], seconds: float
) -> ColumnElement[bool]:
    """Return the condition that a time is after the previous mail was due, or, for the first mail, not long ago."""
    since = payload.get("since")
    # What caused the previous mail may have the very time at which that mail was due.
    return column > datetime.fromisoformat(since) if since else column >= database.utc_now(-seconds)


def _about_payments(connection: Connection, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Say how many payments wait now: those of the payload may have been decided since it was written."""
    new = waiting.count(connection, _in_period(payments.c.told_at, payload, effects.ALERT_SECONDS))
    total = waiting.count(connection)
    number = sum(total.values())
    return {
        "payment_id": payload["paymentId"],
        "is_first": not payload.get("since"),
        "number": number,
        "shown": waiting.shown(number),
        "outcomes": [
            {"outcome": outcome, "number": waiting.shown(total[outcome]), "new": waiting.shown(new[outcome])}
            for outcome in total
            if total[outcome]
        ],
        "payments": [
            {"id": one.id, "text": _payment(one)} for one in waiting.newest(connection, _SHOWN_PAYMENTS)
        ],
    }


def _payment(payment: Payment) -> str:
    amount = "unknown amount" if payment.amount is None else money.shown(payment.amount)
    order = payment.order_code or payment.order_id
    words = [
        f"{amount} {payment.currency or ''}".strip(),
        payment.bank,
        f"order {order}" if order else None,
        f"{payment.outcome}: {payment.reason}" if payment.reason else payment.outcome,
    ]
    return ", ".join(_line(word) for word in words if word)


def _about_webhook(connection: Connection, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Say how many deliveries to an endpoint were given up, and why the last one was."""
    endpoint, error = _line(payload["endpoint"]), _line(payload.get("error") or "no reason")
    chosen = f"--failed --endpoint {shlex.quote(endpoint)}"
    return {
        "endpoint": endpoint,
        "receiver": _line(payload.get("receiver") or ""),
        "error": error,
        "is_gone": bool(_GONE.search(error)),
        "is_first": not payload.get("since"),
        "number": _count_given_up(connection, payload),
        "new": _count_given_up(
            connection, payload, _in_period(outbox.c.failed_at, payload, failures.ALERT_SECONDS)
        ),
        "list_command": f"orderctl outbox list {chosen}",
        "resend_command": f"orderctl outbox resend {chosen}",
    }


def _count_given_up(
    connection: Connection, payload: Mapping[str, Any], *conditions: ColumnElement[bool]
) -> int:
    box = outbox.c
    query = select(func.count()).where(
        box.kind == EntryKind.WEBHOOK.value,
        box.failed_at.is_not(None),
        box.endpoint == payload["endpoint"],
        *conditions,
    )
    return connection.execute(query).scalar_one()


def _line(value: object) -> str:
    return texts.legible(str(value), _LONGEST_MESSAGE)
