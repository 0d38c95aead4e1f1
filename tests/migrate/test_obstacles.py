"""What keeps orderctl from working in a shop's tables is found before anything is changed."""

import pytest
from sqlalchemy import Engine

from orderctl import migrate, shape
from orderctl.errors import Misconfigured
from tests.migrate.gallery import definitions, run
from tests.servers.mysql import MysqlServer

ORDERS = {
    "id": "INT PRIMARY KEY AUTO_INCREMENT",
    "order_code": "VARCHAR(64) NOT NULL",
    "user_email": "VARCHAR(200) NOT NULL",
    "order_status": "VARCHAR(16) NOT NULL DEFAULT 'pending'",
    "payment_status": "VARCHAR(16) NOT NULL DEFAULT 'pending'",
    "total_amount": "DECIMAL(12,2) NOT NULL",
    "created_at": "DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP",
}
TASKS = {
    "id": "INT PRIMARY KEY AUTO_INCREMENT",
    "order_id": "INT NOT NULL",
    "course_url": "VARCHAR(255) NOT NULL",
    "title": "VARCHAR(255)",
    "status": "VARCHAR(16) NOT NULL DEFAULT 'pending'",
    "drive_link": "VARCHAR(255)",
    "error_log": "TEXT",
}
AUDIT = {
    "id": "INT PRIMARY KEY AUTO_INCREMENT",
    "order_id": "INT NOT NULL",
    "event_type": "VARCHAR(64) NOT NULL",
    "message": "TEXT",
    "details": "TEXT",
    "created_at": "DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP",
}
SHOP = {"orders": ORDERS, "download_tasks": TASKS, "order_audit_logs": AUDIT}
MYSQL = pytest.mark.databases("mariadb", "mysql")


def create(
    name: str, *more: str, columns: dict[str, str] | None = None, end: str = "", **changed: str
) -> str:
    """Return the statement for a table of the shop's, some columns changed, with further lines."""
    columns = (SHOP[name] if columns is None else columns) | changed
    lines = [f"{column} {type_}" for column, type_ in columns.items() if type_] + list(more)
    return f"CREATE TABLE {name} ({', '.join(lines)}) {end}"


