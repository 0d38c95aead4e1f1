"""What travels on the channels: JSON objects, one for each publication.

Building is typed (:class:`TaskProgress` and its siblings, each with ``data()``); reading accepts what the
shop's own programs send: :func:`decode` validates the fields that the contract names, leaves further ones
as they are, and unwraps a payload that is the whole envelope ``{scope, id, type, data}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from orderctl.channels import Channel, MessageKind, Scope
from orderctl.errors import InvalidMessage

#: A payload longer than this is no message. Ours are about 150 bytes.
MAX_BYTES: Final = 16 * 1024
#: How deep a payload may nest; json's own parser recurses.
MAX_DEPTH: Final = 8
#: Longest run of digits that is still a number; a longer one costs quadratic time to convert.
MAX_DIGITS: Final = 32

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """How far a task is.

    ``speed`` in bytes/s, None when unknown; ``timestamp`` in ms since the epoch. A worker that knows its
    attempt says so, with a ``seq`` that rises within it; others are ordered by their timestamps.
    """

    task_id: int
    percent: float
    current_file: str
    speed: float | None
    timestamp: int
    attempt: int | None = None
    seq: int | None = None

    def data(self) -> Data:
        """The payload."""
        data: Data = {
            "taskId": self.task_id,
            "percent": self.percent,
            "currentFile": self.current_file,
            "speed": self.speed,
            "timestamp": self.timestamp,
        }
        optional = {"attempt": self.attempt, "seq": self.seq}
        return data | {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A move of a task or an order. ``error`` and ``error_type`` come with a task's failure."""

    scope: Scope
    id: int
    new_status: str
    previous_status: str | None
    timestamp: int
    error: str | None = None
    error_type: str | None = None
    attempt: int | None = None

    def data(self) -> Data:
        """The payload."""
        data: Data = {
            f"{self.scope}Id": self.id,
            "newStatus": self.new_status,
            "previousStatus": self.previous_status,
            "timestamp": self.timestamp,
        }
        optional = {"error": self.error, "errorType": self.error_type, "attempt": self.attempt}
        return data | {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of an order."""

    order_id: int
    total_tasks: int
    completed_tasks: int
    failed_tasks: int
    timestamp: int

    def data(self) -> Data:
        """The payload."""
        return {
            "orderId": self.order_id,
            "totalTasks": self.total_tasks,
            "completedTasks": self.completed_tasks,
            "failedTasks": self.failed_tasks,
            "timestamp": self.timestamp,
        }


def encode(data: Mapping[str, Any]) -> str:
    """The payload as compact JSON; a lone surrogate in a text stays an escape, so it can leave as UTF-8."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text if text.isprintable() else json.dumps(data, separators=(",", ":"), allow_nan=False)


def envelope(channel: Channel, data: Mapping[str, Any]) -> Data:
    """What a client of the relay gets for a message: ``{scope, id, type, data}``, the id a number."""
    return {"scope": str(channel.scope), "id": channel.id, "type": str(channel.kind), "data": data}


def decode(channel: Channel, payload: bytes) -> Data:
    """Validate one publication.

    Args:
        channel: The channel on which it came.
        payload: Its body.

    Returns:
        The ``data`` object: the contract's fields checked, further ones as they were.

    Raises:
        InvalidMessage: When it is not JSON, too long, too deep, has a number that is not finite, a text
            that is not Unicode, or a field of the wrong type.
    """
    return validate(channel, payload)[0]


def validate(channel: Channel, payload: bytes) -> tuple[Data, bytes]:
    """As :func:`decode`, and beside the ``data`` object its JSON, ready to be passed on.

    Where the payload is the data object itself, its own bytes are the JSON: nothing is written anew.
    """
    data = _parse(payload)
    if isinstance(data.get("data"), dict) and "scope" in data and "type" in data:
        data = data["data"]
        payload = json.dumps(data, separators=(",", ":")).encode()
    for name, check in _FIELDS[channel.scope, channel.kind].items():
        if not check(data.get(name)):
            raise InvalidMessage(f"{name} is missing or not what it should be")
    return data, payload


def order_of(data: Mapping[str, Any]) -> tuple[float, float] | None:
    """Where a message stands among its channel's: (attempt, seq), or None where it carries neither."""
    attempt, seq = data.get("attempt"), data.get("seq")
    return (attempt, seq) if _number(attempt) and _number(seq) else None  # type: ignore[return-value]


def is_newer(data: Mapping[str, Any], than: Mapping[str, Any] | None) -> bool:
    """Whether a message comes after another of its channel: by (attempt, seq), else by timestamp.

    Without either there is no telling, and it is not.
    """
    if than is None:
        return True
    mine, other = order_of(data), order_of(than)
    if mine is not None and other is not None:
        return mine > other
    return bool((data.get("timestamp") or 0) > (than.get("timestamp") or 0))


def _parse(payload: bytes) -> Data:
    if len(payload) > MAX_BYTES:
        raise InvalidMessage("longer than 16 KiB")
    try:
        data = _DECODER.decode(payload.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidMessage("not a JSON object")
    # A walk costs as much as the parsing; few payloads have what it looks for.
    if b"\\u" in payload or payload.count(b"{") + payload.count(b"[") > MAX_DEPTH:
        _check(data, MAX_DEPTH + 1)
    return data


def _reject(literal: str) -> float:
    raise ValueError(f"{literal} is not a number")


def _whole(literal: str) -> int:
    if len(literal) > MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return int(literal)


def _real(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError("a number is not finite")
    return number


_DECODER: Final = json.JSONDecoder(parse_constant=_reject, parse_int=_whole, parse_float=_real)


def _check(value: object, left: int) -> None:
    if isinstance(value, str):
        if not _unicode(value):
            raise InvalidMessage("a text has a lone surrogate")
    elif isinstance(value, dict | list):
        if left == 0:
            raise InvalidMessage("nested too deep")
        for inner in value.values() if isinstance(value, dict) else value:
            _check(inner, left - 1)
        if isinstance(value, dict) and not all(map(_unicode, value)):
            raise InvalidMessage("a name has a lone surrogate")


def _unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(value: object) -> bool:
    # What JSON makes, and no subclass: True is none.
    return type(value) is int or type(value) is float


def _number_or_nothing(value: object) -> bool:
    return value is None or type(value) is int or type(value) is float


def _percent(value: object) -> bool:
    return (type(value) is int or type(value) is float) and 0 <= value <= 100  # noqa: PLR2004


def _text(value: object) -> bool:
    return isinstance(value, str)


def _text_or_nothing(value: object) -> bool:
    return value is None or isinstance(value, str)


_Check = Callable[[object], bool]
_PROGRESS: dict[str, _Check] = {
    "percent": _percent,
    "currentFile": _text_or_nothing,
    "timestamp": _number_or_nothing,
}
_STATUS: dict[str, _Check] = {
    "newStatus": _text,
    "previousStatus": _text_or_nothing,
    "timestamp": _number_or_nothing,
}
_FIELDS: dict[tuple[Scope, MessageKind], dict[str, _Check]] = {
    (Scope.TASK, MessageKind.PROGRESS): _PROGRESS | {"speed": _number_or_nothing},
    (Scope.TASK, MessageKind.STATUS): _STATUS | {"error": _text_or_nothing, "errorType": _text_or_nothing},
    (Scope.ORDER, MessageKind.PROGRESS): _PROGRESS,
    (Scope.ORDER, MessageKind.STATUS): _STATUS,
    (Scope.ORDER, MessageKind.COMPLETE): {
        "totalTasks": _number, "completedTasks": _number, "failedTasks": _number,
        "timestamp": _number_or_nothing,
    },
}  # fmt: skip
