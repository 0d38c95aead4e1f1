"""A short run of the chaos test, and a test of its ledger; ``make chaos`` is the long run."""

from pathlib import Path

import pytest
import redis

from tests.faults.chaos.__main__ import show, weather
from tests.faults.chaos.foreign import Foreign
from tests.faults.chaos.site import SHOP_LOG
from tests.faults.chaos.storm import Plan
from tests.servers.availability import needed
from tests.servers.strict import complaints


@pytest.mark.timeout(480)
@pytest.mark.parametrize("kind", ["mariadb"])
def test_nothing_is_lost_or_doubled_in_a_storm(home: Path, kind: str):
    with needed():
        verdict = weather(home, kind, Plan(seed=3, kills=8, seconds=12, hosts=1), persistent=False)
    show(verdict)
    assert verdict.faults == []
    said = [log.read_text() for log in home.rglob("*.log") if log.name != SHOP_LOG]
    assert any(said)
    assert complaints("".join(said)) == []


def test_the_ledger_notices_what_happens_to_the_jobs_and_keys_of_other_programs(
    redis_url: str, tmp_path: Path
):
    foreign = Foreign(
        redis_url, "", "orderctl", shop="DH", ran=tmp_path / "ran", newest_task=lambda: 7, seed=1
    )
    foreign.write_each()
    foreign.ledger.compare()
    assert foreign.ledger.faults == []

    with redis.Redis.from_url(redis_url) as client:
        jobs = {written.kind: raw_id for raw_id, written in foreign.ledger.jobs.items()}
        client.delete(b"rq:job:" + jobs["pickled"])
        client.expire(b"rq:job:" + jobs["JSON"], 60)
        client.persist(b"rq:job:" + jobs["with an hour to live"])
        client.hset(b"rq:job:" + jobs["garbage"], "status", "failed")
        client.lrem("rq:queue:orderctl", 0, jobs["the id of the next task"])
        client.rpush("order:1:items", "c")
        client.zrem("rq:failed:orderctl", "DH-kept")
        client.srem("rq:workers", "rq:worker:DH-worker")
        client.delete(b"rq:job:" + next(iter(foreign.ledger.own_jobs)))
    foreign.ledger.compare()
    foreign.close()

    wanted = ["is gone", "expires at", "expires at", "has other values of [b'status']", "neither queued nor"]
    wanted += ["has another content", "is gone from rq:failed", "is gone from rq:workers", "has not run"]
    assert len(foreign.ledger.faults) == len(wanted)
    for words in wanted:
        assert any(words in fault for fault in foreign.ledger.faults), words