class Trial:
    """Asks for the obstacles of one shop after the other, in the same database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def status(self, *statements: str) -> migrate.MigrationStatus:
        """Return the status of a database with these tables; they are dropped again."""
        statements = tuple(map(self.translate, statements))
        run(self.engine, list(statements))
        before = definitions(self.engine)
        status = migrate.status(self.engine)
        if status.obstacles:
            with pytest.raises(Misconfigured) as caught:
                migrate.up(self.engine)
            assert all(obstacle in str(caught.value) for obstacle in status.obstacles)
        assert definitions(self.engine) == before
        self.clear()
        return status

    def obstacles(self, *statements: str) -> str:
        return "; ".join(self.status(*statements).obstacles)

    def warnings(self, *statements: str) -> str:
        status = self.status(*statements)
        assert status.obstacles == ()
        return "; ".join(status.warnings)

    def translate(self, statement: str) -> str:
        if self.engine.dialect.name != "sqlite":
            return statement
        return statement.replace("INT PRIMARY KEY AUTO_INCREMENT", "INTEGER PRIMARY KEY")

    def clear(self) -> None:
        shape.forget(self.engine.dialect)
        if self.engine.dialect.name == "sqlite":
            with self.engine.connect() as connection:
                query = "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view')"
                found = connection.exec_driver_sql(query).all()
            run(self.engine, [f'DROP {kind} "{name}"' for kind, name in found])
            return
        with self.engine.begin() as connection:
            connection.exec_driver_sql("SET foreign_key_checks = 0")
            for name, kind in connection.exec_driver_sql("SHOW FULL TABLES").all():
                word = {"VIEW": "VIEW", "SEQUENCE": "SEQUENCE"}.get(kind, "TABLE")
                connection.exec_driver_sql(f"DROP {word} `{name}`")
            connection.exec_driver_sql("SET foreign_key_checks = 1")


@pytest.fixture
def trial(engine: Engine) -> Trial:
    return Trial(engine)


def test_shop_without_peculiarities_has_no_obstacle(trial: Trial) -> None:
    assert trial.warnings(*map(create, SHOP)) == ""


@MYSQL
def test_table_whose_name_differs_by_case(trial: Trial) -> None:
    spelled = create("orders").replace("orders", "Orders", 1)

    assert "RENAME TABLE `Orders` TO orders" in trial.obstacles(spelled)
    assert "ORDERCTL_VERSION" in trial.obstacles("CREATE TABLE ORDERCTL_VERSION (id INT)")
    assert "there is a table Orders beside orders" in trial.warnings(spelled, create("orders"))


@pytest.mark.databases("sqlite")
def test_sqlite_knows_no_case_in_names(engine: Engine) -> None:
    spelled = Trial(engine).translate(create("orders", columns={k.title(): v for k, v in ORDERS.items()}))
    run(engine, [spelled.replace("orders", "Orders", 1)])

    migrate.up(engine)

    migrate.check(engine)
    assert "orders" not in definitions(engine)


@pytest.mark.databases("mariadb")
def test_server_that_knows_no_case_in_names(engine: Engine, database_server: MysqlServer) -> None:
    pytest.importorskip("pymysql")
    from orderctl import database

    server = MysqlServer(database_server.program, "--lower-case-table-names=1").start()
    try:
        own = database.connect(server.create_database("shop"))
        run(own, [create("orders").replace("orders", "Orders", 1)])
        migrate.up(own)
        migrate.check(own)
        own.dispose()
    finally:
        server.close()


@MYSQL
def test_columns_are_ours_in_any_case(engine: Engine) -> None:
    shop = [create(name, columns={key.title(): type_ for key, type_ in SHOP[name].items()}) for name in SHOP]
    run(engine, shop)
    run(engine, ["ALTER TABLE orders ADD PAID_AT DATETIME, MODIFY Order_Status VARCHAR(9) NOT NULL"])

    migrate.up(engine)

    migrate.check(engine)
    text = definitions(engine)["orders"]
    assert "`PAID_AT` datetime" in text
    assert "`Order_Status` varchar(16)" in text


def test_camel_case_columns_are_named_with_the_way_out(trial: Trial) -> None:
    columns = {("orderCode" if name == "order_code" else name): type_ for name, type_ in ORDERS.items()}

    found = trial.obstacles(create("orders", columns=columns))
    assert "it has orderCode: ALTER TABLE orders RENAME COLUMN `orderCode` TO order_code" in found
    assert "has a column errorLog" in trial.warnings(
        create("orders"), create("download_tasks", "errorLog TEXT", error_log="")
    )


@MYSQL
def test_tables_in_which_the_server_refuses_our_changes(trial: Trial, database_kind: str) -> None:
    parts = "PARTITION BY HASH(id) PARTITIONS 3"
    assert "cannot have the unique column dedup_key: ALTER TABLE order_audit_logs REMOVE" in trial.obstacles(
        create("order_audit_logs", end=parts)
    )
    assert "storage engine MyISAM" in trial.obstacles(create("download_tasks", end="ENGINE=MyISAM"))
    if database_kind == "mariadb":
        versioned = create("download_tasks", end="WITH SYSTEM VERSIONING")
        assert "ALTER TABLE download_tasks DROP SYSTEM VERSIONING" in trial.obstacles(versioned)
        assert "orders is a sequence" in trial.obstacles("CREATE SEQUENCE orders")
    assert trial.warnings(create("orders", end=parts)) == ""


@MYSQL
def test_limits_of_innodb(trial: Trial) -> None:
    many = [f"KEY k{n} (title, id)" for n in range(62)]
    assert "would have 68 indexes" in trial.obstacles(create("orders"), create("download_tasks", *many))
    wide = [f"c{n} INT" for n in range(1007)]
    assert "InnoDB allows 1017" in trial.obstacles(create("orders"), create("download_tasks", *wide))
    long = ["c VARCHAR(15500) CHARACTER SET utf8mb4"]
    assert "the server allows 65535" in trial.obstacles(create("orders"), create("download_tasks", *long))
    short = [f"c{n} VARCHAR(60) CHARACTER SET utf8mb4 NOT NULL" for n in range(18)]
    assert "InnoDB allows 8126" in trial.obstacles(
        create("orders"), create("download_tasks", *short, end="ROW_FORMAT=COMPACT")
    )


@MYSQL
def test_text_that_is_too_long_for_an_index_is_indexed_in_part(engine: Engine) -> None:
    email = "VARCHAR(254) CHARACTER SET utf8mb4 NOT NULL"
    run(
        engine, [create("orders", user_email=email, payment_status="TEXT NOT NULL", end="ROW_FORMAT=COMPACT")]
    )

    migrate.up(engine)

    migrate.check(engine)
    assert "(`user_email`(64),`created_at`,`id`)" in definitions(engine)["orders"]


@MYSQL
def test_types_that_do_not_hold_what_we_write(trial: Trial) -> None:
    found = trial.obstacles(
        create("orders", "round BIT(1)", total_amount="DOUBLE", payment_status="SET('pending','paid')"),
        create("download_tasks", "lease_token CHAR(10)", title="ENUM('a','b')", order_id="DECIMAL(10)"),
        create("order_audit_logs", "dedup_key TEXT", message="JSON"),
    )

    for reason in (
        "column orders.round has the type bit(1), but orderctl needs a number",
        "an exact type for amounts: ALTER TABLE orders MODIFY COLUMN `total_amount` DECIMAL(15,2)",
        "column orders.payment_status has the type set('pending','paid'), but orderctl needs a text",
        "column download_tasks.lease_token has the type char(10), but orderctl needs room for 36 characters",
        "column download_tasks.title has the type enum('a','b'), but orderctl needs a text that may be anything",
        "column download_tasks.order_id has the type decimal(10,0), but orderctl needs an integer",
        "column order_audit_logs.dedup_key has the type text, but orderctl needs VARCHAR(191)",
    ):
        assert reason in found


@MYSQL
def test_amounts_of_a_limited_type_are_warned_about(trial: Trial) -> None:
    assert "(bigint" in (found := trial.warnings(create("orders", total_amount="BIGINT NOT NULL")))
    assert "has 0 decimals: finer amounts are rejected" in found
    assert "has 6 digits: higher" in trial.warnings(create("orders", total_amount="DECIMAL(8,2)"))
    assert trial.warnings(create("orders", total_amount="DECIMAL(20,4)")) == ""


def test_generated_columns(trial: Trial) -> None:
    status = "VARCHAR(16) GENERATED ALWAYS AS ('pending') STORED"
    assert "column orders.order_status is generated" in trial.obstacles(create("orders", order_status=status))
    mail = "VARCHAR(200) GENERATED ALWAYS AS (CONCAT(order_code, '@x.example')) STORED"
    if trial.engine.dialect.name == "sqlite":
        mail = "TEXT GENERATED ALWAYS AS (order_code || '@x.example') STORED"
    assert "generated (user_email)" in trial.warnings(create("orders", user_email=mail))


@MYSQL
def test_ids_that_are_not_numbered(trial: Trial) -> None:
    assert "order_audit_logs.id is not AUTO_INCREMENT" in trial.obstacles(
        create("order_audit_logs", id="INT PRIMARY KEY")
    )
    assert "generated (id)" in trial.warnings(create("orders", id="INT PRIMARY KEY"))


@pytest.mark.databases("sqlite")
def test_ids_that_sqlite_does_not_number(trial: Trial) -> None:
    assert "order_audit_logs.id is not" in trial.obstacles(create("order_audit_logs", id="INT PRIMARY KEY"))


@MYSQL
def test_checks_are_judged_by_the_server(trial: Trial) -> None:
    orders, tasks, audit = SHOP
    refused = {
        "CHECK (order_status <> 'completed' OR order_code LIKE 'X%')": orders,
        "CHECK (payment_status IN ('pending', 'paid') AND order_status = 'pending')": orders,
        "CHECK (LENGTH(status) < 9)": tasks,
        "CHECK (status <> 'failed' OR error_log IS NULL)": tasks,
        "CHECK (status IN ('pending', 'paid') AND title IS NOT NULL)": tasks,
        "CHECK (JSON_VALID(details) AND details LIKE '[%')": audit,
        "CHECK (event_type REGEXP '^(payment|task)_')": audit,
        "CHECK (order_status <> 'completed' OR amount_due = 0)": orders,
    }
    fine = {
        "CHECK (order_status <> 'processing' OR payment_status = 'paid')": orders,
        "CHECK (order_status = LOWER(order_status))": orders,
        "CHECK (total_amount > 0 AND order_code <> '%')": orders,
        "CHECK (completed = 0 OR status = 'x')": tasks,
        "CHECK (status <> 'completed' OR error_log IS NULL)": tasks,
        "CHECK (JSON_VALID(details))": audit,
        "CHECK (event_type REGEXP '^[a-z_]+$' AND CHAR_LENGTH(message) < 16000)": audit,
    }
    shop = ["INSERT INTO orders (order_code, user_email, total_amount) VALUES ('DH1', 'a@x.example', 5)"]
    for check, table in refused.items():
        more = ["amount_due INT NOT NULL DEFAULT 7"] if "amount_due" in check else []
        found = trial.obstacles(
            create(table, *more, f"CONSTRAINT `odd'` {check}"), *(shop * (table == orders))
        )
        assert "check constraint odd' of table" in found, check
    for check, table in fine.items():
        more = ["completed INT NOT NULL DEFAULT 0"] if "completed =" in check else []
        assert trial.warnings(create(table, *more, f"CONSTRAINT c {check}")) == "", check


@MYSQL
def test_check_that_depends_on_the_rows_is_warned_about(trial: Trial) -> None:
    orders = create(
        "orders", "method TEXT", "CONSTRAINT c CHECK (payment_status <> 'paid' OR method IS NOT NULL)"
    )
    assert "check constraint c of table orders is not understood: it may reject payment_status = paid" in (
        trial.warnings(orders)
    )


@MYSQL
def test_check_in_the_shops_spelling_allows_our_words(trial: Trial) -> None:
    known = "ENUM('PENDING','PROCESSING','COMPLETED','FAILED','CANCELLED') COLLATE utf8mb4_bin NOT NULL"
    check = "CONSTRAINT c CHECK (order_status = UPPER(order_status) COLLATE utf8mb4_bin)"
    assert trial.warnings(create("orders", check, order_status=known)) == ""


def test_unique_indexes_that_forbid_our_rows(trial: Trial) -> None:
    orders, tasks, audit = SHOP
    refused = {
        "UNIQUE (order_id, event_type)": audit,
        "uid VARCHAR(36) NOT NULL DEFAULT '', UNIQUE (uid)": audit,
        "UNIQUE (order_id, status)": tasks,
        "UNIQUE (user_email, payment_status)": orders,
    }
    fine = {
        "uid VARCHAR(36), UNIQUE (uid)": audit,
        "UNIQUE (order_id, course_url), UNIQUE (order_id, course_url, status)": tasks,
        "UNIQUE (order_code), UNIQUE (order_code, order_status)": orders,
    }
    for more, table in refused.items():
        assert f"of table {table}" in (found := trial.obstacles(create(table, more))), more
        assert "forbids" in found
    for more, table in fine.items():
        assert trial.warnings(create(table, more)) == "", more


@MYSQL
def test_tables_of_words_must_have_ours(trial: Trial) -> None:
    words = "CREATE TABLE event_types (code VARCHAR(64) PRIMARY KEY)"
    insert = "INSERT INTO event_types VALUES ('payment_received')"
    audit = create(
        "order_audit_logs", "CONSTRAINT known FOREIGN KEY (event_type) REFERENCES event_types (code)"
    )

    found = trial.obstacles(words, insert, audit)

    assert (
        "table event_types has no rows for what orderctl writes: payment_mismatch, payment_partial" in found
    )


def test_triggers_are_named(trial: Trial) -> None:
    body = "BEGIN SELECT 1; END" if trial.engine.dialect.name == "sqlite" else "SET @seen = 1"
    trigger = f"CREATE TRIGGER watch AFTER UPDATE ON orders FOR EACH ROW {body}"

    assert "table orders has triggers (watch)" in trial.warnings(create("orders"), trigger)


@pytest.mark.databases("sqlite")
def test_columns_that_sqlite_cannot_loosen(trial: Trial) -> None:
    found = trial.obstacles(
        create("download_tasks", drive_link="TEXT NOT NULL DEFAULT ''"),
        create("order_audit_logs", "ip TEXT NOT NULL"),
    )

    assert "download_tasks.drive_link is NOT NULL, but orderctl writes NULL into it" in found
    assert "order_audit_logs.ip is NOT NULL without a default" in found


@MYSQL
def test_columns_of_our_own_names_become_loose(engine: Engine) -> None:
    run(engine, [create("orders"), create("download_tasks", "worker VARCHAR(50) NOT NULL DEFAULT ''")])

    migrate.up(engine)

    migrate.check(engine)
    assert "`worker` varchar(50) NOT NULL" not in definitions(engine)["download_tasks"]


@MYSQL
def test_char_is_widened_by_hand(trial: Trial) -> None:
    assert "MODIFY COLUMN status char(16) NOT NULL" in trial.obstacles(
        create("orders"), create("download_tasks", status="CHAR(7) NOT NULL")
    )


@pytest.mark.databases("mysql")
@pytest.mark.parametrize("type_", ["ENUM('pending','completed')", "VARCHAR(9)"])
def test_column_of_a_check_is_widened_by_hand(trial: Trial, type_: str) -> None:
    check = "CONSTRAINT c CHECK (order_status <> 'x' OR total_amount > 1)"
    orders = create("orders", check, order_status=f"{type_} NOT NULL")

    assert (
        "run this when the shop is quiet: ALTER TABLE orders MODIFY COLUMN order_status"
        in trial.obstacles(orders)
    )


@pytest.mark.databases("mysql")
def test_column_beside_a_tinytext_with_a_check_is_widened_by_hand(trial: Trial) -> None:
    check = "CONSTRAINT c CHECK (payment_status <> 'x' OR total_amount > 1)"
    orders = create("orders", check, order_status="VARCHAR(9) NOT NULL", payment_status="TINYTEXT NOT NULL")

    assert (
        "run this when the shop is quiet: ALTER TABLE orders MODIFY COLUMN order_status"
        in trial.obstacles(orders)
    )


@pytest.mark.databases("mariadb")
def test_columns_beside_an_indexed_virtual_column_are_added_by_hand(trial: Trial) -> None:
    orders = create("orders", "half INT GENERATED ALWAYS AS (total_amount / 2) VIRTUAL", "KEY half (half)")

    assert "run this when the shop is quiet: ALTER TABLE orders ADD COLUMN paid_at" in trial.obstacles(orders)


@pytest.mark.databases("mysql", "mariadb")
def test_columns_of_a_compressed_table_with_a_spatial_index_are_added_by_hand(trial: Trial) -> None:
    orders = create("orders", "place POINT NOT NULL", "SPATIAL KEY (place)") + " ROW_FORMAT=COMPRESSED"

    assert "run this when the shop is quiet: ALTER TABLE orders ADD COLUMN paid_at" in trial.obstacles(orders)
