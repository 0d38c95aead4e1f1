from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from orderctl import database
from tests.shop import Shop


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    yield (engine := database.connect(database_url))
    engine.dispose()


@pytest.fixture
def shop(migrated_url: str) -> Iterator[Shop]:
    engine = database.connect(migrated_url, lock_wait_seconds=5)
    yield Shop(engine)
    engine.dispose()
