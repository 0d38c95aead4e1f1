"""Shops' databases at random; `make fuzz-migrate` tries many more."""

import random
from collections import Counter

import pytest

from tests.migrate.fuzz.quirks import harmless, hostile, make
from tests.migrate.fuzz.trial import Outcome, attempt
from tests.servers.mysql import MysqlServer

#: Seeds with many different quirks, of which about half are adopted.
FIRST = 1


@pytest.mark.databases("mariadb", "mysql")
def test_random_shops_are_adopted_and_work_or_are_refused_and_not_touched(
    database_server: MysqlServer, database_kind: str
) -> None:
    seeds = [*range(FIRST, FIRST + 19), random.randrange(10**6)]

    results = [attempt(database_server, database_kind, seed) for seed in seeds]

    for result in results:
        assert result.outcome is not Outcome.BROKEN, (
            f"make fuzz-migrate ARGS='--database {database_kind} --seed {result.seed} --schemas 1':\n"
            + "\n".join(result.reasons)
        )
    outcomes = Counter(result.outcome for result in results)
    assert outcomes[Outcome.ADOPTED] >= len(seeds) / 3, outcomes
    assert outcomes[Outcome.REFUSED] >= len(seeds) / 5, outcomes


def test_every_quirk_occurs_and_a_seed_makes_the_same_shop_again() -> None:
    shops = [make(seed, "mariadb") for seed in range(300)]

    assert {name for shop in shops for name in shop.features} == {q.__name__ for q in harmless + hostile}
    assert list(shops[7].statements()) == list(make(7, "mariadb").statements())
