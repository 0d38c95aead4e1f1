"""The messages on the channels: one JSON object for each publication.

:data:`FIELDS` lists the fields of the messages of each channel. To build a message, use a :class:`Payload`,
which has a typed attribute for each field. To read one, use :func:`decode`, which also accepts what the
shop's own programs send: it checks the fields that the contract names, keeps further fields unchanged, and
unwraps a payload that is the whole envelope ``{scope, id, type, data}``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from orderctl import channels, masking
from orderctl.channels import Channel, MessageKind, Scope
from orderctl.errors import InvalidMessage

#: Maximum size of a payload in bytes. Those of orderctl have about 150 bytes.
MAX_BYTES: Final = 16 * 1024
#: Maximum nesting of a payload; the parser of ``json`` is recursive.
MAX_DEPTH: Final = 8
#: Maximum number of digits of a number; the time to convert them grows quadratically.
MAX_DIGITS: Final = 32

Data = dict[str, Any]
FieldCheck = Callable[[object], bool]


def _number(value: object) -> bool:
    # Exactly the types that JSON returns: True is an instance of int.
    return type(value) is int or type(value) is float


def _number_or_nothing(value: object) -> bool:
    return value is None or type(value) is int or type(value) is float


def _percent(value: object) -> bool:
    return (type(value) is int or type(value) is float) and 0 <= value <= 100  # noqa: PLR2004


def _text(value: object) -> bool:
    return isinstance(value, str)


def _text_or_nothing(value: object) -> bool:
    return value is None or isinstance(value, str)


def snake_case(name: str) -> str:
    """Return a field's attribute name in a :class:`Payload`: ``current_file`` for ``currentFile``."""
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message.

    Attributes:
        name: The name in the JSON; in a :class:`Payload` it is in snake case.
        check: Whether a received value is valid; None: it is not checked.
        optional: Whether orderctl leaves the field out if it is None.
    """

    name: str
    check: FieldCheck | None = None
    optional: bool = False


_TIMESTAMP: Final = Field("timestamp", _number_or_nothing)
_ATTEMPT: Final = Field("attempt", optional=True)
_PROGRESS: Final = (Field("percent", _percent), Field("currentFile", _text_or_nothing))
_STATUS: Final = (Field("newStatus", _text), Field("previousStatus", _text_or_nothing), _TIMESTAMP)

#: The fields of the messages of each kind, besides the id of the order or task.
FIELDS: Final[Mapping[tuple[Scope, MessageKind], tuple[Field, ...]]] = {
    (Scope.TASK, MessageKind.PROGRESS): (
        *_PROGRESS,
        Field("speed", _number_or_nothing),
        _TIMESTAMP,
        _ATTEMPT,
        Field("seq", optional=True),
    ),
    (Scope.TASK, MessageKind.STATUS): (
        *_STATUS,
        Field("error", _text_or_nothing, optional=True),
        Field("errorType", _text_or_nothing, optional=True),
        Field("errorKind", _text_or_nothing, optional=True),
        _ATTEMPT,
        Field("retryAt", optional=True),
        Field("failingSince", optional=True),
    ),
    (Scope.TASK, MessageKind.COMPLETE): (_TIMESTAMP,),
    (Scope.ORDER, MessageKind.PROGRESS): (*_PROGRESS, _TIMESTAMP),
    (Scope.ORDER, MessageKind.STATUS): _STATUS,
    (Scope.ORDER, MessageKind.COMPLETE): (
        Field("totalTasks", _number),
        Field("completedTasks", _number),
        Field("failedTasks", _number),
        _TIMESTAMP,
    ),
}

# Used for every message: plain tuples are faster than fields.
_CHECKED: Final = {
    channel: tuple((field.name, field.check) for field in fields if field.check)
    for channel, fields in FIELDS.items()
}
_WRITTEN: Final = {
    channel: tuple((field.name, snake_case(field.name), field.optional) for field in fields)
    for channel, fields in FIELDS.items()
}


class Payload:
    """A message of orderctl, with its channel and an attribute for each of the channel's fields."""

    __slots__ = ()

    @property
    def channel(self) -> Channel:
        """The channel of the message."""
        raise NotImplementedError

    def data(self) -> Data:
        """Return the JSON object to publish."""
        channel = self.channel
        data: Data = {channels.id_name(channel.scope): channel.id}
        for name, attribute, optional in _WRITTEN[channel.scope, channel.kind]:
            value = getattr(self, attribute)
            if value is not None or not optional:
                data[name] = value
        return data


@dataclass(frozen=True, slots=True)
class TaskProgress(Payload):
    """The progress of a task.

    ``speed`` is in bytes/s, None if unknown; ``timestamp`` is in ms since the epoch. A worker that knows its
    attempt sends ``attempt``, and a ``seq`` that rises within it. Messages without them are ordered by their
    timestamps.
    """

    task_id: int
    percent: float
    current_file: str
    speed: float | None
    timestamp: int
    attempt: int | None = None
    seq: int | None = None

    @property
    def channel(self) -> Channel:
        """The channel of the task's progress."""
        return Channel(Scope.TASK, self.task_id, MessageKind.PROGRESS)


