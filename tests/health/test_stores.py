"""A look at both stores: what it finds, and that it ends in time whatever they do."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from orderctl import clock, settings
from orderctl.errors import DatabaseUnavailable, Misconfigured, RedisUnavailable
from orderctl.health import stores
from orderctl.health.signs import Role, State, Store
from orderctl.settings import Settings


def load(**flags: str) -> Settings:
    return settings.load({key.replace("_", ".", 1): value for key, value in flags.items()})


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where connections are made, and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def dropping() -> Iterator[int]:
    """A port that answers no packets: its queue of connections is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for one in waiting:
            one.close()


def test_servers_are_found_with_version_role_and_latency(migrated_url, redis_url, database_kind):
    found = stores.look(load(database_url=migrated_url, redis_url=redis_url))

    database, redis = found
    assert (database.state, redis.state, found.error) == (State.UP, State.UP, None)
    assert database.product == {"sqlite": "SQLite", "mysql": "MySQL", "mariadb": "MariaDB"}[database_kind]
    assert database.version is not None
    assert database.version[0].isdigit()
    assert database.role == (None if database_kind == "sqlite" else Role.PRIMARY)
    assert database.migration is not None
    assert database.migration.is_current
    assert redis.product in {"Redis", "Valkey"}
    assert redis.role is Role.PRIMARY
    for sign in found:
        assert sign.latency is not None
        assert 0 < sign.latency < 1


@pytest.mark.databases("sqlite")
def test_the_embedded_redis_that_does_not_run_is_no_error_and_is_not_started(migrated_url):
    found = stores.look(load(database_url=migrated_url))

    assert found.redis.state is State.IDLE
    assert found.redis.embedded
    assert found.error is None
    assert stores.look(load(database_url=migrated_url)).redis.state is State.IDLE


def test_an_embedded_database_that_was_never_migrated_is_said():
    found = stores.look(load())

    assert found.database.state is State.REFUSED
    assert isinstance(found.error, Misconfigured)
    assert found.database.migration is not None
    assert found.database.migration.text == "not migrated"


@pytest.mark.parametrize(("silence", "deadline"), [("silent", stores.DEADLINE), ("dropping", 0.5)])
def test_silent_servers_are_down_within_the_deadline(silence, deadline, request):
    port = request.getfixturevalue(silence)
    asked = load(
        database_url=f"mysql://shop:secret-word@127.0.0.1:{port}/shop", redis_url=f"redis://127.0.0.1:{port}"
    )

    began = clock.elapsed()
    found = stores.look(asked, deadline=deadline)

    assert clock.elapsed() - began < deadline + 0.5
    assert [sign.state for sign in found] == [State.DOWN, State.DOWN]
    assert "secret-word" not in str([sign.record for sign in found])


def test_a_name_server_that_is_silent_costs_the_deadline_only(monkeypatch):
    over = threading.Event()

    def hang(*_: object, **__: object) -> None:
        over.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    began = time.monotonic()
    found = stores.look(
        load(database_url="mysql://db.example/shop", redis_url="redis://r.example"), deadline=0.2
    )
    over.set()

    assert time.monotonic() - began < 1
    assert isinstance(found.database.error, DatabaseUnavailable)
    assert isinstance(found.redis.error, RedisUnavailable)
    assert str(found.database.error).endswith("db.example/shop does not answer within 0.2 s")
    assert found.database.store is Store.DATABASE


def test_a_refused_login_is_a_setting_and_no_outage(own_redis, monkeypatch):
    redis = own_redis()
    port = redis.url.rpartition(":")[2].partition("/")[0]
    found = stores.look(load(redis_url=f"redis://shop:wrong-word@127.0.0.1:{port}")).redis

    assert found.state is State.REFUSED
    assert "wrong-word" not in str(found.record)


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    def fault(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(stores, "look_at_redis", fault)

    with pytest.raises(ZeroDivisionError):
        stores.look(load())
