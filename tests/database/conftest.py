from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from orderctl import database
from tests.database.styles import STYLES, Style
from tests.shop import Shop


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run whatever uses ``style`` once for each database of the gallery, on each server it is for."""
    if "style" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("styles")
        chosen = [STYLES[name] for name in (marker.args if marker else STYLES)]
        pairs = [(kind, style) for style in chosen for kind in style.kinds]
        ids = [f"{style.name}-{kind}" for kind, style in pairs]
        metafunc.parametrize(("database_kind", "style"), pairs, ids=ids)


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
def adopted_shop(engine: Engine, style: Style) -> Engine:
    """A database of the gallery."""
    style.load(engine)
    return engine
