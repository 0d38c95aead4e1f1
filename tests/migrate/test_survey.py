"""The status of a database: what is applied, pending, missing, and what prevents a migration."""

import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy
from sqlalchemy import Engine

from orderctl import __version__, database, migrate
from orderctl.errors import ExitStatus, Misconfigured, SubjectFailed
from tests.migrate.gallery import REVISIONS, STYLES, Style, definitions, run, shape
from tests.servers.availability import needed
from tests.servers.mysql import MysqlServer
from tests.servers.programs import find

INDEX = "ix_orderctl_orders_created_at_id"


def drop_index(engine: Engine) -> None:
    table = "" if engine.dialect.name == "sqlite" else " ON orders"
    run(engine, [f"DROP INDEX {INDEX}{table}"])


def test_pending_revision(engine: Engine) -> None:
    first, *others = migrate.status(engine).revisions

    assert (first, *others) == migrate.history()
    assert (first.id, first.is_applied) == ("0001", False)
    assert first.about == "Orders, tasks and audit log."


def test_applied_revision_has_its_time_actor_and_version(engine: Engine) -> None:
    migrate.up(engine, actor="an'na\\@desk")

    for revision in migrate.status(engine).revisions:
        assert revision.is_applied
        assert revision.applied_at is not None
        assert abs(datetime.now(UTC) - revision.applied_at) < timedelta(minutes=1)
        assert (revision.applied_by, revision.version) == ("an'na@desk", __version__)


@pytest.mark.databases("mariadb", "mysql")
def test_without_a_name_it_was_the_account(engine: Engine) -> None:
    migrate.up(engine)

    for revision in migrate.status(engine).revisions:
        assert str(revision.applied_by).startswith("root@")


def test_what_was_dropped_is_reported_and_added_again(engine: Engine) -> None:
    migrate.up(engine)
    before = definitions(engine)
    drop_index(engine)
    run(
        engine,
        ["ALTER TABLE download_tasks DROP COLUMN failing_since", "DROP VIEW v_order_latest_events"],
    )

    status = migrate.status(engine)

    missing = [f"index {INDEX} of orders", "column failing_since of download_tasks"]
    assert [step.what for step in status.drift] == missing
    assert [step.what for step in status.wanting] == ["view v_order_latest_events"]
    assert status.pending == ()
    with pytest.raises(SubjectFailed, match=INDEX) as caught:
        migrate.check(engine)
    assert (caught.value.exit_status, caught.value.hint) == (ExitStatus.FAILED, "orderctl migrate up")
    assert INDEX in migrate.sql(engine)

    report = migrate.up(engine)

    assert report.applied == ()
    assert list(report.added) == [*missing, "view v_order_latest_events"]
    assert not report.up_to_date
    assert set(definitions(engine)) == set(before)
    migrate.check(engine)


def test_statement_of_the_report_repairs_what_was_dropped(engine: Engine) -> None:
    migrate.up(engine)
    drop_index(engine)

    run(engine, [step.statements[0] for step in migrate.status(engine).drift])

    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_index_that_is_hidden_counts_as_missing(engine: Engine, database_kind: str) -> None:
    migrate.up(engine)
    word = "IGNORED" if database_kind == "mariadb" else "INVISIBLE"
    run(engine, [f"ALTER TABLE orders ALTER INDEX {INDEX} {word}"])

    assert [step.what for step in migrate.status(engine).drift] == [f"index {INDEX} of orders"]


@pytest.mark.styles("sequelize_audit", "plain_sqlite")
def test_status_changes_nothing(adopted_shop: Engine) -> None:
    before = definitions(adopted_shop)

    status = migrate.status(adopted_shop)
    migrate.sql(adopted_shop)

    assert status.pending == REVISIONS
    assert definitions(adopted_shop) == before


def test_revision_of_a_newer_orderctl_is_refused(engine: Engine) -> None:
    migrate.up(engine)
    run(engine, ["UPDATE orderctl_version SET version_num = '9999'"])

    for verb in (migrate.up, migrate.status, migrate.check, migrate.sql):
        with pytest.raises(Misconfigured, match="9999"):
            verb(engine)


def test_nothing_to_do_is_an_empty_script(engine: Engine) -> None:
    migrate.up(engine)

    assert migrate.sql(engine) == ""


@pytest.mark.databases("mariadb", "mysql")
def test_url_without_a_database_is_refused(engine: Engine) -> None:
    bare = database.connect(sqlalchemy.make_url(engine.url).set(database="").render_as_string(False))

    with pytest.raises(Misconfigured, match="does not name a database"):
        migrate.up(bare)
    bare.dispose()


