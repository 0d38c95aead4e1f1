"""Mails: their texts, and the messages that ``smtp`` sends."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Connection, select

from orderctl import database, failures, mailboxes, money, orders, tasks, texts
from orderctl.counting import counted
from orderctl.mailboxes import Mailbox
from orderctl.payments import effects, waiting
from orderctl.payments.ledger import Payment
from orderctl.schema import order_audit_logs, payments
from orderctl.setting_sections import Mail
from orderctl.states import EventType, Severity, TaskStatus
from orderctl.tasks import Task
from orderctl.worker.smtp import Envelope, Undeliverable

#: Characters of a subject or a name, and of a word in it: a line of a header has 78.
_LONGEST_LINE: Final = 300
_LONGEST_WORD: Final = 70
#: Payments that an alert lists.
_SHOWN_PAYMENTS: Final = 10


@dataclass(frozen=True, slots=True)
class Letter:
    """The content of a mail: plain paragraphs and a table."""

    recipient: str
    subject: str
    paragraphs: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()


def summary(connection: Connection, order_id: int) -> Letter:
    """Return the customer's mail at the end of an order: each course, its status and its link."""
    order = orders.get(connection, order_id)
    courses = [
        task for task in tasks.of_orders(connection, [order.id]) if task.status != TaskStatus.CANCELLED
    ]
    rows = tuple(_course(task) for task in courses)
    total = counted(order.total_tasks, "course")
    text = f"Your order {order.order_code}: {order.completed_tasks} of {total} ready."
    apology = ("We are looking into the courses that failed.",) if order.failed_tasks else ()
    return Letter(order.user_email, f"Order {order.order_code}: {order.order_status}", (text, *apology), rows)


def _course(task: Task) -> tuple[str, ...]:
    return (task.name, str(task.status), task.drive_link or "")


def alert(connection: Connection, payload: Mapping[str, Any], recipient: str) -> Letter:
    """Return the admin's mail about what only a person can decide or fix, with the number of such things."""
    if payload.get("about") == "payments":
        return _about_payments(connection, payload, recipient)
    return _about_failure(connection, payload, recipient)


def _about_failure(connection: Connection, payload: Mapping[str, Any], recipient: str) -> Letter:
    order = orders.get(connection, payload["orderId"])
    times = "failures since the last mail" if payload.get("since") else "failures in the last hour"
    take = " --take" if payload.get("managed") is False else ""
    rows = (
        ("order", order.order_code),
        ("task", str(payload["taskId"])),
        ("error", str(payload["message"])),
        ("fingerprint", str(payload["fingerprint"])),
        (times, str(_count_failures(connection, payload))),
        ("retry", f"orderctl tasks retry --fingerprint {payload['fingerprint']}{take}"),
    )
    subject = f"{payload['errorType']}: order {order.order_code}, task {payload['taskId']}"
    return Letter(
        recipient, subject, ("A download failed. It will fail again until you have fixed the cause.",), rows
    )


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


def _about_payments(connection: Connection, payload: Mapping[str, Any], recipient: str) -> Letter:
    """Say how many payments wait now: those of the payload may have been decided since it was written."""
    new = waiting.count(connection, _in_period(payments.c.told_at, payload, effects.ALERT_SECONDS))
    total = waiting.count(connection)
    number = sum(total.values())
    if not number:
        was = f"Payment {payload['paymentId']} came in and paid no order."
        text = f"{was} It does not wait for a decision any more, and no other payment does."
        return Letter(recipient, "No payment waits for a decision", (text,))
    wait = f"{waiting.shown(number)} {'payment waits' if number == 1 else 'payments wait'} for a decision"
    period = "since the last mail" if payload.get("since") else "in the last hour"
    counts = tuple(
        (outcome, f"{waiting.shown(total[outcome])}, of which {waiting.shown(new[outcome])} came {period}")
        for outcome in total
        if total[outcome]
    )
    newest = tuple(_payment(one) for one in waiting.newest(connection, _SHOWN_PAYMENTS))
    commands = (
        ("all of them", "orderctl payments list --open"),
        ("give one to an order", "orderctl payments match ID ORDER --reason WHY"),
        ("set one aside", "orderctl payments match ID --refuse --reason WHY"),
    )
    text = "The money came in, but paid no order. Give each payment to an order, or set it aside."
    return Letter(recipient, wait, (f"{wait}.", text), (*counts, *newest, *commands))


