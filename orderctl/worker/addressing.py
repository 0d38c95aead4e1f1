"""To which endpoints an event goes: each of those that want it gets an entry of its own in the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection, Engine

from orderctl import database, outbox
from orderctl.outbox import Entry, EntryKind, Lane
from orderctl.webhook_endpoints import Endpoint
from orderctl.worker import settlement
from orderctl.worker.webhook import EndpointRemoved

_BATCH: Final = 20
#: The transaction that takes an entry also addresses it.
_LEASE: Final = 60.0
#: Characters of the longest key of an event: that of an endpoint's entry also has the endpoint's name.
_LONGEST_KEY: Final = 150


def due(
    engine: Engine, endpoints: Mapping[str, Endpoint], over: Callable[[], bool]
) -> tuple[list[Endpoint], dict[str, str]]:
    """Address the events that have no endpoint yet; return the endpoints for which entries are due.

    As long as nothing is due, it is one query.

    Args:
        engine: The database.
        endpoints: All that are configured, by name.
        over: Returns True when it has to stop.

    Returns:
        The endpoints, and each entry that goes to none, by its dedup key: with the remark, or "" if it was given up.
    """
    dropped: dict[str, str] = {}
    found = _due(engine)
    if found - endpoints.keys():
        lane = Lane((EntryKind.WEBHOOK,), configured=tuple(endpoints))
        while not over() and _is_due(engine, lane):
            remarks = database.transact(engine, lambda connection: _address(connection, lane, endpoints))
            dropped |= {key: remark for key, remark in remarks.items() if remark is not None}
            if len(remarks) < _BATCH:
                break
        found = _due(engine)
    return [endpoint for name, endpoint in endpoints.items() if name in found], dropped


def _due(engine: Engine) -> set[str | None]:
    with database.reading(engine) as connection:
        return outbox.due_endpoints(connection)


def _is_due(engine: Engine, lane: Lane) -> bool:
    with database.reading(engine) as connection:
        return outbox.is_due(connection, lane)


def _address(connection: Connection, lane: Lane, endpoints: Mapping[str, Endpoint]) -> dict[str, str | None]:
    """Address some entries; return a remark for each that goes to no endpoint, by dedup key."""
    entries = outbox.take(connection, lane, limit=_BATCH, lease_seconds=_LEASE)
    return {entry.dedup_key: _address_one(connection, entry, endpoints) for entry in entries}


def _address_one(connection: Connection, entry: Entry, endpoints: Mapping[str, Endpoint]) -> str | None:
    if entry.endpoint is not None:
        settlement.give_up(connection, entry, EndpointRemoved(entry.endpoint))
        return ""
    if len(entry.dedup_key) > _LONGEST_KEY:
        outbox.fail(connection, entry, f"the dedup_key has more than {_LONGEST_KEY} characters")
        return ""
    event = entry.payload.get("event")
    wanting = [name for name, endpoint in endpoints.items() if endpoint.wants(event)]
    if wanting:
        outbox.address(connection, entry, wanting)
        return None
    remark = f"no endpoint wants {event}" if endpoints else "no endpoint is configured"
    outbox.mark_sent(connection, entry, remark=remark)
    return remark
