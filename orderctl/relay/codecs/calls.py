"""The calls of clients, the same for both protocols.

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
#: Highest id: the highest BIGINT, which has 19 digits.
MAX_ID: Final = 2**63 - 1

SUBSCRIBE: Final = "subscribe"
UNSUBSCRIBE: Final = "unsubscribe"

_ACTIONS: Final = frozenset({SUBSCRIBE, UNSUBSCRIBE})
_SCOPES: Final = {str(scope): scope for scope in Scope}
_KEYS: Final = {scope: id_name(scope) for scope in Scope}


class InvalidFrame(InvalidInput):
    """The frame does not conform to the protocol."""


class InvalidCall(InvalidInput):
    """The relay does not know the call."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a client.

    Attributes:
        event: Its name, such as ``subscribe:task``.
        data: Its argument, not yet validated.
        id: Id that the answer repeats; None when the client expects no answer.
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
    """Read a subscription or an unsubscription from a call.

    Returns:
        ``subscribe`` or ``unsubscribe``, and the topic.

    Raises:
        InvalidCall: When it is another call, or its argument is neither ``{orderId}`` nor ``{taskId}``.
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
    # Dashboards take ids from URLs and input fields, as strings.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MAX_ID)):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_ID:
        raise InvalidCall(f"{key} must be a whole number above 0")
    return value


def parse_json(text: str) -> Any:
    """Parse a client's JSON text.

    Raises:
        InvalidFrame: When it is not JSON, or contains NaN or Infinity.
    """
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise InvalidFrame("the frame is not valid JSON") from None


def to_json(value: Any) -> bytes:
    """Encode a value of the relay's own as JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def _reject(literal: str) -> NoReturn:
    raise ValueError(literal)


_DECODER: Final = json.JSONDecoder(parse_constant=_reject)
