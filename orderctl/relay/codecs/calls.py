"""What clients ask of the relay, whatever the framing.

Both codecs turn a client's frame into a :class:`Call`; :func:`action_of` reads a subscription from it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from orderctl.channels import Scope, id_name
from orderctl.errors import InvalidInput

#: Longest message of a client, in bytes.
MAX_BYTES: Final = 64 * 1024
#: Longest name of an event, in characters.
MAX_NAME: Final = 64
#: Highest id: what fits into BIGINT and into 19 digits.
MAX_ID: Final = 2**63 - 1

SUBSCRIBE: Final = "subscribe"
UNSUBSCRIBE: Final = "unsubscribe"

_ACTIONS: Final = frozenset({SUBSCRIBE, UNSUBSCRIBE})
_SCOPES: Final = {str(scope): scope for scope in Scope}
_KEYS: Final = {scope: id_name(scope) for scope in Scope}


class InvalidFrame(InvalidInput):
    """The frame is not one of this protocol."""


class InvalidCall(InvalidInput):
    """The call is not one that the relay knows."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a client.

    Attributes:
        event: Its name, such as ``subscribe:task``.
        data: Its argument, as it came.
        id: What the answer has to repeat; None where no answer is awaited.
    """

    event: str
    data: Any = None
    id: int | str | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """One order or task."""

    scope: Scope
    id: int


def action_of(call: Call) -> tuple[str, Topic]:
    """Read a subscription or its end.

    Returns:
        ``subscribe`` or ``unsubscribe``, and of what.

    Raises:
        InvalidCall: When it is another call, or its argument is none of ``{orderId}`` and ``{taskId}``.
    """
    action, _, word = call.event.partition(":")
    scope = _SCOPES.get(word)
    if scope is None or action not in _ACTIONS:
        raise InvalidCall(f"unknown event {call.event!r}")
    key = _KEYS[scope]
    if not isinstance(call.data, dict):
        raise InvalidCall(f"{call.event} needs {{{key}: number}}")
    return action, Topic(scope, _id(call.data.get(key), key))


def _id(value: object, key: str) -> int:
    # Dashboards take ids from URLs and inputs, as text.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MAX_ID)):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_ID:
        raise InvalidCall(f"{key} must be a whole number above 0")
    return value


def parse_json(text: str) -> Any:
    """The value of a client's JSON text.

    Raises:
        InvalidFrame: When it is not JSON, or has a number that JSON does not know.
    """
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise InvalidFrame("the frame is not valid JSON") from None


def to_json(value: Any) -> bytes:
    """What the relay says itself, as JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def _reject(literal: str) -> NoReturn:
    raise ValueError(literal)


_DECODER: Final = json.JSONDecoder(parse_constant=_reject)
