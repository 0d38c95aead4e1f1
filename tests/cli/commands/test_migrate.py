"""``orderctl migrate``, as admins and deployment scripts use it."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from orderctl import __version__, database
from orderctl.errors import ExitStatus
from tests.cli.conftest import Program
from tests.migrate.conftest import of
from tests.migrate.gallery import REVISIONS, STYLES, run


@pytest.fixture
def engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An empty database, and settings with its URL."""
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", database_url)
    yield (engine := database.connect(database_url))
    engine.dispose()


def test_up_prints_what_it_adds_and_then_that_there_is_nothing_to_do(inside: Program, engine: Engine) -> None:
    first = inside("migrate", "up")
    second = inside("migrate", "up")

    assert (first.status, first.out) == (0, "")
    assert "adding table orders" in first.err
    assert "The database is up to date" in first.err
    assert (second.status, second.out) == (0, "")
    assert second.err == "The database is up to date; nothing to do.\n"
    assert inside("migrate", "up", "--quiet").err == ""


def test_status_shows_revisions_as_a_table(inside: Program, engine: Engine) -> None:
    before = inside("migrate", "status")
    inside("migrate", "up")
    after = inside("migrate", "status")

    assert before.status == ExitStatus.FAILED
    assert "0001" in before.out
    assert "pending" in before.out
    assert after.status == 0
    assert "@" in after.out
    assert __version__ in after.out
    revisions = json.loads(inside("migrate", "status", "-o", "json").out)
    assert tuple(revision["id"] for revision in revisions) == REVISIONS
    assert all(revision["is_applied"] for revision in revisions)
    assert all(revision["applied_at"].endswith("Z") for revision in revisions)


def test_what_is_missing_is_listed_with_what_repairs_it(inside: Program, engine: Engine) -> None:
    inside("migrate", "up")
    run(
        engine,
        ["ALTER TABLE download_tasks DROP COLUMN worker", "DROP VIEW v_order_latest_events"],
    )

    status = inside("migrate", "status")
    check = inside("migrate", "check")

    assert status.status == check.status == ExitStatus.FAILED
    assert "missing: column worker of download_tasks; orderctl migrate up" in status.err
    assert "ALTER TABLE download_tasks ADD COLUMN worker" in status.err
    assert "missing, not essential: view v_order_latest_events" in status.err
    assert "missing: column worker of download_tasks" in check.err
    assert "hint: orderctl migrate up" in check.err
    assert inside("migrate", "up").status == inside("migrate", "check").status == 0


def test_sql_prints_what_up_would_run(inside: Program, engine: Engine) -> None:
    assert "CREATE TABLE orders" in inside("migrate", "sql").out
    assert inside("migrate", "check").status == ExitStatus.FAILED
    inside("migrate", "up")
    assert inside("migrate", "sql").out == ""


def test_history_needs_no_database(inside: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERCTL_DATABASE_URL", "mysql+pymysql://root@127.0.0.1:1/nowhere")

    assert "0001" in inside("migrate", "history").out
    assert inside("migrate", "up").status == ExitStatus.UNAVAILABLE


def test_a_lock_of_another_process_is_exit_75(inside: Program, engine: Engine) -> None:
    STYLES["plain_sqlite" if engine.dialect.name == "sqlite" else "sequelize"].load(engine)
    with engine.connect() as other:
        statement = (
            "SELECT GET_LOCK(CONCAT('orderctl migrate ', DATABASE()), 0)"
            if engine.dialect.name != "sqlite"
            else "UPDATE orders SET note = 'x'"
        )
        other.exec_driver_sql(statement)

        ended = inside("migrate", "up", "--lock-timeout", "1s")

    assert ended.status == ExitStatus.TRY_LATER
    assert "--lock-timeout" in ended.err


@pytest.mark.databases("mariadb", "mysql")
def test_tables_that_cannot_be_ours_are_exit_78(inside: Program, engine: Engine) -> None:
    run(engine, ["CREATE TABLE orders (id CHAR(36) PRIMARY KEY)"])

    ended = inside("migrate", "up")

    assert ended.status == ExitStatus.CONFIGURATION
    assert "nothing was changed" in ended.err
    assert "column orders.id has the type char(36)" in ended.err


@pytest.mark.databases("mariadb", "mysql")
def test_warnings_are_printed_even_with_quiet(inside: Program, engine: Engine) -> None:
    STYLES["cascade"].load(engine)

    ended = inside("migrate", "up", "--quiet")

    assert "warning: the foreign key of order_audit_logs.order_id has ON DELETE CASCADE: " in ended.err


def test_worker_does_not_start_before_the_outbox_is_carried_over(inside: Program, engine: Engine) -> None:
    with engine.connect():  # tells the servers apart
        pass
    of("fresh", engine).load(engine)

    ended = inside("worker", "start", "--burst")

    assert ended.status == ExitStatus.CONFIGURATION
    assert "hint: orderctl migrate up" in ended.err
