"""A short run of the chaos test; ``make chaos`` is the long one."""

from pathlib import Path

import pytest

from tests.faults.chaos.__main__ import show, weather
from tests.faults.chaos.storm import Plan
from tests.servers.availability import needed
from tests.servers.strict import complaints


@pytest.mark.timeout(480)
@pytest.mark.parametrize("kind", ["mariadb"])
def test_nothing_is_lost_or_doubled_in_a_storm(home: Path, kind: str):
    with needed():
        verdict = weather(home, kind, Plan(seed=4, kills=12, seconds=15, hosts=1), persistent=False)
    show(verdict)
    assert verdict.faults == []
    said = [log.read_text() for log in home.rglob("*.log")]
    assert any(said)
    assert complaints("".join(said)) == []
