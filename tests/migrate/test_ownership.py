"""What is orderctl's own: its names, and nothing else."""

import pytest
from sqlalchemy import Engine

from orderctl import migrate
from orderctl.errors import ExitStatus, Misconfigured
from tests.migrate.conftest import Load
from tests.migrate.gallery import definitions, run, shape


@pytest.mark.parametrize(
    "name",
    [
        "orderctl_outbox",
        "orderctl_revoked_tokens",
        "orderctl_payments",
        "orderctl_migrations",
        "orderctl_version",
    ],
)
@pytest.mark.parametrize("kind", ["TABLE", "VIEW", "SEQUENCE", "INDEX"])
def test_another_thing_with_a_name_of_ours_is_refused(
    engine: Engine, database_kind: str, name: str, kind: str
) -> None:
    if (kind, database_kind) in {
        ("SEQUENCE", "sqlite"),
        ("SEQUENCE", "mysql"),
        ("INDEX", "mariadb"),
        ("INDEX", "mysql"),
    }:
        return  # there are none, or they have names of their own
    run(engine, ["CREATE TABLE theirs (id INTEGER PRIMARY KEY, kind VARCHAR(32) NOT NULL)"])
    made = {
        "TABLE": "(id INTEGER PRIMARY KEY)",
        "VIEW": "AS SELECT id FROM theirs",
        "SEQUENCE": "",
        "INDEX": "ON theirs (kind)",
    }
    run(engine, [f"CREATE {kind} {name} {made[kind]}"])
    before = definitions(engine) if kind != "SEQUENCE" else {}

    with pytest.raises(Misconfigured, match=f"{name}.*(rename|RENAME)") as caught:
        migrate.up(engine)

    assert caught.value.exit_status == ExitStatus.CONFIGURATION
    assert before == (definitions(engine) if kind != "SEQUENCE" else {})
    assert any(name in obstacle for obstacle in migrate.status(engine).obstacles)


@pytest.mark.parametrize("name", ["fresh", "adopted"])
def test_only_tables_that_were_made_get_an_updated_at(load: Load, engine: Engine, name: str) -> None:
    shop = load(name)
    before = shape(engine)

    migrate.up(engine)

    after = shape(engine)
    added = {table for table in after if "updated_at" in set(after[table]) - set(before[table])}
    is_shops = engine.dialect.name == "sqlite"  # it has an audit log of its own
    assert added == (
        {"orders", "order_audit_logs"} if name == "fresh" else set() if is_shops else {"order_audit_logs"}
    )
    if engine.dialect.name != "sqlite":
        shop.record(1)
        with engine.connect() as connection:
            query = "SELECT updated_at FROM order_audit_logs ORDER BY id DESC LIMIT 1"
            assert connection.exec_driver_sql(query).scalar_one() is not None
