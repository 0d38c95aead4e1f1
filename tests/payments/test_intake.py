import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from orderctl import shape
from orderctl.errors import Conflict, InvalidInput, OrderNotFound
from orderctl.payments import codes, intake
from orderctl.payments.codes import Found
from orderctl.payments.providers.plain import PlainProvider
from orderctl.payments.transfer import Direction, Transfer
from tests.shop import AMOUNT, RULES, Shop

SUM = replace(RULES, accept="sum")


def told(
    code: str | None = "DH1", amount: str | Decimal = AMOUNT, provider: str = "sepay", **more
) -> Transfer:
    return Transfer(provider, Decimal(amount), code=code, **more)


def outcomes(shop: Shop) -> list[str]:
    return [payment.outcome for payment in shop.ledger()]


def alerts(shop: Shop) -> list[str]:
    return [entry.dedup_key for entry in shop.outbox() if entry.kind == "alert"]


def test_a_payment_marks_the_order_paid(shop: Shop) -> None:
    order_id = shop.add("DH1", amount="300000")

    receipt = shop.pay("DH1", "300000", transaction="FT26014")

    payment = receipt.payment
    assert (payment.outcome, payment.order_id, payment.order_code) == ("paid", order_id, "DH1")
    assert (payment.provider, payment.provider_id, payment.amount) == ("manual", "FT26014", Decimal(300_000))
    assert [task.order_id for task in receipt.moved.tasks] == [order_id]
    order = shop.order()
    assert (order.payment_status, order.order_status) == ("paid", "pending")
    assert order.paid_at is not None
    event = shop.event(order_id, "payment_received")
    assert event.details == {"amount": 300000, "bank": "ACB", "transactionId": "FT26014"}
    assert (event.event_category, event.previous_status, event.new_status) == ("payment", "pending", "paid")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("transaction", ["FT26014", None])
def test_the_same_payment_again_changes_nothing(shop: Shop, transaction: str | None) -> None:
    shop.add("DH1")
    shop.pay("DH1", transaction=transaction)
    paid_at, size = shop.order().paid_at, shop.log_size()

    assert shop.pay("DH1", transaction=transaction).repeated

    assert (shop.order().paid_at, shop.log_size(), outcomes(shop)) == (paid_at, size, ["paid"])


