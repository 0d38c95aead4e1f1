"""Migrations while other migrations run, and while transactions stay open."""

import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import pymysql
import pytest
from sqlalchemy import Engine, event

from orderctl import migrate
from orderctl.errors import ExitStatus, LockHeld
from orderctl.migrate import locks
from tests.migrate.gallery import REVISIONS, STYLES, Style, definitions, run
from tests.migrate.writers import Writer, fill
from tests.waiting import SOON, eventually


def states(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        query = "SELECT state FROM information_schema.processlist WHERE state IS NOT NULL"
        return list(connection.exec_driver_sql(query).scalars())


def age_of_oldest(engine: Engine) -> int:
    query = "SELECT TIMESTAMPDIFF(SECOND, MIN(trx_started), NOW()) FROM information_schema.innodb_trx"
    with engine.connect() as connection:
        return connection.exec_driver_sql(query).scalar() or 0


class Refusals:
    """Counts the statements that did not get the table's lock."""

    number = 0

    def __enter__(self) -> Self:
        event.listen(Engine, "handle_error", self)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "handle_error", self)

    def __call__(self, context) -> None:
        self.number += context.original_exception.args[0] == pymysql.constants.ER.LOCK_WAIT_TIMEOUT


class Turns:
    """Counts how often a statement has waited for a table for a whole second, in vain."""

    ended = 0

    def __init__(self) -> None:
        self._seconds: dict[int, str] = {}

    def __enter__(self) -> Self:
        event.listen(Engine, "before_cursor_execute", self._note)
        event.listen(Engine, "handle_error", self._count)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "before_cursor_execute", self._note)
        event.remove(Engine, "handle_error", self._count)

    def _note(self, connection, _cursor, statement, *_: object) -> None:
        if found := re.fullmatch(r"SET SESSION lock_wait_timeout = (\d+)", statement):
            self._seconds[id(connection.connection.driver_connection)] = found[1]

    def _count(self, context) -> None:
        kept = context.original_exception.args[0] == pymysql.constants.ER.LOCK_WAIT_TIMEOUT
        driver = context.connection.connection.driver_connection
        self.ended += kept and self._seconds.get(id(driver)) == "1"


