"""What the database lets the account do that asks: it needs to read only, and a server that nobody may write to is named."""

from collections.abc import Iterator

import pytest

from tests.servers.mysql import MysqlServer
from tests.why.place import Place

pytestmark = pytest.mark.databases("mariadb")


@pytest.fixture
def reader(place: Place, database_server: MysqlServer) -> Iterator[Place]:
    """A place whose commands have an account that may only read."""
    name = place.shop.engine.url.database
    database_server.execute("CREATE USER 'reader'@'127.0.0.1'")
    database_server.execute(f"GRANT SELECT ON `{name}`.* TO 'reader'@'127.0.0.1'")
    url = place.shop.engine.url.set(username="reader")
    place.environment["ORDERCTL_DATABASE_URL"] = url.render_as_string()
    yield place
    database_server.execute("SET GLOBAL read_only = 0")
    database_server.execute("DROP USER 'reader'@'127.0.0.1'")


def test_an_account_that_may_only_read_suffices(reader: Place, database_server: MysqlServer) -> None:
    reader.shop.paid()
    found = reader.ask("DH1")
    assert (found["cause"], found["repair"]) == ("no-worker", "orderctl worker start")

    reader.sign()
    reader.ring()
    database_server.execute("SET GLOBAL read_only = 1")
    found = reader.ask("DH1")
    assert found["cause"] == "database-read-only"
    assert "primary" in found["explanation"]

    database_server.execute("SET GLOBAL read_only = 0")
    reader.work()
    assert reader.is_completed()
