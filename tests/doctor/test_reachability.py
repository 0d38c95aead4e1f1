"""With every store down, one by one and all together, refusing or frozen: an answer in five seconds, and 69."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.doctor.conftest import Examined
from tests.servers.mysql import MysqlServer
from tests.servers.redis import RedisServer

NOWHERE = {"mariadb": "mysql://shop@127.0.0.1:1/shop", "redis": "redis://127.0.0.1:1"}

pytestmark = pytest.mark.databases("mariadb")


@contextmanager
def frozen(*servers: MysqlServer | RedisServer) -> Iterator[None]:
    for server in servers:
        server.pause()
    try:
        yield
    finally:
        for server in servers:
            server.resume()


@pytest.mark.parametrize("down", [("mariadb",), ("redis",), ("mariadb", "redis")], ids="-".join)
@pytest.mark.parametrize("how", ["refusing", "frozen"])
def test_an_outage_is_told_within_five_seconds(
    how: str,
    down: tuple[str, ...],
    shop,
    doctor: Callable[..., Examined],
    mariadb_server: MysqlServer,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
):
    stores = {"mariadb": mariadb_server, "redis": redis_server}
    variables = {"mariadb": "ORDERCTL_DATABASE_URL", "redis": "ORDERCTL_REDIS_URL"}
    shop.engine.dispose()
    if how == "refusing":
        for name in down:
            monkeypatch.setenv(variables[name], NOWHERE[name])
    with frozen(*(stores[name] for name in down if how == "frozen")):
        began = time.monotonic()
        found = doctor()
        took = time.monotonic() - began

    assert found.status == 69
    unreachable = {check["area"] for check in found.of("reachable") if check["verdict"] == "fault"}
    assert unreachable == {"database" if name == "mariadb" else name for name in down}
    # Nothing is said twice of a store that is down.
    assert len([check for check in found.checks if check["area"] == "audit"]) == 1 or "mariadb" not in down
    assert took < 5