def _payment(payment: Payment) -> tuple[str, ...]:
    """Return a payment in two cells, of which the second begins with the amount: a bank's text never becomes a link."""
    amount = "unknown amount" if payment.amount is None else money.shown(payment.amount)
    order = payment.order_code or payment.order_id
    words = [
        f"{amount} {payment.currency or ''}".strip(),
        payment.bank,
        f"order {order}" if order else None,
        f"{payment.outcome}: {payment.reason}" if payment.reason else payment.outcome,
    ]
    return f"payment {payment.id}", ", ".join(" ".join(word.split()) for word in words if word)


def compose(letter: Letter, settings: Mail, dedup_key: str, date: datetime) -> Envelope:
    """Build the message, as text and as HTML.

    Args:
        letter: The content.
        settings: Say who the sender is.
        dedup_key: The Message-ID is made from it, so that it is the same at every try.
        date: Value of the ``Date`` header.

    Raises:
        Undeliverable: When the recipient is not an e-mail address.
    """
    sender, recipient = _sender(settings), _recipient(letter.recipient)
    message = EmailMessage()
    message["From"] = _header(sender)
    message["To"] = _header(recipient)
    message["Subject"] = _one_line(letter.subject)
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<{hashlib.sha256(dedup_key.encode()).hexdigest()[:32]}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    # Not every server accepts 8-bit text.
    message.set_content(_text(letter), cte="quoted-printable")
    message.add_alternative(_html(letter), subtype="html", cte="quoted-printable")
    return Envelope(sender, recipient, message)


def _sender(settings: Mail) -> Mailbox:
    if settings.sender:
        return mailboxes.parse_named(settings.sender)
    return mailboxes.at_host("orderctl", urlsplit(settings.url or "").hostname or "localhost")


def _recipient(text: str) -> Mailbox:
    """Read an address that the shop may have written.

    Raises:
        Undeliverable: When it is not an address.
    """
    try:
        return mailboxes.parse_named(text)
    except ValueError as error:
        raise Undeliverable(f"{texts.shown(text)} is not an e-mail address: {error}") from None


def _header(mailbox: Mailbox) -> Address:
    return Address(_one_line(mailbox.name), mailbox.local, mailbox.domain)


def _one_line(text: str) -> str:
    """Return a text for a header, without what Python's writer of headers would make more than one line of.

    It decodes the words of RFC 2047, which may contain anything, and folds a word that is longer than a line into
    an empty line, which ends the headers.
    """
    printable = "".join(c if c.isprintable() else " " for c in text[:_LONGEST_LINE]).replace("=?", "= ?")
    pieces = (
        word[at : at + _LONGEST_WORD]
        for word in printable.split()
        for at in range(0, len(word), _LONGEST_WORD)
    )
    return " ".join(pieces)


def _text(letter: Letter) -> str:
    rows = ["  ".join(cell for cell in row if cell) for row in letter.rows]
    return "\n\n".join([*letter.paragraphs, "\n".join(rows)]).strip() + "\n"


def _html(letter: Letter) -> str:
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in letter.paragraphs)
    rows = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in letter.rows)
    return f"<!doctype html><html><body>{paragraphs}<table>{rows}</table></body></html>"


def _cell(text: str) -> str:
    if text.startswith(("http://", "https://")):
        return f'<a href="{escape(text, quote=True)}">{escape(text)}</a>'
    return escape(text)
