"""When an order counts as paid that the ledger knows nothing of."""

from datetime import UTC, datetime

import pytest

from orderctl.payments import unexplained
from tests.shop import Shop

SINCE, UNTIL = datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 4, tzinfo=UTC)
BEFORE, THEN, AFTER = (f"2026-11-0{day} 12:00:00" for day in (2, 3, 4))


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("paid_at", "event_at", "created_at", "is_found"),
    [
        (THEN, AFTER, BEFORE, True),
        (BEFORE, THEN, THEN, False),
        (None, THEN, BEFORE, True),
        (None, AFTER, THEN, False),
        (None, None, THEN, True),
        (None, None, BEFORE, False),
    ],
)
def test_an_order_is_paid_when_it_says_or_its_event_or_when_it_was_made(
    shop: Shop, paid_at: str | None, event_at: str | None, created_at: str, *, is_found: bool
) -> None:
    order_id = shop.add("DH1")
    shop.execute(
        "UPDATE orders SET payment_status = 'paid', paid_at = :paid, created_at = :made",
        paid=paid_at,
        made=created_at,
    )
    if event_at is not None:
        at = datetime.fromisoformat(event_at).replace(tzinfo=UTC)
        shop.record(order_id, "payment_received", created_at=at, details={"transactionId": "FT1"})

    found = shop.read(lambda c: list(unexplained.find(c, SINCE, UNTIL)))

    assert [one.order.order_code for one in found] == (["DH1"] if is_found else [])
    assert [one.names for one in found] == ([("FT1",) if event_at else ()] if is_found else [])


@pytest.mark.databases("sqlite")
def test_orders_with_a_payment_or_without_a_price_are_left_out(shop: Shop) -> None:
    shop.add("DH1", amount="0")
    shop.execute("UPDATE orders SET payment_status = 'paid'")
    shop.add("DH2")
    shop.pay("DH2")
    shop.execute("UPDATE orders SET paid_at = :then", then=THEN)

    assert shop.read(lambda c: list(unexplained.find(c, SINCE, UNTIL))) == []
