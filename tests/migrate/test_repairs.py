"""Others drop, cut down or alter what orderctl added: ``migrate up`` restores it, whatever its name says."""

import re
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from orderctl import migrate, outbox
from orderctl.errors import Conflict, Misconfigured, SubjectFailed
from orderctl.migrate import catalogue, reflection, survey
from tests.migrate.gallery import STYLES, Style, definitions, run
from tests.shop import Shop

OURS = {
    "orders": ("paid_at", "completed_at", "round"),
    "download_tasks": (
        "managed", "attempt", "max_attempts", "available_at", "lease_token", "lease_until", "worker",
        "error_type", "error_fingerprint", "failing_since", "ready",
    ),
    "order_audit_logs": ("dedup_key", "actor"),
    "orderctl_outbox": (
        "kind", "dedup_key", "payload", "created_at", "due_at", "attempts", "lease_token", "lease_until",
        "sent_at", "last_error",
    ),
    "orderctl_revoked_tokens": ("revoked_at", "expires_at", "revoked_by"),
    "orderctl_payments": (
        "provider", "provider_id", "order_id", "amount", "currency", "direction", "bank", "account",
        "reference", "code", "content", "told_at", "happened_at", "outcome", "reason", "raw", "raw_since",
        "decided_by", "decided_at", "decision",
    ),
    "orderctl_audit_hours": ("events",),
    "orderctl_audit_counts": (
        "counted_from", "counted_to", "written", "gaps", "old_to", "seen_to", "seen_at",
    ),
    "orderctl_operations": (
        "name", "kind", "selection", "reason", "actor", "source", "take", "max_attempts", "rate", "per_hour",
        "canary", "max_failures", "state", "why", "stopped_by", "total", "changed", "unchanged", "refused",
        "completed", "failed", "cancelled", "created_at", "started_at", "ended_at", "next_at", "looked_to",
        "lease_token", "lease_until",
    ),
    "orderctl_operation_tasks": ("seen_status", "seen_attempt", "state", "note", "changed_at"),
    "orderctl_migrations": ("applied_at",),
}  # fmt: skip


#: Types that are too short, and become long enough without a copy of the table.
SHORT = {
    "varchar(191)": "varchar(80)",
    "varchar(128)": "varchar(80)",
    "varchar(36)": "varchar(20)",
    "varchar(32)": "varchar(20)",
    "longtext": "json",
}


