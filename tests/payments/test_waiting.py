from decimal import Decimal

import pytest

from orderctl.payments import decisions, waiting
from orderctl.payments.transfer import Transfer
from tests.shop import RULES, TESTER, Shop


def tell(shop: Shop, code: str | None, amount: int = 300_000) -> int:
    known = len(shop.ledger())
    [receipt] = shop.receive(Transfer("sepay", Decimal(amount), provider_id=str(known), code=code))
    return receipt.payment.id


def test_counts_and_newest_are_of_what_has_no_decision(shop: Shop) -> None:
    shop.add("DH1")
    shop.add("DH2")
    paid, surplus = tell(shop, "DH1"), tell(shop, "DH1")
    mismatch, unmatched, refused = tell(shop, "DH2", 1), tell(shop, None), tell(shop, None)
    shop.transact(lambda c: decisions.refuse(c, refused, reason="a test", origin=TESTER))

    found = shop.read(lambda c: waiting.newest(c, 2))

    assert [one.id for one in found] == [unmatched, mismatch]
    assert shop.read(waiting.count) == {"unmatched": 1, "mismatch": 1, "surplus": 1}
    assert {paid, surplus} < {one.id for one in shop.ledger()}


@pytest.mark.databases("sqlite")
def test_counting_ends_at_a_limit(shop: Shop, monkeypatch) -> None:
    monkeypatch.setattr(waiting, "COUNT_LIMIT", 2)
    for _ in range(4):
        tell(shop, None)

    counts = shop.read(waiting.count)

    assert counts == {"unmatched": 3, "mismatch": 0, "surplus": 0}
    assert [waiting.shown(number) for number in (2, counts["unmatched"])] == ["2", "2+"]


@pytest.mark.databases("sqlite")
def test_a_match_ends_the_wait(shop: Shop) -> None:
    shop.add("DH1")
    payment = tell(shop, None)

    shop.transact(lambda c: decisions.match(c, payment, "DH1", reason="asked", rules=RULES, origin=TESTER))

    assert set(shop.read(waiting.count).values()) == {0}
