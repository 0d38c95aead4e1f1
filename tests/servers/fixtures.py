"""The fixtures that give tests their servers and databases. A plugin, loaded by ``tests/conftest.py``."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from tests.servers import leash, prefork, strict
from tests.servers.availability import NEEDS_ROOT, needed
from tests.servers.course import CourseServer
from tests.servers.databases import KINDS, MigratedFile, MigratedServer, choose, fresh_name, sqlite_url
from tests.servers.mysql import MysqlServer, find_mariadb, find_mysql
from tests.servers.process import Server, begin, short_folder
from tests.servers.reaper import find_in, kill
from tests.servers.redis import RedisServer, TlsRedis, find_redis

#: Variables that change a program's output or folders and belong to the developer.
PERSONAL = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "XDG_CONFIG_DIRS", "XDG_DATA_DIRS")

#: No certificate authority of the machine: loading them takes 30 ms for each TLS context, and no test trusts them.
WITHOUT_AUTHORITIES = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}

OwnRedis = Callable[..., RedisServer]
AnyServer = TypeVar("AnyServer", bound=Server)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # xdist's: it would run for a while without its controller
        leash.hold()
    config.addinivalue_line("markers", "styles(name, ...): run on these of the gallery of databases")
    config.addinivalue_line("markers", f"databases(kind, ...): run on these only, of {', '.join(KINDS)}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with ``database_url`` or ``migrated_url`` once on each kind of database.

    A database of the gallery (``style``, in ``tests/migrate``) brings its own kinds.
    """
    if "database_kind" in metafunc.fixturenames and "style" not in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("databases")
        try:
            kinds = choose(marker.args if marker else ())
        except ValueError as error:
            raise pytest.UsageError(f"{metafunc.definition.nodeid}: {error}") from error
        metafunc.parametrize("database_kind", kinds, ids=kinds)


@pytest.fixture(scope="session", autouse=True)
def nothing_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """End every process that the tests left running, also when they are killed; one left is an error."""
    reaper = begin(tmp_path_factory.getbasetemp())
    yield
    prefork.close()
    left = reaper.close()
    assert not left, f"still running after the tests: {left}"


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder for the test, with a short path; no settings of the developer reach the test."""
    folder = short_folder()
    for name in [name for name in os.environ if name.startswith("ORDERCTL_") or name in PERSONAL]:
        monkeypatch.delenv(name)
    for name, value in {**strict.ENVIRONMENT, **WITHOUT_AUTHORITIES}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(folder))
    for name in ("CONFIG", "STATE", "CACHE", "DATA", "RUNTIME"):
        place = folder / name.lower()
        place.mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}", str(place))
    yield folder
    kill(partial(find_in, folder))  # the embedded server, if a command started one
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def course_server() -> Iterator[CourseServer]:
    """An HTTP server without courses: see ``add``, ``add_course``, ``fail``, ``hold``, ``rate``."""
    server = CourseServer().start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def lasting_redis() -> Iterator[RedisServer]:
    """The Redis or Valkey server of this process, in whatever state the last test has left it."""
    with needed():
        server = RedisServer(find_redis())
    yield from _running(server)


@pytest.fixture
def redis_server(lasting_redis: RedisServer) -> RedisServer:
    """The Redis or Valkey server of this process, running. A test may pause or kill it."""
    return lasting_redis.revive()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """URL of an empty Redis."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    """``own_redis(persistent=False)`` starts a server for this test only."""
    servers: list[RedisServer] = []

    def make(*, persistent: bool = False) -> RedisServer:
        with needed():
            servers.append(RedisServer(find_redis(), persistent=persistent))
        return servers[-1].start()

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def tls_redis() -> Iterator[TlsRedis]:
    """A Redis that also speaks TLS."""
    with needed():
        server = TlsRedis()
    yield from _running(server)


@pytest.fixture(scope="session")
def lasting_mariadb() -> Iterator[MysqlServer]:
    """The MariaDB server of this process, in whatever state the last test has left it."""
    with needed():
        server = MysqlServer(find_mariadb())
    yield from _running(server)


@pytest.fixture
def mariadb_server(lasting_mariadb: MysqlServer) -> MysqlServer:
    """The MariaDB server of this process, running. A test may pause, kill and restart it."""
    return lasting_mariadb.revive()


@pytest.fixture(scope="session")
def lasting_mysql() -> Iterator[MysqlServer]:
    """The MySQL server of this process, in whatever state the last test has left it."""
    with needed():
        server = MysqlServer(find_mysql())
    yield from _running(server)


@pytest.fixture
def mysql_server(lasting_mysql: MysqlServer) -> MysqlServer:
    """The MySQL server of this process, running. A test may pause, kill and restart it."""
    return lasting_mysql.revive()


@pytest.fixture
def database_server(database_kind: str, request: pytest.FixtureRequest) -> MysqlServer | None:
    """The server behind ``database_url`` and ``migrated_url``, running; None for SQLite.

    A test may pause, kill and restart it: it is repaired for the next test.
    """
    if database_kind == "sqlite":
        return None
    server: MysqlServer = request.getfixturevalue(f"{database_kind}_server")
    return server


@pytest.fixture
def database_url(database_server: MysqlServer | None, tmp_path: Path) -> Iterator[str]:
    """URL of a new, empty database, on each kind that the test's ``databases`` marker allows."""
    if database_server is None:
        (tmp_path / "empty.db").touch(mode=0o600)
        yield sqlite_url(tmp_path / "empty.db")
        return
    name = fresh_name()
    yield database_server.create_database(name)
    database_server.revive().drop_database(name)


@pytest.fixture
def migrated_url(
    database_kind: str,
    database_server: MysqlServer | None,
    migrated_file: MigratedFile,
    migrated_servers: dict[str, MigratedServer],
    tmp_path: Path,
) -> str:
    """URL of a database with the newest schema and no rows, on each kind that the marker allows."""
    if database_server is None:
        return migrated_file.copy(tmp_path / "migrated.db")
    if database_kind not in migrated_servers:
        migrated_servers[database_kind] = MigratedServer(database_server)
    return migrated_servers[database_kind].renew()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> MigratedFile:
    """The SQLite file that ``migrated_url`` copies."""
    return MigratedFile(tmp_path_factory.mktemp("migrated") / "template.db")


@pytest.fixture(scope="session")
def migrated_servers() -> dict[str, MigratedServer]:
    """The databases that ``migrated_url`` empties, by kind."""
    return {}


def _running(server: AnyServer) -> Iterator[AnyServer]:
    try:
        yield server.start()
    finally:
        server.close()


SmallDisk = Callable[[int], Path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """``small_disk(bytes)`` mounts a file system of that size, if the tests may mount."""
    mounted: list[Path] = []

    def mount(size: int) -> Path:
        place = tmp_path / "small"
        place.mkdir()
        options = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        if os.geteuid() or subprocess.run(options, capture_output=True, check=False).returncode:
            pytest.skip(f"{NEEDS_ROOT}, to mount a small tmpfs")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)
