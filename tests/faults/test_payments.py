"""A short run of the storm of payments, and a test of its verdict; ``make chaos-payments`` is the long run."""

import sys
from pathlib import Path

import pytest

from tests.faults.payments.storm import Place, Plan, run
from tests.servers.mysql import MysqlServer
from tests.servers.strict import complaints

#: Quick retries; the long run waits for seconds, as banks do.
UNIT = 0.1


@pytest.mark.timeout(240)
def test_each_transfer_counts_once_whatever_is_killed(
    home: Path, migrated_url: str, redis_url: str, database_server: MysqlServer | None
):
    place = Place(home, migrated_url, redis_url, database_server)
    plan = Plan(50, kills=2 if database_server else 1, unit=UNIT, outage=0.1, seconds=120)

    verdict = run(place, plan)

    assert verdict.faults == []
    assert complaints(place.log.read_text()) == []


@pytest.mark.databases("sqlite")
def test_the_verdict_notices_a_relay_that_forgets_what_it_knows(
    home: Path, migrated_url: str, redis_url: str
):
    forgetful = [sys.executable, "-m", "tests.faults.payments.forgetful"]
    place = Place(home, migrated_url, redis_url, program=forgetful)

    verdict = run(place, Plan(60, kills=0, unit=UNIT, seconds=60))

    assert len(verdict.doubled) > 5
