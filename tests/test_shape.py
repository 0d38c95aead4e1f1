"""What is read of the shop's tables, on each database."""

import pytest
from sqlalchemy import Engine, event

from orderctl import database, migrate, shape, words
from orderctl.errors import NotMigrated
from tests.migrate.gallery import run


@pytest.fixture
def shop(engine: Engine) -> Engine:
    kind = "ENUM('Pending','PAID')" if engine.dialect.name != "sqlite" else "VARCHAR(10)"
    extra = " COLLATE utf8mb4_general_ci" if engine.dialect.name != "sqlite" else ""
    key = "INTEGER PRIMARY KEY" if engine.dialect.name == "sqlite" else "INT PRIMARY KEY AUTO_INCREMENT"
    table = (
        f"CREATE TABLE orders (id {key}, order_code VARCHAR(20){extra} NOT NULL, payment_status {kind}{extra},"
        " total_amount DECIMAL(15,0) NOT NULL DEFAULT 0, Created_At TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    )
    run(engine, [table, "INSERT INTO orders (order_code, payment_status) VALUES ('A', 'PAID')"])
    return engine


def _read(engine: Engine) -> shape.Shape:
    with engine.connect() as connection:
        return shape.read(connection, words.WANTED)


@pytest.mark.databases("mysql", "mariadb")
def test_types_lengths_and_words_are_read(shop: Engine) -> None:
    found = _read(shop)

    code = found.column("orders", "order_code")
    assert code is not None
    assert (code.type, code.characters, code.required, code.ignores_case) == ("varchar", 20, True, True)
    amount = found.column("orders", "total_amount")
    assert amount is not None
    assert (amount.type, amount.precision, amount.scale, amount.required) == ("decimal", 15, 0, False)
    status = found.column("orders", "payment_status")
    assert status is not None
    assert status.words == ("Pending", "PAID")


def test_names_are_found_in_any_case_and_missing_tables_have_no_columns(shop: Engine) -> None:
    found = _read(shop)

    created = found.column("orders", "created_at")
    assert created is not None
    assert (created.name, created.type) == ("Created_At", "timestamp")
    assert found.columns("download_tasks") == {}
    assert found.column("download_tasks", "status") is None


@pytest.mark.parametrize(
    ("collation", "ignores"),
    [
        ("utf8mb4_0900_ai_ci", True),
        ("utf8mb4_uca1400_ai_ci", True),
        ("latin1_swedish_ci", True),
        ("utf8mb4_bin", False),
        ("utf8mb4_0900_as_cs", False),
        ("latin1_general_cs", False),
        ("binary", False),
        (None, False),
    ],
)
def test_collation_tells_whether_case_counts(collation: str | None, *, ignores: bool) -> None:
    assert shape.Column("x", "varchar", collation=collation).ignores_case is ignores


def test_migration_is_seen_at_once(engine: Engine) -> None:
    with pytest.raises(NotMigrated), database.reading(engine) as connection:
        connection.exec_driver_sql("SELECT managed FROM download_tasks")
    assert shape.of(engine.dialect).tables == {}

    migrate.up(engine)

    with database.reading(engine):
        assert "managed" in shape.of(engine.dialect).columns("download_tasks")


def test_foreign_key_is_found(engine: Engine) -> None:
    def holds() -> bool:
        with engine.connect() as connection:
            return shape.has_foreign_key(connection, "download_tasks", "order_id")

    assert not holds()
    migrate.up(engine)
    assert holds()


@pytest.mark.databases("sqlite")
def test_words_are_not_looked_for_before_the_migration(shop: Engine) -> None:
    heard: list[str] = []
    with shop.connect() as connection:
        event.listen(
            connection, "before_cursor_execute", lambda _c, _cursor, statement, *_: heard.append(statement)
        )
        shape.read(connection, words.WANTED)

    assert heard
    assert not any("EXISTS" in statement for statement in heard)
