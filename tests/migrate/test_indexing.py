"""The indexes of orderctl: which of them are unique, which come, and which leave for better ones."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from orderctl import migrate
from orderctl.errors import Conflict, SubjectFailed
from orderctl.migrate import reflection, survey
from tests.migrate.conftest import ALL, Account, Load
from tests.migrate.gallery import (
    NEW_INDEXES,
    OLD_INDEXES,
    STYLES,
    Style,
    definitions,
    index_name,
    rows,
    run,
    shape,
    undo_scale,
)
from tests.migrate.test_interrupted import up_dying_after


@pytest.mark.databases("mariadb", "mysql")
def test_new_table_comes_with_its_indexes_in_one_statement(engine: Engine) -> None:
    steps: list[migrate.Step] = []

    report = migrate.up(engine, on_step=steps.append)

    changes = [step for step in steps for statement in step.statements if "ALTER TABLE" in statement]
    [payments] = [step for step in steps if "table orderctl_payments" in step.adds]
    assert changes == []
    assert "index uq_orderctl_payments_provider_provider_id of orderctl_payments" in payments.adds
    assert set(payments.adds) <= set(report.added)
    assert migrate.up(engine).up_to_date


@pytest.mark.databases("mariadb", "mysql")
def test_earlier_unique_index_leaves_a_table_of_the_shop(load: Load, engine: Engine) -> None:
    shop = load("adopted")
    unique = "ADD UNIQUE INDEX uq_orderctl_orders_order_code (order_code)"
    run(engine, [f"ALTER TABLE orders DROP INDEX order_code, {unique}"])

    reported = {what for step in migrate.status(engine).drift for what in step.adds}
    migrate.up(engine)

    assert "index ix_orderctl_orders_order_code of orders" in reported
    assert code_indexes(engine) == {"ix_orderctl_orders_order_code"}
    order = "INSERT INTO orders (order_code, user_email, total_amount, created_at, updated_at)"
    run(engine, [f"{order} VALUES ('DH000008', 'other@example.com', 1, NOW(), NOW())"])
    run(engine, ["INSERT INTO order_audit_logs (order_id, event_type) SELECT MAX(id), 'second' FROM orders"])
    migrate.check(engine)
    with pytest.raises(Conflict, match="DH000008 already exists"):
        shop.add("DH000008")
    with engine.connect() as connection:
        events = connection.exec_driver_sql("CALL sp_order_timeline('DH000008')").mappings().all()
    assert {"second", "payment_received"} <= {event["event_type"] for event in events}


def test_unique_index_stays_in_a_table_that_orderctl_made_and_the_shop_extends(
    load: Load, engine: Engine
) -> None:
    load("fresh")
    migrate.up(engine)
    run(engine, ["ALTER TABLE orders ADD COLUMN tenant INT NULL"])

    assert migrate.up(engine).up_to_date
    assert code_indexes(engine) == {"uq_orderctl_orders_order_code"}
    table = "" if engine.dialect.name == "sqlite" else " ON orders"
    run(engine, [f"DROP INDEX uq_orderctl_orders_order_code{table}"])
    migrate.up(engine)
    assert code_indexes(engine) == {"ix_orderctl_orders_order_code"}


def code_indexes(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        found = reflection.read(connection, survey.TABLES).tables["orders"].indexes
    return {index.name for index in found if index.columns == ("order_code",)}


@pytest.mark.databases("mariadb", "mysql")
def test_procedure_of_an_earlier_version_is_replaced_and_one_of_the_shop_is_not(
    load: Load, engine: Engine, account: Account, database_kind: str
) -> None:
    load("adopted")
    limited = account(f"{ALL}, DROP ON {{db}}.*")
    assert "= (SELECT o.id" in definitions(engine)["sp_order_timeline"]

    [warning] = migrate.up(limited).warnings
    assert "procedure sp_order_timeline is not compared" in warning
    account("SELECT ON mysql.proc" if database_kind == "mariadb" else "SHOW_ROUTINE ON *.*")
    limited.dispose()
    assert all("ALTER ROUTINE" in warning for warning in migrate.up(limited).warnings)
    assert migrate.status(limited).wanting
    migrate.check(limited)
    assert "procedure sp_order_timeline as it is now" in migrate.up(engine).added

    assert "IN (SELECT o.id" in definitions(engine)["sp_order_timeline"]
    foreign = "CREATE PROCEDURE sp_order_timeline(IN code VARCHAR(9)) SELECT code"
    run(engine, ["DROP PROCEDURE sp_order_timeline", foreign])
    assert migrate.up(engine).up_to_date
    migrate.check(engine)


OLD = {index_name(table, names) for table, olds in OLD_INDEXES.items() for names in olds}
NEW = {index_name(table, names) for table, news in NEW_INDEXES.items() for names in news}
STATUSES = "ix_orderctl_orders_payment_status_order_status"
EMAILS = "ix_orderctl_orders_user_email_id"


def index_names(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        tables = reflection.read(connection, survey.TABLES).tables
    return {index.name for name in NEW_INDEXES for index in tables[name].indexes}


def on(engine: Engine, table: str) -> str:
    """Return the end of DROP INDEX."""
    return "" if engine.dialect.name == "sqlite" else f" ON {table}"


@pytest.mark.styles("sequelize", "nullable", "plain_sqlite")
def test_indexes_that_better_ones_replace_leave_in_the_same_statement(
    adopted_shop: Engine, style: Style
) -> None:
    migrate.up(adopted_shop)
    wanted, columns = index_names(adopted_shop), shape(adopted_shop)
    undo_scale(adopted_shop)
    before = rows(adopted_shop, shape(adopted_shop))
    assert index_names(adopted_shop) >= OLD
    script = migrate.sql(adopted_shop)
    steps: list[migrate.Step] = []

    migrate.up(adopted_shop, on_step=steps.append)

    assert index_names(adopted_shop) == wanted
    assert wanted >= NEW
    assert not OLD & wanted
    assert shape(adopted_shop) == columns
    assert rows(adopted_shop, {**columns, "download_tasks": columns["download_tasks"][:-1]}) == before
    assert migrate.up(adopted_shop).up_to_date
    style.go_on(adopted_shop)
    assert all(f"DROP INDEX {name}" in script for name in OLD)
    if adopted_shop.dialect.name != "sqlite":
        changes = [step.statements[0] for step in steps if "INDEX" in "".join(step.statements)]
        for table, news in NEW_INDEXES.items():
            [change] = [text for text in changes if text.startswith(f"ALTER TABLE {table} ")]
            assert change.endswith("ALGORITHM=INPLACE, LOCK=NONE")
            assert change.count("ADD INDEX") == len(news)
            assert change.count("DROP INDEX") == len(OLD_INDEXES[table])


@pytest.mark.databases("mysql")
def test_replacing_that_is_killed_goes_on_to_the_same_end(engine: Engine) -> None:
    migrate.up(engine)
    wanted = index_names(engine)
    undo_scale(engine)

    killed = [up_dying_after(engine, 1) for _ in range(3)]

    assert [str(text).split()[2] for text in killed] == ["orders", "download_tasks", "download_tasks"]
    migrate.up(engine)
    assert index_names(engine) == wanted
    migrate.check(engine)


def test_retired_index_that_is_there_again_is_named_and_leaves(engine: Engine) -> None:
    migrate.up(engine)
    run(engine, [f"CREATE INDEX {EMAILS} ON orders (user_email, id)"])

    with pytest.raises(SubjectFailed, match=f"removal of index {EMAILS}"):
        migrate.check(engine)
    assert f"DROP INDEX {EMAILS}" in migrate.sql(engine)
    [removal] = migrate.up(engine).added

    assert removal == f"removal of index {EMAILS} (user_email, id) of orders"
    assert EMAILS not in index_names(engine)
    migrate.check(engine)


def test_indexes_of_the_shop_serve_and_stay(engine: Engine) -> None:
    """Also one of a name that was orderctl's, with other columns or another promise."""
    migrate.up(engine)
    undo_scale(engine)
    theirs = {
        "theirs": "INDEX theirs ON orders (user_email, created_at)",
        STATUSES: f"INDEX {STATUSES} ON orders (order_status, total_amount)",
        EMAILS: f"UNIQUE INDEX {EMAILS} ON orders (user_email, id)",
    }
    run(engine, [f"DROP INDEX {name}{on(engine, 'orders')}" for name in (STATUSES, EMAILS)])
    run(engine, [f"CREATE {index}" for index in theirs.values()])

    migrate.up(engine)

    names = index_names(engine)
    assert set(theirs) <= names
    assert index_name("orders", "user_email created_at id") not in names
    assert index_name("orders", "payment_status order_status created_at id") in names
    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_foreign_key_of_the_shop_keeps_an_index(engine: Engine) -> None:
    STYLES["sequelize"].load(engine)
    migrate.up(engine)
    undo_scale(engine)
    run(
        engine,
        [
            "CREATE TABLE customers AS SELECT DISTINCT user_email FROM orders",
            "ALTER TABLE customers ADD PRIMARY KEY (user_email)",
            "ALTER TABLE orders MODIFY COLUMN created_at DATETIME NULL",
            "ALTER TABLE orders ADD CONSTRAINT theirs FOREIGN KEY (user_email) REFERENCES customers (user_email)",
        ],
    )

    migrate.up(engine)

    assert not OLD & index_names(engine)
    migrate.check(engine)
    for value in ("NULL", "NOW()"):
        with pytest.raises(IntegrityError):
            run(engine, [f"UPDATE orders SET user_email = 'unknown@example.com', created_at = {value}"])


@pytest.mark.databases("mariadb", "mysql")
def test_long_columns_and_many_indexes_have_room_for_the_wider_ones(engine: Engine) -> None:
    migrate.up(engine)
    undo_scale(engine)
    longest = "VARCHAR(384) CHARACTER SET utf8mb4 NOT NULL"  # 1,536 bytes: two of them fill an index
    with engine.connect() as connection:
        there = reflection.read(connection, survey.TABLES).tables["orders"].indexes
    fill = [f"ADD INDEX k{number} (total_amount, id)" for number in range(64 - len(there))]
    run(engine, [f"ALTER TABLE orders {', '.join(fill)}"])
    for name in ("user_email", "payment_status", "order_status"):
        run(engine, [f"ALTER TABLE orders MODIFY COLUMN {name} {longest}"])

    migrate.up(engine)

    assert index_names(engine) >= NEW
    assert not OLD & index_names(engine)
    migrate.check(engine)
