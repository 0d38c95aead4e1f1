from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import select

from orderctl.payments import retention
from orderctl.payments.retention import Retention
from orderctl.payments.transfer import Transfer
from orderctl.schema import payments
from tests.faults.world import World
from tests.shop import RULES, Shop
from tests.waiting import eventually


def tell(shop: Shop, number: int, *, days_ago: int = 0, rules=RULES) -> None:
    """Keep a transfer that names no order, as if it had been told some days ago."""
    raw = {"content": "Nguyễn <b>", "id": number}
    shop.receive(Transfer("sepay", Decimal(1), provider_id=str(number), raw=raw), rules=rules)
    shop.execute(
        f"UPDATE orderctl_payments SET raw_since = {earlier(shop, days_ago)} WHERE provider_id = :i AND raw_since > 0",
        i=str(number),
    )


def earlier(shop: Shop, days: int) -> str:
    if shop.engine.dialect.name == "sqlite":
        return f"datetime(raw_since, '-{days} days')"
    return f"raw_since - INTERVAL {days} DAY"


def kept(shop: Shop) -> list[str]:
    """Return the ids of the payments whose raw data is there."""
    query = select(payments.c.provider_id).where(payments.c.raw.is_not(None)).order_by(payments.c.id)
    return list(shop.read(lambda c: c.execute(query).scalars()))


def test_what_is_old_is_deleted_in_batches_and_the_payments_stay(shop: Shop, monkeypatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(5):
        tell(shop, number, days_ago=91)
    tell(shop, 5, days_ago=89)
    before = shop.ledger()

    assert retention.forget(shop.engine, 90) == 5

    assert kept(shop) == ["5"]
    assert shop.ledger() == before
    assert retention.forget(shop.engine, 90) == 0


@pytest.mark.databases("sqlite")
def test_a_turn_deletes_a_batch_until_none_is_left_and_then_waits(shop: Shop, monkeypatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(3):
        tell(shop, number, days_ago=91)
    retained = Retention(shop.engine, 90)

    left = []
    for _ in range(3):
        retained.turn()
        left.append(len(kept(shop)))
    tell(shop, 3, days_ago=91)
    retained.turn()

    assert (left, kept(shop)) == ([1, 0, 0], ["3"])


@pytest.mark.databases("sqlite")
def test_with_0_days_nothing_is_stored_and_what_is_there_goes(shop: Shop) -> None:
    tell(shop, 1)
    tell(shop, 2, rules=replace(RULES, keep_raw=False))
    assert kept(shop) == ["1"]

    assert retention.forget(shop.engine, 0) == 1

    assert (kept(shop), len(shop.ledger())) == ([], 2)


@pytest.mark.databases("sqlite")
def test_a_keeper_deletes_what_is_old(world: World) -> None:
    tell(world.shop, 1, days_ago=91)
    tell(world.shop, 2)

    with world.playing("keep"):
        eventually(lambda: kept(world.shop) == ["2"], "the old data to be gone")
