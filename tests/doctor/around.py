"""What the checks look at, for tests: settings, and the stores that a test has."""

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from sqlalchemy import Engine

from orderctl import broker, settings
from orderctl.doctor.ahead import Peers
from orderctl.doctor.checks import Check, Verdict
from orderctl.doctor.surroundings import Opened, Surroundings

Make = Callable[..., Iterable[Check]]


def look(
    make: Make,
    *,
    engine: Engine | None = None,
    ahead: Callable[[Peers], Any] | None = None,
    listen: float = 0.3,
    patience: float = 1.0,
    **given: str,
) -> list[Check]:
    """Make the checks of one examination.

    Args:
        make: The examination.
        engine: The database.
        ahead: Its look ahead.
        listen: For how long channels are listened to.
        patience: For each answer.
        given: Settings, such as ``redis_url``.
    """
    chosen = settings.load({name.replace("_", ".", 1): value for name, value in given.items()}, environ={})
    peers = Peers(chosen, patience, listen)
    found = () if ahead is None else (ahead(peers),)
    if chosen.redis.url is None:
        return list(make(Surroundings(chosen, Opened(engine)), *found))
    with closing(broker.brisk(str(broker.running_url(chosen)))) as client:
        client.prefix = chosen.redis.prefix  # type: ignore[attr-defined]
        return list(make(Surroundings(chosen, Opened(engine), Opened(client)), *found))


def named(checks: Iterable[Check], name: str) -> Check:
    """Return the only check of this name."""
    [found] = [check for check in checks if check.name == name]
    return found


def unwell(checks: Iterable[Check]) -> dict[str, Verdict]:
    """Return the names of the checks that are not well, with their verdicts."""
    return {check.name: check.verdict for check in checks if check.verdict is not Verdict.WELL}
