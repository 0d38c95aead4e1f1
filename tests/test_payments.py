import json
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from orderctl import payments, shape
from orderctl.errors import Conflict, InvalidInput, OrderNotFound
from orderctl.payments import Outcome, Payment
from tests.shop import Shop


def test_payment_marks_the_order_paid(shop: Shop) -> None:
    order_id = shop.add("DH1", amount="300000")

    result = shop.pay("DH1", "300000", transaction="FT26014")

    assert (result.outcome, result.order_id) == (Outcome.PAID, order_id)
    order = shop.order()
    assert (order.payment_status, order.order_status) == ("paid", "pending")
    assert order.paid_at is not None
    event = shop.event(order_id, "payment_received")
    assert event.details == {"amount": 300000, "bank": "ACB", "transactionId": "FT26014"}
    assert (event.event_category, event.previous_status, event.new_status) == ("payment", "pending", "paid")


@pytest.mark.parametrize("transaction", ["FT26014", None])
def test_the_same_payment_again_changes_nothing(shop: Shop, transaction: str | None) -> None:
    shop.add("DH1")
    shop.pay("DH1", transaction=transaction)
    paid_at, size = shop.order().paid_at, shop.log_size()

    assert shop.pay("DH1", transaction=transaction).outcome is Outcome.REPEATED

    assert (shop.order().paid_at, shop.log_size()) == (paid_at, size)


def test_twenty_tellings_at_once_count_once(shop: Shop) -> None:
    shop.add("DH1")

    with ThreadPoolExecutor(4) as pool:
        outcomes = [
            result.outcome for result in pool.map(lambda _: shop.pay("DH1", transaction="T1"), range(20))
        ]

    assert outcomes.count(Outcome.PAID) == 1
    assert outcomes.count(Outcome.REPEATED) == 19
    assert shop.event_types(shop.order().id).count("payment_received") == 1


def test_another_transaction_cannot_pay_again(shop: Shop) -> None:
    shop.add("DH1")
    shop.pay("DH1", transaction="T1")

    with pytest.raises(Conflict, match="another transaction"):
        shop.pay("DH1", transaction="T2")

    assert shop.event_types(shop.order().id).count("payment_received") == 1


def test_a_transaction_pays_one_order(shop: Shop) -> None:
    first = shop.add("DH1")
    shop.add("DH2")
    shop.pay("DH1", transaction="T1")

    with pytest.raises(Conflict, match=f"already paid the order with id {first}"):
        shop.pay("DH2", transaction="T1")

    assert shop.order("DH2").payment_status == "pending"


@pytest.mark.databases("mariadb", "mysql")
def test_a_transaction_pays_one_of_two_orders_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.add("DH1")
    shop.add("DH2")
    checked, refuse = threading.Event(), payments._refuse_used

    def refuse_and_tell(*arguments):
        refuse(*arguments)
        checked.set()

    with ThreadPoolExecutor(1) as pool, shop.engine.begin() as first:
        payments.receive(first, Payment("DH1", Decimal(300000), transaction="T1"), actor="tester")
        monkeypatch.setattr(payments, "_refuse_used", refuse_and_tell)
        second = pool.submit(shop.pay, "DH2", transaction="T1")
        assert checked.wait(10)
        first.commit()

        with pytest.raises(Conflict, match="already paid"):
            second.result()
    assert (shop.order("DH1").payment_status, shop.order("DH2").payment_status) == ("paid", "pending")


def test_transactions_differ_by_case(shop: Shop) -> None:
    shop.add("DH1")
    shop.pay("DH1", transaction="ft1")
    shop.add("DH2")

    assert shop.pay("DH2", transaction="FT1").outcome is Outcome.PAID


def test_blanks_around_a_transaction_do_not_matter(shop: Shop) -> None:
    shop.add("DH1")
    shop.pay("DH1", transaction="T1")

    assert shop.pay(" DH1 ", "300000", transaction=" T1 ").outcome is Outcome.REPEATED


