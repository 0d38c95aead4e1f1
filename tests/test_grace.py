"""How long workers have for a heartbeat after an outage."""

import pytest

from orderctl.grace import Grace

LEASE = 30.0


class World:
    """A keeper that looks, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.grace = Grace(LEASE)

    def look(self, *, after: float = 1.0, lasting: float = 0.0) -> bool:
        self.now += after
        began = self.now
        self.now += lasting
        return self.grace.look(began)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr("orderctl.clock.elapsed", lambda: world.now)
    return world


def test_in_normal_times_an_expired_lease_counts_at_once(world: World):
    assert all(world.look(lasting=0.5) for _ in range(20))


def test_after_an_outage_there_is_time_for_one_heartbeat(world: World):
    world.look()
    for _ in range(60):
        world.grace.miss()
        world.now += 1
    looks = [world.look() for _ in range(12)]
    assert looks == [False] * 8 + [True] * 4


def test_a_server_that_hung_was_away(world: World):
    world.look()
    assert not world.look(lasting=LEASE * 0.75)


def test_a_machine_that_slept_has_workers_that_slept(world: World):
    world.look()
    assert not world.look(after=60)


def test_a_slow_redis_is_no_outage_of_the_database(world: World):
    assert all(world.look(after=4) for _ in range(20))


def test_a_worker_whose_row_is_locked_is_spared_alone(world: World):
    world.grace.spare("one")
    world.look()
    assert world.grace.spares("one")
    assert not world.grace.spares("two")
    world.now += LEASE / 4
    world.look()
    assert not world.grace.spares("one")


def test_a_lock_that_took_long_held_the_heartbeat_up_as_well(world: World):
    began = world.now
    assert not world.grace.spare_after_wait("one", began)
    world.now += 9
    assert world.grace.spare_after_wait("one", began)
    assert world.grace.spares("one")
