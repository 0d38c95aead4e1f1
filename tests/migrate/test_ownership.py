"""What is orderctl's own: its names, and nothing else."""

import re

import pytest
from sqlalchemy import Engine

from orderctl import migrate
from orderctl.errors import ExitStatus, Misconfigured
from orderctl.migrate import survey
from tests.migrate.conftest import Load
from tests.migrate.gallery import definitions, run, shape

OURS = [name for name in survey.TABLES if name.startswith("orderctl_")]


@pytest.mark.parametrize("kind", ["TABLE", "VIEW", "SEQUENCE", "INDEX"])
def test_other_things_with_names_of_ours_are_refused(engine: Engine, database_kind: str, kind: str) -> None:
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
    run(engine, [f"CREATE {kind} {name} {made[kind]}" for name in OURS])
    before = definitions(engine) if kind != "SEQUENCE" else {}

    with pytest.raises(Misconfigured) as caught:
        migrate.up(engine)

    assert caught.value.exit_status == ExitStatus.CONFIGURATION
    assert before == (definitions(engine) if kind != "SEQUENCE" else {})
    obstacles = migrate.status(engine).obstacles
    assert "; ".join(obstacles) in str(caught.value)
    for name in OURS:
        assert any(re.search(f"{name}.*(rename|RENAME)", obstacle) for obstacle in obstacles), obstacles


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
