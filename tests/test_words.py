"""A shop that writes its statuses in another case is worked with like one that writes them in lower case."""

from dataclasses import dataclass

import pytest
from sqlalchemy import Engine
from sqlalchemy.dialects import mysql

from orderctl import audit, leases, listing, migrate, order_stats, shape, tasks, words
from orderctl.listing import OrderFilter
from orderctl.schema import download_tasks
from orderctl.schema import orders as orders_table
from orderctl.tasks import TaskFilter
from tests.migrate.gallery import run
from tests.shop import Shop

ENUM = "ENUM('{PENDING}','{PROCESSING}','{COMPLETED}','{FAILED}','{CANCELLED}')"
PAYMENT = "ENUM('{PENDING}','{PAID}','{REFUNDED}')"


@dataclass(frozen=True)
class Spelling:
    """How a shop declares and writes its statuses."""

    case: str
    enum: bool = False
    collation: str = ""

    def write(self, word: str) -> str:
        return getattr(word, self.case)()

    def type(self, enum: str) -> str:
        names = {
            name: self.write(name) for name in ("PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED")
        }
        declared = enum.format(**names, PAID=self.write("PAID"), REFUNDED=self.write("REFUNDED"))
        return (declared if self.enum else "VARCHAR(20)") + self.collation


SPELLINGS = {
    "enum-ci": Spelling("upper", enum=True, collation=" COLLATE utf8mb4_general_ci"),
    "enum-bin": Spelling("upper", enum=True, collation=" COLLATE utf8mb4_bin"),
    "text-ci": Spelling("upper", collation=" COLLATE utf8mb4_general_ci"),
    "text-bin": Spelling("upper", collation=" COLLATE utf8mb4_bin"),
    "capitalised": Spelling("capitalize", collation=" COLLATE utf8mb4_bin"),
}


@pytest.fixture(params=SPELLINGS)
def spelling(request: pytest.FixtureRequest, engine: Engine) -> Spelling:
    chosen = SPELLINGS[request.param]
    if engine.dialect.name == "sqlite":
        chosen = Spelling(chosen.case)  # it has neither ENUMs nor these collations
    return chosen


@pytest.fixture
def shop(engine: Engine, spelling: Spelling) -> Shop:
    """An adopted shop with a finished order (DH1) and one that is not paid (DH2)."""
    key = "INTEGER PRIMARY KEY" if engine.dialect.name == "sqlite" else "INT PRIMARY KEY AUTO_INCREMENT"
    orders_table = (
        f"CREATE TABLE orders (id {key}, order_code VARCHAR(20) NOT NULL, user_email VARCHAR(99) NOT NULL,"
        f" order_status {spelling.type(ENUM)} NOT NULL, payment_status {spelling.type(PAYMENT)} NOT NULL,"
        " total_amount DECIMAL(12,2) NOT NULL, created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)"
    )
    tasks_table = (
        f"CREATE TABLE download_tasks (id {key}, order_id INT NOT NULL, course_url VARCHAR(200) NOT NULL,"
        f" status {spelling.type(ENUM)} NOT NULL)"
    )
    run(engine, [orders_table, tasks_table])
    shop = Shop(engine)
    for code, status, payment, task in (
        ("DH1", "COMPLETED", "PAID", "FAILED"),
        ("DH2", "PENDING", "PENDING", "PENDING"),
        ("DH3", "CANCELLED", "PENDING", "CANCELLED"),
        ("DH4", "COMPLETED", "REFUNDED", "COMPLETED"),
    ):
        shop.execute(
            "INSERT INTO orders (order_code, user_email, order_status, payment_status, total_amount)"
            " VALUES (:code, 'a@example.com', :status, :payment, 300000)",
            code=code,
            status=spelling.write(status),
            payment=spelling.write(payment),
        )
        order = "SELECT MAX(id) FROM orders"
        shop.execute(
            f"INSERT INTO download_tasks (order_id, course_url, status) VALUES (({order}), 'http://x', :task)",
            task=spelling.write(task),
        )
    migrate.up(engine)
    return shop


def test_words_are_read_and_found(shop: Shop) -> None:
    paid = shop.read(lambda c: listing.page(c, OrderFilter(paid=True)))
    failed = shop.read(lambda c: tasks.select_tasks(c, TaskFilter(statuses=["failed"])))
    stats = shop.read(order_stats.count)

    assert [(order.order_code, order.order_status, order.payment_status) for order in paid.orders] == [
        ("DH1", "completed", "paid")
    ]
    assert paid.orders[0].failed_tasks == 1
    assert [task.status for task in failed] == ["failed"]
    assert stats == shop.read(lambda c: order_stats.count(c, exact=True))
    assert {word: number for word, number in stats.orders.items() if number} == {"completed": 1}
    assert {word: number for word, number in stats.tasks.items() if number} == {"failed": 1}


