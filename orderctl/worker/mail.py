"""Mails: their texts, and their way to the SMTP server.

SMTP cannot promise exactly-once: if the process crashes in the milliseconds between the server's 250 and the
commit that records it, the mail is sent twice. Both copies have the same Message-ID, so that the receiver can
recognise them.
"""

from __future__ import annotations

import contextlib
import hashlib
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, select

from orderctl import database, failures, faultpoints, orders, tasks
from orderctl.counting import counted
from orderctl.schema import order_audit_logs
from orderctl.settings import Mail
from orderctl.states import EventType, Severity, TaskStatus
from orderctl.tasks import Task

_TIMEOUT: Final = 20.0
_DEFAULT_PORTS: Final = {"smtp": 587, "smtps": 465}
_ACCEPTED: Final = range(200, 300)
#: RFC 3463, 3.2: the address is bad. Other refusals may come from a wrong setting, which can be corrected.
_BAD_ADDRESS: Final = b"5.1."
#: Hosts to which a password may be sent without TLS.
_OURSELVES: Final = {"localhost", "127.0.0.1", "::1"}


class Undeliverable(OSError):
    """The e-mail address does not exist, or is not one."""


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
    """Return the admin's mail about a failure that a person has to fix, with the number of such failures."""
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
    since, log = payload.get("since"), order_audit_logs.c
    # The failure that caused the previous mail may have the very time at which that mail was due.
    period = (
        log.created_at > datetime.fromisoformat(since)
        if since
        else log.created_at >= database.utc_now(-failures.ALERT_SECONDS)
    )
    query = select(log.details).where(
        log.severity.in_((Severity.WARNING, Severity.ERROR)),
        period,
        log.event_type == EventType.DOWNLOAD_FAILED,
    )
    found = connection.execute(query).scalars()
    return sum(isinstance(one, dict) and one.get("fingerprint") == payload["fingerprint"] for one in found)


def compose(letter: Letter, settings: Mail, dedup_key: str, date: datetime) -> EmailMessage:
    """Build the message, as text and as HTML.

    Args:
        letter: The content.
        settings: Say who the sender is.
        dedup_key: The Message-ID is made from it, so that it is the same at every try.
        date: Value of the ``Date`` header.

    Raises:
        Undeliverable: When the recipient is not an e-mail address.
    """
    sender = settings.sender or f"orderctl@{urlsplit(settings.url or '').hostname}"
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    message = EmailMessage()
    message["From"] = sender
    message["To"] = _address(letter.recipient)
    message["Subject"] = " ".join(letter.subject.split())
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<{hashlib.sha256(dedup_key.encode()).hexdigest()[:32]}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    # Not every server accepts 8-bit text.
    message.set_content(_text(letter), cte="quoted-printable")
    message.add_alternative(_html(letter), subtype="html", cte="quoted-printable")
    return message


def _address(text: str) -> str:
    """Return an e-mail address that a header can carry.

    Raises:
        Undeliverable: When the text, which the shop may have written, is not an address.
    """
    address = parseaddr(text)[1]
    if "@" not in address or not text.isprintable():
        raise Undeliverable(f"{text!r} is not an e-mail address")
    return text


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


def send(message: EmailMessage, settings: Mail, still_ours: Callable[[], bool]) -> bool:
    """Send a message to the SMTP server.

    Args:
        message: From :func:`compose`.
        settings: ``url`` has the server, the user and the password.
        still_ours: Called right before the body is sent; if it returns False, the mail is not sent.

    Returns:
        False when the mail was not sent because ``still_ours`` returned False.

    Raises:
        Undeliverable: When the address does not exist.
        OSError: When the server does not accept the mail now (smtplib's errors are OSErrors).
    """
    url = urlsplit(settings.url or "")
    host, port = url.hostname or "", url.port or _DEFAULT_PORTS[url.scheme]
    context = ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=_TIMEOUT)
    try:
        faultpoints.point("smtp.connected")
        server.ehlo()
        if url.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        if url.username:
            if not isinstance(server.sock, ssl.SSLSocket) and host not in _OURSELVES:
                raise OSError("the mail server offers no TLS, so the password was not sent to it")
            server.login(unquote(url.username), unquote(url.password or ""))
        return _transfer(server, message, still_ours)
    finally:
        _leave(server)


def _leave(server: smtplib.SMTP) -> None:
    """Send QUIT and do not wait: a crash before the mail is marked as sent would send it again."""
    with contextlib.suppress(OSError):
        server.putcmd("quit")
    server.close()


def _transfer(server: smtplib.SMTP, message: EmailMessage, still_ours: Callable[[], bool]) -> bool:
    sender, recipient = parseaddr(message["From"])[1], parseaddr(message["To"])[1]
    _require_accepted(*server.mail(sender))
    _require_accepted(*server.rcpt(recipient))
    if not still_ours():
        return False
    faultpoints.point("smtp.data.before")
    code, answer = server.data(message.as_bytes(policy=SMTP))
    faultpoints.point("smtp.data.after")
    _require_accepted(code, answer)
    return True


def _require_accepted(code: int, answer: bytes) -> None:
    if answer.startswith(_BAD_ADDRESS):
        raise Undeliverable(f"{code} {answer.decode('utf-8', 'replace')}")
    if code not in _ACCEPTED:
        raise smtplib.SMTPResponseException(code, answer)