@pytest.mark.parametrize(
    "transfer",
    [
        told(provider_id="7"),
        told(reference="FT1"),
        told(provider="plain"),
        told(None, content="DH1", bank="ACB"),
    ],
    ids=["id", "reference", "nothing", "text"],
)
def test_eight_deliveries_at_once_count_once(
    shop: Shop, transfer: Transfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    order_id = shop.add("DH1")
    monkeypatch.setattr(codes, "find", lambda *_: Found(order_id, None))

    with ThreadPoolExecutor(8) as pool:
        receipts = [one for found in pool.map(shop.receive, [transfer] * 8) for one in found]

    assert sorted(receipt.repeated for receipt in receipts) == [False] + [True] * 7
    assert outcomes(shop) == ["paid"]
    assert shop.event_types(order_id).count("payment_received") == 1


@pytest.mark.databases("sqlite", "mysql")
@pytest.mark.parametrize(
    "transfer", [told("XX", provider_id="7"), told("XX", "5"), told(direction=Direction.OUT)]
)
def test_eight_deliveries_at_once_of_what_pays_nothing_are_one_row(shop: Shop, transfer: Transfer) -> None:
    with ThreadPoolExecutor(8) as pool:
        receipts = [one for found in pool.map(shop.receive, [transfer] * 8) for one in found]

    assert sorted(receipt.repeated for receipt in receipts) == [False] + [True] * 7
    assert len(shop.ledger()) == 1


@pytest.mark.databases("sqlite")
def test_a_second_transfer_is_kept_as_surplus(shop: Shop) -> None:
    order_id = shop.add("DH1")
    shop.receive(told(provider_id="1"))

    for repeated in (False, True):
        [receipt] = shop.receive(told(provider_id="2"))
        assert (receipt.payment.outcome, receipt.repeated) == ("surplus", repeated)
        assert receipt.payment.reason == "the order is paid already"

    assert outcomes(shop) == ["paid", "surplus"]
    types = shop.event_types(order_id)
    assert (types.count("payment_received"), types.count("payment_surplus")) == (1, 1)
    event = shop.event(order_id, "payment_surplus")
    assert event.message == "Payment of 300000 received for order DH1, which is paid already"
    assert len(alerts(shop)) == 1


@pytest.mark.databases("sqlite")
def test_a_transfer_told_with_more_is_the_same(shop: Shop) -> None:
    shop.add("DH1")
    shop.receive(told(provider="plain", provider_id="7"))

    assert shop.receive(told(provider="plain", provider_id="7", reference="FT1"))[0].repeated
    assert shop.receive(told(provider="plain", reference="FT1"))[0].repeated  # known by now
    assert [(one.provider_id, one.reference) for one in shop.ledger()] == [("7", "FT1")]


@pytest.mark.databases("sqlite")
def test_a_transfer_told_by_its_reference_has_an_id_later(shop: Shop) -> None:
    shop.add("DH1")
    shop.receive(told(reference="FT1", bank="ACB"))

    assert shop.receive(told(reference="FT1", provider_id="7", bank="acb"))[0].repeated
    assert shop.receive(told(provider_id="7"))[0].repeated
    assert [(one.provider_id, one.outcome) for one in shop.ledger()] == [("7", "paid")]


@pytest.mark.databases("sqlite")
def test_a_transfer_told_by_one_of_its_names_after_another_is_the_same(shop: Shop) -> None:
    shop.add("DH1")
    documents = [
        {"transactionId": "T1"}, {"id": 7, "transactionId": "T1", "referenceCode": "FT1"},
        {"id": 7, "transactionId": "T1"}, {"transactionId": "T1"}, {"referenceCode": "FT1"},
    ]  # fmt: skip
    for number, more in enumerate(documents):
        transfers = PlainProvider().read(
            {"code": "DH1", "transferAmount": 300_000, "bankName": "ACB", **more}
        )
        assert shop.receive(*transfers)[0].repeated is (number > 0)

    assert len(shop.ledger()) == 1


@pytest.mark.databases("sqlite", "mariadb")
def test_the_same_reference_of_two_banks_is_two(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    shop.receive(told("DH1", reference="777", bank="ACB"))

    shop.receive(told("DH2", reference="777", bank="MB"))
    shop.receive(told("DH2", provider="casso", provider_id="9", reference="777", bank="ACB"))

    assert outcomes(shop) == ["paid", "paid", "surplus"]


@pytest.mark.databases("sqlite")
def test_an_order_paid_by_hand_does_not_block_a_transaction_of_its_name(shop: Shop) -> None:
    shop.add("777")
    shop.add("DH2")
    shop.pay("777")

    assert not shop.pay("DH2", transaction="777").repeated
    assert outcomes(shop) == ["paid", "paid"]


@pytest.mark.databases("sqlite")
def test_what_a_person_has_typed_is_known_to_each_provider(shop: Shop) -> None:
    shop.add("DH1")
    shop.pay("DH1", transaction="FT1")

    assert shop.receive(told(provider_id="92704", reference="FT1"))[0].repeated
    assert outcomes(shop) == ["paid"]


@pytest.mark.databases("sqlite")
def test_a_transaction_pays_one_order(shop: Shop) -> None:
    first = shop.add("DH1")
    shop.add("DH2")
    shop.pay("DH1", transaction="T1")

    with pytest.raises(Conflict, match=f"already paid the order with id {first}"):
        shop.pay("DH2", transaction="T1")

    assert shop.order("DH2").payment_status == "pending"


@pytest.mark.databases("sqlite")
def test_a_transfer_that_was_typed_for_another_order_waits_for_a_decision(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    shop.pay("DH1", transaction="FT1")

    [receipt] = shop.receive(told("DH2", provider_id="9", reference="FT1", bank="acb"))
    shop.receive(told("DH2", provider_id="10", reference="FT1", bank="MB"))  # another bank's

    assert receipt.payment.reason == "payment 1 of order DH1 was typed by this transaction"
    assert outcomes(shop) == ["paid", "unmatched", "paid"]


@pytest.mark.databases("sqlite")
def test_a_mistyped_amount_is_corrected(shop: Shop) -> None:
    shop.add("DH1")
    shop.pay("DH1", "30000")

    assert shop.pay("DH1").payment.outcome == "paid"
    assert shop.pay("DH1").repeated
    assert [(one.outcome, one.amount) for one in shop.ledger()] == [("paid", Decimal(300_000))]


@pytest.mark.databases("sqlite")
def test_a_transfer_told_for_another_order_stays_what_it_was(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    shop.receive(told("DH1", provider_id="7"))

    [receipt] = shop.receive(told("DH2", provider_id="7"))

    assert (receipt.repeated, receipt.payment.order_code) == (True, "DH1")
    assert shop.order("DH2").payment_status == "pending"


@pytest.mark.databases("mariadb", "mysql")
def test_a_transfer_pays_one_of_two_orders_at_once(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    started = threading.Event()

    def second() -> list[intake.Receipt]:
        started.set()
        return shop.receive(told("DH2", provider_id="7"))

    with ThreadPoolExecutor(1) as pool, shop.engine.begin() as first:
        intake.receive(first, [told("DH1", provider_id="7")], RULES, intake.Origin("tests"))
        later = pool.submit(second)
        assert started.wait(10)
        first.commit()
        [receipt] = later.result()

    assert (receipt.repeated, receipt.payment.order_code) == (True, "DH1")
    assert (shop.order("DH1").payment_status, shop.order("DH2").payment_status) == ("paid", "pending")


def test_transactions_differ_by_case(shop: Shop) -> None:
    shop.add("DH1")
    shop.pay("DH1", transaction="ft1")
    shop.add("DH2")

    assert not shop.pay("DH2", transaction="FT1").repeated


@pytest.mark.databases("sqlite")
def test_blanks_around_a_transaction_do_not_matter(shop: Shop) -> None:
    shop.add("DH1")
    shop.pay("DH1", transaction="T1")

    assert shop.pay("DH1", "300000", transaction=" T1 ").repeated


@pytest.mark.databases("sqlite", "mariadb")
def test_a_wrong_amount_pays_nothing_and_is_told_once(shop: Shop) -> None:
    order_id = shop.add("DH1", amount="300000")

    for _ in range(2):
        receipt = shop.pay("DH1", "299999.5", transaction="T1")
        assert (receipt.payment.outcome, receipt.expected) == ("mismatch", Decimal(300000))

    assert shop.order().payment_status == "pending"
    event = shop.event(order_id, "payment_mismatch")
    assert event.severity == "warning"
    assert event.details == {"amount": 299999.5, "bank": "ACB", "transactionId": "T1", "expected": 300000}
    assert shop.ledger()[0].reason == "299999.5 was transferred, the order costs 300000: 0.5 is missing"
    shop.pay("DH1", "300000", transaction="T1")
    assert (shop.order().payment_status, outcomes(shop)) == ("paid", ["paid"])
    assert shop.ledger()[0].amount == Decimal(300_000)


@pytest.mark.databases("sqlite")
def test_parts_pay_an_order_together(shop: Shop) -> None:
    order_id = shop.add("DH1", amount="12.50")
    for number, (amount, outcome) in enumerate([("0.10", "partial"), ("0.20", "partial"), ("12.20", "paid")]):
        [receipt] = shop.receive(told(amount=amount, provider_id=str(number)), rules=SUM)
        assert receipt.payment.outcome == outcome

    assert shop.order().payment_status == "paid"
    assert outcomes(shop) == ["paid"] * 3
    assert shop.event(order_id, "payment_received").details["amount"] == 12.5
    messages = [event.message for event in shop.events(order_id) if event.event_type == "payment_partial"]
    assert messages[1] == "Part payment of 0.2 received for order DH1: 0.3 of 12.5"
    assert shop.receive(told(amount="1", provider_id="9"), rules=SUM)[0].payment.outcome == "surplus"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("order_status = 'cancelled'", "is cancelled"),
        ("payment_status = 'refunded'", "is refunded"),
        ("order_status = 'odd'", "has the status 'odd', which orderctl does not know"),
        (
            "payment_status = 'odd'",
            "has the payment status 'odd', which is not one of the setting payments.pending_statuses (pending, failed)",
        ),
    ],
    ids=["cancelled", "refunded", "odd order", "odd payment"],
)
def test_an_order_that_takes_no_money_keeps_it_as_surplus(shop: Shop, change: str, reason: str) -> None:
    shop.add("DH1")
    shop.execute(f"UPDATE orders SET {change}")

    kept = shop.pay("DH1").payment

    assert (kept.outcome, kept.reason) == ("surplus", f"the order {reason}")
    assert shop.order().payment_status != "paid"


@pytest.mark.databases("sqlite")
def test_an_order_of_a_failed_payment_can_be_paid(shop: Shop) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'failed'")

    assert shop.pay("DH1").payment.outcome == "paid"
    assert shop.event(shop.order().id, "payment_received").previous_status == "failed"


def test_what_names_no_order_is_kept_and_pays_when_it_is_told_again(shop: Shop) -> None:
    [receipt] = shop.receive(told("DH1", provider_id="7", raw={"code": "DH1"}))
    assert (receipt.payment.outcome, receipt.payment.order_id) == ("unmatched", None)
    assert len(alerts(shop)) == 1

    shop.add("DH1")
    [receipt] = shop.receive(told("DH1", provider_id="7"))

    assert (receipt.repeated, receipt.payment.outcome, receipt.payment.order_code) == (False, "paid", "DH1")
    assert shop.order().payment_status == "paid"
    assert len(shop.ledger()) == 1


@pytest.mark.databases("sqlite")
def test_nothing_typed_for_an_unknown_order_is_kept(shop: Shop) -> None:
    with pytest.raises(OrderNotFound):
        shop.pay("DH9", "1")

    assert shop.ledger() == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("transfer", "reason"),
    [
        (told(direction=Direction.OUT, provider_id="1"), "outgoing"),
        (Transfer("casso", ignored="a test", provider_id="2"), "a test"),
        (told(amount="0", provider_id="3"), "its amount is 0"),
    ],
    ids=["outgoing", "test", "nothing"],
)
def test_what_is_no_money_of_the_shops_is_ignored(shop: Shop, transfer: Transfer, reason: str) -> None:
    shop.add("DH1")

    for repeated in (False, True):
        [receipt] = shop.receive(transfer)
        assert (receipt.payment.outcome, receipt.payment.reason) == ("ignored", reason)
        assert receipt.repeated is repeated

    assert shop.order().payment_status == "pending"
    assert alerts(shop) == []


@pytest.mark.databases("sqlite")
def test_a_delivery_is_taken_in_whole_or_not_at_all(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")

    with pytest.raises(InvalidInput):
        shop.receive(told("DH1", provider_id="1"), told("DH2", "-1", provider_id="2"))
    assert shop.ledger() == []

    receipts = shop.receive(
        told("DH2", provider_id="2"), told("DH1", provider_id="1"), told("DH1", provider_id="1")
    )
    assert [(one.payment.order_code, one.repeated) for one in receipts] == [
        ("DH2", False), ("DH1", False), ("DH1", True),
    ]  # fmt: skip


@pytest.mark.databases("sqlite", "mysql")
@pytest.mark.parametrize("stored", ["T1", 26014], ids=["text", "number"])
def test_a_payment_that_the_shop_wrote_down_itself_is_known(shop: Shop, stored: str | int) -> None:
    order_id = shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'paid'")
    shop.execute(
        "INSERT INTO order_audit_logs (order_id, event_type, details, source)"
        " VALUES (1, 'payment_received', :details, 'webhook_handler')",
        details=json.dumps({"transactionId": stored}),
    )

    [receipt] = shop.receive(told(provider_id="9", reference=str(stored)))

    assert (receipt.repeated, receipt.payment.outcome) == (True, "paid")
    assert receipt.payment.reason == "recorded by webhook_handler"
    shop.execute("DELETE FROM order_audit_logs")
    assert shop.receive(told(provider_id="9"))[0].repeated
    assert shop.receive(told(provider_id="10"))[0].payment.outcome == "surplus"
    assert shop.event_types(order_id) == ["payment_surplus"]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("details", ["{half", "[1]", "7", "null", '"T1"', '{"transactionId": null}'])
def test_odd_details_of_others_are_no_payment(shop: Shop, details: str) -> None:
    shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'paid'")
    shop.execute(
        "INSERT INTO order_audit_logs (order_id, event_type, details) VALUES (1, 'payment_received', :details)",
        details=details,
    )

    assert shop.pay("DH1", transaction="T1").payment.outcome == "surplus"


@pytest.mark.databases("sqlite")
def test_nothing_counts_twice_without_the_audit_log(shop: Shop) -> None:
    shop.add("DH1")
    shop.receive(told(provider_id="7", reference="FT1"))
    shop.execute("DELETE FROM order_audit_logs")

    assert shop.receive(told(provider_id="7"))[0].repeated
    assert shop.pay("DH1", transaction="FT1").repeated
    assert shop.log_size() == 0


@pytest.mark.parametrize("codes", [("DH1", "DH1"), ("DH1", "dh1")])
def test_each_order_of_one_code_can_be_paid_without_a_transaction(shop: Shop, codes: tuple[str, str]) -> None:
    first, second = shop.add("DH1"), shop.add("DH2")
    drop = "DROP INDEX uq_orderctl_orders_order_code"
    shop.execute(drop if shop.engine.dialect.name == "sqlite" else f"{drop} ON orders")
    shop.execute("UPDATE orders SET order_code = :code WHERE id = :id", code=codes[1], id=second)

    for order_id in (first, second):
        reference = str(order_id)
        assert shop.pay(reference, "1").payment.outcome == "mismatch"
        assert shop.pay(reference).payment.outcome == "paid"
        assert shop.pay(reference).repeated
        types = shop.event_types(order_id)
        assert (types.count("payment_mismatch"), types.count("payment_received")) == (1, 1)


def test_a_payment_without_an_id_does_not_pay_the_next_order_of_its_code(shop: Shop) -> None:
    sqlite = shop.engine.dialect.name == "sqlite"
    drop = "DROP INDEX uq_orderctl_orders_order_code"
    shop.execute(drop if sqlite else f"{drop} ON orders")
    shop.execute("ALTER TABLE orders ADD COLUMN deleted_at DATETIME NULL")
    shape.forget(shop.engine.dialect)
    shop.paid("DH1")
    shop.receive(told("DH1", provider="plain"))
    again = shop.add("DH2")
    shop.execute("UPDATE orders SET deleted_at = '2026-01-01 00:00:00' WHERE id = 1")
    shop.execute("UPDATE orders SET order_code = 'DH1' WHERE id = :id", id=again)

    with pytest.raises(
        Conflict, match="payment of DH1 without a transaction has already paid the order with id 1"
    ):
        shop.pay("DH1")
    [receipt] = shop.receive(told("DH1", provider="plain"))

    assert receipt.payment.outcome == "unmatched"
    assert shop.order("DH1").payment_status == "pending"
    assert shop.pay(str(again)).payment.outcome == "paid"
