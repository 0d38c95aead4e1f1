"""Databases that the first version migrated, as it left them, are carried over while the shop writes.

``tests/migrate/earlier`` has them as SQL. Their entries of the outbox are sent, leased, postponed and waiting.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from orderctl import database_errors, migrate, outbox, schema
from orderctl.migrate import reflection, survey
from tests.migrate.conftest import ALL, Account, Load, of
from tests.migrate.gallery import REVISIONS, columns, definitions, rows, run, shape
from tests.migrate.test_interrupted import cuts, unnamed, up_by_deaths, up_dying_after, whole
from tests.shop import Shop
from tests.waiting import eventually

NAMES = ("fresh", "adopted", "taken_over")
#: What the shop writes into its own table, which the first version took over.
THEIRS = "INSERT INTO outbox (aggregate_type, body) VALUES ('order', '{}')"
THEIR_COLUMNS = [
    "id", "aggregate_type", "aggregate_id", "kind", "body", "created_at", "published_at",
]  # fmt: skip
DEADLOCK = 1213


@contextmanager
def writing(engine: Engine, statements: tuple[str, ...]) -> Iterator[list[str]]:
    """The shop writes an order after another, before, during and after the block; yield what failed."""
    stop, failed, written = threading.Event(), [], []

    def write() -> None:
        while not stop.wait(0.01):
            try:
                run(engine, [text.replace("DH000008", f"W{len(written)}") for text in statements])
                written.append(len(written))
            except DBAPIError as error:
                if database_errors.code_of(error) != DEADLOCK:
                    failed.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        eventually(lambda: len(written) > 1 or failed, "the first order")
        yield failed
        done = len(written)
        eventually(lambda: len(written) > done or failed, "an order afterwards")
    finally:
        stop.set()
        thread.join()


#: Columns whose values no earlier version wrote.
LATER = {"id", "failed_at", "endpoint", "resent"}


def contents(engine: Engine) -> list[tuple[object, ...]]:
    """The entries of the outbox without their ids, in order."""
    names = ", ".join(column.name for column in schema.outbox.columns if column.name not in LATER)
    with engine.connect() as connection:
        tables = reflection.read(connection, survey.TABLES).tables
        table = "orderctl_outbox" if "orderctl_outbox" in tables else "outbox"
        query = f"SELECT {names} FROM {table} WHERE dedup_key <> '' ORDER BY id"
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def names_of_tables(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(reflection.read(connection, survey.TABLES).tables)


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_kept_and_sent_once_while_the_shop_writes(
    load: Load, engine: Engine, name: str
) -> None:
    shop, style = load(name), of(name, engine)
    wanted = shape(engine)
    before, entries = rows(engine, wanted), contents(engine)

    with writing(engine, style.order) as failed:
        report = migrate.up(engine)

    assert failed == []
    assert report.applied == REVISIONS[1:]
    after = rows(engine, wanted)
    assert all(set(before[table]) <= set(after[table]) for table in wanted)
    assert contents(engine) == entries
    assert migrate.up(engine).up_to_date
    migrate.check(engine)
    assert migrate.status(engine).wanting == ()
    style.go_on(engine)
    waiting = [entry.dedup_key for entry in shop.outbox() if entry.sent_at is None]
    assert sorted(deliver(shop)) == sorted(waiting)
    assert len(waiting) == len(entries) - 1
    assert deliver(shop) == []


def deliver(shop: Shop) -> list[str]:
    """Send everything that is due; return the keys."""
    sent = shop.transact(
        lambda c: outbox.take(c, outbox.Lane(tuple(outbox.EntryKind)), limit=99, lease_seconds=60)
    )
    for entry in sent:
        assert shop.transact(lambda c, entry=entry: outbox.mark_sent(c, entry))
    return [entry.dedup_key for entry in sent]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.databases("mariadb", "mysql")
def test_carrying_over_that_dies_after_each_statement_gets_to_the_same_end(
    load: Load, fresh: Callable[..., Engine], engine: Engine, name: str
) -> None:
    load(name)
    entries = contents(engine)
    other = fresh(of(name, engine))
    statements, expected = whole(other)

    assert up_by_deaths(engine) >= cuts(statements)

    assert unnamed(definitions(engine)) == expected
    assert contents(engine) == contents(other) == entries
    assert migrate.up(engine).up_to_date


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", NAMES)
def test_carrying_over_of_a_file_that_dies_anywhere_changes_nothing(
    load: Load, fresh: Callable[..., Engine], engine: Engine, name: str
) -> None:
    load(name)
    before, entries = definitions(engine), contents(engine)
    statements, expected = whole(fresh(of(name, engine)))

    for number in range(1, len(statements) + 1):
        assert up_dying_after(engine, number) == statements[number - 1]
        assert (definitions(engine), contents(engine)) == (before, entries)
    migrate.up(engine)

    assert definitions(engine) == expected
    assert contents(engine) == entries


def test_table_that_was_made_is_renamed_and_one_of_the_shop_stays(load: Load, engine: Engine) -> None:
    load("fresh")

    report = migrate.up(engine)

    assert "table orderctl_outbox, which was called outbox" in report.added
    assert "outbox" not in names_of_tables(engine)
    assert not any("outbox" in warning for warning in report.warnings)


@pytest.mark.databases("mariadb", "mysql")
def test_shop_whose_table_was_taken_over_writes_at_once_and_can_clean_up(load: Load, engine: Engine) -> None:
    load("taken_over")
    run(engine, ["ALTER TABLE outbox ALTER COLUMN aggregate_type DROP DEFAULT"])
    with pytest.raises(DBAPIError):
        run(engine, [THEIRS])

    report = migrate.up(engine)

    run(
        engine,
        [THEIRS, THEIRS, "UPDATE outbox SET published_at = '2025-01-01' WHERE aggregate_type = 'order'"],
    )
    [warning] = [text for text in report.warnings if text.startswith("table outbox is the shop's")]
    run(engine, warning.rpartition("earlier version runs: ")[2].split("; "))
    with engine.connect() as connection:
        assert columns(connection, "outbox") == THEIR_COLUMNS
        query = "SELECT aggregate_type FROM outbox"
        assert connection.exec_driver_sql(query).scalars().all() == ["order"] * 3
    assert len(contents(engine)) == 3
    again = migrate.up(engine)
    assert again.up_to_date
    assert not any("outbox" in text for text in again.warnings)


@pytest.mark.databases("sqlite")
def test_statements_that_clean_up_a_file_leave_what_the_shop_had(load: Load, engine: Engine) -> None:
    load("taken_over")

    [warning] = migrate.up(engine).warnings

    run(engine, warning.rpartition("earlier version runs: ")[2].split("; "))
    run(engine, ["INSERT INTO outbox (aggregate_type) VALUES ('order')"])
    assert migrate.up(engine).warnings == ()
    assert len(contents(engine)) == 3


@pytest.mark.databases("mariadb", "mysql")
def test_entries_with_nulls_in_columns_of_the_shop_are_copied(load: Load, engine: Engine) -> None:
    load("taken_over")
    run(
        engine,
        [
            "DELETE FROM outbox WHERE kind = ''",
            "ALTER TABLE outbox MODIFY COLUMN attempts INT NULL, MODIFY COLUMN created_at DATETIME(6) NULL",
            "UPDATE outbox SET attempts = NULL, created_at = NULL",
        ],
    )

    migrate.up(engine)

    assert len(contents(engine)) == 3
    with engine.connect() as connection:
        counts = connection.exec_driver_sql("SELECT attempts FROM orderctl_outbox").scalars().all()
    assert set(counts) == {0}


@pytest.mark.databases("mariadb", "mysql")
def test_account_that_may_not_drop_gets_a_copy(load: Load, engine: Engine, account: Account) -> None:
    load("fresh")
    entries = contents(engine)
    limited = account(f"{ALL}, ALTER ROUTINE ON {{db}}.*")

    [warning] = [text for text in migrate.up(limited).warnings if "outbox" in text]

    assert warning == "table outbox is not used any more, its rows are in orderctl_outbox: DROP TABLE outbox"
    assert contents(engine) == entries
    migrate.check(limited)
    run(engine, ["DROP TABLE outbox"])
    assert not any("outbox" in text for text in migrate.up(limited).warnings)


@pytest.mark.parametrize(
    "damage",
    [
        # Killed in the first revision: after the table, before its indexes; and with nothing else.
        ["DROP TABLE orderctl_version", "DROP INDEX uq_orderctl_outbox_dedup_key"],
        [
            "DROP VIEW v_order_latest_events",
            "DROP TABLE order_audit_logs",
            "DROP TABLE download_tasks",
            "DROP TABLE orders",
            "DROP TABLE orderctl_version",
            "DROP TABLE orderctl_migrations",
        ],
    ],
)
def test_first_revision_that_was_half_applied_is_continued(
    load: Load, engine: Engine, damage: list[str]
) -> None:
    load("fresh")
    run(
        engine,
        [
            text + (" ON outbox" if "INDEX" in text and engine.dialect.name != "sqlite" else "")
            for text in damage
        ],
    )
    run(engine, ["DELETE FROM orderctl_migrations"] if len(damage) == 2 else [])
    entries = contents(engine)

    assert migrate.up(engine).applied == REVISIONS

    assert contents(engine) == entries
    assert "outbox" not in names_of_tables(engine)
    migrate.check(engine)


def test_table_of_the_shop_that_was_never_touched_is_not_mentioned(engine: Engine) -> None:
    run(engine, ["CREATE TABLE outbox (id INTEGER PRIMARY KEY, kind VARCHAR(32) NOT NULL, body TEXT)"])
    before = definitions(engine)["outbox"]

    report = migrate.up(engine)

    assert definitions(engine)["outbox"] == before
    assert not any(" outbox" in text for text in (*report.added, *report.warnings))
    assert migrate.up(engine).up_to_date
