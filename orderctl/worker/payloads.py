"""What the payloads of mails and completion messages need: another program may have written them without it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from orderctl import outbox
from orderctl.outbox import EntryKind

#: What an alert needs, by what it is about; the kinds of newer versions are not known here.
_ALERTS: Final[Mapping[object, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    None: (("orderId", "taskId"), ("errorType", "fingerprint", "message")),
    "payments": (("paymentId",), ()),
    "webhook": ((), ("endpoint",)),
}


class InvalidPayload(ValueError):
    """The payload of an entry lacks what its message has to say: no try can send it."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"its payload is not valid: {reason}")


def check(kind: str, payload: Mapping[str, Any]) -> None:
    """Check that a payload has what its message needs. A webhook is sent whatever it says.

    Args:
        kind: The kind of the entry.
        payload: Of the entry.

    Raises:
        InvalidPayload: It has not.
    """
    ids, texts = _needs(kind, payload)
    for name in (*ids, *texts):
        if payload.get(name) is None:
            raise InvalidPayload(f"{name} is missing")
    for name in ids:
        if outbox.id_in(payload, name) is None:
            raise InvalidPayload(f"{name} is not an id")
    for name in texts:
        if not isinstance(payload[name], str):
            raise InvalidPayload(f"{name} is not a text")
    if kind == EntryKind.ALERT and not _is_moment(payload.get("since")):
        raise InvalidPayload("since is not a time with its zone")


def _needs(kind: str, payload: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of ids and of texts that a message needs."""
    if kind in {EntryKind.SUMMARY, EntryKind.COMPLETION}:
        return ("orderId",), ()
    about = payload.get("about")
    if kind != EntryKind.ALERT or not isinstance(about, str | None):
        return (), ()
    return _ALERTS.get(about, ((), ()))


def _is_moment(value: object) -> bool:
    if not value:
        return True
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
