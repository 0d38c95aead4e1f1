"""Tables that the shop created: other character sets, shorter columns, its own values."""

from collections.abc import Iterator

import pytest

from orderctl import audit, broker, database, failures, leases, migrate, orders, reconcile
from orderctl.audit import NewEvent, Origin
from orderctl.errors import Conflict
from orderctl.grace import Grace
from orderctl.orders import NewCourse
from orderctl.states import EventType, Source
from tests.shop import COURSE, Shop
from tests.test_audit import both_ways

pytestmark = pytest.mark.databases("mariadb", "mysql")

TABLES = """
CREATE TABLE orders (
  id INT AUTO_INCREMENT PRIMARY KEY, order_code VARCHAR(32) NOT NULL UNIQUE, user_email VARCHAR(255) NOT NULL,
  order_status ENUM('pending','processing','completed') NOT NULL DEFAULT 'pending',
  payment_status ENUM('pending','paid') NOT NULL DEFAULT 'pending',
  total_amount DECIMAL(10,2) NOT NULL, created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL
) DEFAULT CHARSET={charset};
CREATE TABLE download_tasks (
  id INT AUTO_INCREMENT PRIMARY KEY, order_id INT NOT NULL, course_url VARCHAR(500) NOT NULL, title VARCHAR(40),
  status ENUM('pending','completed','failed') DEFAULT 'pending', drive_link VARCHAR(255), error_log VARCHAR(120),
  created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL, FOREIGN KEY (order_id) REFERENCES orders (id)
) DEFAULT CHARSET={charset};
CREATE TABLE order_audit_logs (
  id INT AUTO_INCREMENT PRIMARY KEY, order_id INT NOT NULL, task_id INT, event_type VARCHAR(50) NOT NULL,
  event_category VARCHAR(30), severity ENUM('info','warning','error'), message VARCHAR(100) NOT NULL,
  details TEXT, previous_status VARCHAR(20), new_status VARCHAR(20), source VARCHAR(50),
  created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL
) DEFAULT CHARSET={charset}
"""


@pytest.fixture(params=["latin1", "utf8mb3"])
def adopted(database_url: str, request: pytest.FixtureRequest) -> Iterator[Shop]:
    engine = database.connect(database_url, lock_wait_seconds=5)
    with engine.begin() as connection:
        for statement in TABLES.format(charset=request.param).split(";"):
            connection.exec_driver_sql(statement)
    migrate.up(engine)
    yield Shop(engine)
    engine.dispose()


def _stored(text: str, charset: str) -> str:
    """Return what a column of this type stores of a text."""
    return {
        "latin1": text.encode("cp1252", "replace").decode("cp1252"),
        "utf8mb3": "".join("?" if ord(letter) > 0xFFFF else letter for letter in text),
    }[charset]


def _charset(shop: Shop) -> str:
    return shop.read(
        lambda c: c.exec_driver_sql(
            "SELECT character_set_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = 'order_audit_logs' AND column_name = 'message'"
        ).scalar_one()
    )


def test_the_whole_job_runs(adopted: Shop) -> None:
    [task_id] = adopted.paid("DH1")

    adopted.carry_out(task_id)

    order = adopted.order()
    assert (order.order_status, adopted.task(task_id).status) == ("completed", "completed")
    assert adopted.event_types(order.id) == [
        "task_created",
        "payment_received",
        "enrollment_success",
        "download_started",
        "download_completed",
        "order_completed",
    ]


def test_title_that_its_column_cannot_hold(adopted: Shop) -> None:
    [task_id] = adopted.paid("DH1")
    claim = adopted.claimed(task_id)
    title = "Khóa học 🎓 - " + "x" * 60

    adopted.transact(lambda c: leases.enrolled(c, claim, title=title, details={"title": title}))

    charset = _charset(adopted)
    assert adopted.task(task_id).title == _stored(title, charset)[:40]
    event = adopted.event(claim.order_id, "enrollment_success")
    assert event.message == _stored(f"Enrolled: {title}", charset)[:100]
    assert event.details == {"title": title}


def test_failure_that_its_columns_cannot_hold_still_ends_the_task(adopted: Shop) -> None:
    [task_id] = adopted.paid("DH1")
    claim = adopted.claimed(task_id)
    adopted.start(claim)
    failure = failures.describe(ValueError("hỏng 💥 " + "y" * 3000))

    finished = adopted.transact(lambda c: failures.fail(c, claim, failure, retry_transient=True))

    charset = _charset(adopted)
    assert finished.completion is not None
    task = adopted.task(task_id)
    assert task.status == "failed"
    assert task.error_log == _stored(f"UNKNOWN: {failure.message}", charset)[:120]
    event = adopted.event(claim.order_id, "download_failed")
    assert event.message == _stored(f"Download failed: {failure.message}", charset)[:100]
    assert event.details["error_message"] == failure.message


