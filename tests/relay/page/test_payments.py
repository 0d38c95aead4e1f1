"""The view of the payments that wait for a decision, and the payments of one order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from orderctl.payments import decisions
from orderctl.payments.transfer import Transfer
from tests.relay.conftest import RunningRelay
from tests.relay.page.conftest import PHONE, Visits, expect, overflow
from tests.relay.page.test_accessibility import CONTRASTS
from tests.relay.page.test_hostile_text import HOSTILE
from tests.shop import TESTER, Shop

pytestmark = pytest.mark.databases("sqlite")
#: What stands outside the header, or in two lines.
HEADER = """[...document.querySelectorAll(".top a, .top button, .top .pill")]
    .filter((one) => one.checkVisibility())
    .filter((one) => { const { height, right } = one.getBoundingClientRect(); return height > 50 || right > innerWidth; })
    .map((one) => one.outerHTML)"""
REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"


def tell(shop: Shop, number: int, code: str | None, amount: int = 300_000, **more: str) -> int:
    told = {"bank": "ACB", "reference": f"FT{number}"} | more
    transfer = Transfer("sepay", Decimal(amount), provider_id=str(number), code=code, **told)
    [receipt] = shop.receive(transfer)
    return receipt.payment.id


def test_the_view_lists_what_waits_and_follows_decisions(visit: Visits, relay: RunningRelay, shop: Shop):
    shop.add("DH1")
    shop.add("DH2")
    for number, (code, amount) in enumerate([("DH1", 300_000), ("DH1", 300_000), ("DH2", 5), (None, 7)], 1):
        tell(shop, number, code, amount)
    page = visit(relay)
    expect(page.locator("#payments-waiting")).to_have_text("3 waiting for a decision")

    page.keyboard.press("p")

    cards = page.locator("#payments .payment")
    expect(cards).to_have_count(3)
    expect(page.locator("#payments .badge")).to_have_text(["unmatched", "mismatch", "surplus"])
    expect(page.locator("#payments-note")).to_have_text(
        "Waiting for a decision: 1 unmatched, 1 mismatch, 1 surplus."
    )
    expect(cards.nth(1)).to_contain_text("5 was transferred, the order costs 300000")
    expect(cards.nth(1)).to_contain_text("orderctl payments match 3 DH2 --reason WHY")
    expect(cards.nth(0)).to_contain_text("orderctl payments match 4 ORDER --reason WHY")
    expect(cards.nth(2)).to_contain_text("orderctl payments match 2 --refuse --reason WHY")
    cards.nth(1).get_by_role("link", name="Order DH2").click()
    expect(page.locator(".panel-title")).to_have_text("DH2")
    expect(page.locator("#panel .payment")).to_have_count(1)
    expect(page.get_by_role("heading", name="Payments", level=1)).to_be_visible()

    shop.transact(lambda c: decisions.refuse(c, 4, reason="a test", origin=TESTER))
    page.evaluate(REFRESH)
    expect(cards).to_have_count(2)
    expect(page.locator("#payments-waiting")).to_have_text("2 waiting for a decision")
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    for payment in (2, 3):
        refuse = payment
        shop.transact(lambda c, refuse=refuse: decisions.refuse(c, refuse, reason="a test", origin=TESTER))
    page.evaluate(REFRESH)
    expect(page.locator("#payments-note")).to_have_text("No payment waits for a decision.")
    expect(page.locator("#payments-waiting")).to_be_hidden()


def test_hostile_text_stays_text_and_everything_fits_a_phone(visit: Visits, relay: RunningRelay, shop: Shop):
    order = shop.add("DH1")
    shop.pay("DH1")
    shop.execute("UPDATE orders SET order_code = :t", t=HOSTILE)
    tell(shop, 1, None, bank=HOSTILE, content="W" * 400 + HOSTILE, reference="R" * 100)
    shop.execute(
        "UPDATE orderctl_payments SET reason = :t, outcome = 'mismatch', order_id = :o, currency = '<b>'"
        " WHERE provider = 'sepay'",
        t=HOSTILE,
        o=order,
    )

    page = visit(relay, "#/payments", viewport=PHONE)

    card = page.locator("#payments .payment")
    expect(card).to_contain_text(HOSTILE)
    expect(card.locator("code").first).to_have_text("orderctl payments match 2 ORDER --reason WHY")
    assert overflow(page) == 0
    assert page.evaluate(HEADER) == []
    card.get_by_role("link").click()
    expect(page.locator("#panel .payment")).to_have_count(2)
    assert overflow(page) == 0
    assert page.evaluate("window.harmed") is None
    assert page.locator("main img, main script, aside img, aside script, aside b").count() == 0


def test_a_phone_has_room_for_a_large_number_of_payments(visit: Visits, relay: RunningRelay, shop: Shop):
    shop.paid("DH1")
    tell(shop, 1, "DH1")
    columns = "provider, direction, outcome, told_at"
    shop.execute(
        f"INSERT INTO orderctl_payments (provider_id, {columns}) WITH RECURSIVE n(i) AS"
        f" (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) SELECT 'n' || i, {columns}"
        " FROM n, orderctl_payments WHERE provider_id = '1'"
    )

    page = visit(relay, "#/payments", viewport=PHONE)

    expect(page.locator("#payments-waiting")).to_have_text("999+ waiting for a decision")
    expect(page.locator("#payments-note")).to_have_text("Waiting for a decision: 10,000+ surplus.")
    assert overflow(page) == 0
    assert page.evaluate(HEADER) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(visit: Visits, relay: RunningRelay, shop: Shop, scheme: str):
    shop.paid("DH1")
    tell(shop, 1, "DH1", content="an ck dh1")
    page = visit(relay, "#/payments", color_scheme=scheme)
    page.locator(".payment").first.get_by_role("link").click()
    page.locator("#panel .payment").nth(1).wait_for()

    contrasts = page.evaluate(CONTRASTS)

    assert len(contrasts) > 30
    assert [one for one in contrasts if one[0] < 4.5] == []


def test_the_answer_of_a_relay_of_wrong_types_is_shown(visit: Visits, relay: RunningRelay):
    page = visit(relay)
    odd = {
        "id": 7,
        "amount": "x",
        "order_id": {},
        "outcome": None,
        "told_at": 5,
        "content": ["x"],
        "bank": {"a": 1},
    }
    junk = {"data": {"payments": [odd, None, 3, {"id": -1}], "waiting": {"unmatched": "x"}, "before": "y"}}
    page.route("**/api/admin/payments**", lambda route: route.fulfill(json=junk))

    page.get_by_role("link", name="Payments").click()

    expect(page.locator("#payments .payment")).to_have_count(1)
    expect(page.locator("#payments .payment-amount")).to_have_text("\u2013")
