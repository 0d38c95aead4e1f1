import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.servers.fixtures import OwnRedis
from tests.servers.mysql import MysqlServer
from tests.servers.process import LEASH, Server, ServerError
from tests.servers.reaper import is_running
from tests.servers.redis import RedisServer, find_redis
from tests.waiting import eventually


def ask(url: str, statement: str) -> list[object]:
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(sqlalchemy.text(statement))
            return list(result.scalars()) if result.returns_rows else []
    finally:
        engine.dispose()


def is_gone(pid: int | None) -> bool:
    return pid is not None and not Path(f"/proc/{pid}").exists()


def test_redis_answers_over_tcp_and_unix_socket(redis_server: RedisServer, redis_url: str) -> None:
    with Redis.from_url(redis_url) as client, Redis.from_url(redis_server.socket_url) as other:
        client.set("greeting", "hello")

        assert other.get("greeting") == b"hello"
        assert client.info("server")["process_id"] == redis_server.pid


def test_redis_is_empty_for_each_test(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


@pytest.mark.parametrize(("persistent", "expected"), [(True, b"hello"), (False, None)])
def test_redis_comes_back_after_a_kill(own_redis: OwnRedis, persistent: bool, expected: bytes | None) -> None:
    server = own_redis(persistent=persistent)
    with Redis.from_url(server.url) as client:
        client.set("greeting", "hello")
        port, before = server.port, server.pid
        server.kill()
        with pytest.raises(RedisConnectionError):
            client.ping()

        server.start()

        assert client.get("greeting") == expected
        assert (server.port, server.pid != before) == (port, True)


def test_paused_redis_hangs_and_goes_on(own_redis: OwnRedis) -> None:
    server = own_redis()
    with Redis.from_url(server.url, retry=None) as client:
        client.ping()
        server.pause()
        hasty = Redis.from_url(server.url, socket_timeout=0.2, retry=None)
        with hasty, pytest.raises(RedisTimeoutError):
            hasty.ping()

        server.resume()

        assert client.ping()


def test_paused_server_can_be_stopped(own_redis: OwnRedis) -> None:
    server = own_redis()
    pid = server.pid
    server.pause()

    server.stop()

    assert server.pid is None
    assert is_gone(pid)


def test_closed_server_leaves_nothing() -> None:
    server = RedisServer(find_redis()).start()
    pid = server.pid

    server.close()

    assert is_gone(pid)
    assert not server.folder.exists()


def test_server_outlives_the_thread_that_started_it(own_redis: OwnRedis) -> None:
    servers: list[RedisServer] = []
    thread = threading.Thread(target=lambda: servers.append(own_redis()))
    thread.start()
    thread.join()

    servers[0].ping()

    assert servers[0].pid is not None


def test_server_that_does_not_start_shows_its_log() -> None:
    class Broken(Server):
        def command(self) -> list[str]:
            return [sys.executable, "-c", "raise SystemExit('no memory for this')"]

        def ping(self) -> None:
            raise ConnectionRefusedError

    server = Broken()
    try:
        with pytest.raises(ServerError, match="no memory for this"):
            server.start()
    finally:
        server.close()


def test_leashed_program_dies_with_its_starter() -> None:
    script = (
        "import os, signal, subprocess, sys\n"
        f"leash = [sys.executable, {str(LEASH)!r}, str(os.getpid())]\n"
        "child = subprocess.Popen([*leash, sys.executable, '-c', \"print('up', flush=True); input()\"],"
        " stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    starter = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert starter.returncode == -signal.SIGKILL, starter.stderr

    eventually(lambda: not is_running(int(starter.stdout)), "the orphan's end")


@pytest.mark.parametrize("name", ["redis", "mariadb", "mysql"])
@pytest.mark.parametrize("harm", ["pause", "kill"])
def test_server_runs_again_after_a_test_that_harmed_it(
    name: str, harm: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(f"lasting_{name}").start()
    getattr(server, harm)()

    again: Server = request.getfixturevalue(f"{name}_server")

    assert again is server
    again.ping()


@pytest.mark.parametrize("name", ["mariadb", "mysql"])
def test_server_is_what_it_is_called(name: str, request: pytest.FixtureRequest) -> None:
    server: MysqlServer = request.getfixturevalue(f"{name}_server")

    [version] = ask(server.url("mysql"), "SELECT VERSION()")

    assert ("MariaDB" in str(version)) == (name == "mariadb")
    assert server.program.is_mariadb == (name == "mariadb")


@pytest.mark.databases("mariadb", "mysql")
def test_database_server_comes_back_after_a_kill_with_what_was_committed(
    database_server: MysqlServer, database_url: str
) -> None:
    ask(database_url, "CREATE TABLE notes (id INT PRIMARY KEY)")
    ask(database_url, "INSERT INTO notes VALUES (7)")
    before = database_server.pid
    database_server.kill()
    with pytest.raises(sqlalchemy.exc.OperationalError):
        ask(database_url, "SELECT id FROM notes")

    database_server.start()

    assert ask(database_url, "SELECT id FROM notes") == [7]
    assert is_gone(before)


@pytest.mark.databases("mariadb", "mysql")
def test_accounts_with_passwords_can_log_in_without_tls(
    database_server: MysqlServer, database_url: str
) -> None:
    database_server.execute(
        "CREATE OR REPLACE USER u@'%' IDENTIFIED BY 'secret'"
        if database_server.program.is_mariadb
        else "CREATE USER u@'%' IDENTIFIED BY 'secret'"
    )
    try:
        url = sqlalchemy.make_url(database_url).set(username="u", password="secret", database="")
        assert ask(url.render_as_string(hide_password=False), "SELECT 1") == [1]
    finally:
        database_server.execute("DROP USER u@'%'")


@pytest.mark.databases("mariadb")
def test_database_is_created_with_the_charset_asked_for(database_server: MysqlServer) -> None:
    url = database_server.create_database("latin", charset="latin1", collation="latin1_bin")
    try:
        assert ask(url, "SELECT @@collation_database") == ["latin1_bin"]
    finally:
        database_server.drop_database("latin")


def test_environment_is_the_tests_own(home: Path) -> None:
    assert Path.home() == home
    assert not [name for name in os.environ if name.startswith("ORDERCTL_")]
    assert len(f"{os.environ['XDG_STATE_HOME']}/orderctl/embedded/redis.sock") < 104
