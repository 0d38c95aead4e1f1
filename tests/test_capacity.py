"""Amounts and lengths follow the shop's own columns."""

from decimal import Decimal

import pytest
from sqlalchemy import Engine

from orderctl import migrate, shape
from orderctl.capacity import Limits, room
from orderctl.errors import InvalidInput
from orderctl.orders import NewCourse
from orderctl.shape import Column, Shape
from tests.shop import Shop

servers = pytest.mark.databases("mariadb", "mysql")
URL = "http://a.example/"


def amounts(
    type_: str, precision: int | None = None, scale: int | None = None, *, unsigned: bool = False
) -> Shape:
    column = Column("total_amount", type_, precision=precision, scale=scale, unsigned=unsigned)
    return Shape({"orders": {"total_amount": column}})


@pytest.mark.parametrize(
    ("there", "held", "refused"),
    [
        (shape.UNKNOWN, ["0", "0.01", "9999999999.99"], ["10000000000", "0.001", "-1"]),
        (amounts("decimal", 8, 2), ["999999.99"], ["1500000", "1.005"]),
        (amounts("decimal", 15, 0), ["12345678901", "1E+3"], ["99.50"]),
        (amounts("bigint", 19), ["12345678901", str(2**63 - 1), "99.00"], ["99.50", str(2**63)]),
        (amounts("int", 10, 0), [str(2**31 - 1)], [str(2**31)]),
        (amounts("int", 10, 0, unsigned=True), [str(2**32 - 1)], [str(2**32), "0.5"]),
        (amounts("bigint", 20, 0, unsigned=True), [str(2**64 - 1)], [str(2**64)]),
        (amounts("tinyint", 3, 0), ["127"], ["128", "0.5"]),
        (amounts("decimal", 20, 4), ["12.3456"], ["12.34567"]),
        (amounts("decimal", 65, 30), ["9" * 35, "0." + "0" * 29 + "1"], ["1" + "0" * 35, "1e-31"]),
        (amounts("double", 22), ["1"], ["0.001"]),
    ],
)
def test_the_limits_are_those_of_the_column(there, held, refused):
    limits = Limits.of(there)

    assert [amount for amount in held if not limits.holds(Decimal(amount))] == []
    assert [amount for amount in refused if limits.holds(Decimal(amount))] == []


def test_a_refusal_says_what_is_allowed():
    with pytest.raises(
        InvalidInput, match=r"'99.50' is not a valid amount: 0 to 999999999999999 with no decimals"
    ):
        Limits.of(amounts("decimal", 15, 0)).check(Decimal("99.50"))


def test_a_text_has_the_room_of_its_column():
    there = Shape({"orders": {"order_code": Column("order_code", "varchar", characters=8)}})

    assert room(there, "orders", "order_code", 64) == 8
    assert room(there, "orders", "order_code", 5) == 5
    assert room(there, "orders", "user_email", 254) == 254


@pytest.fixture
def narrow(engine: Engine) -> Shop:
    """A shop whose columns are short, and whose amounts are whole numbers of 15 digits."""
    orders = (
        "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, order_code VARCHAR(8) NOT NULL UNIQUE, user_email"
        " VARCHAR(20) NOT NULL, order_status VARCHAR(20) NOT NULL, payment_status VARCHAR(20) NOT NULL, total_amount"
        " DECIMAL(15,0) NOT NULL, created_at DATETIME NOT NULL)"
    )
    tasks = (
        "CREATE TABLE download_tasks (id INT AUTO_INCREMENT PRIMARY KEY, order_id INT NOT NULL, course_url VARCHAR(40)"
        " NOT NULL, title VARCHAR(20), status VARCHAR(20) NOT NULL, drive_link VARCHAR(500), error_log TEXT,"
        " FOREIGN KEY (order_id) REFERENCES orders (id))"
    )
    with engine.begin() as connection:
        for statement in (orders, tasks):
            connection.exec_driver_sql(statement)
    migrate.up(engine)
    return Shop(engine)


@servers
def test_a_shop_with_other_columns(narrow: Shop):
    narrow.add(
        "DH1",
        [NewCourse(URL, "a title that is too long for its column")],
        amount="12345678901",
        email="a@b.vn",
    )

    assert narrow.pay("DH1", "12345678901").payment.outcome == "paid"
    assert narrow.order("DH1").total_amount == Decimal(12345678901)
    for complaint, wrong in (
        ("'DH2026000123' is not a valid order code: 1 to 8", {"code": "DH2026000123"}),
        ("is too long: orders.user_email holds 20 characters", {"email": "customer@example-of-a-domain.vn"}),
        ("'99.50' is not a valid amount", {"amount": "99.50"}),
        ("is not a valid course URL.*at most 40", {"courses": [NewCourse(URL + "x" * 40)]}),
    ):
        with pytest.raises(InvalidInput, match=complaint):
            narrow.add(
                **{"code": "DH2", "email": "a@b.vn", "amount": "1", "courses": [NewCourse(URL)]} | wrong
            )
    assert [row.order_code for row in narrow.order_rows()] == ["DH1"]


@servers
def test_a_column_that_was_just_shortened_is_named(narrow: Shop):
    narrow.add("DH1", [NewCourse(URL)], email="a@b.vn")
    narrow.execute("ALTER TABLE orders MODIFY order_code VARCHAR(4) NOT NULL")

    with pytest.raises(InvalidInput, match=r"does not fit into its column of the shop: .*'order_code'"):
        narrow.add("DH12345", [NewCourse(URL)], email="a@b.vn")


@servers
def test_amounts_with_more_decimals_are_read_exactly(shop: Shop):
    shop.execute("ALTER TABLE orders MODIFY total_amount DECIMAL(40,4) NOT NULL")
    shape.forget(shop.engine.dialect)
    shop.add("DH1", amount="12.3456")
    shop.add("DH2", amount="1" * 36)

    assert shop.order("DH1").total_amount == Decimal("12.3456")
    assert shop.order("DH2").total_amount == Decimal("1" * 36)
    assert shop.pay("DH1", "12.3456").payment.outcome == "paid"


@servers
@pytest.mark.parametrize("type_", ["INT", "BIGINT"])
def test_an_unsigned_amount_is_added_and_paid(shop: Shop, type_: str):
    highest = str(2 ** {"INT": 32, "BIGINT": 64}[type_] - 1)
    shop.execute(f"ALTER TABLE orders MODIFY total_amount {type_} UNSIGNED NOT NULL")
    shape.forget(shop.engine.dialect)
    shop.add("DH1", amount=highest)

    assert shop.pay("DH1", highest).payment.outcome == "paid"
    assert shop.order("DH1").total_amount == Decimal(highest)