def test_wrong_amount_pays_nothing_and_is_recorded_once(shop: Shop) -> None:
    order_id = shop.add("DH1", amount="300000")

    for _ in range(2):
        result = shop.pay("DH1", "299999.5", transaction="T1")
        assert (result.outcome, result.expected) == (Outcome.MISMATCH, Decimal(300000))

    assert shop.order().payment_status == "pending"
    event = shop.event(order_id, "payment_mismatch")
    assert event.severity == "warning"
    assert event.details == {
        "amount": 299999.5,
        "bank": "ACB",
        "transactionId": "T1",
        "expected": 300000,
    }
    assert shop.pay("DH1", "300000", transaction="T1").outcome is Outcome.PAID


def test_cancelled_and_refunded_orders_take_no_money(shop: Shop) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET order_status = 'cancelled'")
    with pytest.raises(Conflict, match="cancelled"):
        shop.pay("DH1")

    shop.execute("UPDATE orders SET order_status = 'pending', payment_status = 'refunded'")
    with pytest.raises(Conflict, match="refunded"):
        shop.pay("DH1")


def test_order_of_a_failed_payment_can_be_paid(shop: Shop) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'failed'")

    assert shop.pay("DH1").outcome is Outcome.PAID
    assert shop.event(shop.order().id, "payment_received").previous_status == "failed"


def test_unknown_order_cannot_be_paid(shop: Shop) -> None:
    with pytest.raises(OrderNotFound):
        shop.pay("DH9", "1")


@pytest.mark.parametrize("stored", ["T1", 26014], ids=["text", "number"])
def test_payment_that_the_shop_wrote_down_itself_is_known(shop: Shop, stored: str | int) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'paid'")
    shop.execute(
        "INSERT INTO order_audit_logs (order_id, event_type, details, source)"
        " VALUES (1, 'payment_received', :details, 'webhook_handler')",
        details=json.dumps({"transactionId": stored}),
    )

    assert shop.pay("DH1", transaction=str(stored)).outcome is Outcome.REPEATED
    with pytest.raises(Conflict):
        shop.pay("DH1", transaction="T2")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("details", ["{half", "[1]", "7", "null", '"T1"', '{"transactionId": null}'])
def test_odd_details_of_others_are_no_payment(shop: Shop, details: str) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'paid'")
    shop.execute(
        "INSERT INTO order_audit_logs (order_id, event_type, details) VALUES (1, 'payment_received', :details)",
        details=details,
    )

    with pytest.raises(Conflict, match="already paid"):
        shop.pay("DH1", transaction="T1")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": Decimal("NaN")},
        {"amount": Decimal(-1)},
        {"amount": Decimal("0.001")},
        {"bank": ""},
        {"bank": "x" * 121},
        {"transaction": " "},
        {"transaction": "T\n1"},
        {"transaction": "mã"},
        {"transaction": "x" * 121},
    ],
    ids=str,
)
def test_refuses_a_payment_that_is_none(shop: Shop, wrong: dict[str, object]) -> None:
    shop.add("DH1")
    right = {"order_code": "DH1", "amount": Decimal(300000), "bank": "ACB", "transaction": "T1"}

    with pytest.raises(InvalidInput):
        shop.transact(lambda c: payments.receive(c, Payment(**(right | wrong)), actor="tester"))  # type: ignore[arg-type]

    assert shop.order().payment_status == "pending"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            '{"code": "DH1", "transferAmount": 300000, "bankName": "ACB", "transactionId": "FT1"}',
            Payment("DH1", Decimal(300000), "ACB", "FT1"),
        ),
        ('{"code": " DH1 ", "transferAmount": "0.10"}', Payment("DH1", Decimal("0.10"))),
        (
            '{"code": "DH1", "transferAmount": 0.1, "id": 92704, "more": {"a": [1]}}',
            Payment("DH1", Decimal("0.1"), None, "92704"),
        ),
        (
            '{"code": "DH1", "transferAmount": 1, "id": 9, "referenceCode": "MB1"}',
            Payment("DH1", Decimal(1), None, "MB1"),
        ),
        (
            '{"code": "DH1", "transferAmount": 1, "bankName": null, "transactionId": null}',
            Payment("DH1", Decimal(1)),
        ),
    ],
    ids=["whole", "text", "fraction", "reference", "null"],
)
def test_reads_the_webhook_of_a_bank(document: str, expected: Payment) -> None:
    assert payments.from_webhook(document) == expected


