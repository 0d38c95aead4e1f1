"""Migrations beside other migrations, and beside transactions that do not end."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from orderctl import migrate
from orderctl.errors import ExitStatus, LockHeld
from orderctl.migrate import locks
from tests.database.styles import STYLES, definitions, run


def wait_for(condition: Callable[[], object]) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def states(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        query = "SELECT state FROM information_schema.processlist WHERE state IS NOT NULL"
        return list(connection.exec_driver_sql(query).scalars())


class Gate:
    """Holds a migration before its first step."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, _step: migrate.Step) -> None:
        self.reached.set()
        assert self.opened.wait(30)


@pytest.mark.databases("mariadb", "mysql")
def test_second_of_two_waits_and_finds_nothing_to_do(engine: Engine) -> None:
    gate = Gate()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(migrate.up, engine, on_step=gate)
        assert gate.reached.wait(30)
        second = pool.submit(migrate.up, engine, lock_timeout=60)
        wait_for(lambda: "User lock" in states(engine))
        gate.opened.set()

        assert first.result(60).applied == ("0001",)
        assert second.result(60).up_to_date
    migrate.check(engine)


def test_second_of_two_gives_up_and_names_the_first(engine: Engine) -> None:
    gate = Gate()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(migrate.up, engine, on_step=gate)
        assert gate.reached.wait(30)

        with pytest.raises(LockHeld) as caught:
            migrate.up(engine, lock_timeout=0.2)

        gate.opened.set()
        first.result(60)
    assert caught.value.exit_status == ExitStatus.TRY_LATER
    if engine.dialect.name != "sqlite":
        assert "of root from" in str(caught.value)
    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_migrations_of_different_databases_do_not_wait_for_each_other(engine: Engine, fresh) -> None:
    gate = Gate()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(migrate.up, engine, on_step=gate)
        assert gate.reached.wait(30)

        url = fresh(None).url.render_as_string(hide_password=False)
        script = (
            f"from orderctl import database, migrate; migrate.up(database.connect({url!r}), lock_timeout=0)"
        )
        subprocess.run([sys.executable, "-c", script], check=True)  # Alembic runs once in a process

        gate.opened.set()
        first.result(60)


def test_name_of_the_lock_fits_and_differs() -> None:
    long = "d" * 63
    names = {locks.lock_name(name) for name in ("shop", f"{long}1", f"{long}2")}

    assert len(names) == 3
    assert all(len(name) <= 64 for name in names)


@pytest.mark.databases("mariadb", "mysql")
@pytest.mark.parametrize("table", ["orders", "download_tasks", "order_audit_logs"])
def test_forgotten_transaction_of_somebody_else_makes_it_give_up_with_nothing_done(
    engine: Engine, table: str
) -> None:
    STYLES["sequelize_audit"].load(engine)
    before = definitions(engine)
    with engine.connect() as forgotten:
        forgotten.exec_driver_sql(f"SELECT COUNT(*) FROM {table}")

        with pytest.raises(LockHeld, match=r"oldest transactions: connection .* of root") as caught:
            migrate.up(engine, lock_timeout=1)

        assert "go on" in str(caught.value.hint) or "goes on" in str(caught.value.hint)
    assert definitions(engine) == before
    migrate.up(engine)
    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_forgotten_transaction_that_ends_in_time_does_no_harm(engine: Engine) -> None:
    STYLES["sequelize"].load(engine)
    with ThreadPoolExecutor() as pool, engine.connect() as forgotten:
        forgotten.exec_driver_sql("SELECT COUNT(*) FROM orders")
        migration = pool.submit(migrate.up, engine, lock_timeout=60)
        wait_for(lambda: any("metadata lock" in state for state in states(engine)))

        forgotten.rollback()

        assert migration.result(60).applied == ("0001",)


@pytest.mark.databases("mariadb", "mysql")
def test_writers_pass_while_it_waits_for_a_forgotten_transaction(engine: Engine) -> None:
    STYLES["sequelize"].load(engine)
    insert = "INSERT INTO orders (order_code, user_email, total_amount, created_at, updated_at)"
    with ThreadPoolExecutor() as pool, engine.connect() as forgotten:
        forgotten.exec_driver_sql("SELECT COUNT(*) FROM orders")
        migration = pool.submit(migrate.up, engine, lock_timeout=4)
        wait_for(lambda: any("metadata lock" in state for state in states(engine)))

        longest, number = 0.0, 0
        while not migration.done():
            number, begun = number + 1, time.monotonic()
            run(engine, [f"{insert} VALUES ('NEW{number}', 'a@b.c', 1, NOW(), NOW())"])
            longest = max(longest, time.monotonic() - begun)

        with pytest.raises(LockHeld):
            migration.result()
    # A statement that waits for the table holds up all that come after it; each turn lasts a second.
    assert longest < 2.5
    assert number > 3


@pytest.mark.databases("mariadb", "mysql")
def test_transaction_that_begins_in_the_middle_stops_it_and_the_next_run_goes_on(engine: Engine) -> None:
    STYLES["sequelize_audit"].load(engine)
    with engine.connect() as other:

        def on_step(step: migrate.Step) -> None:
            if step.what.startswith("columns") and step.what.endswith("order_audit_logs"):
                other.exec_driver_sql("SELECT COUNT(*) FROM order_audit_logs")

        with pytest.raises(LockHeld, match="ALTER TABLE order_audit_logs"):
            migrate.up(engine, lock_timeout=1, on_step=on_step)
    assert migrate.status(engine).pending == ("0001",)

    report = migrate.up(engine)

    assert not any("of orders" in what for what in report.added)
    assert any("of order_audit_logs" in what for what in report.added)
    migrate.check(engine)