class Gate:
    """Holds a migration before its first step."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, _step: migrate.Step) -> None:
        self.reached.set()
        assert self.opened.wait(SOON)


@pytest.mark.databases("mariadb", "mysql")
def test_second_of_two_waits_and_finds_nothing_to_do(engine: Engine) -> None:
    gate = Gate()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(migrate.up, engine, on_step=gate)
        assert gate.reached.wait(SOON)
        second = pool.submit(migrate.up, engine, lock_timeout=SOON)
        eventually(lambda: "User lock" in states(engine), "the second migration's wait")
        gate.opened.set()

        assert first.result(SOON).applied == REVISIONS
        assert second.result(SOON).up_to_date
    migrate.check(engine)


def test_second_of_two_gives_up_and_names_the_first(engine: Engine) -> None:
    gate = Gate()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(migrate.up, engine, on_step=gate)
        assert gate.reached.wait(SOON)

        with pytest.raises(LockHeld) as caught:
            migrate.up(engine, lock_timeout=0.2)

        gate.opened.set()
        first.result(SOON)
    assert caught.value.exit_status == ExitStatus.TRY_LATER
    if engine.dialect.name != "sqlite":
        assert "of root from" in str(caught.value)
    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_migrations_of_different_databases_do_not_wait_for_each_other(engine: Engine, fresh) -> None:
    gate = Gate()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(migrate.up, engine, on_step=gate)
        assert gate.reached.wait(SOON)

        url = fresh(None).url.render_as_string(hide_password=False)
        script = (
            f"from orderctl import database, migrate; migrate.up(database.connect({url!r}), lock_timeout=0)"
        )
        subprocess.run([sys.executable, "-c", script], check=True)  # Alembic runs once per process

        gate.opened.set()
        first.result(SOON)


def test_name_of_the_lock_fits_and_differs() -> None:
    long = "d" * 63
    names = {locks.lock_name(name) for name in ("shop", f"{long}1", f"{long}2")}

    assert len(names) == 3
    assert all(len(name) <= 64 for name in names)


@pytest.mark.databases("mariadb", "mysql")
@pytest.mark.parametrize("table", ["orders", "download_tasks", "order_audit_logs"])
def test_another_forgotten_transaction_makes_it_give_up_with_nothing_done(engine: Engine, table: str) -> None:
    STYLES["sequelize_audit"].load(engine)
    before = definitions(engine)
    with engine.connect() as forgotten:
        forgotten.exec_driver_sql(f"SELECT COUNT(*) FROM {table}")
        eventually(lambda: age_of_oldest(engine) >= 1, "the transaction's second second")

        with pytest.raises(LockHeld, match=r"oldest transactions: connection .* of root") as caught:
            migrate.up(engine, lock_timeout=1)

        assert str(caught.value.hint).endswith("continue with: orderctl migrate up")
    assert definitions(engine) == before
    migrate.up(engine)
    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_forgotten_transaction_that_ends_in_time_does_no_harm(engine: Engine) -> None:
    STYLES["sequelize"].load(engine)
    with ThreadPoolExecutor() as pool, engine.connect() as forgotten:
        forgotten.exec_driver_sql("SELECT COUNT(*) FROM orders")
        refused = Refusals()
        with refused:
            migration = pool.submit(migrate.up, engine, lock_timeout=SOON)
            eventually(lambda: refused.number, "a refused lock")

        forgotten.rollback()

        assert migration.result(SOON).applied == REVISIONS


@pytest.mark.databases("mariadb", "mysql")
def test_writers_pass_while_it_waits_for_a_forgotten_transaction(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MariaDB's tries that do not wait hold up nobody, and go on for half of the time.
    monkeypatch.setattr(locks, "_run_without_waiting", lambda *_: False)
    STYLES["sequelize"].load(engine)
    insert = "INSERT INTO orders (order_code, user_email, total_amount, created_at, updated_at)"
    with ThreadPoolExecutor() as pool, engine.connect() as forgotten:
        forgotten.exec_driver_sql("SELECT COUNT(*) FROM orders")
        turns, number, passed = Turns(), 0, 0
        with turns:
            migration = pool.submit(migrate.up, engine, lock_timeout=SOON)
            # A statement that waits for the table holds up all that come after it, for its turn of a second.
            while turns.ended < 2 and not migration.done():
                number, passed = number + 1, passed + (turns.ended == 1)
                run(engine, [f"{insert} VALUES ('NEW{number}', 'a@b.c', 1, NOW(), NOW())"])

        assert not migration.done()
        assert passed > 0
        forgotten.rollback()

        assert migration.result(SOON).applied == REVISIONS


@pytest.mark.databases("mariadb", "mysql")
def test_transaction_that_begins_in_the_middle_stops_it_and_the_next_run_goes_on(engine: Engine) -> None:
    STYLES["sequelize_audit"].load(engine)
    with engine.connect() as other:

        def on_step(step: migrate.Step) -> None:
            if "column dedup_key of order_audit_logs" in step.adds:
                other.exec_driver_sql("SELECT COUNT(*) FROM order_audit_logs")

        with pytest.raises(LockHeld, match="ALTER TABLE order_audit_logs"):
            migrate.up(engine, lock_timeout=1, on_step=on_step)
    assert migrate.status(engine).pending == REVISIONS

    report = migrate.up(engine)

    assert not any("of orders" in what for what in report.added)
    assert any("of order_audit_logs" in what for what in report.added)
    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_writers_go_on_while_indexes_are_built(engine: Engine) -> None:
    fill(engine, 20_000)
    begun: dict[str, float] = {}

    with Writer(engine, 1) as first, Writer(engine, 2) as second:
        migrate.up(engine, lock_timeout=30, on_step=lambda step: begun.update({step.what: time.monotonic()}))

    assert first.errors == second.errors == []
    building = next(at for what, at in begun.items() if "index ix_orderctl_order_audit_logs_created" in what)
    ended = min(at for at in begun.values() if at > building)
    assert len(first.between(building, ended)) + len(second.between(building, ended)) > 10
    migrate.check(engine)


@pytest.mark.styles(*(name for name, style in STYLES.items() if "mysql" in style.kinds))
def test_no_statement_copies_a_table_or_keeps_it_locked(adopted_shop: Engine, style: Style) -> None:
    for statement in re.findall(r"^ALTER TABLE .*", migrate.sql(adopted_shop), re.MULTILINE):
        assert re.search(r", ALGORITHM=(INSTANT|INPLACE, LOCK=NONE);$", statement)
