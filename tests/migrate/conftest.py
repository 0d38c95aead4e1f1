from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import Engine

from orderctl import database
from tests.migrate import gallery
from tests.migrate.gallery import STYLES, Style
from tests.servers.databases import fresh_name
from tests.servers.mysql import MysqlServer
from tests.shop import Shop

#: The rights that a migration needs.
ALL = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, REFERENCES, CREATE VIEW, CREATE ROUTINE"

Account = Callable[..., Engine]
Load = Callable[[str], Shop]
EARLIER = Path(__file__).with_name("earlier")


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


@pytest.fixture
def account(database_server: MysqlServer, engine: Engine) -> Iterator[Account]:
    """``account(*grants)`` returns the database as an account with these rights sees it."""
    name, engines = "limited", []
    database_server.execute(f"DROP USER IF EXISTS {name}@'%'")
    database_server.execute(f"CREATE USER {name}@'%' IDENTIFIED BY 'secret'")

    def make(*grants: str) -> Engine:
        for grant in grants:
            database_server.execute(f"GRANT {grant} TO {name}@'%'".format(db=f"`{engine.url.database}`"))
        url = sqlalchemy.make_url(engine.url).set(username=name, password="secret")
        engines.append(database.connect(url.render_as_string(hide_password=False)))
        return engines[-1]

    yield make
    for made in engines:
        made.dispose()
    database_server.execute(f"DROP USER {name}@'%'")


def of(name: str, engine: Engine) -> Style:
    """Return a database as the first version left it: ``fresh``, ``adopted`` or ``taken_over``."""
    is_mariadb = getattr(engine.dialect, "is_mariadb", False)
    return gallery.read(EARLIER / f"{name}_{'mariadb' if is_mariadb else engine.dialect.name}.sql")


@pytest.fixture
def load(engine: Engine) -> Load:
    """``load(name)`` fills the database as the first version left it."""

    def make(name: str) -> Shop:
        with engine.connect():  # tells the servers apart
            pass
        of(name, engine).load(engine)
        return Shop(engine)

    return make