@pytest.mark.parametrize(
    "document",
    [
        "",
        "code=DH1",
        "[]",
        "null",
        "{}",
        '{"code": "DH1"}',
        '{"code": 1, "transferAmount": 1}',
        '{"code": "", "transferAmount": 1}',
        '{"code": "DH1", "transferAmount": true}',
        '{"code": "DH1", "transferAmount": null}',
        '{"code": "DH1", "transferAmount": "much"}',
        '{"code": "DH1", "transferAmount": NaN}',
        '{"code": "DH1", "transferAmount": 1e400}',
        '{"code": "DH1", "transferAmount": -1}',
        '{"code": "DH1", "transferAmount": 1, "bankName": 7}',
        '{"code": "DH1", "transferAmount": 1, "transactionId": true}',
        '{"code": "DH1", "transferAmount": 1, "transactionId": {"a": 1}}',
        '{"code": "DH1", "transferAmount": 1, "transactionId": ""}',
        '{"code": "DH1", "transferAmount": 1' + "0" * 5000 + "}",
        "[" * 100_000,
    ],
    ids=lambda document: document[:60],
)
def test_refuses_a_webhook_that_is_none(document: str) -> None:
    with pytest.raises(InvalidInput):
        payments.from_webhook(document)


@pytest.mark.parametrize("codes", [("DH1", "DH1"), ("DH1", "dh1")])
def test_each_order_of_one_code_can_be_paid_without_a_transaction(shop: Shop, codes: tuple[str, str]) -> None:
    first, second = shop.add("DH1"), shop.add("DH2")
    drop = "DROP INDEX uq_orderctl_orders_order_code"
    sqlite = shop.engine.dialect.name == "sqlite"
    shop.execute(drop if sqlite else f"{drop} ON orders")
    shop.execute("UPDATE orders SET order_code = :code WHERE id = :id", code=codes[1], id=second)
    if not sqlite:  # a shop's own audit log may ignore case
        column = "dedup_key VARCHAR(191) COLLATE utf8mb4_general_ci NULL"
        shop.execute(f"ALTER TABLE order_audit_logs MODIFY {column}")

    for order_id in (first, second):
        reference = str(order_id)
        assert shop.pay(reference, "1").outcome is Outcome.MISMATCH
        assert shop.pay(reference).outcome is Outcome.PAID
        assert shop.pay(reference).outcome is Outcome.REPEATED
        types = shop.event_types(order_id)
        assert (types.count("payment_mismatch"), types.count("payment_received")) == (1, 1)


def test_repeated_payment_without_a_transaction_does_not_pay_the_next_order_of_its_code(shop: Shop) -> None:
    sqlite = shop.engine.dialect.name == "sqlite"
    drop = "DROP INDEX uq_orderctl_orders_order_code"
    shop.execute(drop if sqlite else f"{drop} ON orders")
    shop.execute("ALTER TABLE orders ADD COLUMN deleted_at DATETIME NULL")
    shape.forget(shop.engine.dialect)
    shop.paid("DH1")
    again = shop.add("DH2")
    shop.execute("UPDATE orders SET deleted_at = '2026-01-01 00:00:00' WHERE id = 1")
    shop.execute("UPDATE orders SET order_code = 'DH1' WHERE id = :id", id=again)

    with pytest.raises(
        Conflict, match="payment of DH1 without a transaction has already paid the order with id 1"
    ):
        shop.pay("DH1")

    assert shop.order("DH1").payment_status == "pending"
    assert shop.pay(str(again)).outcome is Outcome.PAID