def test_lost_worker_whose_failure_its_column_cannot_hold_ends_its_task(adopted: Shop) -> None:
    [task_id] = adopted.paid("DH1", max_attempts=1)
    adopted.claimed(task_id, worker="w" * 120)
    adopted.expire(task_id)

    with broker.hasty("unix:///nowhere") as nobody:
        [finding] = reconcile.recover(adopted.engine, nobody, Grace(30))

    assert finding.repaired
    task = adopted.task(task_id)
    assert (task.status, adopted.order().order_status) == ("failed", "failed")
    assert task.error_log == f"WORKER_LOST: worker {'w' * 120} was lost while it ran the task"[:120]


def test_details_that_are_too_long_are_shortened(adopted: Shop) -> None:
    adopted.add("DH1")

    details = {"long": "z" * 70_000, "many": ["w" * 5000] * 12, "short": "kept"}
    sent = NewEvent(EventType.EMAIL_SENT, 1, Origin(Source.WORKER), details=details)
    adopted.transact(lambda c: audit.record(c, sent))

    details = adopted.event(1, "email_sent").details
    assert details["short"] == "kept"
    assert details["long"].startswith("zzz")
    assert len(details["long"]) < 70_000


def test_events_written_together_are_the_same_as_one_by_one(adopted: Shop) -> None:
    alone, together = both_ways(adopted)

    assert together == alone


def test_new_courses_of_which_one_has_a_title_that_its_column_cannot_hold(adopted: Shop) -> None:
    titles = ["first", "🎓" * 50, None]

    order_id = adopted.add("DH1", [NewCourse(f"{COURSE}/{title is None}", title) for title in titles])

    stored = [title and _stored(title[:40], _charset(adopted)) for title in titles]
    assert [task.title for task in adopted.tasks(order_id)] == stored
    assert [event.task_id for event in adopted.events(order_id)] == [
        task.id for task in adopted.tasks(order_id)
    ]


def test_new_course_with_a_title_that_its_column_cannot_hold(adopted: Shop) -> None:
    order_id = adopted.add("DH1")
    course = NewCourse(f"{COURSE}/late", "🎓" * 50)

    task_id = adopted.transact(
        lambda c: orders.add_task(c, order_id, course, max_attempts=3, actor="tester", source=Source.CLI)
    )

    assert adopted.task(task_id).title == _stored("🎓" * 40, _charset(adopted))


def test_urls_are_never_altered(adopted: Shop) -> None:
    order_id = adopted.add("DH1")
    course = NewCourse(f"{COURSE}/🎓")

    with pytest.raises(Exception, match="Incorrect string value"):
        adopted.transact(
            lambda c: orders.add_task(c, order_id, course, max_attempts=3, actor="tester", source=Source.CLI)
        )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            "DROP COLUMN user_email, ADD COLUMN User_Email VARCHAR(99) AS (order_code) STORED",
            "User_Email of table orders is generated",
        ),
        ("MODIFY COLUMN id BIGINT NOT NULL DEFAULT 7", "does not number its rows: column id"),
    ],
)
def test_order_cannot_be_added_where_a_column_cannot_be_written(
    database_url: str, change: str, reason: str
) -> None:
    engine = database.connect(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(TABLES.format(charset="utf8mb4").partition(";")[0])
        connection.exec_driver_sql(f"ALTER TABLE orders {change}")
    migrate.up(engine)

    with pytest.raises(Conflict, match=reason):
        Shop(engine).add()
    engine.dispose()


@pytest.mark.parametrize("name", ["worker", "actor"])
def test_names_of_workers_are_cut_to_a_column_of_the_shop(database_url: str, name: str) -> None:
    engine = database.connect(database_url)
    table = {"worker": "download_tasks", "actor": "order_audit_logs"}[name]
    with engine.begin() as connection:
        for statement in TABLES.format(charset="utf8mb4").split(";"):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {name} VARCHAR(8)")
    migrate.up(engine)
    shop = Shop(engine)

    [task_id] = shop.paid()

    assert shop.claim(task_id, worker="a-long-name-of-a-host:1:2") is not None
    shop.execute(f"SELECT {name} FROM {table}")
    engine.dispose()
