"""Migrations that are interrupted at any point and run again."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event

from orderctl import migrate
from orderctl.errors import DatabaseUnavailable
from tests.migrate.gallery import REVISIONS, STYLES, Style, definitions, rows, shape
from tests.servers.mysql import MysqlServer

DEFINES = re.compile(r"\s*(CREATE|ALTER|DROP)\b")
CHANGE = re.compile(r"\s*(CREATE|ALTER|DROP|INSERT|UPDATE)\b")


class Killed(BaseException):
    """The connection was cut."""


@contextmanager
def dying_after(number: int) -> Iterator[list[str]]:
    """Cut the connection right after the numbered change; yield the list of all changes."""
    seen: list[str] = []

    def after(connection, _cursor, statement, _parameters, _context, _many):
        if CHANGE.match(statement):
            seen.append(statement)
            if len(seen) == number:
                driver = connection.connection.driver_connection
                # Without a close: a SQLite file's journal is rolled back by the next process that opens it.
                getattr(driver, "_force_close", driver.rollback)()
                raise Killed(statement)

    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield seen
    finally:
        event.remove(Engine, "after_cursor_execute", after)


def up_dying_after(engine: Engine, number: int) -> str | None:
    """Migrate; return the statement after which it was interrupted, if it was."""
    with dying_after(number):
        try:
            migrate.up(engine)
        except Killed as killed:
            return str(killed)
    return None


def up_by_deaths(engine: Engine) -> int:
    """Migrate repeatedly, each run one statement further, to the end; return the number of cuts."""
    deaths, number = 0, 1
    while (last := up_dying_after(engine, number)) is not None:
        deaths += 1
        # What changed a row, and was not committed, is lost: the next run has to repeat it.
        number = 1 if DEFINES.match(last) else number + 1
    return deaths


def cuts(statements: list[str]) -> int:
    """Return how often :func:`up_by_deaths` is cut: rows of the ledger are committed, and not written again."""
    return sum("INTO orderctl_payments" not in statement for statement in statements)


def unnamed(found: dict[str, str]) -> dict[str, str]:
    """Remove the database's name from the definition of a view."""
    return {name: re.sub(r"`test_\w+`\.", "", text) for name, text in found.items()}


def whole(engine: Engine) -> tuple[list[str], dict[str, str]]:
    """Return the statements of a run that is not interrupted, and its result."""
    with dying_after(0) as statements:
        migrate.up(engine)
    return statements, unnamed(definitions(engine))


@pytest.mark.styles("cascade", "latin1", "nullable", "sequelize_audit")
def test_migration_that_dies_after_each_statement_in_turn_gets_to_the_same_end(style: Style, fresh) -> None:
    statements, expected = whole(fresh(style))
    engine = fresh(style)
    columns = shape(engine)
    before = rows(engine, columns)

    # A run that finds an outbox, which an earlier one has made, also marks the messages that were given up.
    assert up_by_deaths(engine) == cuts(statements) + 1

    assert unnamed(definitions(engine)) == expected
    assert rows(engine, columns) == before
    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_migration_of_an_empty_database_that_dies_after_each_statement_in_turn(fresh) -> None:
    statements, expected = whole(fresh(None))
    engine = fresh(None)

    # A run that finds an outbox, which an earlier one has made, also marks the messages that were given up.
    assert up_by_deaths(engine) == cuts(statements) + 1

    assert unnamed(definitions(engine)) == expected
    migrate.check(engine)


def turns(statements: list[str]) -> list[int]:
    """Return the numbers of the first and the last statement of each kind: ``CREATE INDEX``, ``ALTER TABLE orders``."""
    words = [statement.split() for statement in statements]
    kinds = [" ".join(some[: 2 if some[0] == "CREATE" else 3]) for some in words]
    first = {kind: number for number, kind in reversed(list(enumerate(kinds, 1)))}
    last = {kind: number for number, kind in enumerate(kinds, 1)}
    return sorted({*first.values(), *last.values()})


@pytest.mark.styles("plain_sqlite")
def test_migration_of_a_file_that_dies_anywhere_gets_to_the_same_end(style: Style, fresh) -> None:
    statements, expected = whole(fresh(style))
    chosen = turns(statements)
    assert len(chosen) > 15

    for number in chosen:
        engine = fresh(style)
        columns = shape(engine)
        before = definitions(engine), rows(engine, columns)
        assert up_dying_after(engine, number) == statements[number - 1]
        assert (definitions(engine), rows(engine, columns)) == before

        migrate.up(engine)

        assert definitions(engine) == expected
        assert rows(engine, columns) == before[1]


@pytest.mark.databases("mariadb", "mysql")
def test_migration_of_an_empty_database_that_dies_once_gets_to_the_same_end(fresh) -> None:
    statements, expected = whole(fresh(None))

    for number in range(1, len(statements) + 1, 5):
        engine = fresh(None)
        assert up_dying_after(engine, number) == statements[number - 1]

        report = migrate.up(engine)

        assert report.applied == REVISIONS[-len(report.applied) :]
        assert unnamed(definitions(engine)) == expected, statements[number - 1]
        migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_table_that_earlier_versions_left_without_its_indexes_gets_them(fresh) -> None:
    """They added the indexes in a statement of its own, and could be killed before it."""
    statements, expected = whole(fresh(None))
    [number] = [n for n, text in enumerate(statements, 1) if "CREATE TABLE orderctl_outbox" in text]
    engine = fresh(None)
    up_dying_after(engine, number)
    names = re.findall(r" INDEX (\w+)", statements[number - 1])
    with engine.begin() as connection:
        drops = ", ".join(f"DROP INDEX {name}" for name in names)
        connection.exec_driver_sql(f"ALTER TABLE orderctl_outbox {drops}")

    report = migrate.up(engine)

    assert {f"index {name} of orderctl_outbox" for name in names} <= set(report.added)
    assert "table orderctl_outbox" not in report.added
    assert unnamed(definitions(engine)) == expected


KILLED = """
import os, signal, sys
from orderctl import database, migrate
from orderctl.errors import DatabaseUnavailable

def on_step(step):
    if step.what == sys.argv[2]:
        print("now", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

migrate.up(database.connect(sys.argv[1]), on_step=on_step)
"""


def test_killed_process_leaves_nothing_behind_that_hinders(engine: Engine) -> None:
    STYLES["plain_sqlite" if engine.dialect.name == "sqlite" else "sequelize"].load(engine)
    url = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", KILLED, url, "view v_order_latest_events"]

    killed = subprocess.run(command, capture_output=True, text=True, check=False)

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert "view v_order_latest_events" in migrate.up(engine).added
    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_killed_server_comes_back_and_the_migration_ends_the_same(
    database_server: MysqlServer, fresh, engine: Engine
) -> None:
    style = STYLES["sequelize_audit"]
    expected = whole(fresh(style))[1]
    style.load(engine)
    columns = shape(engine)
    before = rows(engine, columns)

    def on_step(step: migrate.Step) -> None:
        if "column dedup_key of order_audit_logs" in step.adds:
            database_server.kill()

    with pytest.raises(DatabaseUnavailable):
        migrate.up(engine, on_step=on_step)
    database_server.start()
    engine.dispose()

    migrate.up(engine)

    assert unnamed(definitions(engine)) == expected
    assert rows(engine, columns) == before
