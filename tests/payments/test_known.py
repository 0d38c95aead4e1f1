"""Which transfers are one, whoever tells of them and whatever they call it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from orderctl import migrate
from orderctl.errors import Conflict
from orderctl.payments.transfer import Transfer
from tests.shop import AMOUNT, RULES, Shop

pytestmark = pytest.mark.databases("sqlite")


def told(code: str = "DH1", amount: str | Decimal = AMOUNT, provider: str = "sepay", **more) -> Transfer:
    return Transfer(provider, Decimal(amount), code=code, **more)


@pytest.mark.parametrize("accept", ["exact", "sum"])
def test_a_transfer_that_two_providers_tell_of_is_one(shop: Shop, accept: str) -> None:
    shop.add("DH1", amount="300000")
    rules = replace(RULES, accept=accept)
    one = told(amount="150000", provider_id="7", reference="FT1", bank="Vietcombank", account="0071")

    shop.receive(one, rules=rules)
    same = replace(one, provider="casso", provider_id="31", bank="VCB")
    assert shop.receive(same, rules=rules)[0].repeated
    other_account = replace(same, account="0072", bank="ACB", provider_id="32")
    for other in (replace(same, reference="FT2", provider_id="33"), other_account):
        assert not shop.receive(other, rules=rules)[0].repeated


def test_what_the_bank_told_for_one_order_is_not_typed_for_another(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    shop.receive(told("DH1", provider_id="7", reference="FT1", bank="ACB"))

    with pytest.raises(Conflict, match="transaction FT1 has already paid the order with id 1"):
        shop.pay("DH2", transaction="FT1")

    assert not shop.pay("DH2", transaction="7").repeated  # the provider's id is no name of the bank's


def test_an_event_of_the_log_that_is_told_again_is_its_providers(shop: Shop) -> None:
    for number in (1, 2):
        shop.add(f"DH{number}")
        shop.execute(
            "INSERT INTO orderctl_payments (provider, provider_id, order_id, amount, direction, reference, outcome)"
            " VALUES ('audit_log', :key, :id, '5', 'in', :reference, 'mismatch')",
            key=f" audit {number}", id=number, reference=f"FT{number}",
        )  # fmt: skip

    # Both providers have a transfer with this id.
    for code, provider, reference in (("DH1", "sepay", "FT1"), ("DH2", "casso", "FT2")):
        [receipt] = shop.receive(told(code, provider=provider, provider_id="7", reference=reference))
        assert (receipt.payment.outcome, receipt.repeated) == ("paid", False)

    assert [one.provider for one in shop.ledger()] == ["sepay", "casso"]


@pytest.mark.parametrize("is_filled_in", [True, False])
def test_a_payment_without_a_transaction_in_the_log_is_known_by_its_amount(
    shop: Shop, *, is_filled_in: bool
) -> None:
    order_id = shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'paid'")
    shop.record(order_id, "payment_received", details={"amount": 300000.0, "transactionId": None})
    if is_filled_in:
        migrate.up(shop.engine)

    assert shop.receive(told(provider="plain"))[0].repeated
    assert shop.pay("DH1").repeated
    assert shop.pay("DH1", "299999").payment.outcome == "surplus"
    assert shop.pay("DH1", transaction="FT1").payment.outcome == "surplus"


@pytest.mark.parametrize("provider_id", ["7", None])
def test_what_a_bank_told_without_an_order_may_be_typed(shop: Shop, provider_id: str | None) -> None:
    shop.add("DH1")
    shop.add("DH2")
    of_bank = told("hoc phi", provider="plain", provider_id=provider_id, reference="FT1", bank="ACB")
    shop.receive(of_bank)

    receipt = shop.pay("DH2", transaction="FT1")

    assert (receipt.repeated, receipt.payment.provider, receipt.payment.outcome) == (False, "plain", "paid")
    assert shop.receive(of_bank)[0].repeated
    assert shop.pay("DH2", transaction="FT1").repeated
    with pytest.raises(Conflict, match="has already paid the order with id 2"):
        shop.pay("DH1", transaction="FT1")
    assert len(shop.ledger()) == 1
