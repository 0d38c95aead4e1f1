"""What is wrong with Redis, for the link ``queue``."""

from __future__ import annotations

from orderctl.errors import OrderctlError
from orderctl.health import redis_causes
from orderctl.why.chain import Link, State, Step


def step(error: OrderctlError) -> Step:
    """Return what an error of Redis means for the queue."""
    text, found = str(error), redis_causes.of(error)
    if found.name == "queue-wrong-type":
        return _wrong_type(text, ())
    explanation = None if found.repair else found.explanation
    return Step(Link.QUEUE, State.BROKEN, text.rstrip("."), found.name, (), found.repair, explanation)


def wrong_type(key: str, found: str, wanted: str) -> Step:
    """Return that another program has written something else into a key of the queue."""
    return _wrong_type(
        f"another program uses the name of a key of the queue: {key}",
        (f"{key} is a {found}, not a {wanted}",),
    )


def _wrong_type(text: str, facts: tuple[str, ...]) -> Step:
    explanation = (
        "orderctl deletes nothing that it did not write. Rename the key (redis-cli RENAME), or give orderctl a queue or "
        "a prefix of its own by worker.queue or redis.prefix; then it goes on by itself."
    )
    return Step(Link.QUEUE, State.BROKEN, text, "queue-wrong-type", facts, explanation=explanation)
