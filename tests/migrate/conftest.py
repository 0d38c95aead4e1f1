from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from orderctl import database
from tests.migrate.gallery import STYLES, Style
from tests.servers.databases import fresh_name
from tests.servers.mysql import MysqlServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses ``style`` for each database of the gallery, on each server that it supports."""
    if "style" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("styles")
        chosen = [STYLES[name] for name in (marker.args if marker else STYLES)]
        pairs = [(kind, style) for style in chosen for kind in style.kinds]
        ids = [f"{style.name}-{kind}" for kind, style in pairs]
        metafunc.parametrize(("database_kind", "style"), pairs, ids=ids)


@pytest.fixture
def adopted_shop(engine: Engine, style: Style) -> Engine:
    """A database of the gallery."""
    style.load(engine)
    return engine


@pytest.fixture
def fresh(database_server: MysqlServer | None, tmp_path: Path) -> Iterator[Callable[[Style | None], Engine]]:
    """``fresh(style)`` creates another database of that style."""
    engines: list[Engine] = []
    names: list[str] = []

    def make(style: Style | None) -> Engine:
        name = fresh_name()
        if database_server is None:
            (tmp_path / f"{name}.db").touch()
            url = f"sqlite:///{tmp_path / name}.db"
        else:
            names.append(name)
            url = database_server.create_database(name)
        engines.append(database.connect(url))
        if style is not None:
            style.load(engines[-1])
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()
    for name in names:
        database_server.drop_database(name)
