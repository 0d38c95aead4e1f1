from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from orderctl import database
from orderctl.errors import InvalidInput, PaymentNotFound
from orderctl.payments import ledger, retention
from orderctl.payments.ledger import Filter
from orderctl.payments.transfer import Transfer
from orderctl.schema import payments
from orderctl.states import UNDECIDED
from tests.shop import RULES, Shop


def fill(shop: Shop, count: int) -> None:
    shop.receive(
        *(Transfer("sepay", Decimal(1), provider_id=str(number), code="XX") for number in range(count))
    )


def test_pages_go_from_the_newest_to_the_oldest(shop: Shop) -> None:
    fill(shop, 5)

    ids, after = [], None
    while True:
        page = shop.read(lambda c, after=after: ledger.page(c, Filter(), limit=2, after=after))
        ids.append([payment.provider_id for payment in page.payments])
        if (after := page.cursor) is None:
            break

    assert ids == [["4", "3"], ["2", "1"], ["0"]]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("cursor", ["", "-1", "x", "1.5", "٣", "9" * 40])
def test_a_cursor_that_is_none_is_refused(shop: Shop, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="is not a cursor of a page of payments"):
        shop.read(lambda c: ledger.page(c, Filter(), limit=1, after=cursor))


def test_a_page_holds_what_is_wanted(shop: Shop) -> None:
    shop.add("DH1")
    shop.receive(Transfer("sepay", Decimal(300_000), provider_id="1", code="DH1"))
    shop.receive(Transfer("casso", Decimal(300_000), provider_id="2", code="DH1"))
    shop.receive(Transfer("casso", Decimal(1), provider_id="3", code="XX"))
    late = shop.read(lambda c: ledger.find(c, 2)).told_at

    def wanted(**more) -> list[str | None]:
        return [
            one.provider_id for one in shop.read(lambda c: ledger.page(c, Filter(**more), limit=9)).payments
        ]

    assert wanted(outcomes=UNDECIDED) == ["3", "2"]
    assert wanted(outcomes=("paid",)) == ["1"]
    assert wanted(provider="sepay") == ["1"]
    assert wanted(since=late) == ["3", "2"]
    assert wanted(until=late) == ["1"]
    assert [one.provider_id for one in shop.read(lambda c: ledger.of_order(c, 1))] == ["1", "2"]


@pytest.mark.databases("sqlite")
def test_a_payment_that_there_is_not(shop: Shop) -> None:
    with pytest.raises(PaymentNotFound, match="payment 7 not found"):
        shop.read(lambda c: ledger.find(c, 7))


@pytest.mark.parametrize("amount", ["300000", "12.5", "0.0001", "99999999999999999999999999.9999"])
def test_amounts_are_kept_exactly(shop: Shop, amount: str) -> None:
    shop.receive(Transfer("sepay", Decimal(amount), provider_id="1"))

    [kept] = shop.ledger()
    assert kept.amount == Decimal(amount)
    assert str(kept.amount) in {amount, f"{amount}.00", f"{amount}0"}


def test_what_a_provider_sent_is_kept_for_a_time(shop: Shop) -> None:
    raw = {"id": 1, "text": "Nguyễn\x00\ud800", "amount": Decimal("12.50")}
    fill(shop, 3)
    shop.receive(
        Transfer("sepay", Decimal(1), provider_id="old", raw=raw), Transfer("sepay", Decimal(1), raw=raw)
    )
    old = (
        update(payments)
        .where(payments.c.provider_id == "old")
        .values(raw_since=database.utc_now(-86_400 * 91))
    )
    shop.transact(lambda c: c.execute(old))
    assert shop.read(lambda c: ledger.raw(c, 4)) == {**raw, "amount": 12.5}

    assert [shop.transact(lambda c: retention.forget_rows(c, 90)) for _ in range(2)] == [1, 0]

    assert shop.read(lambda c: ledger.raw(c, 4)) is None
    assert shop.read(lambda c: ledger.raw(c, 5)) is not None
    assert len(shop.ledger()) == 5


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "change",
    [
        {"code": "YY"},
        {"amount": Decimal(2)},
        {"content": "other"},
        {"ignored": "a test"},
        {"provider": "casso"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_has_no_id_is_known_by_what_was_told(shop: Shop, change: dict[str, object]) -> None:
    told = Transfer("plain", Decimal(1), code="XX")
    shop.receive(told)

    assert shop.receive(replace(told, raw={"balance": 7}))[0].repeated
    assert not shop.receive(replace(told, **change))[0].repeated  # type: ignore[arg-type]


@pytest.mark.databases("sqlite")
def test_an_id_may_look_like_anything(shop: Shop) -> None:
    shop.add("DH1")
    shop.receive(Transfer("plain", Decimal(300_000), code="DH1"))
    key = shop.read(lambda c: c.execute(select(payments.c.provider_id)).scalar_one())
    ids = [key, " x ", "x", "é", "x" * 500, "x" * 501, "\x00", "1" * 190]

    receipts = [
        shop.receive(Transfer("plain", Decimal(1), provider_id=one, code="DH1"), rules=RULES)[0]
        for one in ids
    ]

    assert [receipt.repeated for receipt in receipts] == [
        False,
        False,
        True,
        False,
        False,
        False,
        False,
        False,
    ]
