"""Every kind of failure exits with its documented code, and none prints a traceback."""

import pytest

from tests.cli.conftest import Ended, Program
from tests.servers.mysql import MysqlServer
from tests.shop import Shop

NOWHERE = {
    "ORDERCTL_DATABASE_URL": "mysql://shop:geheim@127.0.0.1:1/shop",
    "ORDERCTL_REDIS_URL": "redis://127.0.0.1:1/0",
}
ADD = [
    "orders",
    "add",
    "--code",
    "A",
    "--email",
    "a@b.vn",
    "--amount",
    "1",
    "--course",
    "https://example.com/a",
]

#: Commands that need the database, each for a different reason.
NEED_DATABASE = [
    ["orders", "list"],
    ["orders", "show", "DH1"],
    ["orders", "stats"],
    ["orders", "wait", "DH1"],
    ["orders", "pay", "DH1", "--amount", "1"],
    ["payments", "list"],
    ["payments", "show", "1"],
    ["payments", "match", "1", "DH1", "--reason", "x", "--yes"],
    ["payments", "match", "1", "--refuse", "--reason", "x", "--yes"],
    ["outbox", "list"],
    ["outbox", "show", "1"],
    ["outbox", "resend", "1"],
    ["outbox", "resend", "--failed", "--yes"],
    ADD,
    ["tasks", "list"],
    ["tasks", "list", "--group-by", "error"],
    ["tasks", "show", "1"],
    ["tasks", "retry", "1"],
    ["tasks", "retry", "--failed", "--yes"],
    ["tasks", "cancel", "1"],
    ["logs", "show", "DH1"],
    ["logs", "show", "DH1", "-f"],
    ["logs", "errors"],
    ["logs", "summary"],
    ["tail", "task", "1"],
    ["tail", "order", "DH1"],
    ["why", "DH1"],
    ["worker", "start"],
    ["worker", "start", "--burst"],
    ["reconcile"],
]
NEED_REDIS = [
    ["tail", "task", "1"],
    ["tail", "order", "DH1"],
    ["tail", "all"],
    ["worker", "start"],
    ["worker", "list"],
    ["worker", "pause"],
    ["reconcile"],
]
#: Commands that write, on a shop with the waiting task 1, the lost task 2, the failed tasks 3 and 4, and the unpaid order DH2.
WRITE = [
    ADD,
    ["orders", "pay", "DH2", "--amount", "300000"],
    ["tasks", "retry", "3"],
    ["tasks", "retry", "3", "4"],
    ["tasks", "retry", "--failed", "--yes"],
    ["tasks", "retry", "--failed", "--rate", "1/m", "--yes"],
    ["tasks", "cancel", "1", "2"],
    ["outbox", "resend", "1"],
    ["outbox", "resend", "--state", "waiting", "--yes"],
    ["reconcile"],
    ["migrate", "up"],
]
READ = [
    ["orders", "list"],
    ["orders", "show", "DH1"],
    ["orders", "stats"],
    ["payments", "list"],
    ["outbox", "list"],
    ["outbox", "show", "1"],
    ["tasks", "list"],
    ["tasks", "show", "1"],
    ["tasks", "retry", "--failed", "--dry-run"],
    ["ops", "list"],
    ["logs", "show", "DH1"],
    ["logs", "errors"],
    ["logs", "summary"],
    ["tail", "task", "3"],
    ["worker", "list"],
    ["migrate", "status"],
]
UNKNOWN = [
    ["orders", "show", "NOPE"],
    ["orders", "show", "99999999999999999999"],
    ["orders", "wait", "NOPE"],
    ["orders", "pay", "NOPE", "--amount", "1"],
    ["tasks", "list", "--order", "NOPE"],
    ["tasks", "retry", "--order", "NOPE", "--yes"],
    ["tasks", "show", "99"],
    ["tasks", "show", "9" * 30],
    ["tasks", "retry", "9" * 30],
    ["tasks", "cancel", "9" * 30],
    ["tail", "task", "9" * 30],
    ["tasks", "retry", "99"],
    ["tasks", "cancel", "99"],
    ["logs", "show", "NOPE"],
    ["payments", "show", "99"],
    ["payments", "match", "99", "DH1", "--reason", "x", "--yes"],
    ["outbox", "show", "99"],
    ["outbox", "list", "--order", "NOPE"],
    ["outbox", "resend", "99"],
    ["outbox", "resend", "9" * 30],
    ["ops", "show", "NOPE"],
    ["ops", "wait", "NOPE"],
    ["ops", "stop", "NOPE"],
    ["tail", "order", "NOPE"],
    ["tail", "task", "99"],
    ["why", "NOPE"],
    ["why", "task", "99"],
]
WRONG = [
    ["orders", "list", "-L", "-1"],
    ["orders", "list", "-L", "x"],
    ["orders", "list", "--since", "soon"],
    ["orders", "list", "--status", "nope"],
    ["orders", "list", "--stale", "x"],
    ["orders", "list", "--after", "nope"],
    ["orders", "stats", "--fail-if", "nope"],
    ["orders", "add", "--json", "/does/not/exist"],
    ["orders", "pay", "DH1"],
    ["payments", "list", "--outcome", "nope"],
    ["payments", "match", "1", "DH1"],
    ["outbox", "list", "--failed", "--waiting"],
    ["outbox", "list", "--kind", "nope"],
    ["outbox", "resend"],
    ["outbox", "resend", "--failed", "1"],
    ["tasks", "show", "x"],
    ["tasks", "list", "--error-type", "x"],
    ["tasks", "retry", "--failed", "--rate", "5"],
    ["tasks", "retry", "--failed", "--name", "a b"],
    ["tasks", "retry", "--failed", "--canary", "0"],
    ["ops", "list", "--state", "nope"],
    ["ops", "list", "--after", "nope"],
    ["tail", "pattern", "nope"],
    ["worker", "start", "--concurrency", "0"],
    ["worker", "start", "--take", "x"],
]
WRONG_SETTINGS = [
    {"ORDERCTL_DATABASE_URL": "postgres://x/y"},
    {"ORDERCTL_DATABASE_URL": "nonsense"},
    {"ORDERCTL_DATABASE_URL": "mysql://host"},
    {"ORDERCTL_REDIS_URL": "http://x"},
    {"ORDERCTL_WORKER_CONCURRENCY": "0"},
    {"ORDERCTL_CONFIG": "/does/not/exist"},
    {"ORDERCTL_DATABASE_URL_FILE": "/does/not/exist"},
]