@pytest.mark.styles(*(name for name, style in STYLES.items() if "mysql" in style.kinds))
def test_statements_do_in_a_client_what_up_does(
    style: Style, fresh, database_server: MysqlServer, tmp_path
) -> None:
    by_us, by_client = fresh(style), fresh(style)
    tables = shape(by_client)
    migrate.up(by_us)
    script = tmp_path / "up.sql"
    script.write_text(migrate.sql(by_client), encoding="utf-8")

    feed(database_server, by_client, script)

    renamed = {
        name: text.replace(f"`{by_client.url.database}`", f"`{by_us.url.database}`")
        for name, text in definitions(by_client).items()
    }
    # No statement fills the ledger from an audit log that was there, so it stops there.
    pending = REVISIONS[3:] if "order_audit_logs" in tables else ()
    assert renamed == without(definitions(by_us), LATER if pending else ())
    applied = [one for one in migrate.status(by_client).revisions if one.id not in pending]
    assert all(str(revision.applied_by).startswith("root@") for revision in applied)
    assert migrate.up(by_client).applied == pending
    assert migrate.up(by_client).up_to_date


@pytest.mark.databases("sqlite")
def test_statements_do_in_sqlite_what_up_does(fresh) -> None:
    by_us, by_hand = fresh(STYLES["plain_sqlite"]), fresh(STYLES["plain_sqlite"])
    migrate.up(by_us)
    driver = by_hand.raw_connection()

    driver.driver_connection.executescript(migrate.sql(by_hand))
    driver.close()

    assert definitions(by_hand) == without(definitions(by_us), LATER)
    assert migrate.up(by_hand).applied == REVISIONS[3:]  # fills the ledger from the log of that shop
    assert migrate.up(by_hand).up_to_date
    assert definitions(by_hand) == definitions(by_us)


#: The tables of the revisions behind the one that fills the ledger.
LATER = ("orderctl_audit_counts", "orderctl_audit_hours", "orderctl_operation")


def without(found: dict[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: text for name, text in found.items() if not any(one in name for one in names)}


def feed(server: MysqlServer, engine: Engine, script) -> None:
    with needed():
        client = find("mariadb", "mysql")
    options = ["--host=127.0.0.1", f"--port={server.port}", "--user=root", "--default-character-set=utf8mb4"]
    with script.open() as file:
        subprocess.run([client, "--no-defaults", *options, engine.url.database], stdin=file, check=True)


ORDERS = (
    "id INT PRIMARY KEY AUTO_INCREMENT, order_code VARCHAR(64), user_email VARCHAR(200),"
    " order_status VARCHAR(16), payment_status VARCHAR(16), total_amount INT, created_at DATETIME"
)
AUDIT = "id INT PRIMARY KEY AUTO_INCREMENT, order_id INT, event_type VARCHAR(64), created_at DATETIME"


@pytest.mark.databases("mariadb", "mysql")
@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (
            [f"CREATE TABLE orders ({ORDERS}) ENGINE=MyISAM"],
            "orders has the storage engine MyISAM, but orderctl needs InnoDB: ALTER TABLE orders ENGINE=InnoDB",
        ),
        ([f"CREATE TABLE o ({ORDERS})", "CREATE VIEW orders AS SELECT * FROM o"], "orders is a view"),
        (
            ["CREATE TABLE orders (id INT PRIMARY KEY)"],
            "table orders has no column order_code, which orderctl needs",
        ),
        (
            [
                f"CREATE TABLE orders ({ORDERS.replace('id INT PRIMARY KEY AUTO_INCREMENT', 'id CHAR(36) PRIMARY KEY')})"
            ],
            "column orders.id has the type char(36), but orderctl needs a number",
        ),
        (
            [f"CREATE TABLE orders ({ORDERS.replace('PRIMARY KEY', 'UNIQUE')}, PRIMARY KEY (order_code))"],
            "table orders has the primary key (order_code), but orderctl needs (id)",
        ),
        (
            [f"CREATE TABLE orders ({ORDERS}, paid_at INT)"],
            "column orders.paid_at has the type int",
        ),
        (
            [
                f"CREATE TABLE orders ({ORDERS}, CONSTRAINT known CHECK (order_status IN ('pending','it''s'))) "
            ],
            "known of table orders must allow what orderctl writes: order_status = processing; order_status =",
        ),
        (
            [
                f"CREATE TABLE orders ({ORDERS})",
                f"CREATE TABLE order_audit_logs ({AUDIT}, place POINT NOT NULL)",
            ],
            "order_audit_logs.place is NOT NULL without a default",
        ),
    ],
)
def test_tables_that_cannot_be_ours_are_refused(engine: Engine, statements: list[str], reason: str) -> None:
    run(engine, statements)
    before = definitions(engine)

    with pytest.raises(Misconfigured) as caught:
        migrate.up(engine)

    assert str(caught.value).startswith("cannot migrate; nothing was changed: ")
    assert reason in str(caught.value)
    assert definitions(engine) == before
    assert any(reason in obstacle for obstacle in migrate.status(engine).obstacles)
    with pytest.raises(Misconfigured):
        migrate.sql(engine)


