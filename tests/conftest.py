"""Fixtures for all tests."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine

from orderctl import database, embedded
from tests.shop import Shop

pytest_plugins = [
    "tests.servers.fixtures",
    "tests.servers.fake_redis",
    "tests.servers.skipping",
    "tests.faults.fixtures",
]

# On a busy machine a slow example, or one that is generated slowly, does not indicate a fault of the code.
settings.register_profile("orderctl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("orderctl")

# A shell starts background jobs with SIGINT ignored, and every program started here would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    yield (engine := database.connect(database_url))
    engine.dispose()


@pytest.fixture
def shop(migrated_url: str) -> Iterator[Shop]:
    engine = database.connect(migrated_url, lock_wait_seconds=5)
    yield Shop(engine)
    engine.dispose()


@pytest.fixture
def state_dir(home: Path) -> Iterator[Path]:
    """A state folder. An embedded server that was started in it is stopped when the test ends."""
    folder = home / "st"
    yield folder
    embedded.stop(folder)
