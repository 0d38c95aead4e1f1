import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from decimal import Decimal

import pytest

from orderctl.errors import Conflict, OrderctlError, OrderNotFound, PaymentNotFound, Superseded
from orderctl.payments import amounts, decisions, intake
from orderctl.payments.ledger import Payment
from orderctl.payments.transfer import Direction, Transfer
from tests.shop import RULES, TESTER, Shop

SUM = replace(RULES, accept="sum")


def match(shop: Shop, payment_id: int, order: str, rules=RULES) -> intake.Receipt:
    return shop.transact(
        lambda c: decisions.match(c, payment_id, order, reason="he wrote to us", rules=rules, origin=TESTER)
    )


def refuse(shop: Shop, payment_id: int) -> Payment:
    return shop.transact(lambda c: decisions.refuse(c, payment_id, reason="sent back", origin=TESTER))


def told(shop: Shop, code: str | None, amount: int = 300_000, number: int = 1, **more) -> int:
    [receipt] = shop.receive(Transfer("sepay", Decimal(amount), provider_id=str(number), code=code), **more)
    return receipt.payment.id


def test_a_payment_without_an_order_is_given_to_one(shop: Shop) -> None:
    order_id = shop.add("DH1")
    payment_id = told(shop, "XX")

    receipt = match(shop, payment_id, "DH1")

    payment = receipt.payment
    assert (payment.outcome, payment.order_code, payment.reason) == ("paid", "DH1", None)
    assert (payment.decided_by, payment.decision) == ("tester", "he wrote to us")
    assert payment.decided_at is not None
    assert len(receipt.moved.tasks) == 1
    assert shop.order().payment_status == "paid"
    matched = shop.event(order_id, "payment_matched")
    assert matched.message == "Payment 1 of 300000 given to order DH1: he wrote to us"
    assert (matched.actor, matched.details["reason"], matched.details["outcome"]) == (
        "tester", "he wrote to us", "unmatched",
    )  # fmt: skip
    assert shop.event(order_id, "payment_received").actor == "tester"
    assert shop.receive(Transfer("sepay", Decimal(300_000), provider_id="1", code="XX"))[0].repeated


@pytest.mark.databases("sqlite")
def test_a_payment_of_a_wrong_amount_is_accepted(shop: Shop) -> None:
    shop.add("DH1")
    payment_id = told(shop, "DH1", 299_000)

    payment = match(shop, payment_id, "DH1").payment

    assert (payment.outcome, payment.amount) == ("paid", Decimal(299_000))
    assert payment.reason == "299000 was transferred, the order costs 300000: 1000 is missing"
    assert shop.order().payment_status == "paid"
    assert shop.event(1, "payment_received").details["amount"] == 299_000


