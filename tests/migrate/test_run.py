import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select, text

from orderctl import database, migrate, outbox, schema
from orderctl.errors import Misconfigured, SubjectFailed
from tests.migrate.gallery import REVISIONS, rows, run, shape, undo_scale
from tests.shop import Shop


def test_new_database_has_all_that_is_read(engine: Engine) -> None:
    report = migrate.up(engine)

    assert report.applied == REVISIONS
    assert report.warnings == ()
    with engine.connect() as connection:
        for table in schema.TABLES:
            assert connection.execute(select(table)).all() == []


def test_second_run_does_nothing(engine: Engine) -> None:
    migrate.up(engine)

    report = migrate.up(engine)

    assert report.up_to_date
    assert migrate.status(engine).pending == ()
    migrate.check(engine)


def test_shop_inserts_only_what_it_knows(engine: Engine) -> None:
    migrate.up(engine)

    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO orders (order_code, user_email) VALUES ('DH1', 'a@example.com')")
        )
        connection.execute(text("INSERT INTO download_tasks (order_id, course_url) VALUES (1, 'http://x/')"))
        event = "INSERT INTO order_audit_logs (order_id, event_type) VALUES (1, 'webhook_received')"
        connection.execute(text(event))

    with engine.connect() as connection:
        order = connection.execute(select(schema.orders)).one()
        task = connection.execute(select(schema.download_tasks)).one()
        [event] = connection.execute(select(schema.order_audit_logs)).all()
    assert (order.order_status, order.payment_status, order.round) == ("pending", "pending", 0)
    assert (task.status, task.managed, task.attempt, task.max_attempts) == ("pending", 0, 0, 3)
    assert (event.severity, event.event_category, event.message) == ("info", "system", "")
    with database.reading(engine) as connection:
        now = connection.execute(select(database.utc_now())).scalar_one()
    for moment in (order.created_at, task.created_at, task.updated_at, event.created_at):
        assert timedelta(0) <= now - moment < timedelta(minutes=1)


def test_view_shows_the_latest_event_of_each_order(engine: Engine) -> None:
    migrate.up(engine)
    with engine.begin() as connection:
        for code in ("DH1", "DH2"):
            connection.execute(
                text(f"INSERT INTO orders (order_code, user_email) VALUES ('{code}', 'a@b.c')")
            )
        for order, kind in ((1, "first"), (2, "other"), (1, "last")):
            event = f"INSERT INTO order_audit_logs (order_id, event_type) VALUES ({order}, '{kind}')"
            connection.execute(text(event))

    with engine.connect() as connection:
        rows = connection.execute(text("SELECT order_code, event_type FROM v_order_latest_events ORDER BY 1"))

        assert rows.all() == [("DH1", "last"), ("DH2", "other")]


@pytest.mark.databases("mariadb", "mysql")
def test_procedures_answer_people_in_a_client(engine: Engine) -> None:
    migrate.up(engine)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO orders (order_code, user_email) VALUES ('DH1', 'a@example.com')")
        )
        for kind in ("first", "last"):
            event = f"INSERT INTO order_audit_logs (order_id, event_type) VALUES (1, '{kind}')"
            connection.execute(text(event))

    with engine.connect() as connection:
        timeline = connection.execute(text("CALL sp_order_timeline('DH1')")).mappings().all()
        summary = connection.execute(text("CALL sp_audit_summary('2000-01-01')")).mappings().all()

    assert [row["event_type"] for row in timeline] == ["first", "last"]
    assert [(row["event_category"], row["severity"], row["events"]) for row in summary] == [
        ("system", "info", 2)
    ]


def test_what_the_version_before_migrated_is_carried_over_with_its_rows(engine: Engine) -> None:
    migrate.up(engine)
    Shop(engine).paid()
    wanted = shape(engine)
    undo_scale(engine)
    run(
        engine,
        [
            "ALTER TABLE download_tasks DROP COLUMN failing_since",
            "DROP TABLE orderctl_revoked_tokens",
            "DROP TABLE orderctl_payments",
            "UPDATE order_audit_logs SET dedup_key = 'payment:DH1' WHERE event_type = 'payment_received'",
            "DELETE FROM orderctl_migrations WHERE revision >= '0003'",
            "UPDATE orderctl_version SET version_num = '0002'",
        ],
    )
    before = rows(engine, shape(engine))
    with pytest.raises(Misconfigured, match="not migrated"):
        Shop(engine).task_rows()

    report = migrate.up(engine)

    assert report.applied == ("0003", "0004", "0005", "0006", "0007", "0008")
    added = [what for what in report.added if "index" not in what]
    assert added[:4] == [
        "column failing_since of download_tasks",
        "column ready of download_tasks",
        "table orderctl_revoked_tokens",
        "table orderctl_payments",
    ]
    assert "1 payment of the audit log" in report.added
    assert shape(engine) == wanted
    assert rows(engine, {**wanted, "download_tasks": wanted["download_tasks"][:-2]}) == before
    assert [task.failing_since for task in Shop(engine).task_rows()] == [None]
    assert migrate.up(engine).up_to_date
    migrate.check(engine)


def test_what_an_earlier_version_gave_up_is_marked_so(engine: Engine) -> None:
    migrate.up(engine)
    put = (
        "INSERT INTO orderctl_outbox (kind, dedup_key, payload, created_at, due_at, attempts, sent_at, last_error)"
        " VALUES ('webhook', '{}', '{{}}', '2026-01-01', '2026-01-01', 30, '2026-01-02', {})"
    )
    errors = {"sent": "NULL", "skipped": "'not configured'", "failed": "'given up: HTTP 500'"}
    run(
        engine,
        [
            *(
                f"ALTER TABLE orderctl_outbox DROP COLUMN {name}"
                for name in ("failed_at", "endpoint", "resent")
            ),
            *(put.format(key, error) for key, error in errors.items()),
            "DELETE FROM orderctl_migrations WHERE revision = '0005'",
            "UPDATE orderctl_version SET version_num = '0004'",
        ],
    )

    migrate.up(engine)

    rows = {row.dedup_key: row for row in Shop(engine).outbox()}
    assert [(row.sent_at is None, row.failed_at is None) for row in rows.values()] == [
        (False, True),
        (False, True),
        (True, False),
    ]
    failed = rows["failed"]
    assert (failed.last_error, failed.due_at, failed.resent) == ("HTTP 500", outbox.NEVER, 0)
    assert migrate.up(engine).up_to_date


def test_database_without_tables_is_behind(engine: Engine) -> None:
    with pytest.raises(SubjectFailed, match="0001 is pending"):
        migrate.check(engine)
    assert "CREATE TABLE orders" in migrate.sql(engine)
    assert migrate.status(engine).pending == REVISIONS


def test_opening_the_database_imports_no_alembic() -> None:
    script = "import sys, orderctl.database; raise SystemExit('alembic' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
