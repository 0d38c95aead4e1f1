"""A transfer that a bank's statement brings counts once, whoever else tells of it before or after."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderctl.payments import decisions, reconciliation
from orderctl.payments.intake import Receipt
from orderctl.payments.statements.line import Line
from orderctl.payments.transfer import Direction, Transfer
from tests.shop import AMOUNT, RULES, TESTER, Shop

AT = datetime(2026, 11, 3, 4, 5, 6, tzinfo=UTC)
DAY = timedelta(days=1)
SQLITE = pytest.mark.databases("sqlite")
TEXT = "NGUYEN VAN A chuyen tien hoc phi"

Tell = Callable[[Shop], Receipt]


def line(*names: str, **more: Any) -> Line:
    values: dict[str, Any] = {
        "number": 2, "direction": Direction.IN, "amount": AMOUNT, "begin": AT, "end": AT + timedelta(seconds=1),
        "names": names, "content": "DH1", "code": None, "currency": None, "account": "0071", "bank": None,
        "balance": None, "key": names[0] if names else "sha256:1",
    }  # fmt: skip
    return Line(**{**values, **more})


def stated(*names: str, **more: Any) -> Tell:
    def tell(shop: Shop) -> Receipt:
        return shop.transact(lambda c: reconciliation.record(c, line(*names, **more), RULES, TESTER))

    return tell


def told(provider: str = "sepay", **more: Any) -> Tell:
    values = {"content": "DH1", "bank": "MBBank", "account": "0071", "happened_at": AT} | more
    return lambda shop: shop.receive(Transfer(provider, AMOUNT, **values))[0]


def typed(transaction: str | None = None) -> Tell:
    return lambda shop: shop.pay("DH1", transaction=transaction)


ONE = {
    "one name": (stated("FT26014"), told(provider_id="7", reference="FT26014")),
    "another name": (stated("11", "FT26014"), told(provider_id="7", reference="FT26014")),
    "the provider's id": (stated("FT26014"), told("plain", provider_id="FT26014")),
    "another case": (stated("ft26014"), told(provider_id="7", reference="FT26014")),
    "the bank's addition": (stated("FT26014\\BNK"), told(provider_id="7", reference="FT26014")),
    "the provider's addition": (stated("FT26014"), told(provider_id="7", reference="FT26014/1")),
    "no name": (stated(), told(provider_id="7", reference="FT26014")),
    "no name and only a day": (
        stated(begin=AT.replace(hour=0), end=AT + DAY), told(provider_id="7", reference="FT26014"),
    ),
    "an id only": (stated(), told(provider_id="7")),
    "a provider without names": (stated("FT26014"), told("plain", happened_at=None)),
    "no names at all": (stated(), told("plain")),
    "a name without an order": (
        stated("FT26014", content=TEXT), told(provider_id="7", reference="FT26014", content=TEXT),
    ),
    "a text without an order": (
        stated(content=f"MBVCB {TEXT}"), told(provider_id="7", reference="FT26014", content=TEXT),
    ),
    "a text without names": (stated("FT26014", content=TEXT), told("plain", content=TEXT)),
    "typed with its transaction": (stated("FT26014"), typed("FT26014")),
    "typed in another case": (stated("FT26014\\BNK"), typed("ft26014")),
    "typed without a transaction": (stated("FT26014"), typed()),
    "typed, and no name": (stated(), typed("FT26014")),
    "typed without a transaction, and no name": (stated(), typed()),
}  # fmt: skip


@SQLITE
@pytest.mark.parametrize("is_first", [True, False], ids=["statement-first", "statement-last"])
@pytest.mark.parametrize("pair", ONE.values(), ids=ONE)
def test_it_counts_once_whoever_comes_first(shop: Shop, pair: tuple[Tell, Tell], *, is_first: bool) -> None:
    shop.add("DH1")
    move_clock(shop)
    first, second = pair if is_first else pair[::-1]

    assert not first(shop).repeated
    move_clock(shop)
    again = [second(shop), first(shop), second(shop)]

    assert [receipt.repeated for receipt in again] == [True] * 3
    assert len(shop.ledger()) == 1


def move_clock(shop: Shop) -> None:
    """Let what was told until now have been told when the bank booked it."""
    shop.execute("UPDATE orderctl_payments SET told_at = '2026-11-03 04:05:09'")


OTHERS = {
    "another name": (stated("FT26014"), told(provider_id="7", reference="FT26015")),
    "another of its parts": (stated("FT26014/1"), told(provider_id="7", reference="FT26014/2")),
    "another day": (stated(), told(provider_id="7", reference="FT1", happened_at=AT + 4 * DAY)),
    "another line": (stated("FT26014"), stated("FT26015")),
    "another line without a name": (stated(), stated(key="sha256:2")),
    "another line without a name on that day": (stated("FT26014"), stated()),
    "another text": (
        stated(content=TEXT), told(provider_id="7", reference="FT26014", content="tien hoc phi thang 11"),
    ),
    "a short text": (stated(content="hoc phi"), told(provider_id="7", reference="FT1", content="hoc phi")),
    "typed with another transaction": (stated("FT26014"), typed("FT26015")),
}  # fmt: skip


@SQLITE
@pytest.mark.parametrize("pair", OTHERS.values(), ids=OTHERS)
def test_two_transfers_stay_two(shop: Shop, pair: tuple[Tell, Tell]) -> None:
    shop.add("DH1")

    for tell in pair:
        assert not tell(shop).repeated
        move_clock(shop)

    assert len(shop.ledger()) == 2


@SQLITE
def test_the_other_line_of_a_day_is_recorded_when_the_first_one_is_known(shop: Shop) -> None:
    shop.add("DH1")
    first = told(provider_id="7", reference="FT1")(shop).payment
    move_clock(shop)

    def record(*others: int) -> Receipt:
        return shop.transact(lambda c: reconciliation.record(c, line(), RULES, TESTER, others))

    assert record().payment.id == first.id
    assert record(first.id).payment.outcome == "surplus"
    assert record(first.id).repeated


@SQLITE
def test_the_banks_facts_are_added_to_the_statements_row(shop: Shop) -> None:
    shop.add("DH1")
    stated()(shop)

    told(provider_id="7", reference="FT1")(shop)

    [row] = shop.ledger()
    assert (row.provider, row.provider_id, row.reference, row.bank) == (
        "statement",
        "sha256:1",
        "FT1",
        "MBBank",
    )
    assert not told(provider_id="8", reference="FT2")(
        shop
    ).repeated  # another one, which only the bank told of


@SQLITE
def test_a_name_is_added_to_what_was_typed_without_one(shop: Shop) -> None:
    shop.add("DH1")
    typed()(shop)
    move_clock(shop)

    stated("FT26014")(shop)

    [row] = shop.ledger()
    assert (row.provider, row.provider_id, row.reference) == ("manual", None, "FT26014")
    assert told(provider_id="7", reference="FT26014")(shop).repeated


@SQLITE
def test_what_an_admin_gave_to_another_order_is_known(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    payment = told(provider_id="7", reference="FT26014", content="hoc phi")(shop).payment
    shop.transact(lambda c: decisions.match(c, payment.id, "DH2", reason="asked", rules=RULES, origin=TESTER))

    assert stated("FT26014")(shop).repeated
    assert stated("FT26014", content="hoc phi")(shop).repeated


@SQLITE
def test_a_line_pays_its_order_that_was_added_since(shop: Shop) -> None:
    told(provider_id="7", reference="FT26014")(shop)
    shop.add("DH1")

    begin = AT.replace(hour=0, minute=0, second=0)
    receipt = stated("FT26014", begin=begin, end=begin + DAY)(shop)

    assert (receipt.payment.outcome, receipt.payment.provider) == ("paid", "sepay")
    assert receipt.payment.happened_at == AT  # the provider's is more exact


@SQLITE
@pytest.mark.parametrize(("transaction", "names"), [("FT1", ("FT1",)), ("ft-1", ("FT1",)), ("FT1", ())])
def test_what_the_shop_has_recorded_is_known(shop: Shop, transaction: str, names: tuple[str, ...]) -> None:
    order_id = shop.add("DH1")
    shop.execute("UPDATE orders SET payment_status = 'paid'")
    shop.record(order_id, "payment_received", details={"amount": 300000.0, "transactionId": transaction})

    receipt = stated(*names)(shop)

    assert (receipt.repeated, receipt.payment.reason) == (True, "recorded by shop")


def test_at_once_it_counts_once(shop: Shop) -> None:
    order_id = shop.add("DH1")
    tellers = [
        stated("FT26014"),
        told(provider_id="7", reference="FT26014"),
        stated("FT26014"),
        typed("FT26014"),
    ] * 2

    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda tell: tell(shop), tellers))

    assert sorted(receipt.repeated for receipt in receipts) == [False] + [True] * 7
    assert [row.outcome for row in shop.ledger()] == ["paid"]
    assert shop.event_types(order_id).count("payment_received") == 1


@SQLITE
def test_a_line_of_another_amount_is_judged_as_any_transfer(shop: Shop) -> None:
    shop.add("DH1")

    wrong = stated("FT1", amount=AMOUNT - 1)(shop).payment

    assert (wrong.outcome, wrong.provider) == ("mismatch", "statement")
    assert wrong.amount == Decimal(299_999)
