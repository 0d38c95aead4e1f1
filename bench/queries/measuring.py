"""Measure each case: its query as the command runs it, and the statement that people write by hand."""

import statistics
import time
from collections.abc import Callable

from sqlalchemy import Engine

from bench.queries.commands import Case, cases
from bench.queries.report import Result
from bench.queries.shop import Shop
from bench.queries.stores import Store, TookTooLongError
from orderctl import database

#: A statement written by hand is ended then.
LIMIT_SECONDS = 20
#: What takes this long is measured in fewer rounds.
_SLOW_SECONDS = 0.2
_FEW = 3


def measure(store: Store, engine: Engine, shop: Shop, rounds: int, results: dict[str, Result]) -> None:
    """Add the times of all cases to the results."""
    for case in cases(engine, shop):
        result = results.setdefault(case.name, Result(case.name, case.goal))
        try:
            result.times[shop.count] = _of_command(engine, case, rounds)
        except Exception as error:  # noqa: BLE001 - the others are measured all the same, and the exit code tells of it
            result.errors.append(f"{type(error).__name__}: {error}")
        if case.by_hand:
            result.by_hand[shop.count] = _by_hand(store, engine, case.by_hand)


def _of_command(engine: Engine, case: Case, rounds: int) -> float:
    with database.reading(engine) as connection:

        def run() -> float:
            began = time.perf_counter()
            case.query(connection)
            return time.perf_counter() - began

        return _median(run, rounds)


def _by_hand(store: Store, engine: Engine, statement: str) -> float:
    try:
        return _median(lambda: store.run(engine, statement, seconds=LIMIT_SECONDS), _FEW)
    except TookTooLongError:
        return LIMIT_SECONDS * 1000 + 1


def _median(run: Callable[[], float], rounds: int) -> float:
    """Return the median time in ms; the first run, which fills caches, counts only if it was slow."""
    first = run()
    if first > _SLOW_SECONDS * 10:
        return first * 1000
    return statistics.median(run() for _ in range(_FEW if first > _SLOW_SECONDS else rounds)) * 1000
