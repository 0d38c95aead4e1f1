"""The codec of the plain protocol on ``/ws``: each text frame is one JSON object. No I/O.

client   {"event": "subscribe:task", "data": {"taskId": 456}, "id": 1}
server   {"event": "ack", "id": 1, "data": {...}}
         {"event": "error", "id": 1, "error": "taskId must be a whole number above 0"}
         {"event": "progress", "data": {"scope": "task", "id": 456, "type": "progress", "data": {...}}}

Each call is answered. The answer has the call's ``id``, if it has one.
"""

from __future__ import annotations

from typing import Any, Final

from orderctl.relay.codecs.calls import MAX_NAME, Call, InvalidFrame, parse_json, to_json

#: Longest ``id`` of a call, in characters.
_MAX_ID: Final = 64


def decode(text: str) -> Call:
    """Read a client's frame.

    Raises:
        InvalidFrame: When it is not a JSON object with ``event``, or its ``id`` is neither a string nor a
            number.
    """
    frame = parse_json(text)
    if not isinstance(frame, dict):
        raise InvalidFrame("a frame must be a JSON object")
    event = frame.get("event")
    if not isinstance(event, str) or not 0 < len(event) <= MAX_NAME:
        raise InvalidFrame(f"event must be a string of 1 to {MAX_NAME} characters")
    return Call(event, frame.get("data"), _read_id(frame.get("id")))


def _read_id(value: object) -> int | str | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    if value is not None and not whole and not (isinstance(value, str) and len(value) <= _MAX_ID):
        raise InvalidFrame(f"id must be a whole number or a string of at most {_MAX_ID} characters")
    return value  # type: ignore[return-value]


def message(kind: bytes, envelope: bytes) -> bytes:
    """Encode a publication, whose envelope is JSON already."""
    return b'{"event":"%b","data":%b}' % (kind, envelope)


def event(name: str, data: Any = None) -> bytes:
    """Encode an event of the relay itself, such as ``relay:degraded``."""
    return to_json({"event": name, "data": data})


def acknowledgement(call_id: int | str | None, data: Any = None) -> bytes:
    """Encode the answer to a call that was carried out."""
    return to_json({"event": "ack", **_repeat(call_id), "data": data})


def error(call_id: int | str | None, text: str) -> bytes:
    """Encode the answer to a call that was not carried out."""
    return to_json({"event": "error", **_repeat(call_id), "error": text})


def _repeat(call_id: int | str | None) -> dict[str, int | str]:
    return {} if call_id is None else {"id": call_id}
