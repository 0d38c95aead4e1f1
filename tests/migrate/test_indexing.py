"""Two orders of the shop may have one code: orderctl adds no constraint of its own over them."""

import pytest
from sqlalchemy import Engine

from orderctl import migrate
from orderctl.errors import Conflict
from orderctl.migrate import reflection, survey
from tests.migrate.conftest import ALL, Account, Load
from tests.migrate.gallery import definitions, run


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
