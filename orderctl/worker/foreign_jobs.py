"""What can be said about another program's job without running or unpacking anything of it.

Nothing is unpickled: the name of the function is read from the pickle's own instructions. Arguments, results and
descriptions are not read at all, because they may hold secrets.
"""

from __future__ import annotations

import json
import pickletools
import re
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis

from orderctl import allowlist, doorbell

#: Fields that are shown, besides the function.
_FIELDS: Final = ("data", "origin", "status", "created_at", "enqueued_at", "timeout", *allowlist.FORBIDDEN)
#: Longest value that is read, in bytes; also of a call after decompression.
_LONGEST: Final = 65_536
#: Longest value that is shown, in characters.
_SHOWN: Final = 200
_ESCAPE: Final = re.compile(rb"\\(\\|x[0-9a-f]{2})")


class Entry(Protocol):
    """What is known of the rejection."""

    @property
    def queue(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def at(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Summary:
    r"""A rejected job.

    Attributes:
        job_id: Its id, in which bytes that are no text are written as ``\\xff``.
        queue: The queue from which it was taken.
        reason: Why it was rejected.
        at: When, in ms since the epoch.
        function: What it calls, if that can be read.
        format: How its call is written: ``json``, ``pickle``, or ``unknown``.
        origin: The queue that it was made for.
        extras: Its callbacks and dependencies, by the names of RQ's fields.
        data_bytes: The length of its call.
        ttl: The seconds after which it expires; None: never.
    """

    job_id: str
    queue: str
    reason: str
    at: int
    function: str | None
    format: str
    origin: str | None
    status: str | None
    created_at: str | None
    enqueued_at: str | None
    timeout: str | None
    extras: dict[str, str]
    data_bytes: int
    ttl: int | None


def spell(raw_id: bytes) -> str:
    r"""Return an id as text: a byte or character that cannot be shown becomes ``\xff``, a backslash two."""
    text = raw_id.decode("utf-8", "surrogateescape")
    return "".join(
        "\\\\" if letter == "\\" else letter if letter.isprintable() else _escaped(letter) for letter in text
    )


def unspell(job_id: str) -> bytes:
    """Return the id that :func:`spell` wrote."""
    raw = job_id.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(lambda match: b"\\" if match[1] == b"\\" else bytes([int(match[1][1:], 16)]), raw)


def summarise(client: redis.Redis, queue: Any, raw_id: bytes, entry: Entry) -> Summary | None:
    """Return what can be said about a rejected job, None when it is gone.

    Args:
        client: A Redis client.
        queue: Any RQ queue, for the names of keys.
        raw_id: The job's id.
        entry: Its rejection.
    """
    key: Any = doorbell.job_key(queue, raw_id)
    seen = allowlist.look(client, key, _FIELDS, _LONGEST)
    if seen.kind == "none":
        return None
    written = allowlist.inflate(seen.fields.get("data", b""), _LONGEST)
    form, function = _read_call(written)

    def text(name: str) -> str | None:
        value = seen.fields.get(name)
        return value.decode("utf-8", "replace")[:_SHOWN] if value is not None else None

    extras = {name: text(name) or "too long to show" for name in allowlist.FORBIDDEN if name in seen.lengths}
    ttl: Any = client.ttl(key)
    plain = {name: text(name) for name in ("origin", "status", "created_at", "enqueued_at", "timeout")}
    return Summary(
        job_id=spell(raw_id),
        queue=entry.queue,
        reason=entry.reason,
        at=entry.at,
        function=function[:_SHOWN] if function else None,
        format=form,
        extras=extras,
        data_bytes=seen.lengths.get("data", 0),
        ttl=None if ttl < 0 else ttl,
        **plain,
    )


def keys(queue: Any, raw_id: bytes) -> list[bytes]:
    """Return the keys of all that RQ keeps of a job that is not running."""
    key = doorbell.job_key(queue, raw_id)
    dependencies = doorbell.job_key(queue, b":" + raw_id + b":dependencies")
    return [key, key + b":dependents", dependencies, doorbell.results_key(queue, raw_id)]


def _read_call(written: bytes) -> tuple[str, str | None]:
    """Return the format of a call, and the name of the function."""
    try:
        call = json.loads(written)
    except (ValueError, RecursionError):
        function = _first_text(written)
        return ("pickle" if written[:1] == b"\x80" else "unknown"), function
    found = call[0] if isinstance(call, list) and call else None
    return "json", found if isinstance(found, str) else None


def _first_text(written: bytes) -> str | None:
    """Return the first text of a pickle, which RQ makes the name of the function."""
    if written[:1] != b"\x80":
        return None
    try:
        return next(value for _, value, _ in pickletools.genops(written) if isinstance(value, str))
    except (ValueError, StopIteration, OverflowError, MemoryError):
        return None


def _escaped(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))