sqlite = pytest.mark.databases("sqlite")
by_line = pytest.mark.parametrize


def check(ended: Ended, status: int) -> None:
    assert ended.status == status, ended.err
    assert ended.err.startswith("orderctl: ")
    assert "Traceback" not in ended.err
    assert "geheim" not in ended.err


@by_line("command", NEED_DATABASE, ids=" ".join)
def test_a_dead_database_is_69(command, inside: Program, monkeypatch):
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)

    check(inside(*command), 69)


@sqlite
@by_line("command", NEED_REDIS, ids=" ".join)
def test_a_dead_redis_is_69(command, shop: Shop, inside: Program, monkeypatch):
    shop.paid("DH1", 2)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", NOWHERE["ORDERCTL_REDIS_URL"])

    check(inside(*command), 69)


@pytest.mark.databases("mariadb", "mysql")
def test_a_command_that_writes_to_a_read_only_database_is_69_and_one_that_reads_works(
    shop: Shop, inside: Program, database_server: MysqlServer
):
    shop.paid("DH1", 4)
    shop.add("DH2", 1)
    for task in (3, 4):
        shop.fail(task)
    shop.claimed(2)
    shop.expire(2)
    database_server.execute("SET GLOBAL read_only = 1")
    try:
        written = [inside(*command) for command in WRITE]
        read = {tuple(command): inside(*command).status for command in READ}
    finally:
        database_server.execute("SET GLOBAL read_only = 0")

    for ended in written:
        check(ended, 69)
        assert ended.err.startswith("orderctl: the database is read-only: ")
        assert ended.err.count("\n") == 2, "a line and its hint"
        assert ended.out == ""
    assert read == dict.fromkeys(read, 0)


@by_line("command", NEED_DATABASE, ids=" ".join)
@sqlite
def test_a_database_without_our_tables_is_78_and_says_what_to_do(
    command, database_url, redis_url, inside: Program, monkeypatch
):
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", database_url)
    monkeypatch.setenv("ORDERCTL_REDIS_URL", redis_url)

    ended = inside(*command)

    check(ended, 78)
    assert ended.err.endswith("hint: orderctl migrate up\n")


@pytest.mark.databases("mariadb", "mysql")
def test_a_server_without_our_tables_is_78(database_url, inside: Program, monkeypatch):
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", database_url)

    ended = inside("orders", "list")

    check(ended, 78)
    assert ended.err.endswith("hint: orderctl migrate up\n")


@sqlite
@by_line("command", UNKNOWN, ids=" ".join)
def test_what_is_not_there_is_3(command, shop: Shop, inside: Program):
    check(inside(*command), 3)


@sqlite
@by_line("command", WRONG, ids=" ".join)
def test_a_wrong_value_is_2(command, shop: Shop, inside: Program):
    check(inside(*command), 2)


@by_line("environment", WRONG_SETTINGS, ids=str)
def test_a_wrong_setting_is_78(environment, inside: Program, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    check(inside("orders", "list"), 78)


def test_a_wrong_password_is_78(mariadb_server, inside: Program, monkeypatch):
    url = mariadb_server.url("mysql")
    host = url.partition("@")[2]
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", f"mysql://nobody:geheim@{host}")

    check(inside("orders", "list"), 78)


@sqlite
@by_line("command", [["orders", "list"], ["tail", "task", "1"], ["worker", "start"]], ids=" ".join)
def test_the_real_program_agrees(command, orderctl: Program):
    check(orderctl(*command, env=NOWHERE), 69)