@pytest.mark.databases("sqlite")
def test_check_in_a_file_that_does_not_allow_our_words_is_refused(engine: Engine) -> None:
    columns = ORDERS.replace("INT PRIMARY KEY AUTO_INCREMENT", "INTEGER PRIMARY KEY")
    columns = columns.replace(
        "order_status VARCHAR(16)", "order_status TEXT CHECK (order_status IN ('new', 'done'))"
    )
    run(engine, [f"CREATE TABLE orders ({columns})"])

    with pytest.raises(Misconfigured, match="what orderctl writes: order_status = processing"):
        migrate.up(engine)


@pytest.mark.databases("mariadb", "mysql")
def test_check_that_allows_our_words_is_not_an_obstacle(engine: Engine) -> None:
    words = "'x','pending','processing','completed','failed','cancelled'"
    run(
        engine,
        [f"CREATE TABLE orders ({ORDERS}, CHECK (order_status IN ({words})), CHECK (total_amount > 1))"],
    )

    assert migrate.up(engine).applied == REVISIONS


@pytest.mark.databases("mariadb", "mysql")
def test_orphans_are_found_as_before(engine: Engine) -> None:
    STYLES["nullable"].load(engine)
    migrate.up(engine)

    for status in ("'pending'", "NULL"):
        orphan = f"INSERT INTO download_tasks (order_id, course_url, status) VALUES (999, 'x', {status})"
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            run(engine, [orphan])


@pytest.mark.databases("mariadb", "mysql")
def test_types_of_foreign_keys_follow_the_shop(engine: Engine) -> None:
    STYLES["unsigned"].load(engine)
    migrate.up(engine)

    statement = (
        "SELECT DISTINCT column_type FROM information_schema.columns WHERE table_schema = DATABASE()"
        " AND (table_name, column_name) IN (('orders', 'id'), ('order_audit_logs', 'order_id'))"
    )
    with engine.connect() as connection:
        assert len(connection.exec_driver_sql(statement).scalars().all()) == 1
    orphan = "INSERT INTO order_audit_logs (order_id, event_type) VALUES (1, 'x')"
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        run(engine, [orphan])


@pytest.mark.databases("mariadb", "mysql")
def test_procedures_meet_codes_of_any_collation(engine: Engine) -> None:
    STYLES["utf8mb3"].load(engine)
    migrate.up(engine)
    run(engine, ["INSERT INTO order_audit_logs (order_id, event_type) VALUES (1, 'x')"])

    with engine.connect() as connection:
        assert len(connection.exec_driver_sql("CALL sp_order_timeline('DH000001')").all()) == 1


@pytest.mark.databases("mariadb", "mysql")
def test_compressed_table_is_changed_while_others_write(engine: Engine) -> None:
    STYLES["sequelize"].load(engine)
    run(engine, ["ALTER TABLE orders ROW_FORMAT=COMPRESSED"])

    migrate.up(engine)

    migrate.check(engine)


@pytest.mark.databases("mariadb", "mysql")
@pytest.mark.parametrize("table", ["orders", "download_tasks"])
def test_what_would_block_writers_is_left_to_people(engine: Engine, table: str) -> None:
    STYLES["sequelize"].load(engine)
    column = {"orders": "note", "download_tasks": "title"}[table]
    run(engine, [f"ALTER TABLE {table} ADD FULLTEXT ({column})"])
    before = definitions(engine)

    with pytest.raises(
        Misconfigured, match="without blocking writers; run this when the shop is quiet"
    ) as caught:
        migrate.up(engine)

    assert definitions(engine) == before
    for by_hand in re.findall(r"ALTER TABLE[^;]*", str(caught.value)):
        run(engine, [by_hand])
    migrate.up(engine)
    migrate.check(engine)