def parts(engine: Engine) -> dict[str, list[str]]:
    """Every definition, as a sorted list of its lines: a column that was dropped comes back as the last one."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            there = reflection.read(connection, survey.TABLES)
        return {
            name: sorted(map(repr, [*table.columns.values(), *table.indexes]))
            for name, table in there.tables.items()
        }
    # MySQL writes the character set of a column only if it was given.
    return {
        name: sorted(re.sub(r" CHARACTER SET \w+", "", line).strip(" ,") for line in text.splitlines())
        for name, text in definitions(engine).items()
    }


def indexes(engine: Engine) -> list[tuple[str, catalogue.Index]]:
    """Every index that orderctl added, with its table."""
    with engine.connect() as connection:
        there = reflection.read(connection, survey.TABLES)
    return [
        (table.name, index)
        for table in there.tables.values()
        for index in table.indexes
        if index.name.startswith(("ix_orderctl_", "uq_orderctl_"))
    ]


def assert_restored(engine: Engine, damage: list[str], expected: set[str]) -> None:
    """Do the damage; both commands report it, and the next run restores what was there."""
    before = parts(engine)
    run(engine, damage)

    reported = {what for step in migrate.status(engine).drift for what in step.adds}
    assert expected <= reported
    with pytest.raises(SubjectFailed):
        migrate.check(engine)
    migrate.up(engine)

    assert parts(engine) == before
    assert migrate.up(engine).up_to_date
    migrate.check(engine)


def drop(engine: Engine, table: str, name: str) -> str:
    return f"DROP INDEX {name}" + ("" if engine.dialect.name == "sqlite" else f" ON {table}")


def create(table: str, name: str, columns: tuple[str, ...], kind: str = "") -> str:
    return f"CREATE {kind} INDEX {name} ON {table} ({', '.join(columns)})"


def gone(*_: object) -> str:
    return "SELECT 1"


def cut_down(table: str, index: catalogue.Index) -> str:
    return create(table, index.name, index.columns[:-1] or ("id",))


def not_unique(table: str, index: catalogue.Index) -> str:
    return create(table, index.name, index.columns, "" if index.unique else "UNIQUE")


def adopt_or_make(engine: Engine, *, made: bool) -> None:
    """Migrate a shop's database, or an empty one; the foreign keys have indexes of the shop's."""
    if not made:
        STYLES["plain_sqlite" if engine.dialect.name == "sqlite" else "sequelize"].load(engine)
    migrate.up(engine)
    keys = [("download_tasks", "order_id"), ("order_audit_logs", "order_id"), ("order_audit_logs", "task_id")]
    run(
        engine,
        [f"CREATE INDEX theirs_{table}_{column} ON {table} ({column}, created_at)" for table, column in keys],
    )


@pytest.mark.parametrize(
    ("made", "damaged"), [(True, gone), (True, cut_down), (True, not_unique), (False, cut_down)]
)
def test_each_index_that_is_dropped_or_differs_is_as_before(
    engine: Engine, made: bool, damaged: Callable[..., str]
) -> None:
    adopt_or_make(engine, made=made)
    found, damage = indexes(engine), []
    for table, index in found:
        damage += [drop(engine, table, index.name), damaged(table, index)]

    assert_restored(engine, damage, {f"index {index.name} of {table}" for table, index in found})


@pytest.mark.databases("mariadb", "mysql")
def test_each_index_that_is_hidden_is_seen_again(engine: Engine, database_kind: str) -> None:
    migrate.up(engine)
    word = "IGNORED" if database_kind == "mariadb" else "INVISIBLE"
    found = indexes(engine)
    damage = [f"ALTER TABLE {table} ALTER INDEX {index.name} {word}" for table, index in found]

    assert_restored(engine, damage, {f"index {index.name} of {table}" for table, index in found})


@pytest.mark.databases("mariadb", "mysql")
@pytest.mark.parametrize("made", [True, False])
def test_each_column_that_is_dropped_comes_back_with_its_indexes(engine: Engine, *, made: bool) -> None:
    adopt_or_make(engine, made=made)
    kept = {"provider", "provider_id"}  # MariaDB drops no part of a unique key
    pairs = [(table, column) for table, columns in OURS.items() for column in columns if column not in kept]

    assert_restored(
        engine,
        [f"ALTER TABLE {table} DROP COLUMN {column}" for table, column in pairs],
        {f"column {column} of {table}" for table, column in pairs},
    )


@pytest.mark.databases("mariadb", "mysql")
def test_each_column_that_is_altered_holds_again_what_is_written(engine: Engine) -> None:
    adopt_or_make(engine, made=True)
    with engine.connect() as connection:
        there = reflection.read(connection, survey.TABLES)
    damage, expected = [], set()
    for table, columns in OURS.items():
        for name in columns:
            column = there.tables[table].columns[name]
            short = SHORT.get(column.type, column.type)
            null = "NOT NULL" if column.nullable else "NULL"
            damage.append(f"ALTER TABLE {table} MODIFY COLUMN {name} {short} {null}")
            expected.add(f"{table}.{name}")
    before = parts(engine)
    run(engine, damage)

    drift = {what.rpartition(" ")[2] for step in migrate.status(engine).drift for what in step.adds}
    assert drift == expected
    migrate.up(engine)
    assert parts(engine) == before
    assert migrate.up(engine).up_to_date


@pytest.mark.databases("mariadb", "mysql")
def test_number_that_is_too_short_is_left_to_people(engine: Engine) -> None:
    migrate.up(engine)
    before = parts(engine)
    run(engine, ["ALTER TABLE download_tasks MODIFY attempt TINYINT NOT NULL DEFAULT 0"])

    with pytest.raises(Conflict, match="without blocking writers") as caught:
        migrate.up(engine)

    run(engine, [str(caught.value).rpartition("): ")[2]])
    migrate.check(engine)
    assert parts(engine) == before


@pytest.mark.databases("mariadb", "mysql")
def test_column_of_the_shop_that_would_need_a_copy_of_the_table_stays(engine: Engine) -> None:
    STYLES["short_audit"].load(engine)
    run(engine, ["UPDATE download_tasks SET worker = 'theirs'"])
    run(engine, ["ALTER TABLE download_tasks MODIFY worker VARCHAR(40) NOT NULL"])

    report = migrate.up(engine)

    [worker] = [line for line in parts(engine)["download_tasks"] if line.startswith("`worker`")]
    if worker != "`worker` varchar(128) DEFAULT NULL":  # MySQL
        assert worker == "`worker` varchar(40) DEFAULT NULL"
        assert any(
            "ALTER TABLE download_tasks MODIFY COLUMN worker" in warning for warning in report.warnings
        )
    migrate.check(engine)
    assert migrate.up(engine).up_to_date


@pytest.mark.styles("short_audit")
def test_column_of_the_shop_with_a_name_of_ours_only_gets_longer(engine: Engine, style: Style) -> None:
    style.load(engine)

    migrate.up(engine)

    [worker] = [line for line in parts(engine)["download_tasks"] if line.startswith("`worker`")]
    assert worker == "`worker` varchar(128) DEFAULT NULL"
    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_defaults_that_are_lost_come_back_and_rows_get_them(engine: Engine) -> None:
    migrate.up(engine)
    shop = Shop(engine)
    before = parts(engine)
    shop.add()
    run(
        engine,
        [
            "ALTER TABLE orders MODIFY COLUMN round INT NULL",
            "ALTER TABLE download_tasks ALTER COLUMN managed DROP DEFAULT",
            "UPDATE orders SET round = NULL",
        ],
    )

    migrate.up(engine)

    assert shop.order().round == 0
    assert parts(engine) == before


def test_waiting_entry_is_due_although_its_time_was_dropped(engine: Engine) -> None:
    migrate.up(engine)
    shop = Shop(engine)
    shop.carry_out(shop.paid()[0])
    entries = len(shop.outbox())
    index = drop(engine, "orderctl_outbox", "ix_orderctl_outbox_sent_at_due_at")
    run(engine, [index, "ALTER TABLE orderctl_outbox DROP COLUMN due_at"])

    migrate.up(engine)

    taken = shop.transact(
        lambda c: outbox.take(c, outbox.Lane(tuple(outbox.EntryKind)), limit=9, lease_seconds=9)
    )
    assert len(taken) == entries
    migrate.check(engine)


def test_index_that_cannot_be_unique_again_names_the_value(engine: Engine) -> None:
    """The index of a table that orderctl made was dropped, and the shop used a code twice."""
    migrate.up(engine)
    code = "uq_orderctl_orders_order_code"
    run(engine, [drop(engine, "orders", code)])
    for _ in range(2):
        run(engine, ["INSERT INTO orders (order_code, user_email) VALUES ('DH1', 'a@example.com')"])

    with pytest.raises(
        Conflict, match=f"index {code} of orders cannot be added, because rows have"
    ) as caught:
        migrate.up(engine)

    assert "orderctl migrate up" in str(caught.value.hint)


@pytest.mark.databases("mariadb", "mysql")
def test_type_in_a_table_of_orderctl_alone_is_repaired_by_a_copy(engine: Engine) -> None:
    migrate.up(engine)
    damage = "MODIFY COLUMN attempts TINYINT NOT NULL, MODIFY COLUMN due_at DATETIME NOT NULL"

    assert_restored(engine, [f"ALTER TABLE orderctl_outbox {damage}"], set())


def test_history_that_lost_its_columns_gets_them_back(engine: Engine) -> None:
    migrate.up(engine)
    for name in ("applied_at", "applied_by", "version"):
        run(engine, [f"ALTER TABLE orderctl_migrations DROP COLUMN {name}"])
        reported = [what for step in migrate.status(engine).drift for what in step.adds]
        assert f"column {name} of orderctl_migrations" in reported

    migrate.up(engine)

    migrate.check(engine)
    assert migrate.up(engine).up_to_date


def test_table_of_the_newest_revision_that_was_dropped_comes_back(engine: Engine) -> None:
    migrate.up(engine)
    before = migrate.status(engine).revisions
    run(engine, ["DROP TABLE orderctl_version"])

    migrate.up(engine)

    assert migrate.status(engine).revisions == before
    assert migrate.up(engine).up_to_date


@pytest.mark.databases("mariadb", "mysql")
def test_foreign_key_that_was_dropped_is_left_to_people(engine: Engine) -> None:
    migrate.up(engine)
    before, key = parts(engine), "fk_orderctl_order_audit_logs_order_id"
    run(engine, [f"ALTER TABLE order_audit_logs DROP FOREIGN KEY {key}"])
    assert [step.what for step in migrate.status(engine).wanting] == [
        f"foreign key {key} of order_audit_logs"
    ]

    [warning] = migrate.up(engine).warnings

    run(engine, [warning.rpartition("): ")[2]])
    assert parts(engine) == before
    assert migrate.status(engine).wanting == ()


@pytest.mark.databases("mysql", "mariadb")
@pytest.mark.parametrize("type_", ["VARCHAR(12)", "VARCHAR(300)"])
def test_column_of_our_name_that_lacks_several_things_is_widened_once(engine: Engine, type_: str) -> None:
    STYLES["sequelize"].load(engine)
    run(engine, [f"ALTER TABLE download_tasks ADD worker {type_} NOT NULL DEFAULT ''"])

    warnings = migrate.up(engine).warnings

    with engine.connect() as connection:
        column = reflection.read(connection, survey.TABLES).tables["download_tasks"].columns["worker"]
    assert column.nullable
    # MySQL makes a text longer than 255 bytes only in a copy of the table.
    wanted = {type_.lower()} if type_ == "VARCHAR(300)" else {"varchar(128)"}
    assert column.type in wanted or any("download_tasks.worker" in warning for warning in warnings)
    assert migrate.up(engine).up_to_date


@pytest.mark.databases("mysql", "mariadb")
def test_column_of_another_kind_gets_its_type_again(engine: Engine) -> None:
    migrate.up(engine)

    damage = {
        "payload": "TEXT NOT NULL",
        "attempts": "VARCHAR(10) NOT NULL DEFAULT '0'",
        "sent_at": "VARCHAR(40)",
        "last_error": "INTEGER",
    }

    assert_restored(
        engine,
        [f"ALTER TABLE orderctl_outbox MODIFY COLUMN {name} {type_}" for name, type_ in damage.items()],
        {f"type of orderctl_outbox.{name}" for name in damage},
    )


@pytest.mark.databases("mysql", "mariadb")
def test_column_of_another_kind_in_a_table_of_the_shop_is_left_to_people(engine: Engine) -> None:
    STYLES["sequelize"].load(engine)
    migrate.up(engine)
    before = parts(engine)
    run(engine, ["ALTER TABLE orders MODIFY COLUMN round VARCHAR(10) NOT NULL DEFAULT '0'"])
    assert [step.what for step in migrate.status(engine).wanting] == ["type of orders.round"]

    [warning] = migrate.up(engine).warnings

    run(engine, [warning.rpartition("): ")[2]])
    assert parts(engine) == before


@pytest.mark.databases("mysql", "mariadb")
def test_outbox_whose_rows_are_not_numbered_is_refused(engine: Engine) -> None:
    migrate.up(engine)
    run(engine, ["ALTER TABLE orderctl_outbox MODIFY COLUMN id BIGINT NOT NULL"])

    with pytest.raises(SubjectFailed, match="id is not AUTO_INCREMENT"):
        migrate.check(engine)
    with pytest.raises(Misconfigured, match="id is not AUTO_INCREMENT") as caught:
        migrate.up(engine)

    run(engine, [str(caught.value).rpartition("rows: ")[2]])
    assert migrate.up(engine).up_to_date
