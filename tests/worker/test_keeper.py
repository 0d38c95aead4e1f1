"""The keeper while the database is away."""

import pytest

from orderctl import channels
from tests.faults.world import World
from tests.waiting import eventually


@pytest.mark.databases("sqlite")
def test_a_supervisor_sends_its_heartbeat_while_the_database_is_away(world: World):
    """Otherwise `worker list` would call it lost, and `worker stop` would not find it."""
    world.database_url = "mysql+pymysql://shop@127.0.0.1:1/shop"
    with world.playing("keep"):
        eventually(lambda: world.client.exists(channels.supervisor("supervisor")), "its heartbeat")
