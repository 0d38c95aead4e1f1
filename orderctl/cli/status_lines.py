"""The screen of ``orderctl status``, and what it has in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from orderctl import counting
from orderctl.errors import NotMigrated
from orderctl.terminal import render, sanitise
from orderctl.terminal.render import View
from orderctl.terminal.widths import paint, wrap

if TYPE_CHECKING:
    from orderctl.health.causes import Trouble
    from orderctl.health.overview import Failures, Overview, Queue
    from orderctl.health.signs import StoreSign
    from orderctl.operations.reading import Activity
    from orderctl.order_stats import Stats
    from orderctl.relay_signs import RelaySign

#: The width of the names of the parts, with a gap.
_WIDE: Final = 13
#: On a narrower screen what is known of a part stands below its name.
_LEAST: Final = 30
_UNKNOWN: Final = "not known"


def record(seen: Overview, causes: Sequence[Trouble], state: str) -> dict[str, Any]:
    """Return the overview as it stands in JSON; what is not known is null.

    Args:
        seen: The overview.
        causes: Why it is not well.
        state: The same in one word.
    """
    numbers = seen.numbers
    return {
        "state": state,
        "causes": [one.record for one in causes],
        "database": seen.stores.database.record,
        "redis": seen.stores.redis.record,
        "relays": None if seen.relays is None else [_relay(one) for one in seen.relays],
        "workers": seen.workers and asdict(seen.workers),
        "queue": seen.queue and _queue(seen.queue),
        "orders": numbers and _shown(numbers.stats, "orders"),
        "tasks": numbers and _shown(numbers.stats, "tasks"),
        "failures": numbers
        and {"failed": numbers.failures.failed, "tried_again": numbers.failures.tried_again},
        "outbox": numbers
        and {
            "waiting": _capped(numbers.messages.waiting),
            "given_up": _capped(numbers.messages.given_up),
            "oldest_due_at": numbers.messages.since,
        },
        "payments": numbers and dict(numbers.payments),
        "operations": numbers and numbers.operations._asdict(),
        "at_least": sorted(_at_least(seen)),
    }


def _capped(number: int) -> int:
    from orderctl.health.overview import MOST

    return min(number, MOST)


def _shown(stats: Stats, scope: str) -> dict[str, int]:
    from orderctl.statuses import COUNT_LIMIT

    return {status: min(number, COUNT_LIMIT) for status, number in stats.numbers[scope].items()}


def _relay(sign: RelaySign) -> dict[str, Any]:
    ago = sign.hour_ago
    return {
        "name": sign.name,
        "host": sign.host,
        "address": sign.address,
        "port": sign.port,
        "pid": sign.pid,
        "connections": sign.connections,
        "connections_hour_ago": None if ago is None else ago.connections,
        "started": sign.started,
    }


def _queue(queue: Queue) -> dict[str, Any]:
    return {
        "name": queue.name,
        "paused": queue.paused,
        "waiting": _capped(queue.waiting),
        "oldest_since": queue.since,
        "oldest_seconds": None if queue.waited is None else round(queue.waited.total_seconds(), 1),
        "reason": queue.reason and queue.reason.record,
    }


def _at_least(seen: Overview) -> Iterator[str]:
    """Yield the names of the numbers that are lower bounds."""
    from orderctl.health.overview import MOST
    from orderctl.statuses import COUNT_LIMIT

    if seen.queue is not None and seen.queue.waiting > MOST:
        yield "queue.waiting"
    if (numbers := seen.numbers) is None:
        return
    yield from numbers.stats.at_least
    if numbers.failures.at_least:
        yield from ("failures.failed", "failures.tried_again")
    for name in ("waiting", "given_up"):
        if getattr(numbers.messages, name) > MOST:
            yield f"outbox.{name}"
    for outcome, number in numbers.payments.items():
        if number > COUNT_LIMIT:
            yield f"payments.{outcome}"


# --- For people


def screen(seen: Overview, causes: Sequence[Trouble], view: View) -> str:
    """Return the overview for people: a line for each part, and one for each cause with its command.

    Args:
        seen: The overview.
        causes: Why it is not well.
        view: The terminal.
    """
    parts: dict[str, str] = {
        "database": store(seen.stores.database),
        "redis": store(seen.stores.redis),
        "relays": _UNKNOWN if seen.relays is None else _relays(seen.relays),
        "workers": _workers(seen),
        "queue": _UNKNOWN if seen.queue is None else _waiting(seen.queue),
        **_numbers(seen),
    }
    lines = [line for name, text in parts.items() for line in _part(name, text, view)]
    if not causes:
        lines.append(paint("All is well.", "green" if view.color else None))
    for cause in causes:
        text = sanitise.line(f"! {cause.line}")
        lines += wrap(paint(text, "red" if view.color else None), view.width)
    return "".join(f"{line}\n" for line in lines)


def _part(name: str, text: str, view: View) -> list[str]:
    text = sanitise.line(text)
    if view.width is not None and view.width - _WIDE < _LEAST:
        return [name, *(f"  {line}" for line in wrap(text, view.width - 2))]
    first, *others = wrap(text, None if view.width is None else view.width - _WIDE)
    return [name.ljust(_WIDE) + first, *(" " * _WIDE + line for line in others)]


def store(sign: StoreSign) -> str:
    """Return what was found of a store, for people, on one line."""
    if sign.state == "idle":
        return "embedded, not running: the first command that needs it starts it"
    facts = [sign.server, sign.role and str(sign.role), _latency(sign.latency)]
    if sign.migration is not None:
        facts.append(sign.migration.text)
    if sign.error is not None and not isinstance(sign.error, NotMigrated):
        facts.insert(0, str(sign.state))
    return " · ".join([fact for fact in facts if fact] + ([sign.url] if sign.url else []))


def _latency(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds * 1000:.2g} ms"


def _relays(found: Sequence[RelaySign]) -> str:
    if not found:
        return "none"
    each = [f"{one.host}:{one.port}: {_connections(one)}" for one in found]
    return f"{len(found)} running · {' · '.join(each)}"


def _connections(sign: RelaySign) -> str:
    ago = sign.hour_ago
    earlier = "" if ago is None else f" (1h ago: {ago.connections})"
    return f"{counting.counted(sign.connections, 'connection')}{earlier}"


def _workers(seen: Overview) -> str:
    found = seen.workers
    if found is None:
        return _UNKNOWN
    if not (found.supervisors or found.lost):
        return "none"
    facts = [
        f"{found.workers} alive",
        f"{found.busy} busy",
        counting.counted(found.supervisors, "supervisor"),
    ]
    facts += [f"{found.draining} draining"] if found.draining else []
    facts += [f"{found.lost} without a heartbeat"] if found.lost else []
    return " · ".join(facts)


def _waiting(queue: Queue) -> str:
    facts = [f"{_plus(queue.waiting)} waiting"]
    if queue.waited is not None:
        facts.append(f"the oldest for {render.duration(queue.waited.total_seconds())}")
    facts += ["paused"] if queue.paused else []
    return " · ".join([*facts, queue.name])


def _plus(number: int) -> str:
    from orderctl.health.overview import MOST

    return f"{MOST}+" if number > MOST else str(number)


def _numbers(seen: Overview) -> dict[str, str]:
    from orderctl.payments import waiting

    if (found := seen.numbers) is None:
        return {}
    sent = f"{_plus(found.messages.waiting)} waiting · {_plus(found.messages.given_up)} given up"
    return {
        "paid orders": _statuses(found.stats, "orders"),
        "tasks": _statuses(found.stats, "tasks"),
        "failures": _failures(found.failures),
        "outbox": sent,
        "payments": f"{waiting.shown(sum(found.payments.values()))} waiting for a decision",
        "operations": _operations(found.operations),
    }


def _operations(found: Activity) -> str:
    facts = [f"{found.running} running"]
    facts += [f"{found.settling} settling"] if found.settling else []
    facts += [f"{found.stopped} stopped in the last day"] if found.stopped else []
    return " · ".join(facts)


def _statuses(stats: Stats, scope: str) -> str:
    from orderctl.statuses import COUNT_LIMIT

    def text(status: str, number: int) -> str:
        return f"{min(number, COUNT_LIMIT)}{'+' if f'{scope}.{status}' in stats.at_least else ''} {status or '-'}"

    found = [
        text(status, number)
        for status, number in stats.numbers[scope].items()
        if number or f"{scope}.{status}" in stats.at_least
    ]
    return " · ".join(found) or "none"


def _failures(found: Failures) -> str:
    plus = "+" if found.at_least else ""
    failed = _kinds(found.failed) or "none"
    again = f" · to be tried again: {_kinds(found.tried_again)}" if found.tried_again else ""
    return f"last hour{' (the newest)' if plus else ''}: {failed}{again}"


def _kinds(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in numbers.items())
