from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from orderctl import database


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    yield (engine := database.connect(database_url))
    engine.dispose()