def test_order_is_carried_out_and_the_rows_keep_the_shops_spelling(shop: Shop, spelling: Spelling) -> None:
    shop.pay("DH2")
    task = shop.tasks(shop.order("DH2").id)[0]
    claim = shop.transact(lambda c: leases.claim(c, task.id, worker="w", lease_seconds=30, take_all=True))
    assert claim is not None
    assert _raw(shop, "DH2") == [spelling.write(word) for word in ("PROCESSING", "PAID")]
    shop.transact(lambda c: leases.complete(c, claim, folder_name="f", drive_link=None, details={}))

    order = shop.order("DH2")
    assert (order.order_status, order.payment_status, order.completed_tasks) == ("completed", "paid", 1)
    assert _raw(shop, "DH2") == [spelling.write(word) for word in ("COMPLETED", "PAID")]
    events = {event.event_type: event for event in shop.read(lambda c: audit.search(c, order.id))}
    assert events["order_completed"].new_status == "completed"
    assert shop.pay("DH2", "300000").repeated


def _raw(shop: Shop, code: str) -> list[str]:
    query = "SELECT order_status, payment_status FROM orders WHERE order_code = ?"
    marker = "?" if shop.engine.dialect.name == "sqlite" else "%s"
    with shop.engine.connect() as connection:
        return list(connection.exec_driver_sql(query.replace("?", marker), (code,)).one())


def test_task_can_be_retried(shop: Shop) -> None:
    [failed] = shop.read(lambda c: tasks.select_tasks(c, TaskFilter(statuses=["failed"])))

    shop.transact(lambda c: tasks.retry(c, failed.id, max_attempts=3, actor="me", take=True))

    assert shop.order("DH1").order_status == "processing"
    assert shop.read(lambda c: tasks.find(c, failed.id)).status == "pending"


@pytest.mark.parametrize("spelling", ["text-ci", "text-bin"], indirect=True)
def test_both_spellings_are_found(shop: Shop) -> None:
    shop.execute("UPDATE orders SET payment_status = 'paid' WHERE order_code = 'DH3'")
    shape.forget(shop.engine.dialect)

    paid = shop.read(lambda c: listing.page(c, OrderFilter(paid=True)))

    assert [order.order_code for order in paid.orders] == ["DH3", "DH1"]


@pytest.mark.parametrize(
    ("condition", "sql"),
    [
        (orders_table.c.payment_status == "paid", "orders.payment_status = 'paid'"),
        (orders_table.c.payment_status != "paid", "orders.payment_status != 'paid'"),
        (~(orders_table.c.payment_status == "paid"), "orders.payment_status != 'paid'"),
        (download_tasks.c.status.in_(["pending"]), "download_tasks.status = 'pending'"),
        (
            ~download_tasks.c.status.in_(["pending", "failed"]),
            "(download_tasks.status NOT IN ('pending', 'failed'))",
        ),
        (orders_table.c.payment_status.is_(None), "orders.payment_status IS NULL"),
        (orders_table.c.order_status == "x", "orders.order_status IN ('x', 'X')"),
    ],
)
def test_comparisons(condition: object, sql: str) -> None:
    text = condition.compile(dialect=mysql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]

    assert str(text) == sql


@pytest.mark.parametrize(
    ("seen", "spelled"),
    [
        ((), "paid"),
        (("PAID",), "PAID"),
        (("Pending", "pending", "Pending"), "Paid"),
        (("PENDING",), "PAID"),
        (("unknown", "UNKNOWN"), "paid"),
        (("paid", "PENDING", "PENDING"), "paid"),
    ],
)
def test_spelling_follows_the_rows(seen: tuple[str, ...], spelled: str) -> None:
    dialect = mysql.dialect()
    shape._read[dialect] = shape.Shape({}, {("orders", "payment_status"): seen}), 0.0

    assert words.spell(dialect, "orders", "payment_status", "paid") == spelled


@pytest.mark.databases("mariadb", "mysql")
def test_word_that_no_row_had_before_is_found_as_it_was_written(engine: Engine) -> None:
    columns = "id INT PRIMARY KEY AUTO_INCREMENT, status VARCHAR(20) COLLATE utf8mb4_bin"
    run(
        engine,
        [
            f"CREATE TABLE download_tasks ({columns})",
            "INSERT INTO download_tasks (status) VALUES ('PENDING')",
        ],
    )
    with engine.connect() as connection:
        shape.refresh(connection, words.WANTED)

    written = words.spell(engine.dialect, "download_tasks", "status", "enrolled")

    assert written == "ENROLLED"
    assert written in words.spellings(engine.dialect, "download_tasks", "status", "enrolled")
