"""The text of a mail as it would be sent now, for people who look at the outbox."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection

from orderctl.errors import InvalidInput, SubjectFailed
from orderctl.outbox import EntryKind
from orderctl.outgoing import Message
from orderctl.setting_sections import Mail
from orderctl.worker import alerts, letters, mail, payloads
from orderctl.worker.letters import Letter
from orderctl.worker.payloads import InvalidPayload
from orderctl.worker.smtp import Undeliverable

#: Stands for ``mail.admin`` where that is not set.
_ADMIN: Final = "admin@localhost"


def text_of(connection: Connection, message: Message, payload: Any, settings: Mail) -> str:
    """Return the text part of a mail.

    Args:
        connection: A connection to the database.
        message: The message.
        payload: Its payload.
        settings: Say who sends it.

    Raises:
        InvalidInput: The message is not a mail.
        OrderNotFound: The order of the mail does not exist.
        SubjectFailed: There is no text: the address is not one, or the payload is not that of a mail.
    """
    if message.kind not in {EntryKind.SUMMARY, EntryKind.ALERT}:
        raise InvalidInput(
            f"message {message.id} is not a mail, so it has no text",
            hint=f"orderctl outbox show {message.id}",
        )
    try:
        letter = _letter(connection, message, payload, settings)
        key = message.dedup_key
        part = mail.compose(letter, settings, key, datetime.now(UTC)).message.get_body(("plain",))
    except (Undeliverable, InvalidPayload) as error:
        hint = f"orderctl outbox show {message.id}" if isinstance(error, InvalidPayload) else None
        raise SubjectFailed(f"message {message.id} cannot be sent: {error}", hint=hint) from None
    return "" if part is None else str(part.get_content())


def _letter(connection: Connection, message: Message, payload: Any, settings: Mail) -> Letter:
    if not isinstance(payload, Mapping):
        raise InvalidPayload("it is not an object")
    payloads.check(message.kind, payload)
    if message.kind == EntryKind.SUMMARY:
        return letters.summary(connection, payload["orderId"])
    return alerts.alert(connection, payload, settings.admin or _ADMIN)