@dataclass(frozen=True, slots=True)
class StatusChange(Payload):
    """A change of a task's or an order's status.

    ``error``, ``error_type`` (the contract's word) and ``error_kind`` (orderctl's own) are set if a task failed. If it
    will be tried again, ``retry_at`` says when, and ``failing_since`` when the failures began, in ms since the epoch.
    """

    scope: Scope
    id: int
    new_status: str
    previous_status: str | None
    timestamp: int
    error: str | None = None
    error_type: str | None = None
    attempt: int | None = None
    error_kind: str | None = None
    retry_at: int | None = None
    failing_since: int | None = None

    @property
    def channel(self) -> Channel:
        """The channel of the task's or order's status."""
        return Channel(self.scope, self.id, MessageKind.STATUS)


@dataclass(frozen=True, slots=True)
class Completion(Payload):
    """The end of an order."""

    order_id: int
    total_tasks: int
    completed_tasks: int
    failed_tasks: int
    timestamp: int

    @property
    def channel(self) -> Channel:
        """The channel of the order's end."""
        return Channel(Scope.ORDER, self.order_id, MessageKind.COMPLETE)


def encode(data: Mapping[str, Any]) -> str:
    """Return compact JSON. Lone surrogates stay escaped, so that the text can be encoded as UTF-8."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text if text.isprintable() else json.dumps(data, separators=(",", ":"), allow_nan=False)


def decode(channel: Channel, payload: bytes) -> Data:
    """Validate one publication.

    Args:
        channel: The channel of the message.
        payload: The payload.

    Returns:
        The ``data`` object: the contract's fields checked, further ones unchanged.

    Raises:
        InvalidMessage: The payload is not JSON, too long, nested too deep, or has a number that is not
            finite, a text that is not valid Unicode, or a field of the wrong type.
    """
    return validate(channel, payload)[0]


#: One of these is in each message with a URL, which few are, and none of orderctl's own. JSON may escape a slash.
_SIGNS_OF_A_URL: Final = (b"?", b"//", b"\\/", b"%", b"\\u002")


def validate(channel: Channel, payload: bytes) -> tuple[Data, bytes]:
    """Validate like :func:`decode`, and also return the JSON of the ``data`` object, to pass it on.

    If the payload is the data object itself, its own bytes are returned, unless it has secrets in URLs: they are masked.
    """
    data = _parse(payload)
    if any(sign in payload for sign in _SIGNS_OF_A_URL):
        masked = masking.values(data)
        data, payload = (
            masked,
            payload if masked == data else json.dumps(masked, separators=(",", ":")).encode(),
        )
    if isinstance(data.get("data"), dict) and "scope" in data and "type" in data:
        data = data["data"]
        payload = json.dumps(data, separators=(",", ":")).encode()
    for name, check in _CHECKED[channel.scope, channel.kind]:
        if not check(data.get(name)):
            raise InvalidMessage(f"{name} is missing or not valid")
    return data, payload


def order_of(data: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return a message's place in the order of its channel: (attempt, seq), or None if it lacks them."""
    attempt, seq = data.get("attempt"), data.get("seq")
    return (attempt, seq) if _number(attempt) and _number(seq) else None  # type: ignore[return-value]


def sent_at(data: Mapping[str, Any]) -> float:
    """Return when a message was sent, in ms since the epoch; 0 if it has no timestamp, which is optional."""
    return float(data.get("timestamp") or 0)


def is_newer(data: Mapping[str, Any], than: Mapping[str, Any] | None) -> bool:
    """Whether a message is newer than another of its channel: by (attempt, seq), else by timestamp.

    If both are missing, the answer is False.
    """
    if than is None:
        return True
    mine, other = order_of(data), order_of(than)
    if mine is not None and other is not None:
        return mine > other
    return sent_at(data) > sent_at(than)


def is_overtaken(data: Mapping[str, Any], by: Mapping[str, Any]) -> bool:
    """Whether a message is from a worker that has lost its lease: ``by`` is from a later attempt."""
    mine, other = order_of(data), order_of(by)
    return mine is not None and other is not None and mine < other


def _parse(payload: bytes) -> Data:
    if len(payload) > MAX_BYTES:
        raise InvalidMessage("longer than 16 KiB")
    try:
        data = _DECODER.decode(payload.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidMessage(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise InvalidMessage("not a JSON object")
    # The check costs as much as the parsing, and few payloads can contain what it looks for.
    if b"\\u" in payload or payload.count(b"{") + payload.count(b"[") > MAX_DEPTH:
        _check(data, MAX_DEPTH + 1)
    return data


def _reject(literal: str) -> float:
    raise ValueError(f"{literal} is not a number")


def _whole(literal: str) -> int:
    if len(literal) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
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
            raise InvalidMessage("a text contains a lone surrogate")
    elif isinstance(value, dict | list):
        if left == 0:
            raise InvalidMessage(f"nested more than {MAX_DEPTH} levels deep")
        for inner in value.values() if isinstance(value, dict) else value:
            _check(inner, left - 1)
        if isinstance(value, dict) and not all(map(_unicode, value)):
            raise InvalidMessage("a field name contains a lone surrogate")


def _unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
