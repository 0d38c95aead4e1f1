"""Outages of the database during a download: they cost no attempt and no download, and fill no log."""

from pathlib import Path

import pytest

from tests.faults.world import World
from tests.servers.mysql import MysqlServer
from tests.waiting import eventually

#: In seconds. A heartbeat comes each second.
LEASE = 4


@pytest.mark.databases("mariadb", "mysql")
def test_a_read_only_database_costs_no_attempt_even_beyond_the_lease(
    world: World, database_server: MysqlServer
):
    """The keeper of the same machine finds an expired lease as soon as the database accepts writes again."""
    log = world.state / "supervisor.log"
    world.course()
    reached = world.courses.hold("/go/lesson.bin", at=10_000)
    [task] = world.shop.paid("DH1", [world.courses.url + "/go/course.json"])
    with world.supervisor("--lease", str(LEASE), log=log):
        reached()
        database_server.execute("SET GLOBAL read_only = 1")
        try:
            # As root, whom the server lets; orderctl writes nothing now, whatever its account.
            database_server.execute(
                "UPDATE download_tasks SET lease_until = TIMESTAMPADD(MINUTE, -1, UTC_TIMESTAMP(6))",
                database=world.engine.url.database,
            )
            eventually(lambda: outages(log) >= 2, "the first lines of the heartbeat and of the keeper")
        finally:
            database_server.execute("SET GLOBAL read_only = 0")
        eventually(lambda: world.shop.task_row(task).lease_until > world.shop.now(), "the heartbeat")
        world.courses.release("/go/lesson.bin")
        eventually(world.settled, "the order's end")
    world.assert_well()
    assert world.shop.task(task).attempt == 1
    types = world.shop.event_types(1)
    assert types.count("download_started") == 1
    assert "task_recovered" not in types
    assert [request.path for request in world.courses.requests].count("/go/lesson.bin") == 1
    said = log.read_text()
    assert outages(log) <= 3, "of the work-horse, the keeper and the courier"
    assert 1 <= said.count("the database is back after") <= 3
    assert "Traceback" not in said


def outages(log: Path) -> int:
    return log.read_text().count("waiting: the database is read-only")