@pytest.mark.databases("sqlite")
def test_a_surplus_payment_is_given_to_the_order_that_was_meant(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    told(shop, "DH1")
    surplus = told(shop, "DH1", number=2)

    assert match(shop, surplus, "DH2").payment.order_code == "DH2"
    assert shop.order("DH2").payment_status == "paid"


def test_parts_are_given_to_an_order(shop: Shop) -> None:
    shop.add("DH1")
    first, second = told(shop, "XX", 100_000), told(shop, "XX", 50_000, number=2)

    assert match(shop, first, "DH1", SUM).payment.outcome == "partial"
    assert shop.event(1, "payment_partial").message.endswith("100000 of 300000")
    assert match(shop, second, "DH1", SUM).payment.outcome == "partial"
    accepted = match(shop, second, "DH1", SUM).payment

    assert accepted.reason == "150000 of 300000 received: 150000 is missing"
    assert shop.order().payment_status == "paid"
    assert [payment.outcome for payment in shop.ledger()] == ["paid", "paid"]


@pytest.mark.databases("sqlite")
def test_what_was_set_aside_or_did_not_fit_becomes_a_part_of_its_own_order(shop: Shop) -> None:
    shop.add("DH1")
    part, wrong = told(shop, "DH1", 100_000, rules=SUM), told(shop, "DH1", 50_000, number=2)
    refuse(shop, part)

    outcomes = [match(shop, payment_id, "DH1", SUM).payment.outcome for payment_id in (part, wrong)]

    assert outcomes == ["partial", "partial"]
    assert shop.order().payment_status == "pending"
    assert (
        match(shop, wrong, "DH1", SUM).payment.outcome == "paid"
    )  # a part that is given once more: it is enough


@pytest.mark.databases("sqlite")
def test_a_part_that_is_given_to_another_order_is_in_its_log(shop: Shop) -> None:
    shop.add("DH1")
    other = shop.add("DH2")
    part = told(shop, "DH1", 100_000, rules=SUM)

    assert match(shop, part, "DH2", SUM).payment.outcome == "partial"

    assert shop.event(other, "payment_partial").message.endswith("100000 of 300000")


@pytest.mark.databases("sqlite")
def test_a_payment_is_set_aside(shop: Shop) -> None:
    order_id = shop.add("DH1")
    wrong, lost = told(shop, "DH1", 1), told(shop, "XX", number=2)

    assert [refuse(shop, payment_id).outcome for payment_id in (wrong, lost)] == ["refused", "refused"]

    event = shop.event(order_id, "payment_refused")
    assert event.message == "Payment 1 of 1 set aside: sent back"
    assert event.actor == "tester"
    assert shop.ledger()[1].decision == "sent back"
    told(shop, "DH1", 300_000)  # told again, with the amount corrected: it was set aside
    assert shop.order().payment_status == "pending"
    assert match(shop, wrong, "DH1").payment.outcome == "paid"  # but the admin may change his mind


@pytest.mark.databases("sqlite")
def test_what_has_paid_or_is_no_money_is_not_decided_about(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    paid = told(shop, "DH1")
    [out] = shop.receive(Transfer("sepay", Decimal(5), provider_id="9", direction=Direction.OUT))

    for decide in (lambda number: match(shop, number, "DH2"), lambda number: refuse(shop, number)):
        with pytest.raises(Conflict, match="payment 1 has paid order DH1"):
            decide(paid)
        with pytest.raises(Conflict, match="payment 2 is not a transfer to the shop: outgoing"):
            decide(out.payment.id)
        with pytest.raises(PaymentNotFound):
            decide(7)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("change", ["order_status = 'cancelled'", "payment_status = 'paid'"])
def test_an_order_that_takes_no_money_is_given_none(shop: Shop, change: str) -> None:
    shop.add("DH1")
    payment_id = told(shop, "XX")
    shop.execute(f"UPDATE orders SET {change}")

    with pytest.raises(Conflict, match=r"order DH1 is .* and cannot be paid"):
        match(shop, payment_id, "DH1")
    with pytest.raises(OrderNotFound):
        match(shop, payment_id, "DH9")

    assert shop.ledger()[0].outcome == "unmatched"


def test_a_payment_is_given_to_one_of_two_orders_at_once(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    payment_id, together = told(shop, "XX"), threading.Barrier(2)

    def give(code: str) -> str:
        together.wait(10)
        try:
            return match(shop, payment_id, code).payment.outcome
        except OrderctlError as error:
            return type(error).__name__

    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(give, ("DH1", "DH2")))

    assert found == ["Conflict", "paid"]
    assert sorted(shop.order(code).payment_status for code in ("DH1", "DH2")) == ["paid", "pending"]


@pytest.mark.databases("sqlite")
def test_a_proposal_says_what_a_match_does_and_changes_nothing(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    wrong = told(shop, "DH1", 299_000)
    before = shop.ledger()

    proposal = shop.read(lambda c: decisions.propose(c, wrong, "DH2", rules=RULES))

    assert (proposal.payment, proposal.order.order_code, proposal.received) == (before[0], "DH2", 0)
    assert proposal.verdict.outcome == "paid"
    assert shop.ledger() == before
    seen = replace(proposal, order=replace(proposal.order, total_amount=Decimal(1)))
    with pytest.raises(Superseded, match="order DH2 was changed"):
        shop.transact(
            lambda c: decisions.match(c, wrong, "DH2", reason="x", rules=RULES, origin=TESTER, seen=seen)
        )
    assert shop.ledger() == before


@pytest.mark.databases("sqlite")
def test_the_order_that_loses_a_payment_has_the_event_too(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")

    match(shop, told(shop, "DH1", 299_000), "DH2")

    messages = {code: shop.event(code, "payment_matched").message for code in ("DH1", "DH2")}
    assert set(messages.values()) == {"Payment 1 of 299000 given to order DH2: he wrote to us"}


@pytest.mark.databases("sqlite")
def test_a_payment_is_set_aside_once(shop: Shop) -> None:
    lost = told(shop, "XX")
    refuse(shop, lost)

    with pytest.raises(Conflict, match="payment 1 was set aside before: sent back"):
        refuse(shop, lost)


@pytest.mark.parametrize("to", ["DH2", None])
def test_a_part_does_not_leave_its_order_while_it_pays(
    shop: Shop, to: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.add("DH1")
    shop.add("DH2")
    part, judge = told(shop, "DH1", 100_000, rules=SUM), amounts.judge
    decided: list[Future[object]] = []

    def decide() -> object:
        return refuse(shop, part) if to is None else match(shop, part, to, SUM)

    def judged_while_an_admin_decides(*args, **kwargs):
        monkeypatch.setattr(amounts, "judge", judge)
        decided.append(pool.submit(decide))
        wait(decided, timeout=0.2)
        return judge(*args, **kwargs)

    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(amounts, "judge", judged_while_an_admin_decides)
        told(shop, "DH1", 200_000, number=2, rules=SUM)
        with pytest.raises(Conflict, match="has paid order DH1"):
            decided[0].result(20)

    assert [(payment.order_code, payment.outcome) for payment in shop.ledger()] == [
        ("DH1", "paid"),
        ("DH1", "paid"),
    ]


@pytest.mark.databases("sqlite")
def test_what_did_not_fit_an_order_that_was_paid_since_is_to_be_set_aside(shop: Shop) -> None:
    shop.add("DH1")
    wrong, lost = told(shop, "DH1", 1), told(shop, "XX", number=2)
    shop.pay("DH1")

    hints = []
    for payment_id in (wrong, lost):
        with pytest.raises(Conflict, match="order DH1 is paid already") as refused:
            match(shop, payment_id, "DH1")
        hints.append(refused.value.hint)

    assert hints == ["orderctl payments match 1 --refuse --reason WHY", "orderctl orders show DH1"]
